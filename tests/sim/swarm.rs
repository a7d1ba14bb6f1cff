//! What besets a run: each seed is given some hazards and spared the others, so that each meets many others and none hides
//! all the rest; and a plan, which is a seed with what was taken off it so that it fails with less.

use crate::rng::Rng;
use crate::scenario::{Cut, Scenario};
use coldplate::engine::Fsync;
use coldplate::keyspace::Policy;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hazard {
    /// Up to sixteen cores, whatever the run is about.
    ManyCores,
    /// Input comes a few bytes at a time.
    Crumbs,
    /// Clients leave often, in the middle of whatever they do.
    Resets,
    /// Mailboxes hold one batch.
    FullMail,
    /// Batches travel for a while.
    SlowMail,
    /// Cores stop for a while.
    Stalls,
    /// The clocks of cores differ.
    Skew,
    /// The clock of one core jumps ahead.
    Jumps,
    /// Keys turn hot and cool all the time.
    Storm,
    /// Memory is short.
    Short,
    /// The server ends and comes back with another number of cores. Its store is empty then.
    Restart,
    /// Changes are logged, a reply waits until what it says is durable, and the power fails, or the server is killed.
    Power,
    /// The power's end tears what is being written, into sectors.
    Torn,
    /// A bit turns in a log, where it was safe.
    Rot,
    /// A write fails, or a sync.
    Ailing,
    /// The disk fills up, and has room again.
    Full,
    /// Segments are small: there are many, and old ones are cleaned.
    Segments,
    /// The server comes back with another number of cores.
    Recount,
    /// Of servers behind the cores: slots change their owner at once, back and forth.
    Moves,
    /// Slots move key by key, each of them once.
    Migration,
    /// A primary is gone, and a replica takes over.
    Failover,
    /// Connections to servers are lost.
    Severed,
    /// They cannot be made, or not in time.
    Undialled,
    /// Servers answer late, or not at all.
    Late,
    /// Servers have no data yet.
    Loading,
    /// Servers send each other's clients around.
    Circles,
    /// Servers are gone for a while.
    Outage,
    /// The log is switched off and on.
    Switches,
    /// Of servers behind the cores: slots change their owner at once, and come to none twice.
    Onward,
    /// Of servers behind the cores: somebody else writes there as well.
    Past,
}

impl Hazard {
    pub const ALL: [Hazard; 30] = [
        Hazard::ManyCores,
        Hazard::Crumbs,
        Hazard::Resets,
        Hazard::FullMail,
        Hazard::SlowMail,
        Hazard::Stalls,
        Hazard::Skew,
        Hazard::Jumps,
        Hazard::Storm,
        Hazard::Short,
        Hazard::Restart,
        Hazard::Power,
        Hazard::Torn,
        Hazard::Rot,
        Hazard::Ailing,
        Hazard::Full,
        Hazard::Segments,
        Hazard::Recount,
        Hazard::Moves,
        Hazard::Migration,
        Hazard::Failover,
        Hazard::Severed,
        Hazard::Undialled,
        Hazard::Late,
        Hazard::Loading,
        Hazard::Circles,
        Hazard::Outage,
        Hazard::Switches,
        Hazard::Onward,
        Hazard::Past,
    ];

    pub fn named(name: &str) -> Option<Hazard> {
        Hazard::ALL.into_iter().find(|hazard| hazard.name() == name)
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether a run can take it: the checker of all keys as one knows of no eviction, and a flood is about bounds alone.
    fn suits(self, scenario: &Scenario) -> bool {
        let whole = scenario.transactions || scenario.tracking || scenario.messages;
        if let Some(setup) = &scenario.upstream {
            let several = setup.is_cluster() && setup.shards > 1;
            return match self {
                Hazard::Crumbs | Hazard::Resets | Hazard::SlowMail | Hazard::FullMail | Hazard::Stalls => true,
                Hazard::Storm => true,
                Hazard::Moves | Hazard::Migration | Hazard::Circles | Hazard::Onward => several,
                Hazard::Failover => setup.replicas > 0,
                _ => self.is_of_servers(),
            };
        }
        match self {
            _ if scenario.narrow || self.is_of_servers() => false,
            Hazard::Short => !whole && !scenario.chatter && scenario.room_bytes.is_none(),
            // Bursts of large values would take a life to arrive.
            Hazard::Crumbs => !scenario.chatter && scenario.burst_max < 200,
            Hazard::ManyCores | Hazard::Resets => !scenario.chatter,
            // Who listens or keeps values would have to begin again.
            Hazard::Power => !(scenario.chatter || scenario.messages || scenario.tracking),
            // Each core's part of a transaction is durable by itself: that of another may be lost.
            Hazard::Recount => !scenario.transactions && !scenario.wide,
            _ => true,
        }
    }

    /// Whether it besets a log, which there has to be.
    fn is_of_disks(self) -> bool {
        self > Hazard::Power && !self.is_of_servers()
    }

    /// Whether it besets servers behind the cores.
    fn is_of_servers(self) -> bool {
        (Hazard::Moves..=Hazard::Outage).contains(&self) || self >= Hazard::Onward
    }

    fn apply(self, scenario: &mut Scenario, rng: &mut Rng) {
        match self {
            Hazard::ManyCores => {
                scenario.cores = rng.between(1, 16);
                scenario.turn = (0..scenario.cores).map(|_| rng.pick(&[10, 60, 100])).collect();
            }
            Hazard::Crumbs => {
                scenario.cut = Cut::Crumbs;
                scenario.large_bytes_max = scenario.large_bytes_max.min(6_000);
            }
            Hazard::Resets => {
                scenario.hang_up = scenario.hang_up.max(4);
                scenario.impatient = true;
            }
            Hazard::FullMail => scenario.mailbox_batches = 1,
            Hazard::SlowMail => scenario.mail_delay_max = rng.pick(&[20, 100, 400]),
            Hazard::Stalls => scenario.stall_max = rng.pick(&[30, 200]),
            Hazard::Skew => scenario.skew_us_max = rng.pick(&[900, 20_000]),
            Hazard::Jumps => scenario.jump_us_max = rng.pick(&[2_000, 50_000]),
            Hazard::Storm if scenario.upstream.is_some() => {
                // Few keys, asked for often and for long enough to be read from copies.
                scenario.hot_window_us = Some(rng.pick(&[200, 2_000]));
                scenario.hot_keys_max = rng.pick(&[1, 3, 100, 100]);
                scenario.promote_ops = 2.0;
                (scenario.keys, scenario.requests) = (rng.between(3, 4), rng.between(200, 400));
                (scenario.clock, scenario.clock_us_max) = (10, rng.pick(&[100, 2_000]));
                scenario.large = 0;
            }
            Hazard::Storm => {
                scenario.hot_window_us = Some(200);
                scenario.hot_keys_max = rng.pick(&[1, 2]);
                scenario.promote_ops = 2.0;
            }
            Hazard::Short => {
                scenario.room_bytes = Some(rng.pick(&[10_000, 200_000]));
                scenario.policy = rng.pick(&[Policy::AllKeysLru, Policy::AllKeysRandom, Policy::NoEviction]);
            }
            Hazard::Restart => scenario.restarts = 1,
            Hazard::Power => {
                (scenario.logs, scenario.restarts) = (true, 0);
                scenario.sync_delay_max = rng.pick(&[0, 20, 200]);
                scenario.power_cuts = rng.pick(&[0, 1, 1, 2, 3]);
                scenario.kills = rng.chance(30);
                if scenario.kills {
                    scenario.fsync = rng.pick(&[Fsync::Always, Fsync::EverySecond, Fsync::Never]);
                }
                if scenario.transactions || scenario.wide {
                    // Each core's part of a transaction is durable by itself: that of another may be lost.
                    scenario.cores = 1;
                    scenario.turn.truncate(1);
                }
            }
            Hazard::Torn => scenario.tears = true,
            Hazard::Rot => scenario.rots = true,
            Hazard::Ailing => {
                scenario.ails = true;
                scenario.failures = rng.between(1, 3);
                // What a disk that fails has not synced is lost, killed or not.
                (scenario.kills, scenario.fsync) = (false, Fsync::Always);
            }
            Hazard::Full => scenario.fills_disk = true,
            Hazard::Segments => {
                scenario.segment_bytes = rng.pick(&[12_288, 20_000, 49_152]);
                scenario.make_delay_max = rng.pick(&[0, 100, 400]);
                // Some frames are longer than a segment.
                scenario.large = scenario.large.max(rng.pick(&[0, 5, 15]));
                scenario.large_bytes_max = scenario.large_bytes_max.min(20_000);
            }
            Hazard::Switches => scenario.switches = true,
            // A key's clock is its core's: they are all the same.
            Hazard::Recount => scenario.recounts = scenario.skew_us_max == 0 && scenario.jump_us_max == 0,
            _ => scenario.upstream.as_mut().expect("there are servers").troubles.push(self),
        }
    }
}

/// A run: a seed, less what it does not need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// The cores are put in front of servers.
    pub upstream: bool,
    /// Hazards that it is spared.
    pub without: Vec<Hazard>,
    pub requests: Option<usize>,
    pub clients: Option<usize>,
    pub cores: Option<usize>,
    /// Requests, or scripts of them, that are drawn and not sent: ranges of their numbers.
    pub skip: Vec<(usize, usize)>,
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        Plan { seed, ..Plan::default() }
    }

    /// The run of a seed before servers.
    pub fn before_servers(seed: u64) -> Plan {
        Plan { upstream: true, ..Plan::of(seed) }
    }

    /// The same, where nothing befalls the servers but that somebody else may write there.
    pub fn before_well_servers(seed: u64) -> Plan {
        let befalls = |hazard: &Hazard| hazard.is_of_servers() && *hazard != Hazard::Past || *hazard == Hazard::Resets;
        Plan { without: Hazard::ALL.into_iter().filter(befalls).collect(), ..Plan::before_servers(seed) }
    }

    pub fn scenario(&self, rng: &mut Rng) -> Scenario {
        if self.upstream { Scenario::before_servers(rng) } else { Scenario::of(self.seed, rng) }
    }

    /// Its own scenario, and nothing that besets it.
    pub fn plain(seed: u64) -> Plan {
        Plan::of(seed).spared()
    }

    /// The same without any hazard.
    pub fn spared(self) -> Plan {
        Plan { without: Hazard::ALL.to_vec(), ..self }
    }

    pub fn skips(&self, unit: usize) -> bool {
        self.skip.iter().any(|(from, to)| (*from..*to).contains(&unit))
    }

    /// Whether its seed is beset by a hazard.
    pub fn is_beset_by(&self, hazard: Hazard) -> bool {
        self.hazards(&self.scenario(&mut Rng::new(self.seed))).contains(&hazard)
    }

    /// The hazards of its seed that it is not spared.
    pub fn hazards(&self, scenario: &Scenario) -> Vec<Hazard> {
        // A source of its own: hazards that are taken off leave the other draws as they are.
        let mut rng = Rng::new(self.seed ^ 0x5357_4152_4d00_0000);
        let percent = rng.pick(&[0, 15, 30, 60]);
        let drawn: Vec<Hazard> = Hazard::ALL.into_iter().filter(|_| rng.chance(percent)).collect();
        let besets = |hazard: &Hazard| hazard.suits(scenario) && !self.without.contains(hazard);
        let mut hazards: Vec<Hazard> = drawn.into_iter().filter(besets).collect();
        let logs = hazards.contains(&Hazard::Power);
        hazards.retain(|hazard| logs || !hazard.is_of_disks());
        hazards
    }

    /// Changes a scenario by what besets it and by what was taken off.
    pub fn apply(&self, scenario: &mut Scenario) {
        let hazards = self.hazards(scenario);
        for hazard in &hazards {
            hazard.apply(scenario, &mut Rng::new(self.seed ^ *hazard as u64));
        }
        if let Some(setup) = &mut scenario.upstream {
            setup.be_patient();
        }
        // What takes longer has more beside it: with much under way there would be more orders than a search can try.
        let slow = [Hazard::Crumbs, Hazard::FullMail, Hazard::SlowMail, Hazard::Stalls, Hazard::Jumps];
        let slow = [&slow[..], &[Hazard::Ailing, Hazard::Full]].concat();
        if scenario.burst_max < 200 && hazards.iter().any(|hazard| slow.contains(hazard)) {
            scenario.unanswered_max = scenario.unanswered_max.min(if scenario.clients > 5 { 2 } else { 4 });
        }
        scenario.requests = self.requests.map_or(scenario.requests, |most| most.min(scenario.requests));
        scenario.clients = self.clients.map_or(scenario.clients, |most| most.min(scenario.clients));
        scenario.cores = self.cores.map_or(scenario.cores, |most| most.min(scenario.cores));
    }

    /// As a line of `seeds.txt` has it; what is behind a `#` is for readers.
    pub fn print(&self) -> String {
        let mut text = self.seed.to_string();
        if self.upstream {
            text += " upstream";
        }
        if !self.without.is_empty() {
            let names: Vec<String> = self.without.iter().map(|hazard| hazard.name()).collect();
            text += &format!(" without={}", names.join(","));
        }
        for (name, value) in [("requests", self.requests), ("clients", self.clients), ("cores", self.cores)] {
            text += &value.map_or(String::new(), |value| format!(" {name}={value}"));
        }
        if !self.skip.is_empty() {
            let ranges: Vec<String> = self.skip.iter().map(|(from, to)| format!("{from}-{to}")).collect();
            text += &format!(" skip={}", ranges.join(","));
        }
        text
    }

    /// Reads such a line. `plain` spares it all hazards.
    pub fn parse(line: &str) -> Result<Plan, String> {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is no number in {line:?}"));
        let mut plan = Plan::of(number(words.next().unwrap_or(""))? as u64);
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("upstream", _) => plan.upstream = true,
                ("plain", _) => plan.without = Plan::plain(0).without,
                ("without", names) => {
                    for name in names.split(',') {
                        plan.without.push(Hazard::named(name).ok_or_else(|| format!("{name:?} is no hazard"))?);
                    }
                }
                ("requests", value) => plan.requests = Some(number(value)?),
                ("clients", value) => plan.clients = Some(number(value)?),
                ("cores", value) => plan.cores = Some(number(value)?),
                ("skip", ranges) => {
                    for range in ranges.split(',') {
                        let (from, to) = range.split_once('-').ok_or_else(|| format!("{range:?} is no range"))?;
                        plan.skip.push((number(from)?, number(to)?));
                    }
                }
                _ => return Err(format!("{word:?} means nothing in {line:?}")),
            }
        }
        Ok(plan)
    }
}

#[test]
fn a_plan_is_read_as_it_is_printed() {
    let plan = Plan {
        seed: 4711,
        upstream: false,
        without: vec![Hazard::SlowMail, Hazard::Skew],
        requests: Some(40),
        clients: None,
        cores: Some(2),
        skip: vec![(0, 7), (9, 10)],
    };
    assert_eq!(plan.print(), "4711 without=slowmail,skew requests=40 cores=2 skip=0-7,9-10");
    assert_eq!(Plan::parse(&format!("{} # why", plan.print())), Ok(plan));
    assert_eq!(Plan::parse("7 plain").map(|plan| plan.without.len()), Ok(Hazard::ALL.len()));
    assert!(Plan::parse("7 with=luck").is_err() && Plan::parse("x").is_err());
}
