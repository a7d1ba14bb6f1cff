//! Rules about who may name whom. The order of the layers is the one of `src/lib.rs`.

use crate::source::Source;

/// The layers in order; those of one row are siblings and do not name each other.
const LAYERS: [&[&str]; 9] = [
    &["types"],
    &["protocol"],
    &["log"],
    &["keyspace"],
    &["routing", "heat", "replica", "upstream", "session"],
    &["engine"],
    &["runtime"],
    &["load", "server"],
    &["import"],
];

/// All that the load generator may name of the program that it measures: what is on the wire. An import uses its
/// connections, and knows no more of a server.
const LOAD_NAMES: [&str; 4] = ["types", "protocol", "routing", "load"];
const IMPORT_NAMES: [&str; 4] = ["types", "protocol", "load", "import"];

/// What a layer left of `runtime` never names: the machine is an argument there.
const MACHINE: [&str; 14] = [
    "std::net",
    "std::fs",
    "std::thread",
    "std::time",
    "std::process",
    "std::env",
    "std::os",
    "std::sync::mpsc",
    "crossbeam_channel",
    "io_uring",
    "libc",
    "socket2",
    "rand",
    "static mut",
];

/// A package, and the files or folders that may name it.
const ADDRESSES: [(&str, &[&str]); 25] = [
    ("io_uring", &["src/runtime/uring/"]),
    ("core_affinity", &["src/runtime/worker/mod.rs"]),
    // boot.rs: each core's thread reports once whether it could start. That is no mail, and mailboxes do not exist yet.
    // disk/ and storage.rs: the thread that keeps the log's files is asked, and answers. scrape.rs: cores are, by a thread
    // that is none.
    (
        "crossbeam_channel",
        &[
            "src/runtime/mailbox.rs",
            "src/runtime/scrape.rs",
            "src/runtime/disk/",
            "src/server/boot.rs",
            "src/server/storage.rs",
        ],
    ),
    // What travels as plain bytes: letters, and the figures of a core in them; and what the log's files begin with.
    (
        "bytemuck",
        &[
            "src/engine/letter.rs",
            "src/engine/stats.rs",
            "src/engine/figures.rs",
            "src/engine/gather.rs",
            "src/engine/scatter.rs",
            "src/log/",
        ],
    ),
    // A command line each: a server's flags are its configuration's, a load's memtier_benchmark's, an import's redis-cli's.
    (
        "clap",
        &[
            "src/server/cli.rs",
            "src/server/cli_tests.rs",
            "src/server/log_tool/cli.rs",
            "src/load/cli.rs",
            "src/import/cli.rs",
        ],
    ),
    ("rustix", &["src/load/drive.rs", "src/load/run.rs", "src/runtime/disk/", "src/server/log_tool/tests.rs"]),
    ("rustls", &["src/runtime/tls/"]),
    ("fastrand", &["src/load/"]),
    ("hdrhistogram", &["src/load/tally.rs", "src/load/report/"]),
    ("serde_json", &["src/load/report/"]),
    ("base64", &["src/load/report/json.rs"]),
    ("mimalloc", &["src/main.rs"]),
    (
        "hashbrown",
        &["src/keyspace/table.rs", "src/keyspace/watch.rs", "src/heat/", "src/replica/", "src/engine/pubsub/"],
    ),
    ("socket2", &["src/runtime/"]),
    ("toml", &["src/server/config/"]),
    ("toml_edit", &["src/server/config/rewrite.rs"]),
    ("sd_notify", &["src/server/notify.rs"]),
    ("signal_hook", &["src/server/", "src/load/run.rs"]),
    ("env_logger", &["src/server/logger.rs"]),
    ("ahash", &["src/keyspace/shard.rs"]),
    ("crc", &["src/protocol/rdb/checksum.rs", "src/routing/pool/hash.rs"]),
    ("md5", &["src/routing/pool/"]),
    ("crc32c", &["src/log/"]),
    ("httparse", &["src/server/metrics/http.rs"]),
    ("prometheus_client", &["src/server/metrics/exposition.rs"]),
];

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

/// A layer names only layers to its left, and `runtime/uring` none at all.
pub fn one_way(source: &Source) -> Vec<String> {
    let Some(own) = rank(source.layer()) else { return Vec::new() };
    let is_ring = source.name.starts_with("src/runtime/uring/");
    let mut complaints = Vec::new();
    for (line, path) in paths(source) {
        let Some(rest) = path.strip_prefix("crate::") else { continue };
        let layer = rest.split("::").next().unwrap_or("");
        let inside_ring = rest.starts_with("runtime::uring");
        let allowed = match rank(layer) {
            _ if is_ring => inside_ring,
            Some(_) if source.layer() == "load" => LOAD_NAMES.contains(&layer),
            Some(_) if source.layer() == "import" => IMPORT_NAMES.contains(&layer),
            Some(other) => other < own || layer == source.layer(),
            None => true,
        };
        if !allowed {
            complaints.push(source.complaint(line, &format!("{} may not name {path}", source.layer())));
        }
    }
    complaints
}

/// Left of `runtime` nothing names the machine, nor holds global state.
pub fn pure(source: &Source) -> Vec<String> {
    let left = rank(source.layer()) < rank("runtime") && rank(source.layer()).is_some();
    if !left || source.is_test() {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let under_test = source.under_test();
    for (line, path) in paths(source).into_iter().filter(|(line, _)| !under_test[*line]) {
        if let Some(named) = MACHINE.iter().find(|named| path == **named || path.starts_with(&format!("{named}::"))) {
            complaints.push(source.complaint(line, &format!("{named} is the shell's; here it has to be an argument")));
        }
    }
    for (line, code) in source.code.iter().enumerate().filter(|(line, _)| !under_test[*line]) {
        for global in ["static mut ", "thread_local!", "OnceLock", "LazyLock"] {
            if code.contains(global) {
                complaints.push(source.complaint(line, &format!("{global} is global state")));
            }
        }
    }
    complaints
}

/// Each package is named at its address only.
pub fn addresses(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, path) in paths(source) {
        let package = path.split("::").next().unwrap_or("");
        let Some((_, homes)) = ADDRESSES.iter().find(|(name, _)| *name == package) else { continue };
        if path.contains("::") && !homes.iter().any(|home| source.name.starts_with(home)) {
            complaints.push(source.complaint(line, &format!("{package} lives in {}", homes.join(", "))));
        }
    }
    complaints
}

/// All paths of a file with their lines, from the crate's root where they are relative.
fn paths(source: &Source) -> Vec<(usize, String)> {
    written_paths(source).into_iter().map(|(line, path)| (line, from_root(source, path))).collect()
}

/// Replaces leading `super`s by what they stand for in this file.
fn from_root(source: &Source, path: String) -> String {
    let file = source.name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let mut module: Vec<&str> = file.split('/').collect();
    let mut rest = path.as_str();
    while let Some(further) = rest.strip_prefix("super::") {
        module.pop();
        rest = further;
    }
    if rest.len() == path.len() { path } else { [&["crate"], &module[..], &[rest]].concat().join("::") }
}

/// The paths as they are written; `use` trees are spelled out.
fn written_paths(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 0;
    while line < source.code.len() {
        let code = source.code[line].trim_start();
        let code = code.strip_prefix("pub ").unwrap_or(code);
        if let Some(first) = code.strip_prefix("use ") {
            let mut tree = first.to_owned();
            let start = line;
            while !tree.contains(';') && line + 1 < source.code.len() {
                line += 1;
                tree.push_str(&source.code[line]);
            }
            let tree: String = tree.split(';').next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
            spell_out("", &tree, &mut |path| found.push((start, path)));
        } else {
            found.extend(inline_paths(code).map(|path| (line, path)));
        }
        line += 1;
    }
    found
}

/// Turns `a::{b, c::{d, e}}` into `a::b`, `a::c::d`, `a::c::e`.
fn spell_out(prefix: &str, tree: &str, take: &mut impl FnMut(String)) {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or("").trim();
        return take(format!("{prefix}{path}"));
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut from) = (0, 0);
    for (at, byte) in inner.bytes().chain([b',']).enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                let part = inner[from..at].trim();
                if !part.is_empty() {
                    spell_out(&format!("{prefix}{}", head.trim()), part, take);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Paths of two or more segments in a line of code.
fn inline_paths(code: &str) -> impl Iterator<Item = String> + '_ {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(move |c: char| !word(c)).filter(|path| path.contains("::")).map(|path| path.trim_matches(':').to_owned())
}
