//! Engines beside a map: commands on a few keys are answered as the map says, whichever cores the keys live on, however
//! many requests are under way, and whether or not keys are hot.

mod op;
mod store;

use crate::rig::{CORES_MAX, Rig};
use crate::wire::encode;
use arbitrary::{Arbitrary, Unstructured};
use coldplate::engine::Settings;
use op::Op;
use store::Store;

#[derive(Arbitrary, Debug)]
struct Play {
    cores: u8,
    hot: bool,
    /// Whether each of two clients speaks RESP3.
    resp3: [bool; 2],
    acts: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
enum Act {
    One {
        client: bool,
        op: Op,
    },
    /// Sent at once, answered one by one.
    Pipeline {
        client: bool,
        ops: Vec<Op>,
    },
    /// The same operation again and again, which makes its key hot.
    Often {
        client: bool,
        op: Op,
        times: u8,
    },
    /// As one transaction.
    Exec {
        client: bool,
        ops: Vec<Op>,
    },
    Pass {
        ms: u16,
    },
}

impl Act {
    fn counts_keys(&self) -> bool {
        match self {
            Act::One { op, .. } | Act::Often { op, .. } => matches!(op, Op::DbSize),
            Act::Pipeline { ops, .. } | Act::Exec { ops, .. } => ops.iter().any(|op| matches!(op, Op::DbSize)),
            Act::Pass { .. } => false,
        }
    }
}

/// No core lets expired keys lie for longer.
const SWEEP_US: u64 = 100_000;
/// All that is sent and answered: more would take memory and time and show nothing more.
const SCRIPT_BYTES_MAX: usize = 1 << 18;
/// Makes a key hot, several times over.
const TIMES_MAX: u8 = 48;
/// Each takes a look at every slot of every core.
const FLUSHES_MAX: usize = 2;

/// What one client is sent, and what it is to get.
#[derive(Default)]
struct Script {
    wire: Vec<u8>,
    expected: Vec<u8>,
}

/// What an input may still ask for.
struct Budget {
    bytes: usize,
    flushes: usize,
}

impl Budget {
    /// Those operations of an act that it can pay, and whose replies are certain.
    fn pay<'a>(&mut self, ops: impl Iterator<Item = &'a Op>) -> Vec<&'a Op> {
        let (mut paid, mut past) = (Vec::new(), false);
        for op in ops {
            let flushes = usize::from(matches!(op, Op::FlushAll));
            past |= op.sets_the_past();
            if flushes <= self.flushes && !(past && matches!(op, Op::DbSize)) {
                self.flushes -= flushes;
                paid.push(op);
            }
        }
        paid
    }
}

/// Acts of two clients on up to three cores.
pub fn model(data: &[u8]) {
    let Ok(play) = Play::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut rig = Rig::new(usize::from(play.cores) % CORES_MAX + 1, play.hot, Settings::default());
    for (client, _) in play.resp3.iter().enumerate().filter(|(_, resp3)| **resp3) {
        rig.send(client, &encode(&["HELLO", "3"]));
        rig.settle();
    }
    let (mut store, mut budget) = (Store::default(), Budget { bytes: SCRIPT_BYTES_MAX, flushes: FLUSHES_MAX });
    for act in &play.acts {
        if budget.bytes == 0 {
            break;
        }
        if act.counts_keys() {
            // What has expired counts until it is met or swept.
            rig.pass(SWEEP_US);
            rig.settle();
        }
        store.now_ms = rig.now_ms();
        let (client, ops): (bool, Vec<&Op>) = match act {
            Act::One { client, op } => (*client, budget.pay([op].into_iter())),
            Act::Pipeline { client, ops } | Act::Exec { client, ops } => (*client, budget.pay(ops.iter())),
            Act::Often { client, op, times } => {
                (*client, budget.pay(std::iter::repeat_n(op, usize::from(times % TIMES_MAX))))
            }
            Act::Pass { ms } => {
                rig.pass(u64::from(*ms) * 1000);
                rig.settle();
                continue;
            }
        };
        let client = usize::from(client);
        store.resp3 = play.resp3[client];
        let script = match act {
            Act::Exec { .. } => as_one(&mut store, &ops),
            _ => one_by_one(&mut store, &ops, budget.bytes),
        };
        budget.bytes = budget.bytes.saturating_sub(script.wire.len() + script.expected.len());
        rig.clients[client].received.clear();
        rig.deliver(client, &script.wire);
        rig.settle();
        // What is held back in the hope of more leaves in time.
        rig.pass(1000);
        rig.settle();
        let received = &rig.clients[client].received;
        assert!(
            *received == script.expected,
            "{play:?}\nat {act:?}\ngot      {}\nexpected {}",
            received.escape_ascii(),
            script.expected.escape_ascii()
        );
    }
    rig.end();
}

fn one_by_one(store: &mut Store, ops: &[&Op], bytes_max: usize) -> Script {
    let mut script = Script::default();
    for op in ops {
        if script.wire.len() + script.expected.len() > bytes_max {
            break;
        }
        script.wire.extend(encode(&op.words(store.now_ms)));
        script.expected.extend(store.apply(op));
    }
    script
}

fn as_one(store: &mut Store, ops: &[&Op]) -> Script {
    let mut script = Script { wire: encode(&["MULTI"]), expected: b"+OK\r\n".to_vec() };
    for op in ops {
        script.wire.extend(encode(&op.words(store.now_ms)));
        script.expected.extend(op.is_short().map_or(b"+QUEUED\r\n".to_vec(), store::wrong_number));
    }
    script.wire.extend(encode(&["EXEC"]));
    if ops.iter().any(|op| op.is_short().is_some()) {
        script.expected.extend_from_slice(b"-EXECABORT Transaction discarded because of previous errors.\r\n");
        return script;
    }
    script.expected.extend(format!("*{}\r\n", ops.len()).into_bytes());
    ops.iter().for_each(|op| script.expected.extend(store.apply(op)));
    script
}
