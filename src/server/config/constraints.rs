//! What must hold between parameters, and between them and the machine.

use std::collections::HashSet;

use super::Origins;
use super::kind::shown;
use super::mistake::{Mistake, Place};
use super::pools;
use super::settings::Config;
use super::table;
use super::units::cpus_print;
use crate::engine::Endpoint;
use crate::routing::POINTS_MAX;
use crate::types::CORES_MAX;

/// A Unix socket's path must fit `sockaddr_un` with its closing zero.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Resolves `auto` to CPUs: all that are available, without those that poll for the others while any other is left.
pub(super) fn cpus_resolve(config: &Config, cpus_available: &[usize]) -> Vec<usize> {
    if !config.cores.cpus_asked.is_empty() {
        return config.cores.cpus_asked.clone();
    }
    let polling = |cpu: &&usize| config.ring.sqpoll && config.ring.sqpoll_cpus.contains(cpu);
    let serving: Vec<usize> = cpus_available.iter().filter(|cpu| !polling(cpu)).copied().take(CORES_MAX).collect();
    // Leaving none would hide the real mistake, which `sqpoll` below names.
    if serving.is_empty() { cpus_available.to_vec() } else { serving }
}

/// Every rule that the configuration breaks.
pub(super) fn mistakes(config: &Config, origins: &Origins, cpus_available: &[usize]) -> Vec<Mistake> {
    let mut found = Broken { config, origins, mistakes: Vec::new() };
    listeners(&mut found);
    nodes(&mut found);
    cpus(&mut found, cpus_available);
    sqpoll(&mut found);
    placement(&mut found);
    found.mistakes.extend(pools::mistakes(config, origins));
    found.mistakes
}

/// Settings that work and are seldom meant; boot logs them, `check` prints them.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let listens = config.network.port != 0 || config.cluster.announce;
    let exposed = config.network.bind.iter().find(|ip| !ip.is_loopback()).filter(|_| listens);
    if let (Some(ip), None) = (exposed, &config.security.requirepass) {
        warnings
            .push(format!("listens on {ip} without requirepass: whoever reaches the port reads and writes every key"));
    }
    if config.ring.sqpoll && config.ring.sqpoll_cpus.is_empty() {
        warnings.push(
            "ring.sqpoll is on and ring.sqpoll_cpu names no CPU: the polling threads compete with the cores".into(),
        );
    }
    if !config.ring.sqpoll && !config.ring.sqpoll_cpus.is_empty() {
        warnings.push("ring.sqpoll_cpu has no effect while ring.sqpoll is off".into());
    }
    warnings.extend(config.upstreams.iter().filter_map(pools::warning));
    warnings
}

struct Broken<'a> {
    config: &'a Config,
    origins: &'a Origins,
    mistakes: Vec<Mistake>,
}

impl Broken<'_> {
    fn push(&mut self, section: &str, key: &str, allowed: impl Into<String>) {
        let parameter = table::by_key(section, key).expect("rules name rows of the table");
        let at = self.origins.of(parameter).clone();
        let value = parameter.kind.print(&parameter.get(self.config));
        let key = if at == Place::Flag { format!("--{}", parameter.flag) } else { parameter.path() };
        self.mistakes.push(Mistake::Value { at, key, found: shown(&value), allowed: allowed.into() });
    }
}

fn listeners(found: &mut Broken<'_>) {
    let network = &found.config.network;
    match &network.unixsocket {
        None if network.port == 0 => {
            found.push("network", "port", "a port from 1 to 65535, or 0 with network.unixsocket set");
        }
        None if network.bind.is_empty() => {
            found.push("network", "bind", "at least one address, or port 0 with network.unixsocket set");
        }
        Some(_) if network.bind.is_empty() && network.port != 0 => {
            found.push("network", "bind", "at least one address, or none with port 0");
        }
        Some(path) if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX => {
            found.push("network", "unixsocket", format!("a path of at most {SOCKET_PATH_BYTES_MAX} bytes"));
        }
        _ => {}
    }
    let mut seen = HashSet::new();
    if !network.bind.iter().all(|ip| seen.insert(ip)) {
        found.push("network", "bind", "each address once");
    }
}

/// The cores' own ports exist, are free of each other, and can be told.
fn nodes(found: &mut Broken<'_>) {
    let Config { network, cores, cluster, .. } = found.config;
    if !cluster.announce {
        return;
    }
    let count = cores.cpus.len();
    let first_max = (usize::from(u16::MAX) + 1).saturating_sub(count);
    let Some(first) = found.config.first_node_port().map(usize::from).filter(|first| *first <= first_max) else {
        let allowed = match network.port {
            0 => format!("a port up to {first_max} for the first of {count} cores, since network.port is 0"),
            _ => format!("a port up to {first_max}, so that {count} cores have one each"),
        };
        return found.push("cluster", "first_port", allowed);
    };
    if (first..first + count).contains(&usize::from(network.port)) {
        let allowed = format!("a port from which {count} cores have one each without network.port, {}", network.port);
        found.push("cluster", "first_port", allowed);
    }
    if usize::from(cluster.announce_port) > first_max {
        found.push(
            "cluster",
            "announce_port",
            format!("a port up to {first_max}, so that {count} cores have one each"),
        );
    }
    if network.bind.is_empty() {
        found.push("network", "bind", "at least one address, for the ports of the cores");
    }
    if cluster.preferred_endpoint == Endpoint::Hostname && cluster.announce_hostname.is_none() {
        found.push("cluster", "preferred_endpoint", "ip or unknown-endpoint, or hostname with announce_hostname set");
    }
}

fn cpus(found: &mut Broken<'_>, cpus_available: &[usize]) {
    for (section, key, cpus) in
        [("cores", "cpus", &found.config.cores.cpus), ("ring", "sqpoll_cpu", &found.config.ring.sqpoll_cpus)]
    {
        let unknown: Vec<u64> = cpus.iter().filter(|c| !cpus_available.contains(c)).map(|c| *c as u64).collect();
        if !unknown.is_empty() {
            let exist: Vec<u64> = cpus_available.iter().map(|cpu| *cpu as u64).collect();
            let allowed = format!(
                "CPUs that this process may use, which are {}, so not {}",
                cpus_print(&exist),
                cpus_print(&unknown)
            );
            found.push(section, key, allowed);
        }
        let mut seen = HashSet::new();
        let once = cpus.iter().all(|cpu| seen.insert(cpu));
        match key {
            // Without pinning the numbers only say how many cores there are.
            "cpus" if !once && found.config.cores.pin => found.push(section, key, "each CPU once, or --pin off"),
            "sqpoll_cpu" if !once => found.push(section, key, "each CPU once"),
            _ => {}
        }
    }
    if found.config.cores.cpus.len() > CORES_MAX {
        found.push("cores", "cpus", format!("at most {CORES_MAX} CPUs"));
    }
}

fn sqpoll(found: &mut Broken<'_>) {
    let Config { cores, ring, .. } = found.config;
    if !ring.sqpoll {
        return;
    }
    let mut both: Vec<u64> = ring.sqpoll_cpus.iter().filter(|c| cores.cpus.contains(c)).map(|c| *c as u64).collect();
    both.dedup();
    if !both.is_empty() {
        let allowed = format!("CPUs that do not serve, unlike {}", cpus_print(&both));
        found.push("ring", "sqpoll_cpu", allowed);
    }
}

fn placement(found: &mut Broken<'_>) {
    let cores = &found.config.cores;
    let cpus: Vec<u64> = cores.cpus.iter().map(|cpu| *cpu as u64).collect();
    if !cores.weights.is_empty() && cores.weights.len() != cores.cpus.len() {
        let allowed = format!("one weight a core, so {} (cores.cpus is {})", cores.cpus.len(), cpus_print(&cpus));
        found.push("cores", "weights", allowed);
    }
    let weight: usize =
        if cores.weights.is_empty() { cpus.len() } else { cores.weights.iter().map(|w| *w as usize).sum() };
    let points_each_max = POINTS_MAX / weight.max(1);
    if cores.virtual_nodes as usize > points_each_max {
        let allowed = format!("at most {points_each_max}, since weights of {weight} in all share {POINTS_MAX} points");
        found.push("cores", "virtual_nodes", allowed);
    }
}
