//! The ring under a seeded schedule of faults: what kernels may do, and hardly ever do, happens often. For tests alone.
//!
//! It stands where the ring stands, between it and the worker. Sends really are short, and what was armed really ends, by
//! a cancellation whose error then gets another number; so the order of a connection's bytes stays the kernel's. A
//! completion may be held back for some turns, behind it all others of its operation. `COLDPLATE_FAULTS` says how often
//! in a thousand each fault strikes, as in `seed=7,short_send=100,reset=2`; the nth try of each fault on each core is
//! decided by the seed alone.

use super::uring::{self, Armed, Completion, Payload, RingConfig, RingError, SendOptions, Wait};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::RawFd;
use std::time::Duration;

/// While something is held back, a turn waits so long at most: held completions are counted in turns.
const TURN: Duration = Duration::from_micros(200);
/// The most turns that a completion is held back.
const DELAY_TURNS_MAX: u64 = 8;
/// How long nothing at all completes when the queue is flooded.
const FLOOD_TURNS: u64 = 12;

/// What goes wrong, in the order of [`NAMES`].
#[derive(Clone, Copy)]
enum Fault {
    /// Fewer bytes are sent than were asked for.
    ShortSend,
    /// The peer of a send is gone.
    BrokenSend,
    /// A receive ends, cancelled.
    Cancel,
    /// A poll ends, cancelled.
    Poll,
    /// A receive ends for want of buffers.
    NoBuffers,
    /// A receive finds that the peer has reset the connection.
    Reset,
    /// Accepting ends, each time for another reason.
    Accept,
    /// A completion comes some turns later.
    Delay,
    /// For some turns nothing completes, then everything does.
    Flood,
    /// The wake-up of another core fails.
    Wake,
    /// An enter returns at once and has done nothing.
    Enter,
}

const NAMES: [&str; 11] =
    ["short_send", "broken_send", "cancel", "poll", "no_buffers", "reset", "accept", "delay", "flood", "wake", "enter"];
const SEND_ERRORS: [i32; 2] = [libc::EPIPE, libc::ECONNRESET];
const ACCEPT_ERRORS: [i32; 5] = [libc::ECONNABORTED, libc::EMFILE, libc::EINTR, libc::ENFILE, libc::ECANCELED];

/// When each fault strikes.
#[derive(Default)]
struct Schedule {
    seed: u64,
    per_mille: [u64; NAMES.len()],
    tries: [u64; NAMES.len()],
    struck: [u64; NAMES.len()],
}

impl Schedule {
    /// # Panics
    /// If the text is no schedule: a test that plants nothing by mistake would pass.
    fn parse(text: &str) -> Schedule {
        let mut schedule = Schedule::default();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let parsed = pair.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
            let Some((name, value)) = parsed else { panic!("COLDPLATE_FAULTS: {pair:?} is no name=number") };
            match NAMES.iter().position(|known| *known == name) {
                Some(fault) => schedule.per_mille[fault] = value,
                None if name == "seed" => schedule.seed = value,
                None => panic!("COLDPLATE_FAULTS: there is no fault {name:?}, but {NAMES:?}"),
            }
        }
        // Cores are told apart by their threads' names; each has a schedule of its own.
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        schedule.seed = name.bytes().fold(schedule.seed, |seed, byte| mix(seed, u64::from(byte)));
        schedule
    }

    /// Whether the next try of this fault strikes; then a number to choose by.
    fn strikes(&mut self, fault: Fault) -> Option<u64> {
        let at = fault as usize;
        self.tries[at] += 1;
        let drawn = mix(mix(self.seed, at as u64), self.tries[at]);
        let struck = drawn % 1000 < self.per_mille[at];
        self.struck[at] += u64::from(struck);
        struck.then_some(drawn / 1000)
    }
}

/// What a completion belongs to; those of one come in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Receive(u64),
    Accept(u64),
    Poll(u64),
    Send(u64),
    Sync(u64),
    Connect(u64),
    Wake,
}

impl Operation {
    fn of(completion: &Completion) -> Operation {
        match completion {
            Completion::Received { token, .. } => Operation::Receive(*token),
            Completion::Accepted { token, .. } => Operation::Accept(*token),
            Completion::Readable { token, .. } => Operation::Poll(*token),
            Completion::Sent { token, .. } => Operation::Send(*token),
            Completion::Synced { token, .. } => Operation::Sync(*token),
            Completion::Connected { token, .. } => Operation::Connect(*token),
            Completion::NotWoken { .. } | Completion::Woken => Operation::Wake,
        }
    }
}

/// A completion that comes later.
struct Held {
    due_turn: u64,
    operation: Operation,
    completion: Completion,
}

/// As [`uring::Ring`], which it is but for its faults.
pub struct Ring {
    ring: uring::Ring,
    schedule: Schedule,
    turn: u64,
    flooded_until: u64,
    held: VecDeque<Held>,
    /// Receives and accepts that this cancelled, and the error that their end is to show.
    forged: HashMap<Operation, i32>,
}

impl Deref for Ring {
    type Target = uring::Ring;
    fn deref(&self) -> &uring::Ring {
        &self.ring
    }
}

impl DerefMut for Ring {
    fn deref_mut(&mut self) -> &mut uring::Ring {
        &mut self.ring
    }
}

impl Ring {
    pub fn new(config: &RingConfig) -> Result<Ring, RingError> {
        Ring::with(config, &std::env::var("COLDPLATE_FAULTS").unwrap_or_default())
    }

    fn with(config: &RingConfig, schedule: &str) -> Result<Ring, RingError> {
        let (schedule, ring) = (Schedule::parse(schedule), uring::Ring::new(config)?);
        Ok(Ring { ring, schedule, turn: 0, flooded_until: 0, held: VecDeque::new(), forged: HashMap::new() })
    }

    pub fn send(&mut self, fd: RawFd, token: u64, payload: Payload, mut range: Range<usize>, options: SendOptions) {
        if let Some(choice) = self.schedule.strikes(Fault::BrokenSend) {
            let result = Err(error(&SEND_ERRORS, choice));
            return self.hold(Completion::Sent { token, payload, result }, self.turn + 1);
        }
        if range.len() > 1
            && let Some(choice) = self.schedule.strikes(Fault::ShortSend)
        {
            range.end = range.start + 1 + choice as usize % (range.len() - 1);
        }
        self.ring.send(fd, token, payload, range, options);
    }

    pub fn receive(&mut self, fd: RawFd, token: u64) {
        self.ring.receive(fd, token);
        self.end_receive(token);
    }

    pub fn poll(&mut self, fd: RawFd, token: u64) {
        self.ring.poll(fd, token);
        if self.schedule.strikes(Fault::Poll).is_some() {
            self.ring.cancel(Armed::Poll, token);
        }
    }

    pub fn wake(&mut self, ring_fd: RawFd) {
        match self.schedule.strikes(Fault::Wake) {
            Some(_) => self.hold(Completion::NotWoken { ring_fd }, self.turn + 1),
            None => self.ring.wake(ring_fd),
        }
    }

    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.turn += 1;
        if self.schedule.strikes(Fault::Flood).is_some() {
            self.flooded_until = self.turn + FLOOD_TURNS;
        }
        if self.schedule.strikes(Fault::Enter).is_some() {
            return Ok(());
        }
        let soon = Wait { timeout: Some(TURN), min_wait_us: 0, ..wait };
        self.ring.enter(if self.held.is_empty() && self.turn >= self.flooded_until { wait } else { soon })
    }

    #[allow(clippy::should_implement_trait)] // as the ring's own
    pub fn next(&mut self) -> Option<Completion> {
        loop {
            if let Some(due) = self.held.iter().position(|held| held.due_turn <= self.turn) {
                return self.held.remove(due).map(|held| held.completion);
            }
            let mut completion = self.ring.next()?;
            self.strike(&mut completion);
            let delay = self.schedule.strikes(Fault::Delay).map_or(0, |choice| 1 + choice % DELAY_TURNS_MAX);
            let due_turn = (self.turn + delay).max(self.flooded_until);
            let operation = Operation::of(&completion);
            let behind = self.held.iter().any(|held| held.operation == operation);
            if due_turn == self.turn && !behind {
                return Some(completion);
            }
            self.hold(completion, due_turn);
        }
    }

    /// Holds a completion back, behind those of the same operation.
    fn hold(&mut self, completion: Completion, due_turn: u64) {
        let operation = Operation::of(&completion);
        let earlier = self.held.iter().filter(|held| held.operation == operation).map(|held| held.due_turn).max();
        let due_turn = due_turn.max(earlier.unwrap_or(0));
        self.held.push_back(Held { due_turn, operation, completion });
    }

    /// Ends what goes on, and gives what has ended its forged error.
    fn strike(&mut self, completion: &mut Completion) {
        let operation = Operation::of(completion);
        let cancelled = |error: &io::Error| error.raw_os_error() == Some(libc::ECANCELED);
        match completion {
            Completion::Received { token, armed: true, .. } => self.end_receive(*token),
            Completion::Accepted { token, armed: true, .. } => {
                if let Some(choice) = self.schedule.strikes(Fault::Accept) {
                    self.ring.cancel(Armed::Accept, *token);
                    self.forged.insert(operation, ACCEPT_ERRORS[choice as usize % ACCEPT_ERRORS.len()]);
                }
            }
            Completion::Received { result: Err(error), .. } | Completion::Accepted { result: Err(error), .. }
                if cancelled(error) =>
            {
                *error = io::Error::from_raw_os_error(self.forged.remove(&operation).unwrap_or(libc::ECANCELED));
            }
            // It ended by itself before the cancellation.
            _ => drop(self.forged.remove(&operation)),
        }
    }

    /// May end a receive that is armed.
    fn end_receive(&mut self, token: u64) {
        let faults =
            [(Fault::Cancel, libc::ECANCELED), (Fault::NoBuffers, libc::ENOBUFS), (Fault::Reset, libc::ECONNRESET)];
        for (fault, number) in faults {
            if self.schedule.strikes(fault).is_some() {
                self.ring.cancel(Armed::Receive, token);
                self.forged.insert(Operation::Receive(token), number);
            }
        }
    }
}

impl Drop for Ring {
    /// Says how often each fault struck, and of how many tries, so that a test can tell a schedule from none.
    fn drop(&mut self) {
        let Schedule { struck, tries, .. } = self.schedule;
        let counts: Vec<String> =
            (0..NAMES.len()).map(|at| format!("{}={}/{}", NAMES[at], struck[at], tries[at])).collect();
        log::warn!("faults: {}", counts.join(","));
    }
}

/// Two numbers into one, as SplitMix64 mixes its states.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(23) ^ b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn error(errors: &[i32], choice: u64) -> io::Error {
    io::Error::from_raw_os_error(errors[choice as usize % errors.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn ring(schedule: &str) -> Ring {
        Ring::with(&RingConfig { entries: 64, buffers: 16, buffer_bytes: 1024, ..RingConfig::default() }, schedule)
            .unwrap()
    }

    fn await_one(ring: &mut Ring) -> Completion {
        for _ in 0..1000 {
            if let Some(completion) = ring.next() {
                return completion;
            }
            ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(Duration::from_secs(10)) }).unwrap();
        }
        panic!("nothing completes");
    }

    /// Proves that what one fault does changes nothing of when another strikes.
    #[test]
    fn each_try_is_decided_by_the_seed_alone() {
        let strikes = |others: bool| -> Vec<bool> {
            let mut schedule = Schedule::parse("seed=7,delay=300,flood=300");
            let mut one = |_| {
                if others {
                    schedule.strikes(Fault::Flood);
                }
                schedule.strikes(Fault::Delay).is_some()
            };
            (0..200).map(&mut one).collect()
        };
        assert_eq!(strikes(false), strikes(true));
        assert!((30..90).contains(&strikes(false).iter().filter(|struck| **struck).count()));
    }

    #[test]
    #[should_panic(expected = "there is no fault \"dealy\"")]
    fn a_fault_that_there_is_not_is_refused() {
        Schedule::parse("seed=7,dealy=300");
    }

    /// Proves that bytes come in order however receives end and completions are held back, and that errors are forged.
    #[test]
    fn bytes_keep_their_order() {
        let mut ring = ring("seed=1,cancel=300,no_buffers=300,delay=500,flood=100,enter=300");
        let (mut near, far) = UnixStream::pair().unwrap();
        let (mut got, mut errors) = (Vec::new(), Vec::new());
        ring.receive(far.as_raw_fd(), 1);
        for number in 0..100u8 {
            near.write_all(&[number]).unwrap();
            while got.len() <= usize::from(number) {
                let Completion::Received { token: 1, result, armed } = await_one(&mut ring) else { panic!() };
                match result {
                    Ok(chunk) => {
                        let chunk = chunk.unwrap();
                        got.extend_from_slice(ring.bytes(&chunk));
                        ring.recycle(chunk);
                    }
                    Err(error) => errors.push(error.raw_os_error().unwrap()),
                }
                if !armed {
                    ring.receive(far.as_raw_fd(), 1);
                }
            }
        }
        assert_eq!(got, (0..100).collect::<Vec<u8>>());
        assert!(errors.contains(&libc::ECANCELED) && errors.contains(&libc::ENOBUFS), "{errors:?}");
    }

    /// Proves that a short send sends what it says, and that a broken one gives the payload back and sends nothing.
    #[test]
    fn sends_are_short_or_broken() {
        for (schedule, broken) in [("seed=1,short_send=1000", false), ("seed=1,broken_send=1000", true)] {
            let mut ring = ring(schedule);
            let (near, mut far) = UnixStream::pair().unwrap();
            ring.send(near.as_raw_fd(), 1, Payload::Owned(vec![7; 1000]), 0..1000, SendOptions::default());
            let Completion::Sent { token: 1, payload, result } = await_one(&mut ring) else { panic!() };
            assert_eq!(payload.as_slice().len(), 1000);
            drop(near);
            let mut got = Vec::new();
            far.read_to_end(&mut got).unwrap();
            assert_eq!(result.is_err(), broken);
            assert_eq!(got.len(), result.unwrap_or(0));
            assert!(got.len() < 1000);
        }
    }
}
