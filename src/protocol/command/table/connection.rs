//! The client's own connection, and CLIENT, which looks at others.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE};
use crate::protocol::command::spec::{Arg, Group, Spec};

/// May run at any time, even before AUTH.
const FIRST: u32 = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY;
const OWN: u32 = NOSCRIPT | LOADING | STALE;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Connection)
}

const ON_OFF: &[Arg] = &[Arg::word("on", "ON"), Arg::word("off", "OFF")];
const EACH_CLIENT: &str = "O(N) where N is the number of connections";

pub static ROWS: &[Spec] = &[
    row("ping", C::Ping, -1)
        .flags(FAST)
        .doc("1.0.0", "O(1)", "Answer PONG, or the argument")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .args(&[Arg::text("message").optional()]),
    row("echo", C::Echo, 2)
        .flags(LOADING | STALE | FAST)
        .doc("1.0.0", "O(1)", "Answer the argument")
        .args(&[Arg::text("message")]),
    row("quit", C::Quit, -1).flags(FIRST).doc("1.0.0", "O(1)", "Close the connection"),
    row("reset", C::Reset, 1).flags(FIRST).doc("6.2.0", "O(1)", "Bring the connection back to its first state"),
    row("hello", C::Hello, -1).flags(FIRST).doc("6.0.0", "O(1)", "Choose the protocol version, and log in").args(&[
        Arg::block(
            "arguments",
            &[
                Arg::integer("protover"),
                Arg::block("username_password", &[Arg::text("username"), Arg::text("password")])
                    .after("AUTH")
                    .optional(),
                Arg::text("clientname").after("SETNAME").optional(),
            ],
        )
        .optional(),
    ]),
    row("auth", C::Auth, -2)
        .flags(FIRST)
        .doc("1.0.0", "O(N) where N is the number of the user's passwords", "Log in")
        .args(&[Arg::text("username").since("6.0.0").optional(), Arg::text("password")]),
    row("select", C::Select, 2)
        .flags(LOADING | STALE | FAST)
        .doc("1.0.0", "O(1)", "Choose the database")
        .args(&[Arg::integer("index")]),
    row("client", C::Client, -2)
        .acl(0)
        .doc("2.4.0", "Depends on subcommand.", "Commands about client connections")
        .subcommands(CLIENT),
];

static CLIENT: &[Spec] = &[
    row("client|id", C::ClientId, 2).flags(OWN).doc("5.0.0", "O(1)", "Answer the connection's number"),
    row("client|info", C::ClientInfo, 2)
        .flags(OWN)
        .doc("6.2.0", "O(1)", "Describe the connection")
        .tips(&["nondeterministic_output"]),
    row("client|list", C::ClientList, -2)
        .flags(OWN | ADMIN)
        .doc("2.4.0", EACH_CLIENT, "Describe the connections")
        .tips(&["nondeterministic_output"])
        .args(&[
            Arg::one_of(
                "normal_master_replica_pubsub",
                &[
                    Arg::word("normal", "NORMAL"),
                    Arg::word("master", "MASTER"),
                    Arg::word("replica", "REPLICA"),
                    Arg::word("pubsub", "PUBSUB"),
                ],
            )
            .after("TYPE")
            .since("5.0.0")
            .optional(),
            Arg::block("id", &[Arg::integer("client-id").multiple()]).after("ID").since("6.2.0").optional(),
        ]),
    row("client|kill", C::ClientKill, -3)
        .flags(OWN | ADMIN)
        .doc("2.4.0", EACH_CLIENT, "Close connections")
        .args(&[Arg::one_of("filter", KILL_FILTERS)]),
    row("client|getname", C::ClientGetName, 2).flags(OWN).doc("2.6.9", "O(1)", "Answer the connection's name"),
    row("client|setname", C::ClientSetName, 3)
        .flags(OWN)
        .doc("2.6.9", "O(1)", "Name the connection")
        .args(&[Arg::text("connection-name")]),
    row("client|setinfo", C::ClientSetInfo, 4)
        .flags(OWN)
        .doc("7.2.0", "O(1)", "Note the client library's name or version")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .args(&[Arg::one_of("attr", &[Arg::text("libname").after("LIB-NAME"), Arg::text("libver").after("LIB-VER")])]),
    row("client|pause", C::ClientPause, -3)
        .flags(OWN | ADMIN)
        .doc("2.9.50", "O(1)", "Let requests wait for some time")
        .args(&[
            Arg::integer("timeout"),
            Arg::one_of("mode", &[Arg::word("write", "WRITE"), Arg::word("all", "ALL")]).since("6.2.0").optional(),
        ]),
    row("client|unpause", C::ClientUnpause, 2).flags(OWN | ADMIN).doc(
        "6.2.0",
        "O(N) where N is the number of paused clients",
        "Let the requests that wait go on",
    ),
    row("client|unblock", C::ClientUnblock, -3)
        .flags(OWN | ADMIN)
        .doc("5.0.0", "O(log N) where N is the number of connections", "End the wait of another connection")
        .args(&[
            Arg::integer("client-id"),
            Arg::one_of("timeout_error", &[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")]).optional(),
        ]),
    row("client|reply", C::ClientReply, 3).flags(OWN).doc("3.2.0", "O(1)", "Turn replies on or off, or skip one").args(
        &[Arg::one_of("on_off_skip", &[Arg::word("on", "ON"), Arg::word("off", "OFF"), Arg::word("skip", "SKIP")])],
    ),
    row("client|no-evict", C::ClientNoEvict, 3)
        .flags(OWN | ADMIN)
        .doc("7.0.0", "O(1)", "Spare the connection when client buffers are evicted")
        .args(&[Arg::one_of("enabled", ON_OFF)]),
    row("client|no-touch", C::ClientNoTouch, 3)
        .flags(OWN)
        .doc("7.2.0", "O(1)", "Let the connection's reads leave no mark on keys' last use")
        .args(&[Arg::one_of("enabled", ON_OFF)]),
    row("client|tracking", C::ClientTracking, -3)
        .flags(OWN)
        .doc("6.0.0", "O(1). Some options may introduce additional complexity.", "Be told when keys change, or no more")
        .args(TRACKING),
    row("client|trackinginfo", C::ClientTrackingInfo, 2).flags(OWN).doc(
        "6.2.0",
        "O(1)",
        "Answer how the connection is told when keys change",
    ),
    row("client|caching", C::ClientCaching, 3)
        .flags(OWN)
        .doc("6.0.0", "O(1)", "Say whether the keys of the next request are kept, in OPTIN and OPTOUT mode")
        .args(&[Arg::one_of("mode", &[Arg::word("yes", "YES"), Arg::word("no", "NO")])]),
    row("client|getredir", C::ClientGetRedir, 2).flags(OWN).doc(
        "6.0.0",
        "O(1)",
        "Answer which connection is told instead of this one",
    ),
    row("client|help", C::ClientHelp, 2).flags(LOADING | STALE).doc("5.0.0", "O(1)", "List the subcommands"),
];

const TRACKING: &[Arg] = &[
    Arg::one_of("status", ON_OFF),
    Arg::integer("client-id").after("REDIRECT").optional(),
    Arg::text("prefix").after("PREFIX").optional().multiple(),
    Arg::word("bcast", "BCAST").optional(),
    Arg::word("optin", "OPTIN").optional(),
    Arg::word("optout", "OPTOUT").optional(),
    Arg::word("noloop", "NOLOOP").optional(),
];

/// The second alternative is any number of `NAME value` pairs.
const KILL_FILTERS: &[Arg] = &[
    Arg::text("ip:port").deprecated("2.8.12"),
    Arg::one_of(
        "new-format",
        &[
            Arg::integer("client-id").after("ID").since("2.8.12").optional(),
            Arg::one_of(
                "normal_master_slave_pubsub",
                &[
                    Arg::word("normal", "NORMAL"),
                    Arg::word("master", "MASTER").since("3.2.0"),
                    Arg::word("slave", "SLAVE"),
                    Arg::word("replica", "REPLICA").since("5.0.0"),
                    Arg::word("pubsub", "PUBSUB"),
                ],
            )
            .after("TYPE")
            .since("2.8.12")
            .optional(),
            Arg::text("username").after("USER").optional(),
            Arg::text("ip:port").after("ADDR").optional(),
            Arg::text("ip:port").after("LADDR").since("6.2.0").optional(),
            Arg::text("yes/no").after("SKIPME").optional(),
        ],
    )
    .multiple(),
];
