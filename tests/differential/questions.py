"""Commands about the server, the cluster and the connection that `words.CONNECTION` has not: a part of its groups. Where a
reply is each server's own (numbers, help texts, what a server has that the other lacks) only its shape is compared.
"""

from differential.words import fixed

CLUSTER = (
    ("INFO",), ("MYID",), ("NODES",), ("SLOTS",), ("SHARDS",), ("LINKS",),
    ("COUNTKEYSINSLOT", "0"), ("GETKEYSINSLOT", "0", "1"), ("COUNT-FAILURE-REPORTS", "x"), ("REPLICAS", "x"),
    ("SLAVES", "x"), ("ADDSLOTS", "1"), ("ADDSLOTSRANGE", "1", "2"), ("DELSLOTS", "1"), ("DELSLOTSRANGE", "1", "2"),
    ("BUMPEPOCH",), ("FAILOVER",), ("FLUSHSLOTS",), ("FORGET", "x"), ("MEET", "127.0.0.1", "1"), ("REPLICATE", "x"),
    ("RESET",), ("SAVECONFIG",), ("SET-CONFIG-EPOCH", "1"), ("SETSLOT", "1", "STABLE"), ("BOGUS",), (),
)  # fmt: skip
HELPED = ("CLIENT", "COMMAND", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG")

# Groups of equal weight; a group's members are alternatives.
QUESTIONS = (
    (*(fixed("CLUSTER", *args) for args in CLUSTER), fixed("READONLY"), fixed("READWRITE"), fixed("ASKING")),
    (*(fixed(name, "HELP", compare="shape") for name in HELPED), fixed("PUBSUB", "HELP", "x"), fixed("CONFIG", "HELP", "x")),
    (
        fixed("CLIENT", "ID", compare="shape"),
        fixed("CLIENT", "INFO", compare="client_info"),
        fixed("CLIENT", "INFO", "x"),
        fixed("CLIENT", "GETREDIR"),
        fixed("CLIENT", "TRACKINGINFO"),
        fixed("CLIENT", "CACHING", "YES"),
        fixed("CLIENT", "CACHING", "maybe"),
        fixed("CLIENT", "TRACKING", "OFF"),
        fixed("CLIENT", "TRACKING", "maybe"),
        fixed("CLIENT", "TRACKING", "ON", "REDIRECT", "999999999"),
        fixed("CLIENT", "TRACKING", "ON", "REDIRECT", "x"),
        fixed("CLIENT", "TRACKING", "ON", "PREFIX", "x"),
        fixed("CLIENT", "TRACKING", "ON", "OPTIN", "OPTOUT"),
        fixed("CLIENT", "TRACKING", "ON", "BCAST", "OPTIN"),
        fixed("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "ab", "PREFIX", "abc"),
        fixed("CLIENT", "TRACKING", "ON", "bogus"),
    ),
    (
        fixed("COMMAND", compare="shape"),
        fixed("COMMAND", "COUNT", compare="shape"),
        fixed("COMMAND", "LIST", compare="mostly"),
        fixed("COMMAND", "LIST", "FILTERBY", "PATTERN", "*et*", compare="mostly"),
        fixed("COMMAND", "LIST", "FILTERBY", "ACLCAT", "bitmap", compare="unordered"),
        fixed("COMMAND", "LIST", "FILTERBY", "ACLCAT", "bogus"),
        fixed("COMMAND", "LIST", "FILTERBY", "MODULE", "bogus"),
        fixed("COMMAND", "LIST", "FILTERBY", "bogus", "x"),
        fixed("COMMAND", "LIST", "FILTERBY"),
        fixed("COMMAND", "DOCS", "get", compare="shape"),
        fixed("COMMAND", "DOCS", "bogus"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "SET", "a", "1"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "SET", "a", "1", "GET"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "MSET", "a", "1", "b", "2"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "COPY", "a", "b"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "PING"),
        fixed("COMMAND", "GETKEYSANDFLAGS", "bogus"),
    ),
    (
        fixed("FUNCTION", "FLUSH"),
        fixed("FUNCTION", "FLUSH", "ASYNC"),
        fixed("FUNCTION", "FLUSH", "maybe"),
        fixed("FUNCTION", "LIST"),
        fixed("FUNCTION", "LIST", "WITHCODE"),
        fixed("FUNCTION", "LIST", "LIBRARYNAME", "x*"),
        fixed("FUNCTION", "LIST", "maybe"),
        fixed("SCRIPT", "FLUSH"),
        fixed("SCRIPT", "FLUSH", "SYNC"),
        fixed("SCRIPT", "FLUSH", "maybe"),
        fixed("SCRIPT", "EXISTS", "a" * 40, "b"),
        fixed("SCRIPT", "EXISTS"),
    ),
    (
        fixed("INFO", "keyspace", compare="keyspace_info"),
        fixed("INFO", "nosuch"),
        fixed("INFO", compare="shape"),
        fixed("LASTSAVE", compare="shape"),
        fixed("TIME", compare="time"),
        fixed("SLAVEOF", "NO", "ONE"),
        fixed("SHUTDOWN", "ABORT"),
        fixed("SHUTDOWN", "NOW", "ABORT"),
        fixed("SHUTDOWN", "maybe"),
#NOSAVE
        fixed("LATENCY", "LATEST"),
        fixed("LATENCY", "LATEST", "x"),
        fixed("LATENCY", "DOCTOR", compare="shape"),
        fixed("MEMORY", "DOCTOR", compare="shape"),
        fixed("MEMORY", "STATS", compare="shape"),
        fixed("SLOWLOG", "LEN", compare="shape"),
        fixed("SLOWLOG", "GET", "0"),
        fixed("SLOWLOG", "GET", "-2"),
        fixed("SLOWLOG", "GET", "x"),
        fixed("SLOWLOG", "GET", compare="shape"),
        fixed("SLOWLOG", "RESET"),
        fixed("CONFIG", "GET", "notify-keyspace-events"),
        fixed("CONFIG", "GET", "tracking-table-max-keys"),
        fixed("CONFIG", "GET", "maxclients", "timeout", "maxmemory-samples", compare="pairs"),
        fixed("CONFIG", "SET", "tracking-table-max-keys", "-1"),
    ),
    (
        lambda g: g.command("OBJECT", "IDLETIME", g.key(), compare="shape"),
        lambda g: g.command("OBJECT", "FREQ", g.key()),
        lambda g: g.command("OBJECT", "REFCOUNT", g.key(), compare="shape"),
        lambda g: g.command("MEMORY", "USAGE", g.key(), compare="shape"),
        lambda g: g.command("DEBUG", "OBJECT", g.key(), compare="shape"),
    ),
)  # fmt: skip

# What both servers have and this test does not ask, with the reason.
LEFT_OUT = {
    "memory|malloc-stats": "the allocator's own",
    "monitor": "shows times and addresses; tests/pubsub/monitor.rs",
    "save": "refused: a log is written as changes happen, and no snapshot",
    "bgsave": "refused where there is no log",
    "bgrewriteaof": "refused where there is no log; tests/crash asks for it where there is one",
    "cluster|keyslot": "answered here though no cluster is announced; `ends.misplaced` asks a node of one",
    "cluster|help": "answered here though no cluster is announced",
}
