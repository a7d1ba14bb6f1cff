//! Owns: the one table of commands, and everything read off it (lookup, arity, error texts, COMMAND's replies).
//! Knows: names, arities, flags, key positions and documentation of each command, and how Redis words a refusal.
//! Must never know: what a command does, where a key lives, who is connected.
//! Read first: this file's enum, then `spec.rs`, then `table/string.rs` for what a row looks like.
//!
//! To add a command: one variant here, one row in the table of its group.

mod error;
pub mod flags;
pub mod introspect;
mod lookup;
mod names;
pub mod passage;
mod spec;
mod table;
mod tally;
#[cfg(test)]
mod tests;

pub use error::{CommandError, arity_text};
pub use lookup::{lookup, lookup_full, resolve, spec};
pub use spec::{Arg, ArgKind, Group, Keys, Spec};
pub use table::rows;
pub use tally::{Row, Tally};

/// Declares [`Command`] together with the list of its variants, so that the table can be checked against it.
macro_rules! commands {
    ($($variant:ident),* $(,)?) => {
        /// A command, or a subcommand of a container: what an executor matches on.
        ///
        /// A container (CLIENT, CONFIG, CLUSTER) is a variant because it has a row; [`resolve`] never returns it.
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Command { $($variant),* }

        impl Command {
            /// Each variant once, in order: `ALL[command as usize] == command`.
            pub const ALL: [Command; [$(Command::$variant),*].len()] = [$(Command::$variant),*];
        }
    };
}

#[rustfmt::skip]
commands! {
    // Strings.
    Get, Set, SetNx, SetEx, PSetEx, GetSet, GetDel, GetEx, MGet, MSet, Append, StrLen, GetRange, SetRange,
    Incr, Decr, IncrBy, DecrBy, IncrByFloat,
    SubStr,
    // Bits.
    SetBit, GetBit, BitCount, BitPos, BitField, BitFieldRo,
    // Any key.
    Del, Unlink, Exists, Type, Touch, Expire, PExpire, ExpireAt, PExpireAt, Ttl, PTtl, ExpireTime, PExpireTime,
    Persist, Scan, Keys, RandomKey,
    Object, ObjectEncoding, ObjectFreq, ObjectIdleTime, ObjectRefCount, ObjectHelp,
    // Transactions, and several keys in one step.
    Multi, Exec, Discard, Watch, Unwatch, Rename, RenameNx, Copy, MSetNx, BitOp, Lcs,
    Dump, Restore,
    // The connection.
    Ping, Echo, Quit, Reset, Hello, Auth, Select,
    Client, ClientId, ClientInfo, ClientList, ClientKill, ClientGetName, ClientSetName, ClientSetInfo, ClientReply,
    ClientNoEvict, ClientNoTouch, ClientHelp,
    // CLIENT TRACKING.
    ClientTracking, ClientTrackingInfo, ClientCaching, ClientGetRedir,
    // The server.
    Command, CommandCount, CommandInfo, CommandList, CommandGetKeys, CommandGetKeysAndFlags, CommandDocs, CommandHelp,
    DbSize, FlushAll, FlushDb, Info, Config, ConfigGet, ConfigSet, ConfigResetStat, ConfigHelp, Time, Shutdown,
    SlowLog, SlowLogGet, SlowLogLen, SlowLogReset, SlowLogHelp,
    // What the server says of itself, and what it is told to do.
    Latency, LatencyLatest, LatencyHistory, LatencyReset, LatencyGraph, LatencyDoctor, LatencyHistogram, LatencyHelp,
    Memory, MemoryUsage, MemoryStats, MemoryDoctor, MemoryMallocStats, MemoryPurge, MemoryHelp,
    Role, LastSave, Save, BgSave, BgRewriteAof, LolWut, Wait, Debug, ReplicaOf, SlaveOf, Failover,
    ConfigRewrite,
    ClientPause, ClientUnpause, ClientUnblock,
    // Hot keys.
    Hotkeys, HotkeysGet, HotkeysStart, HotkeysStop, HotkeysReset, HotkeysNotify, HotkeysSlow, HotkeysList, HotkeysExplain, HotkeysHelp,
    // Messages.
    Subscribe, Unsubscribe, PSubscribe, PUnsubscribe, SSubscribe, SUnsubscribe, Publish, SPublish,
    PubSub, PubSubChannels, PubSubNumSub, PubSubNumPat, PubSubShardChannels, PubSubShardNumSub, PubSubHelp, Monitor,
    // Scripts, of which there are none.
    Script, ScriptFlush, ScriptExists, ScriptHelp, Function, FunctionFlush, FunctionList, FunctionHelp,
    // The cluster.
    Cluster, ClusterKeySlot, ClusterHelp,
    ClusterInfo, ClusterMyId, ClusterMyShardId, ClusterNodes, ClusterSlots, ClusterShards, ClusterLinks,
    ClusterCountKeysInSlot, ClusterGetKeysInSlot, ClusterSlotStats, ClusterCountFailureReports, ClusterReplicas,
    ClusterSlaves, ReadOnly, ReadWrite, Asking,
    // The cluster, refused.
    ClusterAddSlots, ClusterAddSlotsRange, ClusterDelSlots, ClusterDelSlotsRange, ClusterFlushSlots, ClusterSetSlot,
    ClusterBumpEpoch, ClusterSetConfigEpoch, ClusterSaveConfig, ClusterMeet, ClusterForget, ClusterReplicate,
    ClusterFailover, ClusterReset,
}
