//! Owns: commands without a key: the connection's own, CLIENT, CONFIG, INFO, COMMAND, and those that walk all keys.
//! Knows: sessions, settings, statistics.
//! Must never know: items and tables; what concerns keys goes through the shard, on every core (`scatter.rs`).
//! Read first: `administer` below, then `connection.rs`.

pub(super) mod client;
pub(super) mod cluster;
mod config;
mod connection;
mod debug;
pub(super) mod hotkeys;
pub(super) mod info;
mod latency;
mod lolwut;
pub(super) mod memory;
mod pause;
mod replication;
pub(super) mod scan;
mod scripting;
pub(super) mod slowlog;

use super::Engine;
use super::event::Effects;
use super::gather::Gather;
use super::ingress::Call;
use super::sessions::Client;
use crate::keyspace::glob;
use crate::protocol::command::{Command, Group, introspect, spec};
use crate::protocol::resp::{Args, Reply};
use crate::types::Now;

const SYNTAX: &str = "ERR syntax error";
const NO_SNAPSHOTS: &str =
    "ERR there are no snapshots; changes are logged as they happen, and BGSAVE brings them to disk";
const NO_LOG: &str = "ERR keys are in memory only, until CONFIG SET appendonly yes";

impl Engine {
    /// Runs a command that is no operation on keys.
    pub(super) fn administer(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        match command {
            Command::Ping => connection::ping(client, args),
            Command::Echo => client.answer(|reply| reply.bulk(args.get(1))),
            Command::Quit => {
                client.answer(|reply| reply.ok());
                client.closing = true;
            }
            Command::Reset => self.reset(call.conn, client),
            Command::Hello => self.hello(client, args),
            Command::Auth => self.auth(client, args),
            Command::Select => connection::select(client, args, self.settings.cluster.is_some()),
            Command::ClientReply => connection::reply_mode(client, args),
            Command::ClientId
            | Command::ClientInfo
            | Command::ClientGetName
            | Command::ClientSetName
            | Command::ClientSetInfo
            | Command::ClientNoEvict
            | Command::ClientNoTouch => client::own(call.now, client, command, args),
            Command::ClientTracking
            | Command::ClientCaching
            | Command::ClientTrackingInfo
            | Command::ClientGetRedir => self.tracking(call, client, command, args),
            Command::ClientHelp
            | Command::ConfigHelp
            | Command::ClusterHelp
            | Command::HotkeysHelp
            | Command::LatencyHelp
            | Command::MemoryHelp
            | Command::ObjectHelp
            | Command::SlowLogHelp => {
                client.answer(|reply| introspect::help(container_of(command), reply));
            }
            Command::Command
            | Command::CommandCount
            | Command::CommandInfo
            | Command::CommandList
            | Command::CommandGetKeys
            | Command::CommandGetKeysAndFlags
            | Command::CommandDocs
            | Command::CommandHelp => {
                client.answer(|reply| introspect::answer(command, args, glob::matches, reply));
            }
            Command::HotkeysList
            | Command::HotkeysExplain
            | Command::HotkeysGet
            | Command::HotkeysStart
            | Command::HotkeysStop
            | Command::HotkeysReset => self.hotkeys(call, client, command, args),
            Command::SlowLogGet | Command::SlowLogLen | Command::SlowLogReset | Command::HotkeysSlow => {
                self.slowlog(call, client, command, args);
            }
            Command::HotkeysNotify => self.hotkeys_notify(client, args),
            Command::Shutdown => self.shutdown(client, args, call.effects),
            _ => match spec(command).group {
                Group::Cluster => self.cluster(call, client, command, args),
                Group::Scripting => client.answer(|reply| scripting::answer(command, args, reply)),
                _ => self.administer_server(call, client, command, args),
            },
        }
    }

    /// What is said of the server as a whole, and what is refused because it is alone.
    fn administer_server(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        match command {
            Command::LatencyLatest
            | Command::LatencyHistory
            | Command::LatencyReset
            | Command::LatencyGraph
            | Command::LatencyDoctor
            | Command::LatencyHistogram => self.latency(call, client, command, args),
            Command::MemoryUsage
            | Command::MemoryStats
            | Command::MemoryDoctor
            | Command::MemoryMallocStats
            | Command::MemoryPurge => self.memory(call, client, command, args),
            Command::Time => connection::time(client, call.now),
            Command::Debug => self.debug(call, client, args),
            Command::ConfigGet => config::get(&self.settings, client, args),
            Command::ConfigRewrite => self.config_rewrite(client),
            Command::Role => replication::role(client),
            Command::ReplicaOf | Command::SlaveOf => replication::replica_of(client, args),
            Command::Failover => replication::failover(client, args),
            Command::Wait => self.wait(call, client, args),
            Command::LolWut => lolwut::lolwut(client, self.cores, args),
            Command::LastSave => {
                let started_s = self.host.report().started.unix_us / 1_000_000;
                let synced_s = self.shell.log.synced_unix_s;
                client.answer(|reply| reply.integer(started_s.max(synced_s) as i64));
            }
            Command::Save => client.answer(|reply| reply.error(NO_SNAPSHOTS)),
            Command::BgSave | Command::BgRewriteAof if !self.has_log() => {
                client.answer(|reply| reply.error(NO_LOG));
            }
            _ => self.administer_all(call, client, command, args),
        }
    }

    /// This core's part of a command that concerns every core and that the engine knows nothing of.
    pub(super) fn admin_part(
        &mut self,
        now: Now,
        command: Command,
        args: &Args,
        reply: &mut Reply,
        effects: &mut Effects,
    ) {
        match command {
            Command::LatencyLatest
            | Command::LatencyHistory
            | Command::LatencyReset
            | Command::LatencyGraph
            | Command::LatencyDoctor
            | Command::LatencyHistogram => self.latency_part(command, args, reply),
            Command::MemoryStats | Command::MemoryDoctor => {
                let figures = self.figures(now);
                reply.raw(figures.as_bytes());
            }
            Command::Debug => self.debug_part(now, args, reply),
            Command::BgSave => {
                self.wish_to_sync();
                reply.simple("Background saving started");
            }
            Command::BgRewriteAof => {
                self.wish_to_clean();
                reply.simple("Background append only file rewriting started");
            }
            Command::ClientPause | Command::ClientUnpause | Command::ClientUnblock => {
                self.pause_part(now, command, args, reply, effects);
            }
            other => unreachable!("{other:?} does not concern every core"),
        }
    }

    /// Checks a command that concerns every core, then runs it on each, or on the one whose turn it is.
    fn administer_all(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let (cores, node) = (self.cores, self.is_node(client));
        if node && cluster::is_on_keys(command) {
            return self.keys_of_node(call, client, command, args);
        }
        let gather = match command {
            Command::Scan => return self.scan(call, client, args),
            Command::DbSize => Ok(Gather::count(cores)),
            Command::FlushAll | Command::FlushDb => flush_option(args).map(|()| Gather::ok(cores)),
            Command::Keys => Ok(Gather::array(cores)),
            Command::RandomKey => Ok(Gather::any(cores, self.draw_core())),
            Command::Info => {
                let request = info::InfoRequest::new(args, &self.settings, call.now, self.core, node);
                let tracking = self.hot_session.as_ref().map(|tracking| tracking.is_active());
                Ok(Gather::info(
                    cores,
                    request
                        .with_tracking(tracking)
                        .with_replication_changes(self.replication_changes)
                        .with_loading(self.ledger.loading_progress()),
                ))
            }
            Command::ConfigSet => self.check_config_set(args).map(|()| Gather::ok(cores)),
            Command::ConfigResetStat => Ok(Gather::ok(cores)),
            Command::BgSave if args.len() > 2 || args.len() == 2 && !args.get(1).eq_ignore_ascii_case(b"schedule") => {
                Err(SYNTAX.into())
            }
            Command::BgSave | Command::BgRewriteAof => Ok(Gather::any(cores, u32::from(self.core.0))),
            Command::ClientList => client::ListFilter::parse(args).map(|_| Gather::lines(cores)),
            Command::ClientKill => client::KillFilter::parse(args)
                .map(|filter| if filter.old_form { Gather::killed(cores) } else { Gather::count(cores) }),
            Command::ClientPause | Command::ClientUnpause => {
                pause::check(command, args).map(|()| Gather::ok(cores)).map_err(Vec::from)
            }
            Command::ClientUnblock => pause::check(command, args).map(|()| Gather::count(cores)).map_err(Vec::from),
            other => unreachable!("{other:?} has a place in the engine"),
        };
        match gather {
            Ok(gather) => {
                let gather = gather.in_proto(client.proto);
                self.everywhere(call, client, command, args, gather)
            }
            Err(error) => {
                client.answer(|reply| reply.error_bytes(&error));
            }
        }
    }

    /// On the core that the cursor names.
    fn scan(&mut self, call: &mut Call, client: &mut Client, args: &mut Args) {
        match scan::Scan::parse(args, self.cores) {
            Ok(scan) => {
                let core = scan.core;
                self.on_core(call, client, core, Command::Scan, args);
            }
            Err(error) => client.answer(|reply| reply.error(&error)),
        }
    }

    /// A core drawn at random, by the shard's own dice.
    fn draw_core(&mut self) -> u32 {
        (self.shard.draw() % self.cores as u64) as u32
    }

    fn shutdown(&mut self, client: &mut Client, args: &Args, effects: &mut Effects) {
        let given = |word: &str| args.iter().skip(1).filter(|arg| arg.eq_ignore_ascii_case(word.as_bytes())).count();
        let words = args.len() - 1;
        if words > 0 && given("abort") == words {
            return client.answer(|reply| reply.error("ERR No shutdown in progress."));
        }
        let (nosave, save) = (given("nosave"), given("save"));
        if nosave + save + given("now") + given("force") < words || nosave > 0 && save > 0 {
            return client.answer(|reply| reply.error(SYNTAX));
        }
        log::info!("a client asked for shutdown");
        effects.shutdown = true;
    }
}

/// The command that a HELP is about.
fn container_of(help: Command) -> Command {
    match help {
        Command::ClientHelp => Command::Client,
        Command::ConfigHelp => Command::Config,
        Command::HotkeysHelp => Command::Hotkeys,
        Command::LatencyHelp => Command::Latency,
        Command::MemoryHelp => Command::Memory,
        Command::ObjectHelp => Command::Object,
        Command::SlowLogHelp => Command::SlowLog,
        _ => Command::Cluster,
    }
}

pub(super) fn flush_option(args: &Args) -> Result<(), Vec<u8>> {
    match args.try_get(1) {
        None => Ok(()),
        Some(option)
            if args.len() == 2 && (option.eq_ignore_ascii_case(b"async") || option.eq_ignore_ascii_case(b"sync")) =>
        {
            Ok(())
        }
        Some(_) => Err(SYNTAX.into()),
    }
}
