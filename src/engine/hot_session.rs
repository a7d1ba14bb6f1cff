//! What keys use between HOTKEYS START and STOP: this core's part of a session, as Redis 8.6 has them.
//!
//! Keys are counted by a [`Heat`] of the session's own. Its windows are added up here, in a table that is cut back to
//! the heaviest when it has grown to four times what is asked for, so that memory has a bound.
//!
//! **CPU time is apportioned, not measured.** Reading a clock around each command would cost more than most commands. In
//! each window the core's CPU time is divided by the operations that it ran, its own clients' and other cores', and an
//! operation on a key is charged that much, with 1,024 bytes weighing as much as an operation. So a slow command on one
//! key is charged to all keys of its window.
//!
//! Bytes are those of requests, and of replies that this core encodes. Replies to operations that ran on another core
//! are not among them: they come back without their key.

use super::Engine;
use super::ingress::Call;
use super::sessions::Client;
use crate::heat::{Access, Heat, HeatOptions, Report};
use crate::keyspace::command::Request;
use crate::protocol::command::{flags::flag, spec};
use crate::types::{CoreId, KeyHash, Now, Slot};
use std::collections::BTreeMap;

/// Windows are as long as this, but for the last.
const WINDOW_US: u64 = 100_000;
/// Keys that are counted one by one, for each one asked for.
const CANDIDATES_FACTOR: usize = 10;
const CANDIDATES_MIN: usize = 64;
/// The table of sums is cut back when it holds so many times the candidates.
const KEYS_FACTOR: usize = 4;

/// What HOTKEYS START asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotSessionOptions {
    pub cpu: bool,
    pub net: bool,
    /// Keys that each list shows.
    pub count: usize,
    /// `None`: until STOP.
    pub duration_us: Option<u64>,
    /// One of so many commands is looked at.
    pub sample: u64,
}

/// What a key used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    pub cpu_us: f64,
    pub net_bytes: f64,
}

/// What a core has done so far, to tell what it did in a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    pub cpu_us: u64,
    /// Operations of its clients and of other cores.
    pub ops: u64,
}

/// One core's part of a session.
pub struct HotSession {
    pub options: HotSessionOptions,
    pub began: Now,
    /// CPU time of the process in user and system mode when it began.
    pub process_us: (u64, u64),
    ended_us: Option<u64>,
    heat: Heat,
    dice: u64,
    window_began_us: u64,
    window_work: Work,
    /// Operations on keys in this window, and those of them that were sampled.
    keyed: u64,
    sampled: u64,
    cpu_us: f64,
    net_bytes: u64,
    keys: BTreeMap<Box<[u8]>, Use>,
    keys_max: usize,
}

impl HotSession {
    pub fn new(options: HotSessionOptions, now: Now, work: Work, process_us: (u64, u64), seed: u64) -> HotSession {
        let candidates_max = (options.count * CANDIDATES_FACTOR).max(CANDIDATES_MIN);
        let heat =
            HeatOptions { seed, window_us: WINDOW_US, candidates_max, report_ops_min: 0.0, ..Default::default() };
        let mut heat = Heat::new(heat);
        heat.turn(now.mono_us);
        HotSession {
            options,
            began: now,
            process_us,
            ended_us: None,
            heat,
            dice: seed | 1,
            window_began_us: now.mono_us,
            window_work: work,
            keyed: 0,
            sampled: 0,
            cpu_us: 0.0,
            net_bytes: 0,
            keys: BTreeMap::new(),
            keys_max: candidates_max * KEYS_FACTOR,
        }
    }

    pub fn is_active(&self) -> bool {
        self.ended_us.is_none()
    }

    /// How long it has counted.
    pub fn duration_us(&self, now: Now) -> u64 {
        self.ended_us.unwrap_or(now.mono_us).saturating_sub(self.began.mono_us)
    }

    /// CPU time and bytes of all operations on keys.
    pub fn totals(&self) -> (u64, u64) {
        (self.cpu_us.round() as u64, self.net_bytes)
    }

    /// Keys that used something.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], Use)> {
        self.keys.iter().map(|(key, used)| (&**key, *used))
    }

    /// Takes an operation on a key.
    pub fn count(&mut self, key: &[u8], slot: Slot, hash: KeyHash, access: Access, bytes: u64) {
        self.keyed += 1;
        self.net_bytes += bytes;
        if self.options.sample > 1 && !self.draw().is_multiple_of(self.options.sample) {
            return;
        }
        self.sampled += 1;
        if self.heat.counts() {
            self.heat.sample(key, slot, hash, access, bytes);
        }
    }

    /// Once a turn, before its events.
    pub fn turn(&mut self, now: Now, work: Work) {
        if !self.is_active() {
            return;
        }
        let end_us = self.options.duration_us.map(|duration_us| self.began.mono_us.saturating_add(duration_us));
        if let Some(end_us) = end_us.filter(|end_us| *end_us <= now.mono_us) {
            self.close_window(now, work);
            self.ended_us = Some(end_us);
            return;
        }
        self.heat.turn(now.mono_us);
        // The shell reads CPU time now and then only; until it has, a window has nothing to share out.
        let measured = work.cpu_us > self.window_work.cpu_us;
        if measured && now.mono_us.saturating_sub(self.window_began_us) >= WINDOW_US {
            self.close_window(now, work);
        }
    }

    pub fn stop(&mut self, now: Now, work: Work) {
        if self.is_active() {
            self.close_window(now, work);
            self.ended_us = Some(now.mono_us);
        }
    }

    /// Adds up what was counted since the last window, however short that is.
    pub fn close_window(&mut self, now: Now, work: Work) {
        if !self.is_active() {
            return;
        }
        let since = Work {
            cpu_us: work.cpu_us.saturating_sub(self.window_work.cpu_us),
            ops: work.ops.saturating_sub(self.window_work.ops).max(self.keyed),
        };
        // A window closed before its CPU time was read is charged what an operation has cost so far.
        let measured = if since.cpu_us > 0 { since } else { work };
        let op_us = measured.cpu_us as f64 / measured.ops.max(1) as f64;
        self.cpu_us += op_us * self.keyed as f64;
        let mut reports = Vec::new();
        let seconds = self.heat.close(now.mono_us, (op_us * self.sampled as f64).ceil() as u64, &mut reports);
        for Report { key, rates, .. } in reports {
            let used = self.keys.entry(key).or_default();
            used.cpu_us += rates.cpu_us * seconds;
            used.net_bytes += rates.bytes * seconds;
        }
        (self.window_began_us, self.window_work, self.keyed, self.sampled) = (now.mono_us, work, 0, 0);
        self.heat.turn(now.mono_us);
        if self.keys.len() > self.keys_max {
            self.cut_back();
        }
    }

    /// Keeps the heavier half: keys whose part of the CPU time or of the bytes is larger.
    fn cut_back(&mut self) {
        let (cpu_us, net_bytes) = (self.cpu_us.max(1.0), self.net_bytes.max(1) as f64);
        let part = |used: &Use| (used.cpu_us / cpu_us).max(used.net_bytes / net_bytes);
        let mut parts: Vec<f64> = self.keys.values().map(part).collect();
        let middle = parts.len() / 2;
        let (_, bound, _) = parts.select_nth_unstable_by(middle, f64::total_cmp);
        let bound = *bound;
        let mut left = self.keys_max / 2;
        self.keys.retain(|_, used| {
            let stays = part(used) >= bound && left > 0;
            left -= usize::from(stays);
            stays
        });
    }

    /// xorshift64*, as the shard's dice; the shard's own are not touched, so that counting changes nothing.
    fn draw(&mut self) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}

impl Engine {
    /// Runs an operation that needs more than that: its client is told of changes, or a session exists.
    #[inline(never)]
    pub(super) fn operate_attentively(
        &mut self,
        call: &Call,
        client: &mut Client,
        owner: CoreId,
        mut request: Request,
    ) {
        let spec = spec(request.command);
        match self.hot_session {
            Some(_) => self.operate_counted(call, client, owner, request),
            None => self.dispatch_for(call, client, owner, &mut request),
        }
        self.request_ends(client, spec);
    }

    /// As [`Engine::dispatch`], for a client that may be one whom owners heed.
    pub(super) fn dispatch_for(&mut self, call: &Call, client: &mut Client, owner: CoreId, request: &mut Request) {
        if self.is_heeded(client) {
            return self.dispatch_heeded(call, client, owner, request);
        }
        self.dispatch(call, client, owner, request);
    }

    /// What the client's output grows by is the reply.
    fn operate_counted(&mut self, call: &Call, client: &mut Client, owner: CoreId, mut request: Request) {
        let owed = |client: &Client| client.output.len_bytes() + client.queue.stashed_bytes();
        let (key, asked) = (request.args.get(1).to_vec(), request_bytes(&request));
        let (slot, hash, access) = (request.slot, request.hash, access(&request));
        let before = owed(client);
        self.dispatch_for(call, client, owner, &mut request);
        let answered = owed(client).saturating_sub(before) as u64;
        if let Some(tracking) = self.hot_session.as_mut().filter(|tracking| tracking.is_active()) {
            tracking.count(&key, slot, hash, access, asked + answered);
        }
    }

    /// Counts an operation whose reply is a part of a sum.
    #[inline]
    pub(super) fn track(&mut self, request: &Request, answered: u64) {
        if let Some(tracking) = self.hot_session.as_mut().filter(|tracking| tracking.is_active()) {
            let bytes = request_bytes(request) + answered;
            tracking.count(request.args.get(1), request.slot, request.hash, access(request), bytes);
        }
    }
}

fn access(request: &Request) -> Access {
    if spec(request.command).has(flag::WRITE) { Access::Write } else { Access::Read }
}

/// Bytes of a request as clients send them: `*N`, and a length before and an end behind each argument.
fn request_bytes(request: &Request) -> u64 {
    let digits = |number: usize| u64::from(number.max(1).ilog10()) + 1;
    let arg = |arg: &[u8]| 1 + digits(arg.len()) + 2 + arg.len() as u64 + 2;
    1 + digits(request.args.len()) + 2 + request.args.iter().map(arg).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(options: HotSessionOptions) -> HotSession {
        let mut tracking = HotSession::new(options, at(0), Work::default(), (0, 0), 7);
        tracking.turn(at(0), Work::default());
        tracking
    }

    fn at(mono_us: u64) -> Now {
        Now { mono_us, unix_us: mono_us }
    }

    fn all() -> HotSessionOptions {
        HotSessionOptions { cpu: true, net: true, count: 10, duration_us: None, sample: 1 }
    }

    fn count(tracking: &mut HotSession, key: u64, times: usize) {
        for _ in 0..times {
            tracking.count(&key.to_le_bytes(), Slot(0), KeyHash(key << 32 | key), Access::Read, 100);
        }
    }

    /// CPU time of a window is shared out by operations, keyless ones included; bytes add up exactly.
    #[test]
    fn use_is_added_up_over_windows() {
        let mut tracking = started(all());
        for window in 1..=3 {
            count(&mut tracking, 1, 300);
            count(&mut tracking, 2, 100);
            tracking.turn(at(window * WINDOW_US), Work { cpu_us: window * 1000, ops: window * 800 });
        }
        let used: Vec<Use> = tracking.keys().map(|(_, used)| used).collect();
        assert_eq!(tracking.totals(), (1500, 120_000));
        assert!((used[0].cpu_us - 1125.0).abs() < 5.0 && (used[1].cpu_us - 375.0).abs() < 5.0, "{used:?}");
        assert!((used[0].net_bytes - 90_000.0).abs() < 1.0, "{used:?}");
    }

    /// A session ends at its time, whenever the next turn is, and counts no more.
    #[test]
    fn a_session_ends_by_itself() {
        let mut tracking = started(HotSessionOptions { duration_us: Some(50_000), ..all() });
        count(&mut tracking, 1, 10);
        tracking.turn(at(49_999), Work::default());
        assert!(tracking.is_active());
        tracking.turn(at(9_000_000), Work { cpu_us: 40, ops: 10 });
        assert!(!tracking.is_active());
        assert_eq!((tracking.duration_us(at(10_000_000)), tracking.totals()), (50_000, (40, 1000)));
    }

    /// One of ten commands is looked at and is not scaled up, while the totals have all of them.
    #[test]
    fn samples_are_not_scaled_up() {
        let mut tracking = started(HotSessionOptions { sample: 10, ..all() });
        count(&mut tracking, 1, 10_000);
        tracking.stop(at(WINDOW_US), Work { cpu_us: 10_000, ops: 10_000 });
        let (_, used) = tracking.keys().next().expect("it was counted");
        assert_eq!(tracking.totals(), (10_000, 1_000_000));
        assert!((80_000.0..120_000.0).contains(&used.net_bytes) && used.cpu_us < 1_200.0, "{used:?}");
    }

    /// However many keys come by, the table stays within its bound and keeps the heaviest.
    #[test]
    fn memory_has_a_bound() {
        let mut tracking = started(all());
        let mut ops = 0;
        for window in 1..100 {
            count(&mut tracking, 1, 500);
            for key in 0..200 {
                count(&mut tracking, window * 1000 + key, 1);
            }
            ops += 700;
            tracking.turn(at(window * WINDOW_US), Work { cpu_us: ops, ops });
            assert!(tracking.keys().count() <= tracking.keys_max);
        }
        let heaviest = tracking.keys().map(|(_, used)| used.net_bytes).fold(0.0, f64::max);
        assert!(heaviest > 4_000_000.0, "{heaviest}");
    }
}
