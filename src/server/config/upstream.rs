//! `[[upstream]]` and `[[route]]`: pools of servers of an existing engine, and which keys they hold.

use std::path::PathBuf;
use std::{fmt, io};

use super::arrays::{Array, FITS, Field, Key, field};
use super::kind::Kind;
use super::names::{DISTRIBUTIONS, HASHES, READS, UPSTREAM_KINDS};
use super::parameter::Stored;
use super::servers::UpstreamServer;
use crate::heat::KEY_BYTES_MAX;
use crate::routing::{Distribution, Hash, Layout, Server};

/// Tables of each array. Every core has a connection to every server, and a key is looked up among all routes.
pub const UPSTREAMS_MAX: usize = 64;
pub const ROUTES_MAX: usize = 1024;
/// The pool that is no upstream: the keys that this server itself holds.
pub const EMBEDDED: &str = "embedded";
/// A password is a line; more than this is another file.
const PASSWORD_BYTES_MAX: usize = 4096;

/// How an upstream's servers belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    /// Nodes of a Redis or Valkey Cluster, which say themselves where keys lie.
    Cluster,
    /// Independent servers, on which this one places keys.
    Pool,
    /// One server has all keys.
    Single,
}

impl UpstreamKind {
    pub const ALL: [(&'static str, UpstreamKind); 3] =
        [("cluster", UpstreamKind::Cluster), ("pool", UpstreamKind::Pool), ("single", UpstreamKind::Single)];
}

/// Which node of a cluster is asked to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    Primary,
    Replica,
    /// Whichever answers soonest.
    Nearest,
}

impl ReadFrom {
    pub const ALL: [(&'static str, ReadFrom); 3] =
        [("primary", ReadFrom::Primary), ("replica", ReadFrom::Replica), ("nearest", ReadFrom::Nearest)];

    pub fn name(self) -> &'static str {
        ReadFrom::ALL.iter().find(|(_, read)| *read == self).expect("each has a name").0
    }
}

/// One upstream, as a file or a flag says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub name: String,
    pub kind: UpstreamKind,
    /// Never empty once loaded.
    pub servers: Vec<UpstreamServer>,
    pub distribution: Distribution,
    pub hash: Hash,
    /// Empty, or two bytes.
    pub hash_tag: String,
    pub read: ReadFrom,
    pub username: Option<String>,
    pub password: Option<Password>,
    pub password_file: Option<PathBuf>,
    pub connect_timeout_ms: u64,
    pub request_timeout_ms: u64,
    /// 0 never closes an idle link.
    pub idle_timeout_ms: u64,
    pub links_per_core: u32,
    pub in_flight_max: usize,
    pub hot_copy_ms: u64,
    pub hot_stale_ms: u64,
    pub own_connections_max: usize,
    pub eject_after: u32,
    pub eject_ms: u64,
    pub auto_eject: bool,
    pub tls: UpstreamTls,
    pub in_flight_bytes_max: u64,
    pub value_bytes_max: u64,
    pub reply_bytes_max: u64,
}

/// How connections to an upstream are made secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamTls {
    pub on: bool,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub server_name: Option<String>,
}

/// What keys a pattern leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    pub pattern: String,
    pub pool: String,
}

/// A password, kept out of logs that print the configuration with `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// What holds where a table leaves a key out. Its name and servers it may not leave out.
impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: UpstreamKind::Single,
            servers: Vec::new(),
            distribution: Distribution::Ketama,
            hash: Hash::Fnv1aWith64,
            hash_tag: String::new(),
            read: ReadFrom::Primary,
            username: None,
            password: None,
            password_file: None,
            connect_timeout_ms: 1000,
            request_timeout_ms: 5000,
            idle_timeout_ms: 0,
            links_per_core: 1,
            in_flight_max: 16_384,
            hot_copy_ms: 0,
            hot_stale_ms: 0,
            own_connections_max: 1024,
            eject_after: 3,
            eject_ms: 1000,
            auto_eject: false,
            tls: UpstreamTls::default(),
            in_flight_bytes_max: 64 << 20,
            value_bytes_max: 512 << 20,
            reply_bytes_max: 1 << 30,
        }
    }
}

impl Upstream {
    /// How a pool places keys.
    pub fn layout(&self) -> Layout {
        let hash_tag = <[u8; 2]>::try_from(self.hash_tag.as_bytes()).ok();
        Layout { distribution: self.distribution, hash: self.hash, hash_tag }
    }

    /// A pool's servers as placement takes them.
    pub fn placed(&self) -> Vec<Server> {
        self.servers.iter().map(|server| server.placed(self.distribution)).collect()
    }

    /// The password that its servers ask for, from where it is kept. A file's first line is the password.
    pub fn secret(&self) -> io::Result<Option<String>> {
        let Some(path) = &self.password_file else {
            return Ok(self.password.as_ref().map(|password| password.0.clone()));
        };
        let text = super::file::read_bounded(path)?;
        let line = text.lines().next().unwrap_or("");
        match line.len() {
            0 => Err(io::Error::other("its first line is empty")),
            1..=PASSWORD_BYTES_MAX => Ok(Some(line.to_owned())),
            _ => Err(io::Error::other(format!("its first line has more than {PASSWORD_BYTES_MAX} bytes"))),
        }
    }
}

/// The upstreams; the first holds the keys that no route names.
pub(super) const UPSTREAMS: Array<Upstream> = Array {
    path: "upstream",
    why: "Servers of an existing engine that hold the keys. With one or more of these this server passes requests on, and \
          keeps no keys itself but those of routes to the pool embedded. The first is for keys that no route names. \
          --upstream on the command line stands in the place of all of them.",
    tables_max: UPSTREAMS_MAX,
    keys: UPSTREAM_KEYS,
};

/// The routes, in the order of the file.
pub(super) const ROUTES: Array<Route> = Array {
    path: "route",
    why: "Which keys belong to which upstream. Of the patterns that match a key the one counts that has most before its \
          first *, ? or [, and of several such the first. Files only: there is no flag.",
    tables_max: ROUTES_MAX,
    keys: ROUTE_KEYS,
};

const NAME: Kind = Kind::Label { bytes_max: 64 };

const HASH_TAG: Field<Upstream> = Field {
    get: |upstream| Some(upstream.hash_tag.to_value()).filter(|_| !upstream.hash_tag.is_empty()),
    set: |upstream, value| upstream.hash_tag = Stored::from_value(value).expect(FITS),
};

const PASSWORD: Field<Upstream> = Field {
    get: |upstream| upstream.password.as_ref().map(|password| password.0.to_value()),
    set: |upstream, value| upstream.password = <Option<String>>::from_value(value).expect(FITS).map(Password),
};

const UPSTREAM_KEYS: &[Key<Upstream>] = &[
    Key::row("name", field!(Upstream.name))
        .kind(NAME, "")
        .example("main")
        .why("What routes, messages and statistics call it."),
    Key::row("kind", field!(Upstream.kind)).kind(Kind::OneOf(UPSTREAM_KINDS), "").example("pool").why(
        "cluster is a Redis or Valkey Cluster, which places keys itself; pool is independent servers; single \
              is one server.",
    ),
    Key::row("servers", field!(Upstream.servers)).kind(Kind::Servers, "").example("10.0.0.1:6379,10.0.0.2:6379:2").why(
        "Its servers; of a cluster some nodes, from which the others are learned. In a pool their order, \
              addresses and weights say where keys lie; a name behind a blank does so in the place of the address.",
    ),
    Key::row("distribution", field!(Upstream.distribution))
        .kind(Kind::OneOf(DISTRIBUTIONS), "ketama")
        .example("ketama")
        .why(
            "How a pool places keys. ketama, modula and random as twemproxy, whose ketama is libmemcached's with \
              weights; consistent and modula_listed as libmemcached's without; crc16, rendezvous and bounded by \
              the slots of Redis Cluster; jump by hash.",
        ),
    Key::row("hash", field!(Upstream.hash)).kind(Kind::OneOf(HASHES), "fnv1a_64").example("fnv1a_64").why(
        "The function over keys, by twemproxy's names. libmemcached's default is one_at_a_time, and its crc \
              is crc32. Placement by slots and at random does without.",
    ),
    Key::row("hash_tag", HASH_TAG).kind(Kind::Tag, "none").example("{}").why(
        "Two characters: of a key that has both only what stands between them is hashed, so that related keys \
              lie together. A cluster's is {} always.",
    ),
    Key::row("read", field!(Upstream.read))
        .kind(Kind::OneOf(READS), "primary")
        .why("Which nodes of a cluster are asked to read. Replicas may be behind."),
    Key::row("username", field!(Upstream.username?))
        .kind(Kind::Text, "none")
        .why("The user that its servers know, if not the default one."),
    Key::row("password", PASSWORD)
        .kind(Kind::Secret, "none")
        .why("The password that its servers ask for. It is never printed."),
    Key::row("password_file", field!(Upstream.password_file?))
        .kind(Kind::Path, "none")
        .why("A file whose first line is the password, in its place."),
    Key::row("connect_timeout_ms", field!(Upstream.connect_timeout_ms))
        .kind(Kind::Count { min: 1, max: 600_000 }, "1000")
        .unit("milliseconds")
        .why("How long connecting to a server and logging in may take. Clients that wait get an error then."),
    Key::row("request_timeout_ms", field!(Upstream.request_timeout_ms))
        .kind(Kind::Count { min: 1, max: 600_000 }, "5000")
        .unit("milliseconds")
        .why("How long a server may be silent while it owes a reply. Then its connection is closed."),
    Key::row("idle_timeout_ms", field!(Upstream.idle_timeout_ms))
        .kind(Kind::Count { min: 0, max: 86_400_000 }, "0")
        .unit("milliseconds")
        .why("Closes a connection that nobody has used for so long. 0 never does."),
    Key::row("links_per_core", field!(Upstream.links_per_core))
        .kind(Kind::Count { min: 1, max: 64 }, "1")
        .unit("connections to each server")
        .why(
            "Connections of each core. All clients of a core share them, so one is enough unless a server is far \
              away.",
        ),
    Key::row("in_flight_max", field!(Upstream.in_flight_max))
        .kind(Kind::Count { min: 1, max: 1_000_000 }, "16384")
        .unit("requests of each connection")
        .why("Requests that may wait for a server's replies. Past it the clients that ask for more wait."),
    Key::row("hot_copy_ms", field!(Upstream.hot_copy_ms))
        .kind(Kind::Count { min: 0, max: 3_600_000 }, "0")
        .unit("milliseconds")
        .why(
            "How long copies of hot keys live where a server does not say what has changed, as Redis does from \
              6.0 on. 0: no copies then.",
        ),
    Key::row("hot_stale_ms", field!(Upstream.hot_stale_ms))
        .kind(Kind::Count { min: 0, max: 86_400_000 }, "0")
        .unit("milliseconds")
        .why("How long the last value of a hot key is answered while its server cannot be reached. 0: an error is."),
    Key::row("own_connections_max", field!(Upstream.own_connections_max))
        .kind(Kind::Count { min: 0, max: 1_000_000 }, "1024")
        .unit("connections of each core")
        .why(
            "Connections that one client has for itself while it is in a transaction, watches, blocks, subscribes \
              or monitors. Past it such requests are errors.",
        ),
    Key::row("eject_after", field!(Upstream.eject_after))
        .kind(Kind::Count { min: 1, max: 1000 }, "3")
        .unit("failures in a row")
        .why("After so many a server is left alone for a while."),
    Key::row("eject_ms", field!(Upstream.eject_ms))
        .kind(Kind::Count { min: 1, max: 3_600_000 }, "1000")
        .unit("milliseconds")
        .why("How long that is, before it is tried again."),
    Key::row("tls", field!(Upstream.tls.on)).kind(Kind::Switch, "off").why(
        "Whether its servers speak TLS, 1.2 or 1.3. Their certificates have to be for the name or address \
              that they are called by here.",
    ),
    Key::row("tls_ca_file", field!(Upstream.tls.ca_file?)).kind(Kind::Path, "none").why(
        "The authorities that may vouch for its servers, as a PEM file. Without one it is those that the \
              system trusts.",
    ),
    Key::row("tls_cert_file", field!(Upstream.tls.cert_file?))
        .kind(Kind::Path, "none")
        .why("The certificate that is shown to servers that ask for one, as a PEM file."),
    Key::row("tls_key_file", field!(Upstream.tls.key_file?))
        .kind(Kind::Path, "none")
        .why("That certificate's private key, as a PEM file."),
    Key::row("tls_server_name", field!(Upstream.tls.server_name?))
        .kind(Kind::Host, "none")
        .why("The name that all its servers' certificates are for, if not that of their addresses."),
    Key::row("auto_eject", field!(Upstream.auto_eject)).kind(Kind::Switch, "off").why(
        "Places the keys of a server that fails on the others of its pool until it answers again, as \
              twemproxy's auto_eject_hosts. For caches only: what is written meanwhile stays behind.",
    ),
    Key::row("in_flight_bytes_max", field!(Upstream.in_flight_bytes_max))
        .kind(Kind::Bytes { min: 1 << 10, max: 4 << 30 }, "64mb")
        .unit("of each connection")
        .why("Bytes of requests that may wait for a server's replies, as for their number."),
    Key::row("value_bytes_max", field!(Upstream.value_bytes_max))
        .kind(Kind::Bytes { min: 1 << 10, max: 4 << 30 }, "512mb")
        .why("The largest value of a reply. A server that sends more is disconnected."),
    Key::row("reply_bytes_max", field!(Upstream.reply_bytes_max))
        .kind(Kind::Bytes { min: 64 << 10, max: 64 << 30 }, "1gb")
        .why(
            "The largest reply, with all that it is made of. It is in memory before the client gets it if it \
              comes in pieces.",
        ),
];

const ROUTE_KEYS: &[Key<Route>] = &[
    Key::row("match", field!(Route.pattern))
        .kind(Kind::Pattern { bytes_max: KEY_BYTES_MAX as u64 }, "")
        .example("user:*")
        .why("The keys that this is about."),
    Key::row("pool", field!(Route.pool))
        .kind(NAME, "")
        .example("embedded")
        .why("Where they lie: the name of an upstream, or embedded for this server itself."),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::server::config::arrays::assert_sound;

    #[test]
    fn the_keys_are_sound() {
        assert_sound(&UPSTREAMS);
        assert_sound(&ROUTES);
    }

    /// A password is where the table says, without the end of its line; what is no password is an error.
    #[test]
    fn passwords_are_where_they_are_kept() {
        let path = std::env::temp_dir().join(format!("coldplate-password-{}", std::process::id()));
        let kept = |text: &str| {
            fs::write(&path, text).expect("the folder for temporary files can be written");
            Upstream { password_file: Some(path.clone()), ..Upstream::default() }.secret().map_err(|e| e.to_string())
        };
        assert_eq!(kept("sesame\nmore"), Ok(Some("sesame".to_owned())));
        assert_eq!(kept("sesame"), Ok(Some("sesame".to_owned())));
        assert_eq!(kept("\n"), Err("its first line is empty".to_owned()));
        assert!(kept(&"x".repeat(5000)).is_err());
        fs::remove_file(&path).expect("it was written above");
        assert!(Upstream { password_file: Some(path), ..Upstream::default() }.secret().is_err());
        let with = Upstream { password: Some(Password("open".into())), ..Upstream::default() };
        assert_eq!(with.secret().expect("no file"), Some("open".to_owned()));
        assert!(!format!("{with:?}").contains("open"));
        assert_eq!(Upstream::default().secret().expect("no file"), None);
    }
}
