//! `[metrics]`: where the figures of the server can be read.

use super::kind::Kind;
use super::parameter::{Parameter, field};
use super::settings::Metrics;
use std::net::SocketAddr;

pub(super) const SECTION: &str = "metrics";

pub(super) const BIND: Parameter = Parameter::row(SECTION, "bind", "metrics-bind", field!(metrics.bind))
    .kind(Kind::Addresses, "127.0.0.1")
    .why("Addresses on which metrics are answered. Anybody may ask: they name commands and servers, never keys.");

pub(super) const PORT: Parameter = Parameter::row(SECTION, "port", "metrics-port", field!(metrics.port))
    .kind(Kind::Count { min: 0, max: 65_535 }, "0")
    .why("TCP port for GET /metrics over HTTP. One request at a time is answered; 0 opens none.");

impl Metrics {
    /// Where metrics are answered, if anywhere.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let bind = self.bind.iter().filter(|_| self.port != 0);
        bind.map(|address| SocketAddr::new(*address, self.port))
    }
}
