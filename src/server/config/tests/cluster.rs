//! Proves which ports the cores take as nodes, what the engine is told of them, and which mistakes are named.

use super::*;

#[test]
fn mistakes_in_their_words() {
    for (text, expected) in [
        (
            "[cluster]\nannounce = true\nfirst_port = 65533",
            "c.toml:3: cluster.first_port is 65533; allowed: a port up to 65532, so that 4 cores have one each",
        ),
        (
            "[network]\nport = 65535\n[cluster]\nannounce = true",
            "default: cluster.first_port is 0; allowed: a port up to 65532, so that 4 cores have one each",
        ),
        (
            "[cluster]\nannounce = true\nfirst_port = 6376",
            "c.toml:3: cluster.first_port is 6376; allowed: a port from which 4 cores have one each without \
             network.port, 6379",
        ),
        (
            "[cluster]\nannounce = true\nannounce_port = 65535\npreferred_endpoint = \"hostname\"",
            "c.toml:3: cluster.announce_port is 65535; allowed: a port up to 65532, so that 4 cores have one each\n\
             c.toml:4: cluster.preferred_endpoint is \"hostname\"; allowed: ip or unknown-endpoint, or hostname with \
             announce_hostname set",
        ),
        (
            "[network]\nport = 0\nbind = []\nunixsocket = \"c\"\n[cluster]\nannounce = true\nfirst_port = 7000",
            "c.toml:3: network.bind is \"\"; allowed: at least one address, for the ports of the cores",
        ),
        (
            "[network]\nport = 0\nunixsocket = \"c\"\n[cluster]\nannounce = true",
            "default: cluster.first_port is 0; allowed: a port up to 65532 for the first of 4 cores, since network.port \
             is 0",
        ),
        (
            "[cluster]\nannounce_ip = \"two words\"",
            "c.toml:2: cluster.announce_ip is \"two words\"; allowed: an address or a host name of at most 253 bytes, \
             quoted in files",
        ),
    ] {
        assert_eq!(bad(text), expected, "{text}");
    }
    good("[cluster]\nfirst_port = 65535\npreferred_endpoint = \"hostname\"");
}

#[test]
fn ports_follow_the_first() {
    assert!(good("").node_ports().is_empty() && good("").facade().is_none());
    assert_eq!(good("[cluster]\nannounce = true").node_ports(), [6380, 6381, 6382, 6383]);
    assert_eq!(good("[cluster]\nannounce = true\nfirst_port = 7000").node_ports(), [7000, 7001, 7002, 7003]);
    let last = good("[network]\nport = 65531\n[cluster]\nannounce = true");
    assert_eq!(last.node_ports(), [65_532, 65_533, 65_534, 65_535]);
    let unix = "[network]\nport = 0\nunixsocket = \"c\"\n[cluster]\nannounce = true\nfirst_port = 7000";
    assert_eq!(good(unix).node_ports().len(), 4);
}

/// Ids follow from where the nodes are, so that a restart keeps them and two servers differ.
#[test]
fn the_engine_is_told() {
    let facade = |text: &str| good(&format!("{text}\n[cluster]\nannounce = true\n")).facade().expect("it is on");
    let plain = facade("");
    assert_eq!((plain.first_port, plain.announced_port, plain.front_port), (6380, 6380, 6379));
    assert_eq!((plain.ip.as_deref(), plain.ip_otherwise.as_str()), (None, "127.0.0.1"));
    assert_eq!(plain.seed, facade("").seed);
    assert_ne!(plain.seed, facade("[network]\nport = 7000").seed);
    assert_eq!(facade("[network]\nbind = [\"0.0.0.0\", \"10.0.0.1\"]").ip_otherwise, "10.0.0.1");
    let far = good("[cluster]\nannounce = true\nannounce_ip = \"10.0.0.9\"\nannounce_port = 7000").facade();
    let far = far.expect("it is on");
    assert_eq!((far.ip.as_deref(), far.first_port, far.announced_port), (Some("10.0.0.9"), 6380, 7000));
}
