//! Messages: who listens to which channel, and MONITOR, which listens to everything.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::{ADMIN, FAST, LOADING, NOSCRIPT, PUBSUB, STALE};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const LISTEN: u32 = PUBSUB | NOSCRIPT | LOADING | STALE;
const LOOK: u32 = PUBSUB | LOADING | STALE;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::PubSub)
}

const EACH_CHANNEL: &str = "O(N) where N is the number of channels named";
const EACH_PATTERN: &str = "O(N) where N is the number of patterns named";
const EACH_LISTED: &str = "O(N) where N is the number of channels that somebody listens to";

pub static ROWS: &[Spec] = &[
    row("subscribe", C::Subscribe, -2)
        .flags(LISTEN)
        .doc("2.0.0", EACH_CHANNEL, "Listen to channels")
        .args(&[Arg::text("channel").multiple()]),
    row("unsubscribe", C::Unsubscribe, -1)
        .flags(LISTEN)
        .doc("2.0.0", EACH_CHANNEL, "Listen no more to the named channels, or to all")
        .args(&[Arg::text("channel").optional().multiple()]),
    row("psubscribe", C::PSubscribe, -2)
        .flags(LISTEN)
        .doc("2.0.0", EACH_PATTERN, "Listen to all channels whose names match a pattern")
        .args(&[Arg::block("pattern", &[Arg::pattern("pattern")]).multiple()]),
    row("punsubscribe", C::PUnsubscribe, -1)
        .flags(LISTEN)
        .doc("2.0.0", EACH_PATTERN, "Listen no more to the named patterns, or to all")
        .args(&[Arg::pattern("pattern").optional().multiple()]),
    row("ssubscribe", C::SSubscribe, -2)
        .flags(LISTEN)
        .keys(Keys::channels(-1))
        .doc("7.0.0", EACH_CHANNEL, "Listen to shard channels")
        .args(&[Arg::text("shardchannel").multiple()]),
    row("sunsubscribe", C::SUnsubscribe, -1)
        .flags(LISTEN)
        .keys(Keys::channels(-1))
        .doc("7.0.0", EACH_CHANNEL, "Listen no more to the named shard channels, or to all")
        .args(&[Arg::text("shardchannel").optional().multiple()]),
    row("publish", C::Publish, 3)
        .flags(LOOK | FAST)
        .doc(
            "2.0.0",
            "O(N+M) where N is the number of listeners and M is the number of patterns that anybody listens to",
            "Send a message to a channel, and answer how many got it",
        )
        .args(&[Arg::text("channel"), Arg::text("message")]),
    row("spublish", C::SPublish, 3)
        .flags(LOOK | FAST)
        .keys(Keys::channels(1))
        .doc(
            "7.0.0",
            "O(N) where N is the number of listeners",
            "Send a message to a shard channel, and answer how many got it",
        )
        .args(&[Arg::text("shardchannel"), Arg::text("message")]),
    row("pubsub", C::PubSub, -2)
        .doc("2.8.0", "Depends on subcommand.", "Commands about channels")
        .subcommands(SUBCOMMANDS),
    Spec::new("monitor", C::Monitor, 1, Group::Server).flags(ADMIN | NOSCRIPT | LOADING | STALE).doc(
        "1.0.0",
        "O(1); each request then costs O(N) where N is its length",
        "Show every request as it runs",
    ),
];

static SUBCOMMANDS: &[Spec] = &[
    row("pubsub|channels", C::PubSubChannels, -2)
        .flags(LOOK)
        .doc("2.8.0", EACH_LISTED, "List the channels that somebody listens to")
        .args(&[Arg::pattern("pattern").optional()]),
    row("pubsub|numsub", C::PubSubNumSub, -2)
        .flags(LOOK)
        .doc("2.8.0", EACH_CHANNEL, "Count the listeners of channels, those by pattern left out")
        .args(&[Arg::text("channel").optional().multiple()]),
    row("pubsub|numpat", C::PubSubNumPat, 2).flags(LOOK).doc(
        "2.8.0",
        "O(N) where N is the number of patterns",
        "Count the patterns that somebody listens to",
    ),
    row("pubsub|shardchannels", C::PubSubShardChannels, -2)
        .flags(LOOK)
        .doc("7.0.0", EACH_LISTED, "List the shard channels that somebody listens to")
        .args(&[Arg::pattern("pattern").optional()]),
    row("pubsub|shardnumsub", C::PubSubShardNumSub, -2)
        .flags(LOOK)
        .doc("7.0.0", EACH_CHANNEL, "Count the listeners of shard channels")
        .args(&[Arg::text("shardchannel").optional().multiple()]),
    row("pubsub|help", C::PubSubHelp, 2).flags(LOADING | STALE).doc("6.2.0", "O(1)", "List the subcommands"),
];
