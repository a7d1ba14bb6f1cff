//! The one table of parameters. A row here is a flag, a key in files, a line of the help, of `--print-config` and of
//! CONFIG GET; adding a parameter means adding its field in `settings` and its row here, nothing else.

use super::hot;
use super::kind::{Kind, UNBOUNDED};
use super::metrics;
use super::names::{DEBUG_ACCESS, ENDPOINTS, FSYNCS, LEVELS, POLICIES};
use super::parameter::{Parameter, field};
use super::settings::{self, Config};
use crate::heat::WARM_MAX;
use crate::types::VALUE_BYTES_MAX;

/// The sections in the order in which they are printed, with what each is for.
pub const SECTIONS: &[(&str, &str)] = &[
    ("network", "Where clients connect, and how their sockets are kept."),
    ("cores", "Which CPUs serve, and how keys are spread over them."),
    ("ring", "Each core's io_uring: its sizes, how it waits, whether it polls."),
    ("memory", "How much memory values may take, and what leaves when it is full."),
    (hot::SECTION, "Which keys count as hot, and how much may be done about them."),
    ("cluster", "The cores as nodes of a cluster, for clients that send each key to its owner."),
    ("limits", "What clients may take, so that none takes it from the others."),
    ("security", "Who may talk to the server."),
    ("log", "What the server writes down or publishes, and where."),
    (metrics::SECTION, "Figures for Prometheus and what else reads OpenMetrics."),
];

/// Every parameter, section by section.
pub const TABLE: &[Parameter] = &[
    Parameter::row("network", "bind", "bind", field!(network.bind))
        .kind(Kind::Addresses, "127.0.0.1")
        .redis("bind")
        .why(
            "Addresses to listen on, IPv4 and IPv6. Only this machine can connect by default: set requirepass, or \
              keep strangers off the network, before you widen it.",
        ),
    Parameter::row("network", "port", "port", field!(network.port))
        .kind(Kind::Count { min: 0, max: 65_535 }, "6379")
        .redis("port")
        .why("TCP port. 0 opens none, for a server that is reached over its Unix socket only."),
    Parameter::row("network", "unixsocket", "unixsocket", field!(network.unixsocket))
        .kind(Kind::Path, "")
        .redis("unixsocket")
        .why(
            "Unix socket to listen on as well. Empty for none. Clients on this machine skip the kernel's TCP that \
              way, which is most of what an unpipelined request costs.",
        ),
    Parameter::row("network", "unixsocketperm", "unixsocketperm", field!(network.unixsocketperm))
        .kind(Kind::Octal { max: 0o777 }, "700")
        .redis("unixsocketperm")
        .why(
            "File mode of the Unix socket. It says who on this machine may connect: 700 admits the server's own \
              user, 770 its group too; 0 leaves it to the umask.",
        ),
    Parameter::row("network", "tcp_backlog", "tcp-backlog", field!(network.tcp_backlog))
        .kind(Kind::Count { min: 1, max: 65_535 }, "511")
        .redis("tcp-backlog")
        .why(
            "Connections that may wait to be accepted. The kernel cuts it to net.core.somaxconn, so a burst of \
              clients needs both raised.",
        ),
    Parameter::row("network", "tcp_keepalive", "tcp-keepalive", field!(network.tcp_keepalive_s))
        .kind(Kind::Count { min: 0, max: 32_767 }, "300")
        .unit("seconds")
        .redis("tcp-keepalive")
        .why(
            "Idle time after which the kernel probes a client. Peers that vanished without a word are found that \
              way, and give their descriptor and buffers back. 0 never probes.",
        ),
    Parameter::row("network", "timeout", "timeout", field!(network.timeout_s))
        .kind(Kind::Count { min: 0, max: 2_147_483_647 }, "0")
        .unit("seconds")
        .redis("timeout")
        .live()
        .why(
            "Closes a client that has been silent for so long. 0 never does: pooled connections are idle by \
              design.",
        ),
    Parameter::row("cores", "cpus", "cores", field!(cores.cpus_asked)).kind(Kind::Cpus { empty: "auto" }, "auto").why(
        "CPUs to serve on. Each gets one thread, one io_uring and one shard of the keys. auto takes every CPU \
              that this process may run on, apart from those that sqpoll_cpu names.",
    ),
    Parameter::row("cores", "pin", "pin", field!(cores.pin)).kind(Kind::Switch, "on").why(
        "Pins each core's thread to its CPU. That keeps its shard in the CPU's caches. Turn it off where other \
              busy processes share the CPUs: the scheduler may then step aside for them.",
    ),
    Parameter::row("cores", "virtual_nodes", "virtual-nodes", field!(cores.virtual_nodes))
        .kind(Kind::Count { min: 1, max: 65_536 }, "1024")
        .why(
            "Points of each core on the hash ring. More of them spread the slots more evenly and take longer to \
              compile at start; requests never see the ring, only the table that it is compiled into. Changing it \
              moves keys.",
        ),
    Parameter::row("cores", "weights", "weights", field!(cores.weights)).kind(Kind::Weights { max: 1000 }, "").why(
        "Share of the keys that each core owns. One weight a core, in the order of the CPUs; empty when all \
              own the same. For CPUs that are not alike, or that have other work to do.",
    ),
    Parameter::row("cores", "mailbox_batches", "mailbox-batches", field!(cores.mailbox_batches))
        .kind(Kind::PowerOfTwo { min: 16, max: 65_536 }, "1024")
        .unit("batches in each core's mailbox")
        .why(
            "Batches that may wait for a core, from all others together. A full mailbox makes the sender stop reading from its \
              clients until there is room, so it bounds memory and never loses a request.",
        ),
    Parameter::row("ring", "entries", "ring-entries", field!(ring.entries))
        .kind(Kind::PowerOfTwo { min: 64, max: 32_768 }, "1024")
        .why(
            "Submission queue entries of each io_uring. A turn that needs more enters the kernel more than once, \
              which is correct and slower; 1024 suits some ten thousand clients.",
        ),
    Parameter::row("ring", "buffers", "ring-buffers", field!(ring.buffers))
        .kind(Kind::PowerOfTwo { min: 16, max: 32_768 }, "64")
        .unit("for each core")
        .why(
            "Receive buffers that a core lends to the kernel. They are shared by all its clients and held only \
              while bytes are in them; when they run out, receiving waits for one to come back. Few of them stay in the \
              processor's cache.",
        ),
    Parameter::row("ring", "buffer_bytes", "ring-buffer-bytes", field!(ring.buffer_bytes))
        .kind(Kind::Bytes { min: 1 << 10, max: 4 << 20 }, "16kb")
        .why(
            "Size of one receive buffer. Larger ones take deep pipelines and large values in fewer pieces; each \
              core holds ring buffers times this much memory from the start.",
        ),
    Parameter::row("ring", "sqpoll", "sqpoll", field!(ring.sqpoll)).kind(Kind::Switch, "off").why(
        "Lets a kernel thread poll each submission queue. A busy core then submits without a system call, and \
              the thread spends CPU time of its own while it polls: worth it only with CPUs to spare, named by \
              sqpoll_cpu.",
    ),
    Parameter::row("ring", "sqpoll_cpu", "sqpoll-cpu", field!(ring.sqpoll_cpus))
        .kind(Kind::Cpus { empty: "" }, "")
        .why(
            "CPUs for the polling threads, taken in turn. None of them may serve. Empty leaves the threads to the \
              scheduler, where they compete with the cores that they are to help.",
        ),
    Parameter::row("ring", "sqpoll_idle_ms", "sqpoll-idle-ms", field!(ring.sqpoll_idle_ms))
        .kind(Kind::Count { min: 1, max: 60_000 }, "1000")
        .unit("milliseconds")
        .why(
            "A polling thread without work sleeps after this long. The next submission then pays a system call to \
              wake it; until then it burns its CPU.",
        ),
    Parameter::row("ring", "napi_busy_poll_us", "napi-busy-poll-us", field!(ring.napi_busy_poll_us))
        .kind(Kind::Count { min: 0, max: 10_000 }, "0")
        .unit("microseconds")
        .why(
            "Polls the network card so long before sleeping. The card's interrupt is then seldom waited for, which \
              trades CPU time for latency; the card's driver must support it, and loopback gains nothing. 0 is off.",
        ),
    Parameter::row("ring", "min_wait_us", "min-wait-us", field!(ring.min_wait_us))
        .kind(Kind::Count { min: 0, max: 10_000 }, "300")
        .unit("microseconds")
        .why(
            "Under load a core gathers requests for so long at most. And at most four times as long as its turns \
             compute: it spares wake-ups and CPU time; a lone client never waits. Needs Linux 6.12; 0 is off.",
        ),
    Parameter::row("ring", "spin_us", "spin-us", field!(ring.spin_us))
        .kind(Kind::Count { min: 0, max: 1_000_000 }, "0")
        .unit("microseconds")
        .why(
            "An idle core looks for work this long before it sleeps. Saves the wake-up, burns the CPU; 0, the \
              default, costs an idle server nothing.",
        ),
    Parameter::row("ring", "zero_copy_min_bytes", "zero-copy-min-bytes", field!(ring.zero_copy_bytes_min))
        .kind(Kind::Bytes { min: 0, max: UNBOUNDED }, "0")
        .why(
            "Sends replies of at least this size without copying. Pinning pages and the second notification cost \
              more than the copy of a small reply, and loopback copies anyway. 0 is off.",
        ),
    Parameter::row("memory", "maxmemory", "maxmemory", field!(memory.maxmemory_bytes))
        .kind(Kind::Bytes { min: 0, max: UNBOUNDED }, "0")
        .redis("maxmemory")
        .live()
        .why(
            "Memory for keys and values, over all cores. Past it maxmemory_policy decides what happens. 0 sets no \
              limit, and the kernel's out-of-memory killer decides instead.",
        ),
    Parameter::row("memory", "maxmemory_policy", "maxmemory-policy", field!(memory.policy))
        .kind(Kind::OneOf(POLICIES), "noeviction")
        .redis("maxmemory-policy")
        .live()
        .why(
            "What leaves when memory is full. noeviction refuses writes that need more; allkeys- picks from all \
              keys, volatile- only from those with an expiry: the longest unused (lru), the least used (lfu), any \
              (random), or the next to expire (ttl).",
        ),
    Parameter::row("memory", "maxmemory_samples", "maxmemory-samples", field!(memory.samples))
        .kind(Kind::Count { min: 1, max: 64 }, "5")
        .unit("keys")
        .redis("maxmemory-samples")
        .live()
        .why(
            "Keys compared before one of them is evicted. For the policies that sample: more choose better and \
              cost more.",
        ),
    Parameter::row("hot", "enabled", "hot", field!(hot.enabled)).kind(Kind::Switch, "on").live().why(
        "Whether hot keys are found and treated. Every core then answers reads of one from a copy of its own, and \
              operations that wait for the key's core are combined. off counts nothing and copies nothing.",
    ),
    Parameter::row("hot", "window_ms", "hot-window-ms", field!(hot.window_ms))
        .kind(Kind::Count { min: 1, max: 60_000 }, "100")
        .unit("milliseconds")
        .redis("hot-window-ms")
        .why(
            "How long operations are counted before heat is judged. Shorter windows find a hot key sooner, longer ones \
              are less easily misled by a burst.",
        ),
    Parameter::row("hot", "promote_ops", "hot-promote-ops", field!(hot.promote_ops))
        .kind(hot::PROMOTE_OPS, "1000")
        .unit("operations per second")
        .live()
        .why("A key becomes hot from so many operations on. promote_share_permille has to be met as well."),
    Parameter::row(
        "hot",
        "promote_share_permille",
        "hot-promote-share-permille",
        field!(hot.promote_share_permille),
    )
    .kind(hot::PROMOTE_SHARE, "30")
    .unit("thousandths of a core's load")
    .live()
    .why(
        "A key becomes hot from this share of its core's load on. A key that is busy by itself may be \
              a small part of a busy core's load, and then copies of it do not pay. 0 leaves it to promote_ops.",
    ),
    Parameter::row("hot", "demote_percent", "hot-demote-percent", field!(hot.demote_percent))
        .kind(Kind::Count { min: 1, max: 99 }, "25")
        .unit("percent of what promotion asks")
        .live()
        .why("A hot key cools below this part of what made it hot. The distance keeps keys from turning to and fro."),
    Parameter::row("hot", "keys_max", "hot-keys-max", field!(hot.keys_max))
        .kind(Kind::Count { min: 1, max: WARM_MAX as u64 }, "256")
        .unit("keys of each core")
        .live()
        .why("Keys of one core that may be hot at once. Past it only a key twice as hot displaces the coolest."),
    Parameter::row("hot", "bytes_max", "hot-bytes-max", field!(hot.bytes_max))
        .kind(Kind::Bytes { min: 4 << 10, max: UNBOUNDED }, "64mb")
        .live()
        .why(
            "Bytes of one core's hot keys that may be copied. Every other core may hold a copy, so n cores take at most \
              n times n - 1 times as much. A larger value is never copied.",
        ),
    Parameter::row("cluster", "announce", "cluster-announce", field!(cluster.announce))
        .kind(Kind::Switch, "off")
        .alias("cluster-enabled")
        .redis("cluster-enabled")
        .why(
            "Announces each core as a node of a cluster. Every core then has a port of its own as well, and a \
              cluster-aware client sends each key straight to its owner. Each core owns one range of slots instead of \
              many, so turning it on or off moves keys, and virtual_nodes has no effect.",
        ),
    Parameter::row("cluster", "first_port", "cluster-first-port", field!(cluster.first_port))
        .kind(Kind::Count { min: 0, max: 65_535 }, "0")
        .why("TCP port of the first core; each further one has the next. 0 is the port after network.port."),
    Parameter::row("cluster", "announce_ip", "cluster-announce-ip", field!(cluster.announce_ip))
        .kind(Kind::Host, "")
        .redis("cluster-announce-ip")
        .why(
            "Address that clients are told to reach the nodes by. Empty tells each client the address that it has \
              reached already, which is right unless addresses are translated on the way.",
        ),
    Parameter::row("cluster", "announce_port", "cluster-announce-port", field!(cluster.announce_port))
        .kind(Kind::Count { min: 0, max: 65_535 }, "0")
        .redis("cluster-announce-port")
        .why(
            "Port of the first core as clients are told it. Each further core has the next. 0 is the port that it \
              listens on; for ports that are translated on the way.",
        ),
    Parameter::row("cluster", "announce_hostname", "cluster-announce-hostname", field!(cluster.announce_hostname))
        .kind(Kind::Host, "")
        .redis("cluster-announce-hostname")
        .why("Host name that clients are told beside the address. Empty for none."),
    Parameter::row(
        "cluster",
        "preferred_endpoint",
        "cluster-preferred-endpoint-type",
        field!(cluster.preferred_endpoint),
    )
    .kind(Kind::OneOf(ENDPOINTS), "ip")
    .redis("cluster-preferred-endpoint-type")
    .why(
        "What clients are to connect by. hostname suits certificates that name a host; with unknown-endpoint they use \
              the address that they have, and the node's port.",
    ),
    Parameter::row("limits", "maxclients", "maxclients", field!(limits.maxclients))
        .kind(Kind::Count { min: 1, max: 1_000_000 }, "10000")
        .unit("connections")
        .redis("maxclients")
        .live()
        .why(
            "Clients connected at once, over all cores. One more is told so and closed. Each takes a descriptor, \
              so the process's limit of open files must be higher.",
        ),
    Parameter::row(
        "limits",
        "client_output_bytes_max",
        "client-output-bytes-max",
        field!(limits.client_output_bytes_max),
    )
    .kind(Kind::Bytes { min: 16 << 10, max: UNBOUNDED }, "1mb")
    .live()
    .why(
        "Replies that may wait for a client to read them. Past it the client's next requests wait too, so one \
              that asks and never reads costs this much and no more; a single larger reply still passes.",
    ),
    Parameter::row(
        "limits",
        "client_waiting_bytes_max",
        "client-waiting-bytes-max",
        field!(limits.client_waiting_bytes_max),
    )
    .kind(Kind::Bytes { min: 16 << 10, max: UNBOUNDED }, "64mb")
    .live()
    .why(
        "Requests that may wait behind replies that nobody reads. Past it nothing more is received from the client \
              until it has read some; it stays connected.",
    ),
    Parameter::row("limits", "client_query_bytes_max", "client-query-bytes-max", field!(limits.client_query_bytes_max))
        .kind(Kind::Bytes { min: 1 << 20, max: UNBOUNDED }, "1gb")
        .redis("client-query-buffer-limit")
        .live()
        .why(
            "Bytes of a client's one unfinished request. Past it the client is closed. Memory follows the bytes that \
              arrive, so this bounds what a single request may cost.",
        ),
    Parameter::row(
        "limits",
        "client_output_buffer_limit",
        "client-output-buffer-limit",
        field!(limits.client_output_buffer_limit),
    )
    .kind(Kind::OutputLimits, "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60")
    .redis("client-output-buffer-limit")
    .live()
    .why(
        "Replies past which a client is closed. For those whom client_output_bytes_max does not make wait: \
              hard bytes close at once, soft ones after so many seconds; 0 never does. Of the class normal the hard \
              bytes count; there are no replicas.",
    ),
    Parameter::row("limits", "maxmemory_clients", "maxmemory-clients", field!(limits.maxmemory_clients))
        .kind(Kind::ClientsLimit, "0")
        .redis("maxmemory-clients")
        .live()
        .why("What all clients may take together. Past it the largest are closed; a percentage is one of maxmemory."),
    Parameter::row("limits", "letters_bytes_max", "letters-bytes-max", field!(limits.letters_bytes_max))
        .kind(Kind::Bytes { min: 64 << 10, max: 1 << 30 }, "1mb")
        .unit("for each pair of cores")
        .why(
            "Requests for another core that may wait until it takes them. Past it the clients that ask for more wait, \
              so it bounds what a core that does not keep up costs the others.",
        ),
    Parameter::row("limits", "proto_max_bulk_len", "proto-max-bulk-len", field!(limits.proto_max_bulk_len))
        .kind(Kind::Bytes { min: 1 << 20, max: VALUE_BYTES_MAX as u64 }, "512mb")
        .redis("proto-max-bulk-len")
        .live()
        .why(
            "The longest single argument that a client may send. So it is the largest value too. Memory follows \
              the bytes that arrive, not the length announced.",
        ),
    Parameter::row(
        "limits",
        "tracking_table_max_keys",
        "tracking-table-max-keys",
        field!(limits.tracking_table_keys_max),
    )
    .kind(Kind::Count { min: 0, max: UNBOUNDED }, "1000000")
    .unit("keys, over all cores")
    .redis("tracking-table-max-keys")
    .live()
    .why("Keys that clients of CLIENT TRACKING are remembered to keep. Past it they are told to forget some; 0 sets no limit."),
    Parameter::row("security", "requirepass", "requirepass", field!(security.requirepass))
        .kind(Kind::Secret, "")
        .redis("requirepass")
        .live()
        .why(
            "Password that clients must give before anything else. Empty asks for none. Keep it in a file that \
              only the server may read: a command line shows in every process listing. It is never printed.",
        ),
    Parameter::row("security", "enable_debug_command", "enable-debug-command", field!(security.debug))
        .kind(Kind::OneOf(DEBUG_ACCESS), "local")
        .redis("enable-debug-command")
        .why(
            "Whose DEBUG is run. local admits clients on this machine: DEBUG SLEEP stops a core, so strangers must not \
              have it. No DEBUG crashes the server.",
        ),
    Parameter::row("log", "level", "log-level", field!(log.level))
        .kind(Kind::OneOf(LEVELS), "info")
        .alias("loglevel")
        .redis("loglevel")
        .live()
        .why("How much the server says on standard error. Redis's names verbose, notice and warning are understood."),
    Parameter::row("log", "dir", "dir", field!(log.dir))
        .kind(Kind::Path, ".")
        .redis("dir")
        .why("Directory that the server works in. Relative paths, such as that of the Unix socket, start there."),
    Parameter::row("log", "appendonly", "appendonly", field!(log.appendonly))
        .kind(Kind::Switch, "off")
        .redis("appendonly")
        .live()
        .why("Whether keys outlive the server. Changes are logged to files in dir, and read back at the start."),
    Parameter::row("log", "appendfsync", "appendfsync", field!(log.fsync))
        .kind(Kind::OneOf(FSYNCS), "everysec")
        .redis("appendfsync")
        .live()
        .why(
            "What a write waits for. always: its change is on stable storage, and survives a power cut. everysec: the               kernel has it, it survives the process, and a power cut takes at most the last second or so. no: the kernel               decides when it goes to disk.",
        ),
    Parameter::row("log", "segment_bytes", "log-segment-bytes", field!(log.segment_bytes))
        .kind(Kind::Bytes { min: 1 << 20, max: 1 << 30 }, "64mb")
        .why("Size of a file of the log. Two are kept ready for each core, and room is given back in steps of one."),
    Parameter::row("log", "amplification", "log-amplification", field!(log.amplification))
        .kind(Kind::Count { min: 2, max: 100 }, "2")
        .unit("times what counts in it")
        .why("How large the log may get, two segments of each core aside. Less room is more rewriting."),
    Parameter::row(
        "log",
        "slowlog_log_slower_than",
        "slowlog-log-slower-than",
        field!(log.slowlog_slower_than_us),
    )
    .kind(Kind::Integer { min: -1, max: i64::MAX }, "10000")
    .unit("microseconds")
    .redis("slowlog-log-slower-than")
    .live()
    .why(
        "Requests that take so long are kept for SLOWLOG. -1 keeps none. Below a millisecond each request is timed by \
              itself, which costs a tenth of a pipelined GET.",
    ),
    Parameter::row("log", "slowlog_max_len", "slowlog-max-len", field!(log.slowlog_len_max))
        .kind(Kind::Count { min: 0, max: 65_536 }, "128")
        .unit("requests of each core")
        .redis("slowlog-max-len")
        .live()
        .why("Slow requests that are kept. The oldest go first; each may take 4 KiB."),
    Parameter::row(
        "log",
        "latency_monitor_threshold",
        "latency-monitor-threshold",
        field!(log.latency_threshold_ms),
    )
    .kind(Kind::Count { min: 0, max: UNBOUNDED }, "0")
    .unit("milliseconds")
    .redis("latency-monitor-threshold")
    .live()
    .why("What takes so long is kept for LATENCY. Requests, expiry and eviction; 0 keeps nothing."),
    Parameter::row("log", "latency_tracking", "latency-tracking", field!(log.latency_tracking))
        .kind(Kind::Switch, "on")
        .redis("latency-tracking")
        .live()
        .why(
            "Whether durations of commands are counted. LATENCY HISTOGRAM and INFO latencystats show them; a group of \
              pipelined requests is timed as one and shared out.",
        ),
    Parameter::row("log", "notify_keyspace_events", "notify-keyspace-events", field!(log.key_events))
        .kind(Kind::EventClasses, "")
        .redis("notify-keyspace-events")
        .live()
        .why(
            "Which events of keys are published. K in the key's channel, E in the event's; g, $, x, e, n, m are classes, A \
              most of them. Empty publishes none: each costs about as much as a PUBLISH.",
        ),
    Parameter::row("log", "latency_percentiles", "latency-tracking-info-percentiles", field!(log.percents))
        .kind(Kind::Percentiles, "50 99 99.9")
        .redis("latency-tracking-info-percentiles")
        .live()
        .why("The percentiles that INFO latencystats shows."),
    metrics::BIND,
    metrics::PORT,
];

/// What every row has until a file or a flag says otherwise.
pub fn defaults() -> Config {
    let mut config = settings::blank();
    for parameter in TABLE {
        let value =
            parameter.kind.parse(parameter.default).expect("each default is allowed, as the table's test proves");
        parameter.set(&mut config, value);
    }
    config
}

/// The rows of one section, in order.
pub fn section(name: &str) -> impl Iterator<Item = &'static Parameter> {
    TABLE.iter().filter(move |parameter| parameter.section == name)
}

/// The row of a key in a section.
pub fn by_key(section: &str, key: &str) -> Option<&'static Parameter> {
    TABLE.iter().find(|parameter| parameter.section == section && parameter.key == key)
}

/// The row that CONFIG GET and redis.conf know under `name`.
pub fn by_redis_name(name: &str) -> Option<&'static Parameter> {
    TABLE.iter().find(|parameter| parameter.redis.is_some_and(|redis| redis.eq_ignore_ascii_case(name)))
}
