//! What INFO tells of servers.

use super::{A, connected, single};

/// Proves that INFO upstream shows how long a server takes, of all requests, and that CONFIG RESETSTAT forgets it.
#[test]
fn times_are_shown_by_server() {
    let (mut rig, link) = connected(|_| {});
    for (us, times) in [(100, 98), (3000, 1)] {
        for _ in 0..times {
            rig.tell(A, "GET k");
            rig.heard(link);
            rig.wait(us);
            rig.send(link, b"$-1\r\n");
        }
    }
    rig.heard(A);
    rig.tell(A, "GET k");
    rig.tell(A, "INFO upstream");
    rig.heard(link);
    rig.send(link, b"-ERR no\r\n");
    rig.settle();
    let info = rig.heard(A);
    let row = info.split("\r\n").find_map(|line| line.strip_prefix("server0:")).expect("one server");
    let wanted = "pool=main,name=10.0.0.9:6379,requests=101,errors=0,unanswered=0,redirects=0,in_flight=1,connections=1,\
                  dials=1,ejections=0,ejected=0,";
    assert!(row.starts_with(wanted), "{row}");
    let times: Vec<f64> = ["p50_us=", "p99_us=", "p99.9_us="]
        .map(|name| row.split(',').find_map(|pair| pair.strip_prefix(name)).expect(name).parse().expect("a number"))
        .into();
    assert!((100.0..125.0).contains(&times[0]), "{row}");
    assert!((100.0..125.0).contains(&times[1]), "{row}");
    assert!((3000.0..3750.0).contains(&times[2]), "{row}");
    rig.ok(A, "CONFIG RESETSTAT");
    let info = rig.say(A, "INFO upstream");
    assert!(info.contains("requests=0,errors=0,") && info.contains(",p50_us=0,p99_us=0,p99.9_us=0\r\n"), "{info}");
}

/// Proves that the router is one node that has all slots, at the address that is asked.
#[test]
fn the_router_is_a_node() {
    let mut rig = single(|_| {});
    let client = rig.open_between((0, 9), "10.1.1.1:5000", "10.1.1.2:7000");
    let id = rig.ask(client, &["CLUSTER", "MYID"]);
    let id = id.strip_prefix("$40 ").expect("an id");
    let node = format!("*4 $8 10.1.1.2 :7000 $40 {id} *0");
    assert_eq!(rig.ask(client, &["CLUSTER", "SLOTS"]), format!("*1 *3 :0 :16383 {node}"));
    let nodes = rig.ask(client, &["CLUSTER", "NODES"]);
    assert!(nodes.contains(&format!("{id} 10.1.1.2:7000@17000 myself,master - 0 0 1 connected 0-16383")), "{nodes}");
    let shards = rig.ask(client, &["CLUSTER", "SHARDS"]);
    assert!(shards.contains("*2 :0 :16383") && shards.contains("$8 10.1.1.2"), "{shards}");
    let info = rig.ask(client, &["CLUSTER", "INFO"]);
    assert!(info.contains("cluster_state:ok cluster_slots_assigned:16384") && info.contains("cluster_known_nodes:1"));
    assert_eq!(rig.figure(client, "cluster_enabled"), 1);
    assert_eq!(rig.ask(client, &["CLUSTER", "KEYSLOT", "foo"]), ":12182");
    assert_eq!(rig.ask(client, &["CLUSTER", "REPLICAS", id]), "*0");
    for mood in ["READONLY", "READWRITE", "ASKING"] {
        assert_eq!(rig.ask(client, &[mood]), "+OK");
    }
    let refused = rig.ask(client, &["CLUSTER", "GETKEYSINSLOT", "0", "1"]);
    assert_eq!(refused, "-ERR upstream main: 'cluster|getkeysinslot' is about one server and is not passed on");
    let refused = rig.ask(client, &["CLUSTER", "FORGET", id]);
    assert!(refused.starts_with("-ERR CLUSTER FORGET is not supported: this is a router"), "{refused}");
    assert!(rig.dials.is_empty(), "no server is asked");
}
