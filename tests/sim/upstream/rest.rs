//! Coming to rest before servers: time has to pass, since timeouts, waits and failovers take it; and then nothing may be left of
//! what befell them.

use super::fleet::Fleet;
use crate::history::Failure;
use crate::link::State;
use crate::world::World;

/// Within which whatever is asked is answered, or its connection closed: timeouts one behind the other.
const ANSWER_US_MAX: u64 = 30_000_000;
/// Within which everything is found again once servers are well: the longest rest of one that failed, the longest wait for a
/// map, and some.
const HEAL_US: u64 = 12_000_000;
/// Times that a core may want a turn in it, with nobody who asks it anything. A map that is doubted is asked for four times a
/// second, and looked out for every 10 ms until it is there.
const HEAL_LOOKS_MAX: usize = 200;

impl World {
    /// Nothing new befalls anybody; all that was asked is answered, and then all is well again.
    pub fn rest_before_servers(&mut self) -> Result<(), Failure> {
        self.fleet.as_mut().expect("there are servers").calm = true;
        self.quiesce()?;
        let told_late = self.scenario.hot_window_us.is_some();
        if self.fleet.as_ref().is_some_and(|fleet| fleet.setup.troubles.is_empty() && !told_late) {
            // Nothing is late, so nobody waits for time.
            self.check_answered()?;
        }
        self.wait_for_answers()?;
        self.heal();
        let (until_us, mut looks) = (self.clock_us + HEAL_US, 0);
        while let Some(wait_us) = self.next_us().filter(|wait_us| self.clock_us + wait_us <= until_us) {
            self.pass_before_servers(wait_us)?;
            looks += 1;
        }
        self.pass_before_servers(until_us - self.clock_us)?;
        if looks > HEAL_LOOKS_MAX * self.cores.len() {
            return Err(Failure::new(format!("cores want {looks} turns while nobody asks them anything")));
        }
        self.fleet.as_mut().expect("there are servers").healed = true;
        Ok(())
    }

    /// Goes on with new trouble.
    pub fn end_rest(&mut self) {
        if let Some(fleet) = &mut self.fleet {
            (fleet.calm, fleet.healed) = (false, false);
        }
    }

    fn wait_for_answers(&mut self) -> Result<(), Failure> {
        let until_us = self.clock_us + ANSWER_US_MAX;
        while let Err(failure) = self.check_answered() {
            match self.next_us() {
                Some(wait_us) if self.clock_us + wait_us <= until_us => self.pass_before_servers(wait_us)?,
                Some(_) => return Err(Failure::new(format!("{}, and has for {ANSWER_US_MAX} us", failure.what))),
                None => return Err(Failure::new(format!("{}, and nobody for any time", failure.what))),
            }
        }
        Ok(())
    }

    /// How long until something happens by itself.
    fn next_us(&self) -> Option<u64> {
        let deadlines = (0..self.cores.len())
            .filter_map(|core| Some(self.cores[core].engine.deadline()?.saturating_sub(self.now(core).mono_us)));
        let servers = self.fleet.as_ref().and_then(|fleet| fleet.due_after(self.clock_us));
        deadlines.chain(servers.map(|due_us| due_us - self.clock_us)).min()
    }

    fn pass_before_servers(&mut self, us: u64) -> Result<(), Failure> {
        // A deadline that stays in the past would stop the clock.
        self.pass(us.max(1));
        self.keep_agenda();
        self.quiesce()
    }

    /// Connections that hang are ended, and everybody knows everything.
    fn heal(&mut self) {
        let fleet = self.fleet.as_mut().expect("there are servers");
        for node in &mut fleet.nodes {
            (node.up, node.dark, node.loading) = (true, false, false);
        }
        fleet.agenda.clear();
        fleet.all_hear();
        for wire in 0..fleet.wires.len() {
            let there = &self.fleet.as_ref().expect("there are servers").wires[wire];
            if there.is_stuck()
                || there.ends_after.is_some()
                || there.deaf_until_us.max(there.mute_until_us) > self.clock_us
            {
                self.end_wire(wire, true);
            }
        }
    }

    /// All cores have ended: so have their connections to servers.
    pub fn check_hung_up(&self) -> Result<(), Failure> {
        let open = |link: &crate::link::Link| link.dial.is_some() && link.state != State::Closed;
        match self.links.iter().filter(|link| open(link)).count() {
            0 => Ok(()),
            open => Err(Failure::new(format!("{open} connections to servers are left behind"))),
        }
    }
}

impl Fleet {
    /// The next of what happens by itself, later than now.
    fn due_after(&self, now_us: u64) -> Option<u64> {
        let agenda = self.agenda.iter().map(|(due_us, _)| *due_us);
        agenda.chain(self.wires.iter().flat_map(|wire| wire.times())).filter(|due_us| *due_us > now_us).min()
    }
}
