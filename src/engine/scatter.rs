//! Commands that concern every core: each does its part, the reply is put together where the client is.

use super::admin;
use super::event::Effects;
use super::gather::Gather;
use super::ingress::Call;
use super::keys::Whole;
use super::letter::Ticket;
use super::sessions::Client;
use super::{Engine, Stats};
use crate::keyspace::command::{LOG_FAILED, Request, ScanFilter, ScanPlace};
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Output, Proto, Reply};
use crate::types::{ConnId, CoreId, KeyHash, Now, Slot};

/// Why a core need not check the arguments of its part.
pub(super) const CHECKED: &str = "the core that was asked has checked it";

/// Whether the reply of a command without a key, or what it does, depends on the keys that there are.
pub(super) fn is_about_all_keys(command: Command) -> bool {
    use Command::{ClusterCountKeysInSlot, ClusterGetKeysInSlot, ClusterSlotStats};
    use Command::{DbSize, Debug, FlushAll, FlushDb, Info, Keys, RandomKey, Scan};
    matches!(
        command,
        DbSize
            | Debug
            | FlushAll
            | FlushDb
            | Info
            | Keys
            | RandomKey
            | Scan
            | ClusterCountKeysInSlot
            | ClusterGetKeysInSlot
            | ClusterSlotStats
    )
}

/// A command as an operation on no key.
fn keyless<'a>(command: Command, args: &'a mut Args) -> Request<'a> {
    let places = args.places();
    Request { command, args: args.narrow(places), slot: Slot(0), hash: KeyHash(0), hint: None }
}

impl Engine {
    /// Runs a command on every core. `here` is the part of this core, given to the gathering at once.
    pub(super) fn everywhere(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        command: Command,
        args: &mut Args,
        gather: Gather,
    ) {
        if args.has_bodies() {
            // One would move into the first letter, and all cores need it.
            let (text, places) = args.flatten();
            return self.everywhere(call, client, command, &mut Args::new(&text, &places, &mut []), gather);
        }
        let mut whole = Whole::open(client, gather.of(command), self.cores == 1);
        let own = self.core;
        for core in self.other_cores() {
            let number = whole.number.expect("with other cores a slot was opened");
            self.post_keyless(core, Ticket::new(call.conn, number, u32::from(core.0)), client, command, args);
        }
        // What it does elsewhere comes before what this client asks next: no copy answers until it is done.
        client.hold_copies();
        if self.waits_for_keys(call.conn, command) {
            let number = whole.number.expect("nothing waits without other cores");
            return self.wait_keyless(Ticket::new(call.conn, number, own.0.into()), command, args);
        }
        let (mut output, proto) = (Output::default(), client.proto);
        self.part(call.now, Some(client), command, args, &mut Reply { out: &mut output, proto }, call.effects);
        self.part_done(command, own);
        whole.add(client, u32::from(self.core.0), &output);
        self.close_whole(client, whole);
    }

    /// Whether this core's part of a command has to wait for what its connection has asked before. What is not about keys
    /// does not: it stands in order with requests that never wait, as SUBSCRIBE and PUBSUB do.
    fn waits_for_keys(&self, conn: ConnId, command: Command) -> bool {
        self.transactions.is_active() && is_about_all_keys(command) && self.has_to_wait(conn, None)
    }

    /// Keeps this core's part of a command until what its connection has asked before is done.
    fn wait_keyless(&mut self, ticket: Ticket, command: Command, args: &mut Args) {
        self.wait_for_unlock(self.core, ticket, Proto::Resp2, 0, &mut keyless(command, args));
    }

    /// Sends a command without a key to one other core.
    fn post_keyless(&mut self, core: CoreId, ticket: Ticket, client: &Client, command: Command, args: &mut Args) {
        self.post.ask(core, ticket, client.proto, &mut keyless(command, args));
    }

    /// Runs a command on one core, which `command`'s arguments name: SCAN goes from core to core by its cursor.
    pub(super) fn on_core(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        core: CoreId,
        command: Command,
        args: &mut Args,
    ) {
        if core == self.core && self.waits_for_keys(call.conn, command) {
            let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
            return self.wait_keyless(ticket, command, args);
        }
        if core == self.core {
            let mut output = Output::default();
            let proto = client.proto;
            self.part(call.now, Some(client), command, args, &mut Reply { out: &mut output, proto }, call.effects);
            return client.answer(|reply| reply.out.append(&output, 0..output.bytes.len()));
        }
        let number = client.queue.wait(client.is_muted());
        self.post_keyless(core, Ticket::new(call.conn, number, 0), client, command, args);
        client.hold_copies();
    }

    /// Runs a command on one core for a reply that has other parts.
    pub(super) fn on_core_as_part(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        core: CoreId,
        command: Command,
        args: &mut Args,
        ticket: Ticket,
    ) {
        if core != self.core {
            self.post_keyless(core, ticket, client, command, args);
            return client.hold_copies();
        }
        if self.waits_for_keys(call.conn, command) {
            return self.wait_keyless(ticket, command, args);
        }
        let mut output = Output::default();
        let mut reply = Reply { out: &mut output, proto: Proto::Resp2 };
        self.part(call.now, Some(client), command, args, &mut reply, call.effects);
        self.part_done(command, core);
        if client.queue.part(ticket.slot).add(ticket.part, &output, 0..output.bytes.len()) {
            self.complete(client, ticket.slot);
        }
    }

    /// Serves another core's letter of that kind.
    pub(super) fn serve_everywhere(
        &mut self,
        now: Now,
        from: CoreId,
        ticket: Ticket,
        command: Command,
        args: Args,
        effects: &mut Effects,
    ) {
        let mut output = Output::default();
        self.part(now, None, command, &args, &mut Reply { out: &mut output, proto: Proto::Resp2 }, effects);
        self.part_done(command, from);
        self.post.batch(from).answer(ticket, |out| out.append(&output, 0..output.bytes.len()));
    }

    /// Clients that keep keys are told to forget them once core `asked`, where the command came in, knows of all parts.
    fn part_done(&mut self, command: Command, asked: CoreId) {
        if matches!(command, Command::FlushAll | Command::FlushDb) {
            self.tell_flushed(asked);
        }
    }

    /// This core's part of a command that concerns every core. `asking` is the client, if it is here: while its
    /// requests run it is not among the sessions.
    pub(super) fn part(
        &mut self,
        now: Now,
        asking: Option<&mut Client>,
        command: Command,
        args: &Args,
        reply: &mut Reply,
        effects: &mut Effects,
    ) {
        match command {
            Command::DbSize => reply.integer(self.shard.len() as i64),
            Command::FlushAll | Command::FlushDb if self.shard.refuses_writes() => reply.error(LOG_FAILED),
            Command::FlushAll | Command::FlushDb => {
                self.shard.clear();
                reply.ok();
            }
            Command::Keys => self.keys_part(now, args.get(1), reply),
            Command::RandomKey => self.random_key(now, reply),
            Command::Scan => self.scan_part(now, args, self.cores, reply),
            Command::Info => {
                let (names, listened) = self.listened();
                let [channels, patterns, shard_channels] = names;
                let figures = Stats { channels, patterns, shard_channels, ..self.figures(now) };
                reply.raw(bytemuck::bytes_of(&figures));
                reply.raw(&listened);
                self.write_census(admin::info::wanted(args), &mut reply.out.bytes);
                admin::hotkeys::write_keys(&self.hot_keys(now, admin::info::HOT_KEYS_MAX), &mut reply.out.bytes);
            }
            Command::HotkeysList
            | Command::HotkeysExplain
            | Command::HotkeysGet
            | Command::HotkeysStart
            | Command::HotkeysStop
            | Command::HotkeysReset => self.hotkeys_part(now, command, args, reply),
            Command::SlowLogGet | Command::SlowLogLen | Command::SlowLogReset | Command::HotkeysSlow => {
                self.slowlog_part(command, args, reply);
            }
            Command::ClusterCountKeysInSlot | Command::ClusterGetKeysInSlot => {
                self.keys_in_slot_part(command, args, reply);
            }
            Command::ClusterSlotStats => self.slot_stats_part(args, reply),
            Command::PubSubChannels
            | Command::PubSubNumSub
            | Command::PubSubNumPat
            | Command::PubSubShardChannels
            | Command::PubSubShardNumSub => self.survey_part(command, args, reply),
            Command::ConfigSet => {
                for pair in 1..args.len() / 2 {
                    let changed = self.settings.set(args.get(pair * 2), args.get(pair * 2 + 1));
                    changed.expect(CHECKED);
                }
                self.apply_settings();
                reply.ok();
            }
            Command::ConfigResetStat => {
                self.reset_stats();
                reply.ok();
            }
            Command::ClientList => {
                let text = self.client_list(now, args, asking.as_deref());
                reply.raw(text.as_bytes());
            }
            Command::ClientKill => {
                let filter = admin::client::KillFilter::parse(args).expect(CHECKED);
                reply.integer(self.client_kill(&filter, asking, effects));
            }
            _ => self.admin_part(now, command, args, reply, effects),
        }
    }

    fn keys_part(&self, now: Now, pattern: &[u8], reply: &mut Reply) {
        let filter = ScanFilter { pattern: Some(pattern), strings: true };
        let (mut count, mut body) = (0, Output::default());
        self.shard.scan(ScanPlace::default(), usize::MAX, now.unix_ms(), &filter, |key| {
            count += 1;
            Reply { out: &mut body, proto: reply.proto }.bulk(key);
        });
        reply.array(count);
        reply.out.append(&body, 0..body.bytes.len());
    }

    fn random_key(&mut self, now: Now, reply: &mut Reply) {
        // Keys that have expired are not shown; a few draws find another one if there are any.
        for _ in 0..100 {
            let Some(item) = self.shard.random_item() else { break };
            if self.shard.expiry_ms(item).is_none_or(|at_ms| at_ms > now.unix_ms()) {
                return reply.bulk(self.shard.key_of(item));
            }
        }
        reply.null();
    }

    /// This core's part of a SCAN that goes through so many cores.
    pub(super) fn scan_part(&self, now: Now, args: &Args, cores: usize, reply: &mut Reply) {
        let scan = admin::scan::Scan::parse(args, cores).expect(CHECKED);
        let (mut count, mut body) = (0, Output::default());
        let next = self.shard.scan(scan.place, scan.count, now.unix_ms(), &scan.filter(), |key| {
            count += 1;
            Reply { out: &mut body, proto: reply.proto }.bulk(key);
        });
        reply.array(2);
        reply.bulk(scan.next_cursor(next, cores).to_string().as_bytes());
        reply.array(count);
        reply.out.append(&body, 0..body.bytes.len());
    }

    /// Sets what INFO counts to zero, on this core. The hot keys' own counts go on.
    fn reset_stats(&mut self) {
        self.sets_before = self.sets();
        self.shard.counts = Default::default();
        self.durations = Default::default();
        self.stats = Stats { slots: self.stats.slots, ..Stats::default() };
        self.reset_servers();
    }

    /// Calls of SET that changed a key, or were refused by NX or XX, which the shard takes off its count.
    fn sets(&self) -> u64 {
        let row = self.shard.counts.tally.row(Command::Set);
        self.sets_before.wrapping_add(row.calls.wrapping_sub(row.failed))
    }

    /// What this core has counted.
    pub(super) fn figures(&mut self, now: Now) -> Stats {
        let paused = self.waits.pause.is_some();
        let (mut client_bytes, mut blocked) = (0, 0);
        for (_, client) in self.sessions.iter_mut() {
            client_bytes += client.memory_bytes() as u64;
            // As in Redis, who waits for the end of a pause counts too.
            blocked += u64::from(client.parked || paused && client.stalled);
        }
        let (rates, counts, hot) = (self.pulse.rates(now), &self.shard.counts, &self.hot);
        let hot_keys = hot.directory.iter().count() as u64;
        Stats {
            connections: self.sessions.len() as u64,
            hits: counts.hits,
            misses: counts.misses,
            expired: counts.expired,
            evicted: counts.evicted,
            keys: self.shard.len() as u64,
            expiring: self.shard.expiring() as u64,
            used_bytes: self.shard.used_bytes() as u64,
            peak_bytes: self.peak_bytes.max(self.shard.used_bytes() as u64),
            table_bytes: self.shard.table_bytes() as u64,
            client_bytes,
            changes: self.shard.change_count().wrapping_add(self.sets()),
            blocked,
            errors: counts.tally.errors(),
            commands_rate: rates.commands,
            input_rate: rates.input_bytes,
            output_rate: rates.output_bytes,
            letters_sent: self.post.sent,
            enters: self.shell.enters,
            wakes: self.shell.wakes,
            cpu_us: self.shell.cpu_us,
            logs: u64::from(self.journal.is_on),
            logs_failed: u64::from(self.shard.refuses_writes()),
            logs_loading: u64::from(self.journal.loading),
            logs_rewriting: u64::from(self.ledger.is_beginning_log()).max(self.shell.log.cleans),
            loaded: self.journal.loaded,
            loaded_expired: self.journal.loaded_expired,
            log_frames: self.shell.log.frames,
            log_bytes: self.shell.log.bytes,
            log_syncs: self.shell.log.syncs,
            log_disk_bytes: self.shell.log.disk_bytes,
            hot_keys,
            warm_keys: (hot.board.iter().count() as u64).saturating_sub(hot_keys),
            promotions: hot.promoted,
            demotions: hot.demoted,
            replica_hits: hot.cache.hits() + hot.upstream.hits(),
            folds: hot.cache.folds + hot.upstream.folds,
            fold_members: hot.cache.members + hot.upstream.members,
            tracking_clients: self.invalidation.clients,
            tracked_keys: self.invalidation.readers.len() as u64,
            tracked_items: self.invalidation.readers.items() as u64,
            tracked_prefixes: self.invalidation.prefixes.first_of(self.core) as u64,
            ..self.stats
        }
    }
}
