//! The map against what clusters say: recorded replies of redis-server 7.0.15, those of other releases by hand, and bytes
//! that no server would send.

use super::*;
use proptest::prelude::*;

const ASKED: &str = "127.0.0.1";

/// A recorded reply; its lines end as on the wire.
macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("recorded/", $name, ".txt")).replace('\n', "\r\n").into_bytes()
    };
}

fn shards(reply: &[u8]) -> View {
    Question::Shards.read(reply, ASKED).expect("it is the reply of a cluster")
}

fn slots(reply: &[u8]) -> View {
    Question::Slots.read(reply, ASKED).expect("it is the reply of a cluster")
}

fn learnt(view: &View) -> Topology {
    let mut topology = Topology::default();
    topology.learn(view);
    topology
}

fn address(topology: &Topology, node: NodeId) -> String {
    let node = topology.node(node).expect("it is known");
    format!("{}:{}", node.host, node.port)
}

fn owner(topology: &Topology, slot: u16) -> String {
    topology.owner(Slot(slot)).map_or("nobody".into(), |node| address(topology, node))
}

fn replicas(topology: &Topology, slot: u16) -> Vec<String> {
    let primary = topology.owner(Slot(slot)).expect("somebody has it");
    topology.replicas(primary).map(|replica| address(topology, replica)).collect()
}

fn number(topology: &Topology, port: u16) -> NodeId {
    topology.nodes().find(|(_, node)| node.port == port).expect("a node has this port").0
}

/// Proves that both questions, in both versions of the protocol, say the same of a cluster at rest.
#[test]
fn four_replies_make_one_map() {
    let views = [
        shards(&recorded!("shards_steady_2")),
        shards(&recorded!("shards_steady_3")),
        slots(&recorded!("slots_steady_2")),
        slots(&recorded!("slots_steady_3")),
    ];
    for view in views {
        let topology = learnt(&view);
        assert!(topology.is_settled());
        assert_eq!(topology.nodes().count(), 6);
        assert_eq!(topology.primaries().count(), 3);
        for (slot, port) in [(0, 27111), (5460, 27111), (5461, 27112), (10922, 27112), (10923, 27113), (16383, 27113)] {
            assert_eq!(owner(&topology, slot), format!("127.0.0.1:{port}"));
            assert_eq!(replicas(&topology, slot), [format!("127.0.0.1:{}", port + 3)]);
        }
    }
}

/// Proves that a primary that fails is known to, and that its replica takes its place when the cluster says so; the other
/// servers keep their numbers.
#[test]
fn a_failover_is_followed() {
    let mut topology = learnt(&shards(&recorded!("shards_steady_2")));
    let before: Vec<(NodeId, u16)> = topology.nodes().map(|(number, node)| (number, node.port)).collect();
    let change = topology.learn(&shards(&recorded!("shards_down_2")));
    assert_eq!((change.came.len(), change.gone.len()), (0, 0));
    // One slot had been moved from another server before.
    assert_eq!(change.slots_moved, 1);
    assert!(!topology.is_settled());
    assert_eq!(owner(&topology, 15495), "127.0.0.1:27111");
    assert_eq!(replicas(&topology, 0), ["127.0.0.1:27114"]);
    assert_eq!(topology.reader(Slot(0), 5).map(|node| address(&topology, node)), Some("127.0.0.1:27114".into()));

    let change = topology.learn(&shards(&recorded!("shards_failed_over_2")));
    assert_eq!((change.slots_moved, change.gone.len()), (5462, 0));
    assert!(topology.is_settled());
    for slot in [0, 5460, 15495] {
        assert_eq!(owner(&topology, slot), "127.0.0.1:27114");
        assert!(replicas(&topology, slot).is_empty());
        assert_eq!(topology.reader(Slot(slot), 1), topology.owner(Slot(slot)));
    }
    let after: Vec<(NodeId, u16)> = topology.nodes().map(|(number, node)| (number, node.port)).collect();
    assert_eq!(before, after);
    // CLUSTER SLOTS has forgotten the one that failed.
    let change = topology.learn(&slots(&recorded!("slots_failed_over_2")));
    assert_eq!((change.slots_moved, change.gone.len(), topology.nodes().count()), (0, 1, 5));
}

/// Proves that under TLS the port for that counts, and that nodes without one are not reached.
#[test]
fn ports_for_tls_have_a_name_of_their_own() {
    let reply = |ports: &str, fields: usize| {
        format!(
            "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*{fields}\r\n{ports}$8\r\nendpoint\r\n\
             $8\r\n10.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        )
    };
    let both = reply("$4\r\nport\r\n:6379\r\n$8\r\ntls-port\r\n:6380\r\n", 8);
    for (question, port) in [(Question::Shards, 6379), (Question::SecureShards, 6380)] {
        assert_eq!(question.read(both.as_bytes(), ASKED).expect("it is a cluster's").nodes[0].port, port);
    }
    let plain = reply("$4\r\nport\r\n:6379\r\n", 6);
    assert_eq!(Question::SecureShards.read(plain.as_bytes(), ASKED), Err(TopologyError::NoSlots));
}

/// Proves that names are preferred where the cluster prefers them, that an address serves where it has none, and that no
/// name at all is the host that was asked.
#[test]
fn servers_are_named_as_the_cluster_likes() {
    for view in [shards(&recorded!("shards_hostname_3")), slots(&recorded!("slots_hostname_2"))] {
        let topology = learnt(&view);
        assert_eq!(
            [0, 5461, 10923].map(|slot| owner(&topology, slot)),
            ["one.example:27111", "two.example:27112", "127.0.0.1:27113"]
        );
        assert_eq!(replicas(&topology, 0), ["127.0.0.1:27114"]);
    }
    let view = Question::Slots.read(&recorded!("slots_unknown_3"), "proxy.example").expect("it is a cluster's");
    assert_eq!(owner(&learnt(&view), 5461), "proxy.example:27112");
}

/// Proves that a server stays the same one whether it is called by its name or by its address.
#[test]
fn a_name_and_its_address_are_one_server() {
    let mut topology = learnt(&slots(&recorded!("slots_hostname_2")));
    let change = topology.learn(&slots(&recorded!("slots_steady_2")));
    assert_eq!(change, Change::default());
    assert_eq!(owner(&topology, 0), "127.0.0.1:27111");
}

/// Redis 6.2, which does not know its own host and tells no more than an id; and a primary that failed beside the one that
/// took its place, as from 7.2 on.
#[test]
fn other_releases_are_understood() {
    let old =
        b"*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:7000\r\n$1\r\na\r\n*3\r\n$3\r\n::1\r\n:7001\r\n$1\r\nb\r\n";
    let topology = learnt(&Question::Slots.read(old, "10.0.0.9").expect("it is a cluster's"));
    assert_eq!((owner(&topology, 7), replicas(&topology, 7)), ("10.0.0.9:7000".into(), vec!["::1:7001".into()]));

    let node = |port: u16, role: &str, health: &str| {
        format!("%4\r\n+port\r\n:{port}\r\n+ip\r\n+10.0.0.1\r\n+role\r\n+{role}\r\n+health\r\n+{health}\r\n")
    };
    for nodes in [
        [node(1, "master", "fail"), node(2, "master", "online")],
        [node(2, "master", "online"), node(1, "master", "fail")],
    ] {
        let reply = format!(
            "*1\r\n%2\r\n+slots\r\n*2\r\n:0\r\n:16383\r\n+nodes\r\n*3\r\n{}{}",
            nodes.concat(),
            node(3, "replica", "loading")
        );
        let view = Question::Shards.read(reply.as_bytes(), "10.0.0.1").expect("it is a cluster's");
        let topology = learnt(&view);
        assert_eq!(owner(&topology, 9), "10.0.0.1:2");
        assert!(replicas(&topology, 9).is_empty(), "it is loading");
    }
}

/// Proves that each reply that is no map says why, and never does worse.
#[test]
fn what_is_no_map_is_refused() {
    let read = |reply: &str| Question::Slots.read(reply.as_bytes(), ASKED).expect_err("it is no map").to_string();
    let node = "*3\r\n$1\r\na\r\n:1\r\n$1\r\nx\r\n";
    assert_eq!(
        read("-ERR This instance has cluster support disabled\r\n"),
        "refused: ERR This instance has cluster support disabled"
    );
    assert_eq!(read("*0\r\n"), "no slot has a node that can be reached");
    assert_eq!(read("*1\r\n"), "the reply's end is missing, or is none");
    assert_eq!(read(":1\r\n"), "the list of slots is missing, or is none");
    assert_eq!(read("?\r\n"), "not a reply: ?");
    assert_eq!(read(&format!("*1\r\n*3\r\n:5\r\n:4\r\n{node}")), "slots 5 to 4");
    assert_eq!(read(&format!("*1\r\n*3\r\n:-1\r\n:4\r\n{node}")), "slots -1 to 4");
    assert_eq!(read(&format!("*1\r\n*3\r\n:0\r\n:16384\r\n{node}")), "slots 0 to 16384");
    assert_eq!(read(&format!("*1\r\n*3\r\n$1\r\n0\r\n:1\r\n{node}")), "a slot's number is missing, or is none");
    assert_eq!(read("*1\r\n*2\r\n:0\r\n:1\r\n"), "a range's primary is missing, or is none");
    assert_eq!(read("*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n"), "a node's port is missing, or is none");
    // A server without a plain port, or without any host, is passed over.
    assert_eq!(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:0\r\n"), "no slot has a node that can be reached");
    assert_eq!(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:9\r\n"), "no slot has a node that can be reached");
    let twice = format!("*3\r\n{}", format!("*3\r\n:0\r\n:16383\r\n{node}").repeat(3));
    assert_eq!(read(&twice), "more than 32768 slots, counted with those that are told twice");
    let deep = "*1\r\n".repeat(100_000);
    assert!(read(&deep).starts_with("not a reply"));
    let many: String =
        (0..=NODES_MAX).map(|port| format!("*3\r\n:0\r\n:0\r\n*2\r\n$1\r\na\r\n:{}\r\n", port + 1)).collect();
    assert_eq!(read(&format!("*{}\r\n{many}", NODES_MAX + 1)), "more than 2048 nodes");
    assert!(read(&"x".repeat((16 << 20) + 1)).starts_with("16777217 bytes"));
    let odd = "*1\r\n%2\r\n+slots\r\n*1\r\n:0\r\n+nodes\r\n*1\r\n%2\r\n+port\r\n:1\r\n+role\r\n+master\r\n";
    let error = Question::Shards.read(odd.as_bytes(), ASKED).expect_err("a range has two ends");
    assert_eq!(error.to_string(), "a range's last slot is missing, or is none");
}

#[test]
fn errors_are_read() {
    let parse = |text: &'static str| Redirect::parse(text.as_bytes());
    let moved = |slot, host, port| Some(Redirect::Moved { slot: Slot(slot), host, port });
    assert_eq!(parse("-MOVED 15495 127.0.0.1:27113\r\n"), moved(15495, "127.0.0.1", 27113));
    assert_eq!(parse("-MOVED 15495 :27113\r\n"), moved(15495, "", 27113));
    assert_eq!(parse("-MOVED 15495 ?:27113\r\n"), moved(15495, "?", 27113));
    assert_eq!(parse("-MOVED 0 ::1:7\r\n"), moved(0, "::1", 7));
    assert_eq!(parse("-MOVED 0 [::1]:7\r\n"), moved(0, "::1", 7));
    assert_eq!(parse("-ASK 1 a.example:7\r\n"), Some(Redirect::Ask { slot: Slot(1), host: "a.example", port: 7 }));
    assert_eq!(parse("-TRYAGAIN Multiple keys request during rehashing of slot\r\n"), Some(Redirect::TryAgain));
    assert_eq!(parse("-CLUSTERDOWN The cluster is down\r\n"), Some(Redirect::Down));
    assert_eq!(parse("-LOADING Redis is loading the dataset in memory\r\n"), Some(Redirect::NotReady));
    let none = [
        "-ERR x\r\n",
        "-MOVED\r\n",
        "-MOVED 1\r\n",
        "-MOVED x a:1\r\n",
        "-MOVED 16384 a:1\r\n",
        "-MOVED 1 a:0\r\n",
        "-MOVED 1 a:65536\r\n",
    ];
    for text in
        none.into_iter().chain(["-MOVED 1 a\r\n", "-MOVEDX 1 a:1\r\n", "+MOVED 1 a:1\r\n", "-", "", "-MISCONF x\r\n"])
    {
        assert_eq!(Redirect::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(Redirect::parse(b"-MOVED 1 \xff:1\r\n"), None);
}

/// Proves that MOVED corrects one slot for all and ASK none, that a new server gets a number, and whom a server means that
/// names a port alone.
#[test]
fn redirects_are_followed() {
    let mut topology = learnt(&slots(&recorded!("slots_steady_2")));
    let asked = number(&topology, 27111);
    let mut follow = |text: &str| {
        let redirect = Redirect::parse(text.as_bytes()).expect("it is one");
        let step = topology.follow(&redirect, asked, &mut Hops::default());
        let Step::To { node, asking } = step else { panic!("{step:?}") };
        (address(&topology, node), asking, owner(&topology, 5), owner(&topology, 6))
    };
    let told = |node: &str, asking, five: &str, six: &str| (node.to_owned(), asking, five.to_owned(), six.to_owned());
    let [one, two, three] = ["127.0.0.1:27111", "127.0.0.1:27112", "127.0.0.1:27113"];
    assert_eq!(follow("-ASK 5 127.0.0.1:27112\r\n"), told(two, true, one, one));
    assert_eq!(follow("-MOVED 5 127.0.0.1:27112\r\n"), told(two, false, two, one));
    assert_eq!(follow("-MOVED 5 :27113\r\n"), told(three, false, three, one));
    assert_eq!(follow("-MOVED 6 ?:27112\r\n"), told(two, false, three, two));
    assert_eq!(follow("-MOVED 6 10.0.0.9:7\r\n"), told("10.0.0.9:7", false, three, "10.0.0.9:7"));
    assert_eq!((topology.nodes().count(), topology.primaries().count(), topology.is_settled()), (7, 4, true));
    // What only a redirect knew is gone when the cluster does not speak of it.
    let change = topology.learn(&slots(&recorded!("slots_steady_2")));
    assert_eq!((change.gone.len(), change.slots_moved, topology.primaries().count()), (1, 2, 3));
    let again = Redirect::Moved { slot: Slot(6), host: "10.0.0.8", port: 7 };
    topology.follow(&again, asked, &mut Hops::default());
    assert_eq!(number(&topology, 7), change.gone[0], "a number that is free is used again");
}

/// Proves the bound: two servers that send each other's clients around, and one that never comes to an end.
#[test]
fn a_request_is_not_sent_around_for_ever() {
    let mut topology = learnt(&slots(&recorded!("slots_steady_2")));
    let (one, two) = (number(&topology, 27111), number(&topology, 27112));
    let (mut hops, mut asked) = (Hops::default(), one);
    for _ in 0..HOPS_MAX {
        let port = if asked == one { 27112 } else { 27111 };
        let step = topology.follow(&Redirect::Moved { slot: Slot(3), host: "", port }, asked, &mut hops);
        asked = if asked == one { two } else { one };
        assert_eq!(step, Step::To { node: asked, asking: false });
    }
    let last = Redirect::Ask { slot: Slot(3), host: "h", port: 9 };
    assert_eq!(topology.follow(&last, asked, &mut hops), Step::Lost);
    assert_eq!(last.lost("main"), "ERR upstream main sent slot 3 around 8 times, at last to h:9");

    let mut hops = Hops::default();
    let waits: Vec<Step> = (0..7).map(|_| topology.follow(&Redirect::TryAgain, one, &mut hops)).collect();
    let later = [5_000, 10_000, 20_000, 40_000, 80_000].map(|after_us| Step::Later { after_us });
    assert_eq!(waits, [&later[..], &[Step::Answer, Step::Answer]].concat());

    // Nobody has that port, so that nobody can be meant; MOVED is for no client.
    let nobody = Redirect::Moved { slot: Slot(3), host: "?", port: 1 };
    let mut hops = Hops::default();
    let steps: Vec<Step> = (0..6).map(|_| topology.follow(&nobody, one, &mut hops)).collect();
    assert_eq!(steps, [&later[..], &[Step::Lost]].concat());
    assert_eq!(topology.follow(&Redirect::Down, one, &mut Hops::default()), Step::Answer);
}

/// Proves that a replica without data is asked no more, and that a primary's clients are told.
#[test]
fn who_has_no_data_is_passed_over() {
    let mut topology = learnt(&slots(&recorded!("slots_steady_2")));
    let (primary, replica) = (number(&topology, 27111), number(&topology, 27114));
    assert_eq!(topology.reader(Slot(0), 0), Some(replica));
    assert_eq!(topology.follow(&Redirect::NotReady, replica, &mut Hops::default()), Step::Later { after_us: 5_000 });
    assert_eq!(topology.reader(Slot(0), 0), Some(primary));
    assert_eq!(topology.follow(&Redirect::NotReady, primary, &mut Hops::default()), Step::Answer);
    topology.learn(&slots(&recorded!("slots_steady_2")));
    topology.reached(replica, false);
    assert_eq!(topology.reader(Slot(0), 0), Some(primary));
    topology.reached(replica, true);
    assert_eq!(topology.reader(Slot(0), 0), Some(replica));
}

/// Proves the bound on servers that redirects alone tell of.
#[test]
fn redirects_bring_only_so_many_servers() {
    let mut topology = learnt(&slots(&recorded!("slots_steady_2")));
    for n in 0..3 * NODES_MAX {
        let host = format!("h{n}");
        topology.follow(&Redirect::Ask { slot: Slot(1), host: &host, port: 1 }, NodeId(0), &mut Hops::default());
    }
    assert_eq!(topology.nodes().count(), NODES_MAX);
}

fn policy() -> RefreshPolicy {
    RefreshPolicy { every_us: 1_000, unsettled_us: 100, gap_us: 10, timeout_us: 50 }
}

/// Proves when a cluster is asked: at once, then on a timer, soon after a contradiction, often while a slot has nobody, less
/// often while nobody answers.
#[test]
fn the_map_is_kept_true() {
    let mut cluster = Cluster::new(2, 0, policy());
    assert_eq!(cluster.tick(5), Some((ToAsk::Seed(1), Question::Shards)));
    assert_eq!((cluster.tick(54), cluster.due_us()), (None, 55));
    // Too late: after a gap that has doubled somebody else is asked.
    assert_eq!(cluster.tick(55), Some((ToAsk::Seed(0), Question::Shards)));
    assert!(cluster.answered(b"-ERR Unknown subcommand or wrong number of arguments for 'SHARDS'\r\n", ASKED).is_err());
    assert_eq!((cluster.tick(94), cluster.due_us()), (None, 95));
    assert_eq!(cluster.tick(95), Some((ToAsk::Seed(1), Question::Slots)));
    let change = cluster.answered(&recorded!("slots_steady_2"), ASKED).expect("it is a map");
    assert_eq!((change.came.len(), change.slots_moved), (6, SLOTS));
    assert_eq!(cluster.due_us(), 95 + 1_000);
    assert!(cluster.answered(b"*0\r\n", ASKED).is_ok_and(|change| change == Change::default()), "nobody asked");

    let one = number(cluster.topology(), 27111);
    let moved = Redirect::parse(b"-MOVED 5 127.0.0.1:27112\r\n").expect("it is one");
    for _ in 0..3 {
        assert!(matches!(cluster.follow(&moved, one, &mut Hops::default()), Step::To { .. }));
    }
    assert_eq!(cluster.due_us(), 105);
    let ask = Redirect::parse(b"-ASK 5 127.0.0.1:27112\r\n").expect("it is one");
    let Some((ToAsk::Node(_), Question::Slots)) = cluster.tick(200) else { panic!("a node is asked what it knows") };
    cluster.answered(&recorded!("slots_steady_2"), ASKED).expect("it is a map");
    cluster.follow(&ask, one, &mut Hops::default());
    assert_eq!(cluster.due_us(), 1_200, "a slot on its way is no contradiction");

    cluster.reached(one, false);
    assert_eq!(cluster.due_us(), 210);
    let mut asked = Vec::new();
    for now_us in (210..1_000).step_by(100) {
        asked.extend(cluster.tick(now_us).map(|(node, _)| node));
        cluster.answered(&recorded!("slots_steady_2"), ASKED).expect("it is a map");
        assert_eq!(cluster.due_us(), now_us + 100, "its slots have nobody that answers");
    }
    assert!(asked.iter().all(|node| *node != ToAsk::Node(one)) && asked.len() == 8, "{asked:?}");
    cluster.answered(b"", ASKED).expect("nobody asked");
    cluster.reached(one, true);
    assert_eq!(cluster.due_us(), 910 + 1_000);
}

/// Proves that a cluster that has moved as a whole is found again by its seeds.
#[test]
fn seeds_are_asked_again() {
    let mut cluster = Cluster::new(3, 7, policy());
    cluster.tick(0);
    cluster.answered(&recorded!("shards_steady_2"), ASKED).expect("it is a map");
    cluster
        .topology()
        .nodes()
        .map(|(node, _)| node)
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|node| cluster.reached(node, false));
    assert!(matches!(cluster.tick(10_000), Some((ToAsk::Seed(_), _))));
    cluster.unanswered();
    cluster.reached(NodeId(0), true);
    let mut kinds = Vec::new();
    for turn in 2..8 {
        let (asked, _) = cluster.tick(turn * 10_000).expect("it is time");
        kinds.push(matches!(asked, ToAsk::Seed(_)));
        cluster.unanswered();
    }
    assert_eq!(kinds, [true, false, true, false, true, false]);
}

proptest! {
    /// Proves that no bytes make the reader fall, nor a map with a slot that nobody has.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for question in [Question::Shards, Question::Slots] {
            if let Ok(view) = question.read(&bytes, ASKED) {
                learnt(&view);
            }
        }
        if let Some(redirect) = Redirect::parse(&bytes) {
            Topology::default().follow(&redirect, NodeId(9), &mut Hops::default());
        }
    }

    /// The same of recorded replies with a few bytes changed, and learnt one after the other: each owner is a node.
    #[test]
    fn damaged_replies_are_read_or_refused(damage in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789*$%:-?\r\n_ax".to_vec())), 1..6)) {
        let mut topology = Topology::default();
        for (question, mut reply) in [
            (Question::Shards, recorded!("shards_steady_2")),
            (Question::Slots, recorded!("slots_unknown_3")),
            (Question::Shards, recorded!("shards_failed_over_2")),
            (Question::Slots, recorded!("slots_hostname_2")),
        ] {
            for (place, byte) in &damage {
                let place = place.index(reply.len());
                reply[place] = *byte;
            }
            let Ok(view) = question.read(&reply, ASKED) else { continue };
            let change = topology.learn(&view);
            prop_assert!(change.gone.iter().all(|gone| topology.node(*gone).is_none()));
            prop_assert!(change.came.iter().all(|came| topology.node(*came).is_some()));
            for slot in (0..SLOTS as u16).step_by(61) {
                if let Some(owner) = topology.owner(Slot(slot)) {
                    prop_assert!(topology.node(owner).is_some());
                    prop_assert!(topology.reader(Slot(slot), usize::from(slot)).is_some());
                }
            }
        }
    }
}
