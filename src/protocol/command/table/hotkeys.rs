//! Hot keys: what is done about them, and the reports of Redis 8.6 and Valkey 9.2.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::*;
use crate::protocol::command::spec::{Arg, Group, Spec};

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Server)
}

const EACH_CORE: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

const ALL_CORES: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub static ROWS: &[Spec] = &[row("hotkeys", C::Hotkeys, -2)
    .doc("8.6.0", "Depends on subcommand.", "Commands about hot keys")
    .subcommands(HOTKEYS)];

const METRICS: &[Arg] = &[
    Arg::integer("count").after("METRICS"),
    Arg::word("cpu", "CPU").optional(),
    Arg::word("net", "NET").optional(),
    Arg::integer("k").after("COUNT").optional(),
    Arg::integer("seconds").after("DURATION").optional(),
    Arg::integer("ratio").after("SAMPLE").optional(),
];

static HOTKEYS: &[Spec] = &[
    row("hotkeys|get", C::HotkeysGet, 2)
        .flags(ADMIN | NOSCRIPT)
        .doc(
            "8.6.0",
            "O(K) where K is the number of keys reported",
            "Report the session of START, or else the hottest keys",
        )
        .tips(EACH_CORE),
    row("hotkeys|start", C::HotkeysStart, -2)
        .flags(ADMIN | NOSCRIPT)
        .doc("8.6.0", "O(1)", "Count what each key uses from now on")
        .tips(ALL_CORES)
        .args(METRICS),
    row("hotkeys|stop", C::HotkeysStop, 2)
        .flags(ADMIN | NOSCRIPT)
        .doc("8.6.0", "O(1)", "End counting and keep the report")
        .tips(ALL_CORES),
    row("hotkeys|reset", C::HotkeysReset, 2)
        .flags(ADMIN | NOSCRIPT)
        .doc("8.6.0", "O(1)", "Forget the report of an ended session")
        .tips(ALL_CORES),
    row("hotkeys|list", C::HotkeysList, 2)
        .flags(ADMIN | NOSCRIPT)
        .doc(
            "8.6.0",
            "O(N) where N is the number of hot keys",
            "List the hot keys with their rates and what is done about them",
        )
        .tips(EACH_CORE),
    row("hotkeys|explain", C::HotkeysExplain, 3)
        .flags(ADMIN | NOSCRIPT)
        .doc("8.6.0", "O(N) where N is the number of cores", "Tell why a key is hot or not, and what that has saved")
        .tips(EACH_CORE)
        .args(&[Arg::text("key")]),
    row("hotkeys|slow", C::HotkeysSlow, -2)
        .flags(ADMIN | LOADING | STALE)
        .doc(
            "8.6.0",
            "O(N) where N is the number of entries",
            "List slow requests as SLOWLOG GET does, each with what is done about its key",
        )
        .tips(EACH_CORE)
        .args(&[Arg::integer("count").optional()]),
    row("hotkeys|notify", C::HotkeysNotify, 3)
        .flags(ADMIN | NOSCRIPT)
        .doc("8.6.0", "O(1)", "Push a message to this connection whenever a key turns hot or cool, or no longer")
        .args(&[Arg::one_of("on_off", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])]),
    row("hotkeys|help", C::HotkeysHelp, 2).flags(LOADING | STALE).doc("8.6.1", "O(1)", "List the subcommands"),
];
