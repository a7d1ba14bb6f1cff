//! Requests that are passed on to servers, which the tests play: what is sent, whose reply is whose, and what clients are
//! told when servers are late, lost, or speak nonsense.

#[path = "../rig/mod.rs"]
mod rig;

mod all;
mod cluster;
mod figures;
mod hot;
mod order;
mod own;
mod pool;
mod reads;
mod scripted;
mod single;
mod tracking;

use coldplate::engine::{PoolKind, PoolOptions, ServerOptions, Settings, Upstreams};
use coldplate::routing::{Distribution, Hash, Layout, Routes, Server};
use rig::{Client, Rig, request};
use std::sync::Arc;

const A: Client = (0, 1);
const B: Client = (0, 2);
/// The first connection to a server; others follow.
const LINK: u32 = 100;
/// Where there is one server.
const SERVER: &str = "10.0.0.9:6379";
const LAYOUT: Layout = Layout { distribution: Distribution::Ketama, hash: Hash::Fnv1aWith64, hash_tag: None };

/// A server at an address that is its name as well.
fn server(address: &str) -> ServerOptions {
    ServerOptions {
        name: address.into(),
        address: address.into(),
        placed: Server { name: address.to_owned(), weight: 1 },
    }
}

fn pool(name: &str, kind: PoolKind, addresses: &[&str]) -> PoolOptions {
    PoolOptions::new(name, kind, addresses.iter().map(|address| server(address)).collect())
}

/// One core before some pools, with two clients.
fn before(pools: Vec<PoolOptions>, routes: &[(&str, Option<usize>)]) -> Rig {
    let upstreams = Some(Arc::new(Upstreams { pools, routes: Routes::new(routes, Some(0)) }));
    let mut rig = Rig::with(1, Settings { upstreams, ..Settings::default() });
    rig.open(A);
    rig.open(B);
    rig
}

/// One core before one server.
fn single(change: impl FnOnce(&mut PoolOptions)) -> Rig {
    let mut main = pool("main", PoolKind::Single, &[SERVER]);
    change(&mut main);
    before(vec![main], &[])
}

/// The same, and the connection that clients share.
fn connected(change: impl FnOnce(&mut PoolOptions)) -> (Rig, Client) {
    let mut rig = single(change);
    rig.tell(A, "GET warm");
    let link = accept(&mut rig, LINK);
    rig.heard(link);
    rig.send(link, b"$-1\r\n");
    assert_eq!(rig.take(A), "$-1");
    (rig, link)
}

/// Makes the one connection that the core wants.
fn accept(rig: &mut Rig, index: u32) -> Client {
    assert_eq!(rig.dials.len(), 1);
    accept_at(rig, SERVER, index)
}

/// Makes the connection to a server that the core wants.
fn accept_at(rig: &mut Rig, address: &str, index: u32) -> Client {
    let at = rig.dials.iter().position(|(_, dial)| &*dial.address == address);
    let at = at.unwrap_or_else(|| panic!("no connection to {address} is wanted, but to {:?}", rig.dials));
    let dial = rig.dials.remove(at);
    rig.accept(&dial, index)
}

/// A request as it is sent.
fn text(words: &[&str]) -> String {
    String::from_utf8(request(words)).expect("text")
}
