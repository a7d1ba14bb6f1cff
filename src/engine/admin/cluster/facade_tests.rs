//! Golden texts: two cores as redis-server 7.0 would tell of two masters, apart from what is theirs alone.

use super::*;
use crate::protocol::resp::{Output, Proto};

const FRONT: &str = "127.0.0.1:6379";
const NODE_1: &str = "127.0.0.1:6381";

fn facade() -> Facade {
    Facade {
        first_port: 6380,
        announced_port: 6380,
        front_port: 6379,
        ip: None,
        ip_otherwise: "127.0.0.1".into(),
        hostname: None,
        endpoint: Endpoint::Ip,
        seed: "a test".into(),
    }
}

fn seen<T>(facade: &Facade, local: &str, look: impl FnOnce(&View) -> T) -> T {
    let table = SlotTable::contiguous(2, &[]).expect("two cores");
    let myself = (0..2).map(CoreId).find(|core| facade.listens(*core) == port_of(local));
    look(&View::new(facade, &table, myself, local))
}

/// A reply with a space for each line end, and `<0>`, `<1>` for the ids.
fn told(facade: &Facade, local: &str, proto: Proto, tell: fn(&View, &mut Reply)) -> String {
    let mut out = Output::default();
    seen(facade, local, |view| tell(view, &mut Reply { out: &mut out, proto }));
    short(facade, &String::from_utf8(out.flatten()).expect("text"))
}

fn short(facade: &Facade, text: &str) -> String {
    let text = text.replace("\r\n", " ").replace(&facade.id("front"), "<front>");
    (0..2).fold(text, |text, core| text.replace(&facade.node_id(CoreId(core)), &format!("<{core}>")))
}

#[test]
fn nodes_by_the_port_asked() {
    let facade = facade();
    let nodes = |local| short(&facade, &seen(&facade, local, |view| view.nodes()));
    assert_eq!(
        nodes(NODE_1),
        "<0> 127.0.0.1:6380@16380 master - 0 0 1 connected 0-8191\n\
         <1> 127.0.0.1:6381@16381 myself,master - 0 0 2 connected 8192-16383\n"
    );
    assert_eq!(
        nodes(FRONT),
        "<front> 127.0.0.1:6379@16379 myself,master - 0 0 0 connected\n\
         <0> 127.0.0.1:6380@16380 master - 0 0 1 connected 0-8191\n\
         <1> 127.0.0.1:6381@16381 master - 0 0 2 connected 8192-16383\n"
    );
    assert!(nodes("[::1]:6380").starts_with("<0> ::1:6380@16380 myself,master"), "{}", nodes("[::1]:6380"));
    assert!(nodes("/run/c.sock:0").starts_with("<front> 127.0.0.1:6379@16379 myself"), "{}", nodes("/run/c.sock:0"));
}

#[test]
fn ids_are_forty_digits_that_stay() {
    let facade = facade();
    let ids = |local| seen(&facade, local, |view| [view.my_id(), view.my_shard_id()]);
    let all: Vec<String> = [FRONT, "127.0.0.1:6380", NODE_1].into_iter().flat_map(ids).collect();
    assert_eq!(all[2], "b9fc2274f9748ae6b5ecf39072389f46f0d1b033", "an id is a contract as placement is");
    for (at, id) in all.iter().enumerate() {
        assert!(id.len() == 40 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        assert!(!all[..at].contains(id));
    }
    let other = Facade { seed: "another".into(), ..facade.clone() };
    assert_ne!(other.node_id(CoreId(0)), facade.node_id(CoreId(0)));
    assert!(seen(&facade, NODE_1, |view| view.knows(all[2].as_bytes()) && !view.knows(b"nobody")));
    assert!(seen(&facade, FRONT, |view| view.knows(all[0].as_bytes())));
    assert!(!seen(&facade, NODE_1, |view| view.knows(all[0].as_bytes())), "the front is in its own view only");
}

#[test]
fn slots_and_shards() {
    let facade = facade();
    let slots = "*2 *3 :0 :8191 *4 $9 127.0.0.1 :6380 $40 <0> %0 *3 :8192 :16383 *4 $9 127.0.0.1 :6381 $40 <1> %0 ";
    assert_eq!(told(&facade, NODE_1, Proto::Resp3, |view, reply| view.slots(reply)), slots);
    assert_eq!(told(&facade, FRONT, Proto::Resp2, |view, reply| view.slots(reply)), slots.replace('%', "*"));
    let node = |id: u8, port: u16, slots: &str| {
        format!(
            "%2 $5 slots *2 {slots} $5 nodes *1 %7 $2 id $40 <{id}> $4 port :{port} $2 ip $9 127.0.0.1 $8 endpoint \
             $9 127.0.0.1 $4 role $6 master $18 replication-offset :0 $6 health $6 online "
        )
    };
    let shards = format!("*2 {}{}", node(0, 6380, ":0 :8191"), node(1, 6381, ":8192 :16383"));
    assert_eq!(told(&facade, NODE_1, Proto::Resp3, |view, reply| view.shards(reply)), shards);
    assert_eq!(
        told(&facade, NODE_1, Proto::Resp2, |view, reply| view.shards(reply)),
        shards.replace("%2", "*4").replace("%7", "*14")
    );
}

/// Behind address translation clients are told what reaches the nodes from where they are.
#[test]
fn announced_addresses() {
    let (ip, hostname) = (Some("10.0.0.9".into()), Some("h.example".into()));
    let facade = Facade { announced_port: 7000, ip, hostname, ..facade() };
    let nodes = short(&facade, &seen(&facade, NODE_1, |view| view.nodes()));
    assert!(nodes.contains("\n<1> 10.0.0.9:7001@17001,h.example myself,master"), "{nodes}");
    let first = |endpoint| {
        let facade = Facade { endpoint, ..facade.clone() };
        let slots = told(&facade, NODE_1, Proto::Resp3, |view, reply| view.slots(reply));
        let shards = told(&facade, NODE_1, Proto::Resp3, |view, reply| view.shards(reply));
        let endpoint = shards.split("$8 endpoint ").nth(1).expect("it is there").split(" $4 role").next();
        let slots = slots.split(" *3 :8192").next().expect("a first part").to_owned();
        (slots, endpoint.expect("a first part").to_owned())
    };
    let (slots, endpoint) = first(Endpoint::Ip);
    assert_eq!(slots, "*2 *3 :0 :8191 *4 $8 10.0.0.9 :7000 $40 <0> %1 $8 hostname $9 h.example");
    assert_eq!(endpoint, "$8 10.0.0.9 $8 hostname $9 h.example");
    let (slots, endpoint) = first(Endpoint::Hostname);
    assert_eq!(slots, "*2 *3 :0 :8191 *4 $9 h.example :7000 $40 <0> %1 $2 ip $8 10.0.0.9");
    assert_eq!(endpoint, "$9 h.example $8 hostname $9 h.example");
    let (slots, endpoint) = first(Endpoint::Unknown);
    assert_eq!(slots, "*2 *3 :0 :8191 *4 _ :7000 $40 <0> %2 $2 ip $8 10.0.0.9 $8 hostname $9 h.example");
    assert_eq!(endpoint, "$0  $8 hostname $9 h.example");
}

#[test]
fn info_counts_nodes() {
    let facade = facade();
    let info = |local| seen(&facade, local, |view| view.info());
    assert!(info(NODE_1).starts_with("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"));
    assert!(
        info(NODE_1).contains("known_nodes:2\r\ncluster_size:2\r\ncluster_current_epoch:2\r\ncluster_my_epoch:2\r\n")
    );
    assert!(
        info(FRONT).contains("known_nodes:3\r\ncluster_size:2\r\ncluster_current_epoch:2\r\ncluster_my_epoch:0\r\n")
    );
}
