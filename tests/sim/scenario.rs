//! What a seed stands for: how many cores and clients, how patient, how clumsy. All of it drawn from the seed, so that
//! its number alone brings a run back.

use crate::rng::Rng;
use crate::upstream::Setup;
use coldplate::engine::{Fsync, HotSettings};
use coldplate::heat::{Limits, Thresholds};
use coldplate::keyspace::Policy;

/// How bytes are cut on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A few at a time: every boundary is met.
    Crumbs,
    Pieces,
    /// All that is there, as much as a receive buffer takes.
    Whole,
}

impl Cut {
    pub fn draw(self, rng: &mut Rng, there: usize) -> usize {
        let most = match self {
            Cut::Crumbs => rng.between(1, 9),
            Cut::Pieces => rng.between(1, 400),
            Cut::Whole => 16 * 1024,
        };
        most.min(there)
    }
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub cores: usize,
    pub keys: usize,
    pub clients: usize,
    /// Requests of all clients together.
    pub requests: usize,
    /// Requests sent in one go, and unanswered ones that a client allows itself.
    pub burst_max: usize,
    pub unanswered_max: usize,
    pub mailbox_batches: usize,
    pub client_output_bytes_max: usize,
    pub client_waiting_bytes_max: usize,
    pub letters_bytes_max: usize,
    /// Bytes that the kernel holds for a client that does not read.
    pub socket_bytes: usize,
    pub cut: Cut,
    /// Each in percent: how likely a core with something to do does it, a client reads, a value is large, a connection
    /// speaks RESP3, and a step of a client is to hang up in some way.
    pub turn: Vec<usize>,
    pub read: usize,
    pub large: usize,
    pub resp3: usize,
    pub hang_up: usize,
    /// How likely a core turns for no reason, and how likely the clock moves in a step.
    pub idle_turn: usize,
    pub clock: usize,
    pub clock_us_max: usize,
    pub large_bytes_max: usize,
    /// Requests on one key alone: reads and increments that go fast and far.
    pub narrow: bool,
    /// Every other client asks only what needs no key: its core answers at once, and nobody else's answer wakes it.
    pub chatter: bool,
    /// Keys become hot after windows of so long; none: hot keys are not treated.
    pub hot_window_us: Option<u64>,
    /// How many keys of a core may be hot.
    pub hot_keys_max: usize,
    /// Clients ask by the scripts of `script.rs`, and all keys together are checked as one object.
    pub transactions: bool,
    /// Every other client of those only reads, key by key, which copies can answer.
    pub readers: bool,
    /// They often leave while an EXEC of theirs is under way.
    pub impatient: bool,
    /// In transactions, what counts all keys is asked too.
    pub counts: bool,
    /// Clients keep what they read, by CLIENT TRACKING; some are told by way of others.
    pub tracking: bool,
    pub redirects: bool,
    /// Clients publish and listen, some of them to what happens to keys.
    pub messages: bool,
    pub key_events: bool,
    /// Clients have to say a password, and some requests want no reply.
    pub password: bool,
    pub wide: bool,
    /// Bytes for keys beyond those that empty cores take; past them keys are evicted by this policy, or writes refused.
    pub room_bytes: Option<u64>,
    pub policy: Policy,
    /// How often the world comes to rest on its way, and the server ends and comes back.
    pub rests: usize,
    pub restarts: usize,
    /// Events that mail travels at most, and that a core stops; by how much clocks differ at first, and jump.
    pub mail_delay_max: usize,
    pub stall_max: usize,
    pub skew_us_max: usize,
    pub jump_us_max: usize,
    /// Operations a second from which on a key is hot.
    pub promote_ops: f64,
    /// Changes are logged. Events that a disk takes at most for what it is asked, and how often the power fails, or the
    /// server is killed.
    pub logs: bool,
    pub fsync: Fsync,
    pub sync_delay_max: usize,
    pub power_cuts: usize,
    pub kills: bool,
    pub segment_bytes: usize,
    /// Events that it takes at most to make a segment.
    pub make_delay_max: usize,
    /// The power's end tears what is being written, and bits turn meanwhile; another number of cores comes back.
    pub tears: bool,
    pub rots: bool,
    pub recounts: bool,
    /// Disks fail, so often yet, and the disk fills up.
    pub ails: bool,
    pub failures: usize,
    pub fills_disk: bool,
    /// Logs are switched off and on.
    pub switches: bool,
    /// The servers that the cores are put in front of; none: they have all keys themselves.
    pub upstream: Option<Setup>,
}

impl Scenario {
    /// Whether clients ask by scripts.
    pub fn is_scripted(&self) -> bool {
        self.transactions || self.tracking || self.messages || self.wide
    }

    /// Nearly every key that is asked for in a window is hot, so keys become hot and cool all the time.
    pub fn hot_settings(&self) -> HotSettings {
        let thresholds = Thresholds { promote_ops: self.promote_ops, promote_share: 0.0, demote_part: 0.25 };
        HotSettings {
            on: self.hot_window_us.is_some(),
            window_us: self.hot_window_us.unwrap_or(100_000),
            thresholds,
            limits: Limits { keys_max: self.hot_keys_max, ..Limits::default() },
            ..HotSettings::default()
        }
    }
}

/// What a seed draws first.
impl Scenario {
    pub fn of(seed: u64, rng: &mut Rng) -> Scenario {
        let mut scenario = match seed % 256 {
            255 => Scenario::flood(rng),
            kind if kind % 16 == 15 => Scenario::full_post(rng),
            kind if kind % 8 == 7 => Scenario::backpressure(rng),
            kind if kind % 2 == 1 => Scenario::hot(rng),
            kind if kind % 16 == 4 => Scenario::transactions(rng),
            kind if kind % 16 == 12 => Scenario::readers(rng),
            kind if kind % 8 == 2 => Scenario::tracking(rng),
            kind if kind % 16 == 6 => Scenario::messages(rng),
            kind if kind % 16 == 14 => Scenario::wide(rng),
            kind if kind % 32 == 8 => Scenario::counting(rng),
            kind if kind % 32 == 24 => Scenario::short(rng),
            _ => Scenario::usual(rng),
        };
        if scenario.cut == Cut::Crumbs {
            // Long enough to be sent from where it lies, short enough to arrive in this life.
            scenario.large_bytes_max = 6000;
        }
        scenario
    }

    fn usual(rng: &mut Rng) -> Scenario {
        let cores = rng.between(1, 4);
        Scenario {
            cores,
            keys: rng.between(3, 9),
            clients: rng.between(2, 6),
            requests: rng.between(60, 260),
            burst_max: rng.pick(&[1, 4, 16, 50]),
            unanswered_max: rng.pick(&[1, 20, 100]),
            mailbox_batches: rng.pick(&[1, 2, 1024]),
            client_output_bytes_max: rng.pick(&[100, 4096, 1 << 20]),
            client_waiting_bytes_max: rng.pick(&[100, 4096, 1 << 20]),
            socket_bytes: rng.pick(&[64, 4096, 1 << 20]),
            cut: rng.pick(&[Cut::Crumbs, Cut::Pieces, Cut::Whole]),
            turn: (0..cores).map(|_| rng.pick(&[10, 60, 100])).collect(),
            read: rng.pick(&[10, 50, 100]),
            large: rng.pick(&[0, 0, 5]),
            resp3: rng.pick(&[0, 50, 100]),
            hang_up: rng.pick(&[1, 5]),
            idle_turn: rng.pick(&[0, 0, 20]),
            clock: rng.pick(&[2, 5, 10]),
            clock_us_max: rng.pick(&[300, 20_000, 80_000]),
            large_bytes_max: 50_000,
            letters_bytes_max: 1 << 20,
            narrow: false,
            chatter: false,
            hot_window_us: rng.pick(&[None, Some(500), Some(5_000)]),
            hot_keys_max: rng.pick(&[1, 3, 100]),
            transactions: false,
            readers: false,
            impatient: false,
            counts: false,
            tracking: false,
            redirects: false,
            messages: false,
            key_events: false,
            password: false,
            wide: false,
            room_bytes: None,
            policy: Policy::NoEviction,
            rests: 0,
            restarts: 0,
            mail_delay_max: 0,
            stall_max: 0,
            skew_us_max: 0,
            jump_us_max: 0,
            promote_ops: 10.0,
            logs: false,
            fsync: Fsync::Always,
            sync_delay_max: 0,
            power_cuts: 0,
            kills: false,
            segment_bytes: 256 * 1024,
            make_delay_max: 0,
            tears: false,
            rots: false,
            recounts: false,
            ails: false,
            failures: 0,
            fills_disk: false,
            switches: false,
            upstream: None,
        }
    }

    /// In front of servers, which have the keys.
    pub fn before_servers(rng: &mut Rng) -> Scenario {
        let cores = rng.between(1, 4);
        Scenario {
            cores,
            upstream: Some(Setup::draw(rng)),
            clients: rng.between(2, 6),
            requests: rng.between(60, 260),
            burst_max: rng.pick(&[1, 4, 16]),
            unanswered_max: rng.pick(&[1, 3, 8]),
            turn: (0..cores).map(|_| rng.pick(&[20, 60, 100])).collect(),
            read: rng.pick(&[30, 100]),
            clock: rng.pick(&[2, 10]),
            clock_us_max: rng.pick(&[300, 5_000, 30_000]),
            hot_window_us: None,
            rests: rng.below(3),
            ..Scenario::usual(rng)
        }
    }

    /// A handful of keys on many cores, all of them hot, for long enough to be read from copies.
    fn hot(rng: &mut Rng) -> Scenario {
        let cores = rng.between(2, 8);
        Scenario {
            cores,
            keys: rng.between(3, 5),
            clients: rng.between(3, 8),
            requests: rng.between(120, 300),
            // Much that is concurrent on few keys has more orders than a search can try.
            burst_max: rng.pick(&[1, 4, 16]),
            unanswered_max: rng.pick(&[1, 6, 12]),
            mailbox_batches: rng.pick(&[1, 1024]),
            client_output_bytes_max: 1 << 20,
            client_waiting_bytes_max: 1 << 20,
            socket_bytes: 1 << 20,
            cut: rng.pick(&[Cut::Pieces, Cut::Whole]),
            turn: (0..cores).map(|_| rng.pick(&[20, 60, 100])).collect(),
            read: 100,
            hang_up: rng.pick(&[0, 1]),
            clock: 10,
            clock_us_max: rng.pick(&[100, 2_000]),
            hot_window_us: Some(rng.pick(&[300, 2_000])),
            ..Scenario::usual(rng)
        }
    }

    /// Transactions on two to four keys, which are hot in part of the runs.
    fn transactions(rng: &mut Rng) -> Scenario {
        let cores = rng.between(1, 4);
        Scenario {
            cores,
            clients: rng.between(2, 5),
            requests: rng.between(60, 220),
            burst_max: rng.pick(&[1, 4, 12]),
            unanswered_max: rng.pick(&[1, 1, 3, 12]),
            client_output_bytes_max: rng.pick(&[100, 1 << 20, 1 << 20]),
            letters_bytes_max: rng.pick(&[100, 1 << 20, 1 << 20]),
            cut: rng.pick(&[Cut::Crumbs, Cut::Pieces, Cut::Whole, Cut::Whole]),
            turn: (0..cores).map(|_| rng.pick(&[20, 60, 100])).collect(),
            read: rng.pick(&[30, 100]),
            hang_up: rng.pick(&[0, 1, 5]),
            clock: rng.pick(&[2, 10]),
            clock_us_max: rng.pick(&[100, 2_000]),
            hot_window_us: rng.pick(&[None, Some(300), Some(2_000)]),
            large_bytes_max: 6_000,
            transactions: true,
            impatient: rng.chance(25),
            ..Scenario::usual(rng)
        }
    }

    /// Transactions on hot keys, and clients who read one key after the other from copies meanwhile.
    fn readers(rng: &mut Rng) -> Scenario {
        let cores = rng.between(3, 5);
        Scenario {
            cores,
            clients: rng.between(4, 8),
            requests: rng.between(150, 350),
            burst_max: 1,
            unanswered_max: rng.pick(&[1, 1, 2]),
            client_output_bytes_max: 1 << 20,
            letters_bytes_max: 1 << 20,
            socket_bytes: 1 << 20,
            cut: Cut::Whole,
            turn: (0..cores).map(|_| rng.pick(&[10, 60, 100])).collect(),
            read: 100,
            clock: 10,
            clock_us_max: rng.pick(&[100, 1_000]),
            hot_window_us: Some(300),
            hot_keys_max: 100,
            readers: true,
            ..Scenario::transactions(rng)
        }
    }

    /// Keys that clients keep, on up to four cores.
    fn tracking(rng: &mut Rng) -> Scenario {
        Scenario {
            clients: rng.between(3, 8),
            requests: rng.between(80, 260),
            burst_max: rng.pick(&[1, 3, 8]),
            unanswered_max: rng.pick(&[1, 2, 4, 10]),
            client_output_bytes_max: rng.pick(&[30, 300, 1 << 20, 1 << 20]),
            read: rng.pick(&[10, 50, 100]),
            hang_up: rng.pick(&[0, 1, 2]),
            resp3: rng.pick(&[0, 50, 100]),
            large: 0,
            tracking: true,
            redirects: rng.chance(40),
            rests: rng.below(4),
            impatient: false,
            ..Scenario::transactions(rng)
        }
    }

    /// Messages, and in part of the runs news of keys.
    fn messages(rng: &mut Rng) -> Scenario {
        Scenario {
            cores: rng.between(1, 5),
            clients: rng.between(3, 9),
            requests: rng.between(80, 260),
            burst_max: rng.pick(&[1, 4, 12]),
            unanswered_max: rng.pick(&[1, 4, 20]),
            turn: (0..5).map(|_| rng.pick(&[10, 60, 100])).collect(),
            large: 0,
            resp3: rng.pick(&[0, 50, 100]),
            hang_up: rng.pick(&[0, 1, 3]),
            messages: true,
            key_events: rng.chance(60),
            rests: rng.below(3),
            ..Scenario::usual(rng)
        }
    }

    /// The usual, and flushes, a password, and requests that want no reply.
    fn wide(rng: &mut Rng) -> Scenario {
        Scenario { password: rng.chance(50), wide: true, ..Scenario::usual(rng) }
    }

    /// Memory for a few of the values only.
    fn short(rng: &mut Rng) -> Scenario {
        use Policy::{AllKeysLfu, AllKeysLru, AllKeysRandom, NoEviction, VolatileLru, VolatileTtl};
        Scenario {
            large: rng.pick(&[20, 60]),
            large_bytes_max: rng.pick(&[6_000, 50_000]),
            room_bytes: Some(rng.pick(&[10_000, 100_000, 300_000])),
            policy: rng.pick(&[
                AllKeysLru,
                AllKeysLru,
                AllKeysLfu,
                AllKeysRandom,
                VolatileLru,
                VolatileTtl,
                NoEviction,
            ]),
            ..Scenario::usual(rng)
        }
    }

    /// Transactions that count all keys.
    fn counting(rng: &mut Rng) -> Scenario {
        Scenario { counts: true, large: 0, ..Scenario::transactions(rng) }
    }

    /// Nobody reads for long, every bound is tiny, the mailboxes hold one batch.
    fn backpressure(rng: &mut Rng) -> Scenario {
        Scenario {
            cores: rng.between(2, 4),
            requests: rng.between(200, 500),
            burst_max: 200,
            unanswered_max: 400,
            mailbox_batches: 1,
            client_output_bytes_max: rng.pick(&[0, 64, 1000]),
            client_waiting_bytes_max: rng.pick(&[0, 64, 1000]),
            socket_bytes: rng.pick(&[1, 64, 1000]),
            cut: rng.pick(&[Cut::Pieces, Cut::Whole]),
            turn: (0..4).map(|_| rng.pick(&[3, 30, 100])).collect(),
            read: rng.pick(&[0, 1, 10]),
            large: rng.pick(&[0, 2, 30]),
            hang_up: rng.pick(&[0, 1]),
            idle_turn: 0,
            clock: 1,
            ..Scenario::usual(rng)
        }
    }

    /// Large values for a slow core fill the post of a quick one, whose other clients must not be forgotten.
    fn full_post(rng: &mut Rng) -> Scenario {
        Scenario {
            cores: 2,
            clients: 4,
            requests: rng.between(400, 900),
            burst_max: 200,
            unanswered_max: 2000,
            mailbox_batches: 1,
            client_output_bytes_max: 1 << 20,
            client_waiting_bytes_max: 1 << 20,
            socket_bytes: 1 << 20,
            cut: Cut::Whole,
            turn: vec![100, rng.pick(&[1, 5])],
            read: 100,
            large: 60,
            hang_up: 0,
            idle_turn: 0,
            chatter: true,
            large_bytes_max: 100_000,
            letters_bytes_max: rng.pick(&[200, 20_000]),
            ..Scenario::usual(rng)
        }
    }

    /// More requests than any one queue takes, from few clients, on few keys.
    fn flood(rng: &mut Rng) -> Scenario {
        Scenario {
            cores: 2,
            keys: 3,
            clients: 2,
            requests: 40_000,
            burst_max: 20_000,
            unanswered_max: 20_000,
            mailbox_batches: 1,
            client_output_bytes_max: 1 << 20,
            socket_bytes: 1 << 20,
            cut: Cut::Whole,
            turn: vec![100, rng.pick(&[2, 30])],
            hang_up: 0,
            large: 0,
            narrow: true,
            ..Scenario::usual(rng)
        }
    }
}
