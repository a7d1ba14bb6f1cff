//! What must hold between upstreams, and between routes and upstreams.

use super::kind::quote;
use super::mistake::{Mistake, Place};
use super::settings::Config;
use super::upstream::{EMBEDDED, ROUTES, ReadFrom, UPSTREAMS, Upstream, UpstreamKind, UpstreamTls};
use super::{Origins, servers};
use crate::routing::{Distribution, Hash, Pool, Routes, RoutingError};

impl Config {
    /// Where keys lie, compiled: a place in the upstreams, or `None` for this server itself. What no route names lies on
    /// the first upstream, if there is any.
    pub fn compile_routes(&self) -> Routes<Option<usize>> {
        let place = |name: &str| self.upstreams.iter().position(|upstream| upstream.name == name);
        let routes: Vec<_> = self.routes.iter().map(|route| (&route.pattern, place(&route.pool))).collect();
        Routes::new(&routes, if self.upstreams.is_empty() { None } else { Some(0) })
    }
}

/// Every rule that upstreams and routes break.
pub(super) fn mistakes(config: &Config, origins: &Origins) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, upstream) in config.upstreams.iter().enumerate() {
        let at = origins.upstreams.get(index).unwrap_or(&Place::Flag);
        let mut say = |key: &str, there: String, allowed: String| {
            let path = match at {
                Place::Flag => format!("--upstream {key}"),
                _ => UPSTREAMS.key_path(index, key),
            };
            found.push(Mistake::Value { at: at.clone(), key: path, found: there, allowed });
        };
        if upstream.name == EMBEDDED {
            say("name", quote(EMBEDDED), "any other name: that is this server's own pool".into());
        }
        if config.upstreams[..index].iter().any(|other| other.name == upstream.name) {
            say("name", quote(&upstream.name), "each name once".into());
        }
        one(upstream, &mut say);
    }
    let names = || config.upstreams.iter().map(|upstream| upstream.name.as_str()).chain([EMBEDDED]);
    for (index, route) in config.routes.iter().enumerate() {
        if !names().any(|name| name == route.pool) {
            let at = origins.routes.get(index).cloned().unwrap_or(Place::Default);
            let allowed = format!("one of {}", names().collect::<Vec<_>>().join(", "));
            found.push(Mistake::Value { at, key: ROUTES.key_path(index, "pool"), found: quote(&route.pool), allowed });
        }
    }
    found
}

/// What works in an upstream and is seldom meant.
pub(super) fn warning(upstream: &Upstream) -> Option<String> {
    let has_wide_points = match upstream.distribution {
        Distribution::Ketama => true,
        // Its points are as narrow as its hashes, unless weights make it ketama.
        Distribution::Consistent => upstream.servers.iter().any(|server| server.weight > 1),
        _ => false,
    };
    (upstream.hash == Hash::Crc32 && has_wide_points && upstream.servers.len() > 1).then(|| {
        format!(
            "upstream {}: crc32 is cut to 15 bits, as in twemproxy, and ketama's points have 32: nearly all keys lie on one \
             server",
            upstream.name
        )
    })
}

/// What an upstream's kind asks of its other keys.
fn one(upstream: &Upstream, say: &mut impl FnMut(&str, String, String)) {
    let servers = || quote(&servers::print_list(&upstream.servers));
    if upstream.password.is_some() && upstream.password_file.is_some() {
        say("password_file", "set".into(), "password or password_file, not both".into());
    }
    let tls = &upstream.tls;
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        let key = if tls.cert_file.is_some() { "tls_key_file" } else { "tls_cert_file" };
        say(key, "not set".into(), "tls_cert_file and tls_key_file, or neither".into());
    }
    if !tls.on && *tls != UpstreamTls::default() {
        say("tls", quote("off"), "on, where other keys are about TLS".into());
    }
    if upstream.kind == UpstreamKind::Pool {
        if let Err(error) = Pool::check(&upstream.placed(), upstream.layout()) {
            say("servers", servers(), placement(&error));
        }
    } else {
        let blank = Upstream::default();
        let only = || "left out, unless kind is pool".to_owned();
        if upstream.distribution != blank.distribution {
            say("distribution", quote(upstream.distribution.name()), only());
        }
        if upstream.hash != blank.hash {
            say("hash", quote(upstream.hash.name()), only());
        }
        if upstream.auto_eject {
            say("auto_eject", quote("on"), only());
        }
        if !upstream.hash_tag.is_empty() {
            say("hash_tag", quote(&upstream.hash_tag), only());
        }
        if upstream.servers.iter().any(|server| server.weight != 1 || server.name.is_some()) {
            say("servers", servers(), "no weights and names, unless kind is pool".into());
        }
    }
    if upstream.kind == UpstreamKind::Single && upstream.servers.len() > 1 {
        say("servers", servers(), "one server, unless kind is pool or cluster".into());
    }
    if upstream.kind != UpstreamKind::Cluster && upstream.read != ReadFrom::Primary {
        say("read", quote(upstream.read.name()), "primary, unless kind is cluster".into());
    }
}

/// What a pool's servers would have to be.
fn placement(error: &RoutingError) -> String {
    match error {
        RoutingError::DuplicateServer { name } => format!("each server once, by its name or address ({name} is not)"),
        RoutingError::TooManyServers { servers_max, .. } => format!("at most {servers_max} servers"),
        RoutingError::TooMuchWeight { weight_max, .. } => {
            format!("weights of at most {weight_max} together, where distribution is bounded")
        }
        other => format!("servers that can be placed ({other})"),
    }
}
