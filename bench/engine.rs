//! What the engine costs without a kernel: whole turns from received bytes to an output, and letters between two cores.
//!
//! *Turn*: one core, one connection, pipelines of GET and SET (10:1) over a million random keys. *Letter*: two engines on
//! one thread; a pipeline of GETs for keys of the other core goes there and its answers come back, handed over or through
//! the cores' mailboxes. The same pipeline for keys of the connection's own core stands beside it: the difference is the
//! price of a letter without its wake-up.

mod draw;

use coldplate::engine::{Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, VNODES_DEFAULT, slot_of};
use coldplate::runtime::{Mail, Mailbox, mailboxes};
use coldplate::types::{ConnId, CoreId, Now};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use draw::{Draw, VALUE, key};
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 1_000_000;
/// Requests drawn ahead of a bench, whatever its pipeline.
const DRAWN: usize = 1 << 18;
const PIPELINES: [usize; 3] = [1, 16, 64];
const CLIENT: ConnId = ConnId { index: 0, generation: 1 };
const NOW: Now = Now { mono_us: 1_000_000, unix_us: 1_700_000_000_000_000 };

/// A machine that nobody asks.
struct NoHost;

impl Host for NoHost {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _level: &str) {}
}

/// An engine with one client, driven as a worker drives it.
struct Core {
    id: CoreId,
    engine: Engine,
    effects: Effects,
}

/// The cores of one process.
fn cores(count: usize) -> Vec<Core> {
    let table = Arc::new(SlotTable::compile(count, VNODES_DEFAULT, &[]).expect("a good count"));
    let ledger = Arc::new(Ledger::new(count));
    let core = |id| {
        let engine = Engine::new(EngineOptions {
            core: id,
            table: Arc::clone(&table),
            ledger: Arc::clone(&ledger),
            shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
            settings: Settings::default(),
            host: Arc::new(NoHost),
        });
        let mut core = Core { id, engine, effects: Effects::default() };
        ledger.place_connection();
        core.turn(Event::Opened { conn: CLIENT, peer: String::new(), local: String::new() });
        core
    };
    (0..count).map(|id| core(CoreId(id as u16))).collect()
}

impl Core {
    fn turn(&mut self, event: Event) {
        self.engine.turn_begins(NOW, &mut self.effects);
        self.engine.handle(NOW, event, &mut self.effects);
        self.engine.turn_ends(NOW, ShellCounts::default(), &mut self.effects);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.turn(Event::Received { chunks: &[(CLIENT, bytes)] });
    }

    /// Takes what is ready to be sent and reports it sent; how many bytes it was.
    fn send(&mut self) -> usize {
        assert!(self.effects.close.is_empty() && self.effects.kill.is_empty(), "the client did nothing wrong");
        let mut sent_bytes = 0;
        while let Some(conn) = self.effects.ready.pop() {
            let Some(output) = self.engine.take_output(conn) else { continue };
            sent_bytes += output.len_bytes();
            self.engine.handle(NOW, Event::Sent { conn, output }, &mut self.effects);
        }
        sent_bytes
    }

    /// Hands the letters of this turn to another core, which serves them in a turn of its own.
    fn post(&mut self, to: &mut Core) {
        let batch = self.engine.take_mail(to.id).expect("there are letters");
        to.turn(Event::Mail { from: self.id, batch });
    }

    /// The same through a mailbox, with the look at the doorbell and at the mail that a worker takes.
    fn post_by(&mut self, own: &Mailbox, to: &mut Core, theirs: &Mailbox) {
        let batch = self.engine.take_mail(to.id).expect("there are letters");
        let put = own.put(to.id, Mail::Letters { from: self.id, batch });
        assert!(matches!(put, Ok(None)), "it has room, and who owns it is awake");
        for _ in 0..theirs.waiting() {
            let Some(Mail::Letters { from, batch }) = theirs.take() else { unreachable!("nothing else was put there") };
            to.turn(Event::Mail { from, batch });
        }
    }
}

/// The way of a pipeline's requests to their owner.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Handed,
    Mailed,
    Here,
}

fn get(number: u64) -> Vec<u8> {
    format!("*2\r\n$3\r\nGET\r\n$15\r\n{}\r\n", key(number)).into_bytes()
}

fn set(number: u64) -> Vec<u8> {
    let mut bytes = format!("*3\r\n$3\r\nSET\r\n$15\r\n{}\r\n$32\r\n", key(number)).into_bytes();
    bytes.extend_from_slice(VALUE);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Joins requests to pipelines of so many.
fn pipelines(requests: &[Vec<u8>], pipeline: usize) -> Vec<Vec<u8>> {
    requests.chunks_exact(pipeline).map(<[_]>::concat).collect()
}

fn turns(criterion: &mut Criterion) {
    let mut core = cores(1).pop().expect("one core");
    for number in 0..KEYS {
        core.receive(&set(number));
        core.send();
    }
    assert_eq!(core.engine.keys() as u64, KEYS);
    let mut draw = Draw::new(7);
    let mix = |draw: &mut Draw| if draw.below(11) == 0 { set(draw.below(KEYS)) } else { get(draw.below(KEYS)) };
    let requests: Vec<Vec<u8>> = (0..DRAWN).map(|_| mix(&mut draw)).collect();
    let mut group = criterion.benchmark_group("turn");
    group.warm_up_time(Duration::from_secs(1));
    for pipeline in PIPELINES {
        let pipelines = pipelines(&requests, pipeline);
        let mut next = pipelines.iter().cycle();
        group.throughput(Throughput::Elements(pipeline as u64));
        group.bench_function(format!("pipeline {pipeline}"), |bencher| {
            bencher.iter(|| {
                core.receive(next.next().expect("it goes round"));
                core.send()
            });
        });
    }
    group.finish();
}

fn letters(criterion: &mut Criterion) {
    /// Few enough to stay in the cache: this is about letters, not about the table.
    const FEW_KEYS: u64 = 10_000;
    let mut cores = cores(2);
    let [here, there] = &mut cores[..] else { unreachable!("there are two cores") };
    let table = SlotTable::compile(2, VNODES_DEFAULT, &[]).expect("a good count");
    let owner = |number: &u64| table.owner(slot_of(key(*number).as_bytes()));
    for number in 0..FEW_KEYS {
        let core = if owner(&number) == here.id { &mut *here } else { &mut *there };
        core.receive(&set(number));
        core.send();
    }
    let boxes = mailboxes(2, 64);
    let mut group = criterion.benchmark_group("letter");
    group.warm_up_time(Duration::from_secs(1));
    for pipeline in PIPELINES {
        group.throughput(Throughput::Elements(pipeline as u64));
        let ways = [
            (there.id, Way::Handed, "there and back"),
            (there.id, Way::Mailed, "there and back by mailbox"),
            (here.id, Way::Here, "for comparison, here"),
        ];
        for (core, way, name) in ways {
            let mut draw = Draw::new(7);
            let numbers = std::iter::repeat_with(|| draw.below(FEW_KEYS)).filter(|number| owner(number) == core);
            let requests: Vec<Vec<u8>> = numbers.take(FEW_KEYS as usize).map(get).collect();
            let pipelines = pipelines(&requests, pipeline);
            let mut next = pipelines.iter().cycle();
            group.bench_function(format!("pipeline {pipeline}, {name}"), |bencher| {
                bencher.iter(|| {
                    here.receive(next.next().expect("it goes round"));
                    match way {
                        Way::Handed => {
                            here.post(there);
                            there.post(here);
                        }
                        Way::Mailed => {
                            here.post_by(&boxes[0], there, &boxes[1]);
                            there.post_by(&boxes[1], here, &boxes[0]);
                        }
                        Way::Here => {}
                    }
                    let sent_bytes = here.send();
                    assert_eq!(sent_bytes, pipeline * (VALUE.len() + 7), "a value for each GET");
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, turns, letters);
criterion_main!(benches);
