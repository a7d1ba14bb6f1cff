//! The three sets of flags a command has. Each set is a `u32` of bits, and names in the order of Redis's replies.

/// Declares a module of consecutive bits and the name that each has on the wire.
macro_rules! bits {
    ($(#[$doc:meta])* $set:ident { $first:ident = $first_name:literal, $($flag:ident = $name:literal,)* }) => {
        $(#[$doc])*
        pub mod $set {
            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            enum Place { $first, $($flag),* }
            pub const $first: u32 = 1 << Place::$first as u32;
            $(pub const $flag: u32 = 1 << Place::$flag as u32;)*
            /// Bit and name, in the order in which replies list them.
            pub const NAMES: &[(u32, &str)] = &[($first, $first_name), $(($flag, $name)),*];
        }
    };
}

bits! {
    /// What a command may do, and when it may run.
    flag {
        WRITE = "write", READONLY = "readonly", DENYOOM = "denyoom", ADMIN = "admin", PUBSUB = "pubsub",
        NOSCRIPT = "noscript", BLOCKING = "blocking", LOADING = "loading", STALE = "stale",
        SKIP_MONITOR = "skip_monitor", SKIP_SLOWLOG = "skip_slowlog", ASKING = "asking", FAST = "fast",
        NO_AUTH = "no_auth", MAY_REPLICATE = "may_replicate", NO_MANDATORY_KEYS = "no_mandatory_keys",
        NO_ASYNC_LOADING = "no_async_loading", NO_MULTI = "no_multi", MOVABLE_KEYS = "movablekeys",
        ALLOW_BUSY = "allow_busy",
    }
}

bits! {
    /// The ACL categories; several follow from the flags (see [`super::Spec::categories`]).
    category {
        KEYSPACE = "@keyspace", READ = "@read", WRITE = "@write", SET = "@set", SORTED_SET = "@sortedset",
        LIST = "@list", HASH = "@hash", STRING = "@string", BITMAP = "@bitmap", HYPERLOGLOG = "@hyperloglog",
        GEO = "@geo", STREAM = "@stream", PUBSUB = "@pubsub", ADMIN = "@admin", FAST = "@fast", SLOW = "@slow",
        BLOCKING = "@blocking", DANGEROUS = "@dangerous", CONNECTION = "@connection",
        TRANSACTION = "@transaction", SCRIPTING = "@scripting",
    }
}

bits! {
    /// What a command does with the keys it names.
    access {
        RO = "RO", RW = "RW", OW = "OW", RM = "RM", ACCESS = "access", UPDATE = "update", INSERT = "insert",
        DELETE = "delete", NOT_KEY = "not_key", INCOMPLETE = "incomplete", VARIABLE = "variable_flags",
    }
}

/// The names of the bits that are set.
pub fn names(bits: u32, table: &'static [(u32, &'static str)]) -> impl Iterator<Item = &'static str> {
    table.iter().filter(move |(bit, _)| bits & bit != 0).map(|(_, name)| *name)
}
