//! Proves that pools place keys where twemproxy and libmemcached have them: `placement/golden.txt` is what these two
//! themselves answered, as `compat/placement.py` asks them again wherever they are installed.

use coldplate::routing::{Distribution, Hash, Layout, Pool, point_of};
use coldplate::server::config::UpstreamServer;

/// Digits in a row, a tag, any eight bytes, and lengths from 1 on; as in `compat/placement.py`.
fn key(index: u64) -> Vec<u8> {
    match index % 4 {
        0 => format!("key:{index:012}").into_bytes(),
        1 => format!("user:{{{index}}}:name").into_bytes(),
        2 => index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes().to_vec(),
        _ => format!("{}{index}", "x".repeat((index / 4 % 40) as usize)).into_bytes(),
    }
}

fn pool(distribution: &str, hash: &str, tag: &str, servers: &str) -> Pool {
    let distribution = Distribution::parse(distribution).expect(distribution);
    let layout =
        Layout { distribution, hash: Hash::parse(hash).expect(hash), hash_tag: tag.as_bytes().try_into().ok() };
    let servers = servers.split(',').map(|server| UpstreamServer::parse(&server.replace('=', " ")).expect(server));
    let servers: Vec<_> = servers.map(|server| server.placed(distribution)).collect();
    Pool::new(&servers, layout, 0).expect("a pool that another router has")
}

#[test]
fn keys_lie_where_other_routers_have_them() {
    let mut pools = 0;
    for line in include_str!("placement/golden.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, distribution, hash, tag, keys, servers, digest, counts] = words[..] else { panic!("{line}") };
        let pool = pool(distribution, hash, tag, servers);
        let keys: u64 = keys.parse().expect("a number of keys");
        let placed: Vec<u8> = (0..keys).map(|index| pool.place(&key(index)) as u8).collect();
        let count = |server: usize| placed.iter().filter(|at| usize::from(**at) == server).count().to_string();
        let counted: Vec<String> = (0..pool.servers().len()).map(count).collect();
        assert_eq!(
            (counted.join(","), format!("{:016x}", point_of(&placed))),
            (counts.into(), digest.into()),
            "{line}"
        );
        pools += 1;
    }
    assert!(pools > 30, "{pools} pools in the list");
}
