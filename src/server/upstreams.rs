//! The configured upstreams as engines take them: hosts found, passwords read.

use super::config::{Address, Config, ReadFrom, Upstream, UpstreamKind, UpstreamServer};
use crate::engine::{PoolKind, PoolOptions, ReadPolicy, ServerOptions, Upstreams};
use crate::protocol::resp::ReplyBounds;
use crate::runtime::tls::{Secure, TlsError, TlsOptions};
use crate::upstream::HealthPolicy;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("upstream {upstream}: {server}: {source}")]
    Host { upstream: String, server: String, source: io::Error },
    #[error("upstream {upstream}: its password: {source}")]
    Password { upstream: String, source: io::Error },
    #[error("upstream {upstream}: {source}")]
    Tls { upstream: String, source: TlsError },
}

/// Whom requests are passed on to; none: they are served here.
pub fn upstreams(config: &Config) -> Result<Option<Arc<Upstreams>>, UpstreamError> {
    if config.upstreams.is_empty() {
        return Ok(None);
    }
    let pools = config.upstreams.iter().map(pool).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Arc::new(Upstreams { pools, routes: config.compile_routes() })))
}

/// By upstream, what makes connections to it secret.
pub fn secure(config: &Config) -> Result<Arc<[Option<Secure>]>, UpstreamError> {
    let secure = |upstream: &Upstream| {
        let tls = upstream.tls.clone();
        let options = TlsOptions {
            ca_file: tls.ca_file,
            cert_file: tls.cert_file,
            key_file: tls.key_file,
            server_name: tls.server_name,
        };
        let loaded = tls.on.then(|| Secure::load(&options)).transpose();
        loaded.map_err(|source| UpstreamError::Tls { upstream: upstream.name.clone(), source })
    };
    config.upstreams.iter().map(secure).collect()
}

/// Connections to servers that a core may have.
pub fn links_per_core(config: &Config) -> u64 {
    let links = |upstream: &Upstream| u64::from(upstream.links_per_core) * upstream.servers.len() as u64;
    // In two versions of the protocol; of a cluster seeds are named, and there are more nodes than that.
    let own = |upstream: &Upstream| upstream.own_connections_max as u64;
    config.upstreams.iter().map(|upstream| 2 * links(upstream).max(32) + own(upstream)).sum()
}

fn pool(upstream: &Upstream) -> Result<PoolOptions, UpstreamError> {
    let servers = upstream.servers.iter().map(|server| place(upstream, server)).collect::<Result<Vec<_>, _>>()?;
    let kind = match upstream.kind {
        UpstreamKind::Single => PoolKind::Single,
        UpstreamKind::Pool => PoolKind::Servers(upstream.layout()),
        UpstreamKind::Cluster => PoolKind::Cluster(match upstream.read {
            ReadFrom::Primary => ReadPolicy::Primary,
            ReadFrom::Replica => ReadPolicy::Replica,
            ReadFrom::Nearest => ReadPolicy::Nearest,
        }),
    };
    let password = upstream.secret();
    let password = password.map_err(|source| UpstreamError::Password { upstream: upstream.name.clone(), source })?;
    Ok(PoolOptions {
        username: upstream.username.clone().unwrap_or_default().into_bytes(),
        password: password.unwrap_or_default().into_bytes(),
        connect_timeout_ms: upstream.connect_timeout_ms,
        request_timeout_ms: upstream.request_timeout_ms,
        idle_timeout_ms: upstream.idle_timeout_ms,
        links_per_core: upstream.links_per_core,
        in_flight_max: upstream.in_flight_max,
        hot_copy_ms: upstream.hot_copy_ms,
        hot_stale_ms: upstream.hot_stale_ms,
        in_flight_bytes_max: upstream.in_flight_bytes_max as usize,
        own_connections_max: upstream.own_connections_max,
        health: HealthPolicy { eject_after: upstream.eject_after, eject_us: upstream.eject_ms * 1000 },
        auto_eject: upstream.auto_eject,
        tls: upstream.tls.on,
        reply_bounds: ReplyBounds {
            bulk_bytes_max: upstream.value_bytes_max,
            reply_bytes_max: upstream.reply_bytes_max,
            ..ReplyBounds::default()
        },
        ..PoolOptions::new(&upstream.name, kind, servers)
    })
}

/// A server with the address that its host has now.
fn place(upstream: &Upstream, server: &UpstreamServer) -> Result<ServerOptions, UpstreamError> {
    let name: Arc<str> = server.address.to_string().into();
    let address = match &server.address {
        Address::Unix(_) => Arc::clone(&name),
        Address::Tcp { host, port } => {
            let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
            let found = (host.as_str(), *port).to_socket_addrs().and_then(|mut all| all.next().ok_or_else(none));
            let found = found.map_err(|source| UpstreamError::Host {
                upstream: upstream.name.clone(),
                server: name.to_string(),
                source,
            })?;
            found.to_string().into()
        }
    };
    Ok(ServerOptions { name, address, placed: server.placed(upstream.distribution) })
}
