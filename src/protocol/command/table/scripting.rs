//! Scripts and functions: there are none, so that they can be forgotten and looked for, but neither loaded nor run.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::{LOADING, NOSCRIPT, STALE, WRITE};
use crate::protocol::command::spec::{Arg, Group, Spec};

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Scripting)
}

const MODE: &[Arg] = &[Arg::one_of("async", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")]).optional()];

pub static ROWS: &[Spec] = &[
    row("script", C::Script, -2)
        .acl(0)
        .doc("2.6.0", "Depends on subcommand.", "Commands about scripts, of which there are none")
        .subcommands(SCRIPT),
    row("function", C::Function, -2)
        .acl(0)
        .doc("7.0.0", "Depends on subcommand.", "Commands about functions, of which there are none")
        .subcommands(FUNCTION),
];

static SCRIPT: &[Spec] = &[
    row("script|flush", C::ScriptFlush, -2)
        .flags(NOSCRIPT)
        .doc("2.6.0", "O(1)", "Forget all scripts")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .args(MODE),
    row("script|exists", C::ScriptExists, -3)
        .flags(NOSCRIPT)
        .doc("2.6.0", "O(N) where N is the number of digests", "Tell which scripts are there: none is")
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
        .args(&[Arg::text("sha1").multiple()]),
    row("script|help", C::ScriptHelp, 2).flags(LOADING | STALE).doc("5.0.0", "O(1)", "List the subcommands"),
];

static FUNCTION: &[Spec] = &[
    row("function|flush", C::FunctionFlush, -2)
        .flags(WRITE | NOSCRIPT)
        .doc("7.0.0", "O(1)", "Forget all functions")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .args(MODE),
    row("function|list", C::FunctionList, -2)
        .flags(NOSCRIPT)
        .doc("7.0.0", "O(1)", "List the functions: there is none")
        .tips(&["nondeterministic_output_order"])
        .args(&[
            Arg::text("library-name-pattern").after("LIBRARYNAME").optional(),
            Arg::word("withcode", "WITHCODE").optional(),
        ]),
    row("function|help", C::FunctionHelp, 2).flags(LOADING | STALE).doc("7.0.0", "O(1)", "List the subcommands"),
];
