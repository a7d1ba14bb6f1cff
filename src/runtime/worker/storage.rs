//! What a turn does for the log: changes are written before anything that rests on them leaves.

use super::Worker;
use crate::engine::{Departure, LogCounts};
use crate::runtime::disk::{Disk, LoadError, Standing};
use crate::runtime::mailbox::Mail;
use crate::types::{ConnId, CoreId, Now};
use std::io;

impl Worker {
    /// Loads keys for a while, if there are any left to load.
    pub(super) fn load(&mut self, now: Now) -> Result<(), LoadError> {
        if let Some(loader) = &mut self.loader {
            let is_loaded = loader.turn(&mut self.engine, now)?;
            self.ledger.set_loaded(self.core, loader.loaded_bytes(), self.engine.keys() as u64);
            if is_loaded {
                if let Some(disk) = &mut self.disk {
                    disk.loaded(loader.frames());
                }
                self.loader = None;
                self.ledger.core_loaded();
            }
        }
        if self.engine.is_loading() && !self.ledger.is_loading() {
            self.engine.end_loading();
        }
        Ok(())
    }

    /// Writes what the turn has changed, and follows where the log is switched on or off.
    pub(super) fn log(&mut self, now: Now) {
        if self.ledger.log_switches() != self.log_switches {
            self.switch_log();
        }
        let Some(disk) = &mut self.disk else { return };
        let mut standing = disk.turn(&mut self.engine, &mut self.ring, now);
        if disk.is_newly_rewritten() {
            self.ledger.core_rewritten(self.log_switches);
        }
        // One core takes away what all have outlived: one word makes an end of all of it, since a key may have been in
        // several logs.
        if self.core == CoreId(0) && !self.ledger.is_rewriting(self.log_switches) {
            match disk.bury_outlived(&mut self.engine, &self.ledger, now.mono_us) {
                Ok(true) => self.ledger.bury_outlived(self.log_switches),
                Ok(false) => {}
                Err(error) => standing = disk.fail("write", &error),
            }
        }
        if !self.ledger.has_outlived(self.log_switches) {
            disk.forget_outlived();
        }
        self.stand(standing);
    }

    /// Ends the log that there is, with all that has been said until now, and begins the one that is wanted.
    fn switch_log(&mut self) {
        if self.disk.as_ref().is_some_and(Disk::is_syncing) {
            // What that says of the disk nobody else will hear.
            return;
        }
        let (switches, options) = self.switch.fetch(self.core);
        self.log_switches = switches;
        if let Some(mut disk) = self.disk.take() {
            let lasts = disk.finish(&mut self.engine);
            let position = self.engine.log_position();
            if lasts {
                self.stand(Standing::Up(position));
            } else if self.given_up.is_none() {
                self.stand(Standing::Failed);
            }
            self.engine.end_log();
            self.given_up = None;
            self.gate.reset();
        }
        if let Some(options) = options {
            self.disk = Some(Disk::new(options, &mut self.engine));
            self.engine.begin_log();
            self.engine.begin_rewrite();
        }
    }

    pub(super) fn log_counts(&self) -> LogCounts {
        self.disk.as_ref().map_or(LogCounts::default(), |disk| disk.counts)
    }

    /// The core ends.
    pub(super) fn finish_log(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        disk.finish_rewrite(&mut self.engine);
        disk.finish(&mut self.engine);
        if disk.is_newly_rewritten() {
            self.ledger.core_rewritten(self.log_switches);
        }
    }

    pub(super) fn synced(&mut self, now: Now, switches: u64, result: io::Result<()>) {
        // Of a log that has ended nobody awaits it.
        let Some(disk) = self.disk.as_mut().filter(|_| switches == self.log_switches) else { return };
        let standing = disk.synced(&mut self.engine, now.unix_us / 1_000_000, result);
        self.stand(standing);
    }

    /// Lets go of what may leave now.
    fn stand(&mut self, standing: Standing) {
        match standing {
            Standing::Up(position) => {
                if self.given_up.take_if(|given_up| *given_up <= position).is_some() {
                    self.engine.trust();
                }
                self.gate.open(position);
                if !self.engine.refuses_writes() {
                    self.gate.recover();
                }
            }
            // Reads go on. What waits is given up, and is written all the same once there is room; what changes after that
            // is no client's doing, and nobody waits for it.
            Standing::Short(position) if self.given_up.is_some() => self.gate.waive(position),
            Standing::Short(position) if self.gate.holds(position) => self.give_up(position),
            Standing::Failed if self.given_up != Some(u64::MAX) => {
                self.give_up(u64::MAX);
                self.engine.log_failed();
            }
            Standing::Short(_) | Standing::Failed => {}
        }
    }

    /// Who waits for an answer that rests on frames up to `position` loses the connection, and nobody waits for them any
    /// more.
    fn give_up(&mut self, position: u64) {
        for departure in self.gate.give_up() {
            match departure {
                Departure::Output(conn) => self.effects.kill.push(conn),
                Departure::Letters(to, mut batch) => {
                    batch.tainted = true;
                    self.gate.hold(0, Departure::Letters(to, batch));
                }
            }
        }
        self.engine.give_up_answers(&mut self.effects);
        self.gate.waive(position);
        self.given_up = Some(position);
    }

    /// Sends what the engine has for a connection, unless a send is in flight: then its completion brings it up. What rests
    /// on changes that are not durable yet waits, as if it were in flight.
    pub(super) fn send_ready(&mut self, conn: ConnId) {
        if self.is_live(conn)
            && self.sockets.can_send(conn)
            && let Some(output) = self.output_of(conn)
        {
            let position = self.engine.log_position();
            if self.gate.holds(position) {
                self.sockets.hold(conn, output);
                self.gate.hold(position, Departure::Output(conn));
            } else {
                self.sockets.send(&mut self.ring, conn, output);
            }
        }
    }

    /// Sends what has waited long enough.
    pub(super) fn release(&mut self) {
        while let Some(departure) = self.gate.let_go() {
            match departure {
                Departure::Output(conn) if self.is_live(conn) => self.sockets.launch(&mut self.ring, conn),
                Departure::Output(_) => {}
                Departure::Letters(to, batch) => match self.mailbox.put(to, Mail::Letters { from: self.core, batch }) {
                    Ok(ring) => self.wake(ring),
                    Err(Mail::Letters { batch, .. }) => {
                        self.gate.put_back(to, batch);
                        self.mail_is_stuck = true;
                        break;
                    }
                    Err(Mail::Connection { .. }) => unreachable!("letters come back as letters"),
                },
            }
        }
    }
}
