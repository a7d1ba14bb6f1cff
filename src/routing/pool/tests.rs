//! Proves what each distribution promises. That keys lie where other pools have them is for `tests/placement.rs`.

use proptest::prelude::*;

use super::*;

const KEYS: usize = 20_000;

fn servers(weights: &[u32]) -> Vec<Server> {
    let server = |(index, weight): (usize, &u32)| Server { name: format!("10.0.0.{index}:6379"), weight: *weight };
    weights.iter().enumerate().map(server).collect()
}

fn pool(distribution: Distribution, weights: &[u32]) -> Pool {
    Pool::new(&servers(weights), Layout { distribution, hash: Hash::Murmur, hash_tag: None }, 7).expect("a good pool")
}

fn keys() -> impl Iterator<Item = Vec<u8>> {
    (0..KEYS).map(|index| format!("key:{index:012}").into_bytes())
}

fn placed(pool: &Pool) -> Vec<usize> {
    keys().map(|key| pool.place(&key)).collect()
}

/// Keys of each server.
fn counts(pool: &Pool) -> Vec<usize> {
    let mut counts = vec![0; pool.servers().len()];
    placed(pool).into_iter().for_each(|server| counts[server] += 1);
    counts
}

/// Each distribution gives servers about their share: ketama by its few points within a third, the even ones within a
/// tenth.
#[test]
fn shares_follow_weights() {
    let weights = [1, 2, 3, 4];
    for (name, distribution) in Distribution::ALL {
        let (even, slack): (&[u32], f64) = match distribution {
            Distribution::Random | Distribution::ModulaListed => (&[1, 1, 1, 1], 0.1),
            Distribution::Ketama | Distribution::Consistent => (&weights, 0.35),
            _ => (&weights, 0.1),
        };
        let total: u32 = even.iter().sum();
        for (count, weight) in counts(&pool(distribution, &weights)).into_iter().zip(even) {
            let share = KEYS as f64 * f64::from(*weight) / f64::from(total);
            assert!((count as f64 / share - 1.0).abs() < slack, "{name}: {count} keys of a share of {share}");
        }
    }
}

/// A fifth server of five takes about a fifth; where hashing is consistent all other keys stay where they are, with
/// bounded loads nearly all.
#[test]
fn a_server_more_moves_what_it_takes() {
    for (distribution, others_max) in [
        (Distribution::Jump, 0),
        (Distribution::Rendezvous, 0),
        (Distribution::Ketama, 0),
        (Distribution::Consistent, 0),
        (Distribution::Bounded, KEYS / 10),
    ] {
        let (four, five) = (placed(&pool(distribution, &[1; 4])), placed(&pool(distribution, &[1; 5])));
        let moved = four.iter().zip(&five).filter(|(before, after)| before != after).count();
        let others = four.iter().zip(&five).filter(|(before, after)| before != after && **after != 4).count();
        assert!((KEYS / 8..KEYS / 3).contains(&moved), "{distribution}: {moved} moved");
        assert!(others <= others_max, "{distribution}: {others} moved between servers that were there");
    }
}

/// Without one of its servers a pool places that one's keys on others and, where hashing is consistent, none besides.
#[test]
fn among_the_living() {
    for (name, distribution) in Distribution::ALL {
        let whole = pool(distribution, &[1; 4]);
        let fewer = whole.among(|server| server != 1).expect("three are left");
        assert!(placed(&fewer).iter().all(|server| *server != 1), "{name}");
        if matches!(distribution, Distribution::Ketama | Distribution::Consistent | Distribution::Rendezvous) {
            let stays =
                placed(&whole).into_iter().zip(placed(&fewer)).all(|(before, after)| before == 1 || before == after);
            assert!(stays, "{name}");
        }
        assert!(placed(&whole.among(|server| server == 2).expect("one is left")).iter().all(|server| *server == 2));
        assert_eq!(whole.among(|_| false).err(), Some(RoutingError::NoServers));
        assert_eq!(placed(&fewer.among(|_| true).expect("all four")).iter().max(), Some(&3), "{name}");
    }
}

/// The tag decides, by the bytes that the pool says; without tags the whole key does.
#[test]
fn tags() {
    let with = |hash_tag: Option<[u8; 2]>, distribution| {
        Pool::new(&servers(&[1; 64]), Layout { distribution, hash: Hash::Fnv1aWith64, hash_tag }, 0)
            .expect("a good pool")
    };
    for distribution in [Distribution::Ketama, Distribution::Modula, Distribution::Crc16] {
        let (braces, bars, none) =
            (with(Some(*b"{}"), distribution), with(Some(*b"||"), distribution), with(None, distribution));
        assert_eq!(braces.place(b"a{tag}b"), none.place(b"tag"));
        assert_eq!(braces.place(b"a{tag}b{other}"), none.place(b"tag"));
        assert_eq!(bars.place(b"a|tag|b"), none.place(b"tag"));
        for whole in [&b"a{}b"[..], b"a{b", b"a}b{", b"a|tag|b"] {
            assert_eq!(braces.place(whole), none.place(whole), "{}", whole.escape_ascii());
        }
    }
    // As a key's slot is found in Redis Cluster.
    let crc16 = with(Some(*b"{}"), Distribution::Crc16);
    assert_eq!(crc16.place(b"x{user1000}"), crate::routing::slot_of(b"x{user1000}").index() % 64);
}

/// Twemproxy takes servers by their names, shorter ones first; libmemcached as they are listed.
#[test]
fn modula_in_its_order() {
    let servers = ["b", "aa", "a"].map(|name| Server { name: name.into(), weight: 1 });
    let places = |distribution| {
        let pool =
            Pool::new(&servers, Layout { distribution, hash: Hash::Crc16, hash_tag: None }, 0).expect("a good pool");
        [&b"\0\0"[..], b"\0\x01", b"\0\x02"].map(|key| (Hash::Crc16.of(key) % 3, pool.place(key)))
    };
    for (rest, server) in places(Distribution::Modula) {
        assert_eq!(server, [2, 0, 1][rest as usize]);
    }
    for (rest, server) in places(Distribution::ModulaListed) {
        assert_eq!(server, rest as usize);
    }
}

/// Jump's own property: with a bucket more each key stays or moves to the new one. And values of the paper's code.
#[test]
fn jump_as_published() {
    let place = |hash: u32, buckets: u32| {
        let server = Server { name: String::new(), weight: 1 };
        let list: Vec<(u16, &Server)> = (0..buckets as u16).map(|index| (index, &server)).collect();
        Shares::of(&list).jump(hash)
    };
    assert_eq!([(1, 1), (42, 57), (256, 1024)].map(|(hash, buckets)| place(hash, buckets)), [0, 43, 520]);
    for hash in (0..2000).map(|index: u32| index.wrapping_mul(2_654_435_761)) {
        for buckets in 1..20 {
            let (before, after) = (place(hash, buckets), place(hash, buckets + 1));
            assert!(after == before || after == buckets as u16);
        }
    }
}

/// Draws follow the seed, not the key.
#[test]
fn random_is_seeded() {
    let pool = |seed| {
        let layout = Layout { distribution: Distribution::Random, hash: Hash::Md5, hash_tag: None };
        Pool::new(&servers(&[1; 8]), layout, seed).expect("a good pool")
    };
    let draws = |pool: &Pool| (0..100).map(|_| pool.place(b"same")).collect::<Vec<_>>();
    assert_eq!(draws(&pool(1)), draws(&pool(1)));
    assert_ne!(draws(&pool(1)), draws(&pool(2)));
    let one = pool(1);
    assert_ne!(draws(&one), draws(&one));
}

/// Each mistake is told with its data.
#[test]
fn mistakes() {
    let layout = Layout { distribution: Distribution::Bounded, hash: Hash::Md5, hash_tag: None };
    let error = |servers: &[Server]| Pool::new(servers, layout, 0).err();
    assert_eq!(error(&[]), Some(RoutingError::NoServers));
    let many = SERVERS_MAX + 1;
    let too_many = RoutingError::TooManyServers { servers: many, servers_max: SERVERS_MAX };
    assert_eq!(error(&servers(&vec![1; many])), Some(too_many));
    for weight in [0, WEIGHT_MAX + 1] {
        let name = "10.0.0.1:6379".to_owned();
        let expected = RoutingError::ServerWeight { name, weight, weight_max: WEIGHT_MAX };
        assert_eq!(error(&servers(&[1, weight])), Some(expected));
    }
    let twice = [servers(&[1]), servers(&[1])].concat();
    assert_eq!(error(&twice), Some(RoutingError::DuplicateServer { name: "10.0.0.0:6379".into() }));
    assert_eq!(error(&servers(&[1000, 1000, 1000, 1000, 96])), None);
    let heavy = RoutingError::TooMuchWeight { weight: 4097, weight_max: 4096 };
    assert_eq!(error(&servers(&[1000, 1000, 1000, 1000, 97])), Some(heavy));
}

#[test]
fn names_of_servers() {
    assert_eq!(Server::name_of_tcp("a.example", 6379), "a.example:6379");
    assert_eq!(Server::name_of_tcp("::1", 6379), "::1:6379");
    assert_eq!(Server::name_of_tcp("10.0.0.1", 11_211), "10.0.0.1");
    assert_eq!(Server::name_of_unix("/run/a", Distribution::Ketama), "/run/a:");
    assert_eq!(Server::name_of_unix("/run/a", Distribution::Consistent), "/run/a:0");
    for (name, distribution) in Distribution::ALL {
        assert_eq!((Distribution::parse(name), distribution.name()), (Some(distribution), name));
    }
    assert_eq!(Distribution::parse("ring"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the weights and the key, a key has a server, and the same one in a pool that is made alike.
    #[test]
    fn always_placed(
        weights in proptest::collection::vec(1_u32..=WEIGHT_MAX / 250, 1..40),
        which in 0..Distribution::ALL.len(),
        key in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let distribution = Distribution::ALL[which].1;
        let (one, other) = (pool(distribution, &weights), pool(distribution, &weights));
        // Of one seed even draws are alike.
        let places = [one.place(&key), other.place(&key)];
        prop_assert!(places[0] < weights.len());
        prop_assert_eq!(places[0], places[1]);
    }
}
