//! Holds the house to its rules: who may name whom, where `unsafe` lives, how long things get.
//!
//! Each rule is a function over one file's text and is proved twice: no file of the repository breaks it, and a planted
//! bad snippet does. Lines are read as text, so what stands in a comment or a string does not count, and a macro that
//! builds a path out of pieces would not be seen.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

/// A rule: the complaints about one file, each with its line.
type Rule = fn(&Source) -> Vec<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folders that are not of the repository: what was built, fetched or measured.
const IGNORED: [&str; 5] = [".git", ".venv", "node_modules", "out", "target"];

/// All files below some folders whose names end so, in order of their paths.
fn files(folders: &[&str], ends: &[&str]) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !IGNORED.contains(&&*name) {
            let entries = fs::read_dir(&path).expect("a folder of the repository can be read");
            open.extend(entries.map(|entry| entry.expect("its entries too").path()));
        } else if path.is_file() && ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is text");
        let name = path.strip_prefix(root()).expect("it lies below the root").to_string_lossy().into_owned();
        Source::new(&name, &text)
    };
    files(folders, &[".rs"]).into_iter().map(read).collect()
}

fn hold(rule: Rule, folders: &[&str]) {
    let sources = sources(folders);
    assert!(!sources.is_empty(), "{folders:?} hold no sources");
    let complaints: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Proves that a rule sees what it is for, by snippets that break it and one that does not.
fn sees(rule: Rule, good: (&str, &str), bad: &[(&str, &str)]) {
    let complaints = rule(&Source::new(good.0, good.1));
    assert!(complaints.is_empty(), "a good snippet is refused: {complaints:?}");
    for (name, text) in bad {
        assert!(!rule(&Source::new(name, text)).is_empty(), "nothing is said against {name}: {text}");
    }
}

#[test]
fn layers_point_one_way() {
    hold(layers::one_way, &["src"]);
    sees(
        layers::one_way,
        (
            "src/engine/ingress.rs",
            "use crate::session::Session;\nuse crate::{routing, types::Now};\n// crate::server\n",
        ),
        &[
            ("src/protocol/mod.rs", "use crate::keyspace::Shard;"),
            ("src/keyspace/shard.rs", "use crate::{types::Slot, engine};"),
            ("src/routing/ring.rs", "fn f() { crate::session::reset() }"),
            ("src/session/mod.rs", "use crate::routing::slot_of;"),
            ("src/engine/mod.rs", "pub use crate::runtime::Worker;"),
            ("src/runtime/uring/ring.rs", "use crate::types::ConnId;"),
            ("src/runtime/worker.rs", "use crate::server::config::Config;"),
            ("src/load/run.rs", "use crate::keyspace::Shard;"),
            ("src/load/run.rs", "use crate::server::host;"),
            ("src/load/run.rs", "use crate::import::main;"),
            ("src/import/run.rs", "use crate::engine::Engine;"),
            ("src/server/boot.rs", "use crate::load::main;"),
            ("src/types.rs", "use crate::protocol::resp::Reply;"),
            ("src/protocol/mod.rs", "use super::keyspace::Shard;"),
            ("src/protocol/resp/parse.rs", "fn f() { super::super::super::engine::f() }"),
        ],
    );
}

#[test]
fn pure_layers_touch_no_machine() {
    hold(layers::pure, &["src"]);
    sees(
        layers::pure,
        ("src/engine/mod.rs", "use std::sync::Arc;\n// std::time is the shell's\nlet text = \"std::net\";"),
        &[
            ("src/engine/mod.rs", "use std::time::Instant;"),
            ("src/keyspace/shard.rs", "use std::{collections::HashMap, fs};"),
            ("src/session/mod.rs", "let socket = std::net::TcpStream::connect(to);"),
            ("src/routing/ring.rs", "std::thread::yield_now();"),
            ("src/engine/post.rs", "use std::sync::{Arc, mpsc};"),
            ("src/types.rs", "use rand::Rng;"),
            ("src/protocol/mod.rs", "static mut COUNT: u64 = 0;"),
            ("src/keyspace/table.rs", "thread_local! { static X: u8 = 0; }"),
        ],
    );
}

#[test]
fn each_package_has_one_address() {
    hold(layers::addresses, &["src"]);
    sees(
        layers::addresses,
        ("src/runtime/uring/ring.rs", "use io_uring::opcode;"),
        &[
            ("src/runtime/worker.rs", "use io_uring::IoUring;"),
            ("src/engine/mod.rs", "use crossbeam_channel::Sender;"),
            ("src/main.rs", "core_affinity::set_for_current(id);"),
            ("src/keyspace/item.rs", "use bytemuck::Pod;"),
            ("src/server/config/mod.rs", "use clap::Parser;"),
            ("src/lib.rs", "use mimalloc::MiMalloc;"),
            ("src/routing/ring.rs", "use hashbrown::HashMap;"),
        ],
    );
}

#[test]
fn unsafe_has_two_rooms_and_says_why() {
    hold(shape::unsafe_code, &["src", "tests", "bench", "fuzz"]);
    sees(
        shape::unsafe_code,
        ("src/runtime/uring/ring.rs", "// SAFETY: it is ours\n// alone.\nunsafe { go() }\n#![allow(unsafe_code)]"),
        &[
            ("src/runtime/uring/ring.rs", "unsafe { go() }"),
            ("src/runtime/uring/ring.rs", "// SAFETY: ours\n\nlet x = 1;\nlet y = unsafe { go() };"),
            ("src/engine/mod.rs", "// SAFETY: ours\nunsafe { go() }"),
            ("src/engine/mod.rs", "#![allow(unsafe_code)]"),
        ],
    );
}

#[test]
fn files_and_functions_stay_short() {
    hold(shape::file_length, &["src", "tests", "bench", "fuzz"]);
    hold(shape::function_length, &["src"]);
    let (lines, body) = ("let x = 1;\n".repeat(501), "    step();\n".repeat(70));
    sees(shape::file_length, ("src/a.rs", &lines[..lines.len() - 11]), &[("src/a.rs", &lines)]);
    let (short, long) = (format!("fn f() {{\n{}}}\n", &body[36..]), format!("fn f() {{\n{body}}}\n"));
    sees(shape::function_length, ("src/a.rs", &short), &[("src/a.rs", &long)]);
}

#[test]
fn nothing_is_left_undone() {
    hold(shape::undone, &["src", "tests", "bench", "fuzz"]);
    let todo = ["to", "do!()"].concat();
    sees(
        shape::undone,
        ("src/a.rs", "let x = y.expect(\"why\");\n#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); }\n}\n"),
        &[
            ("src/a.rs", &todo),
            ("src/a.rs", &["unimple", "mented!()"].concat()),
            ("tests/a.rs", &["#[ig", "nore]\nfn f() {}"].concat()),
            ("src/a.rs", "let x = y.unwrap();"),
            ("src/a.rs", "#[cfg(test)]\nmod tests {\n}\nfn g() { y.unwrap(); }"),
        ],
    );
}

#[test]
fn folders_introduce_themselves() {
    hold(shape::introduction, &["src"]);
    let whole = "//! Owns: a.\n//! Knows: b.\n//! Must never know: c.\n//! Read first: d.\n";
    sees(
        shape::introduction,
        ("src/a/mod.rs", whole),
        &[("src/a/mod.rs", &whole[13..]), ("src/a/mod.rs", "mod a;"), ("src/a/mod.rs", &whole.replace("Read", "See"))],
    );
}

#[test]
fn no_path_of_a_workplace_is_named() {
    let ends =
        [".rs", ".toml", ".md", ".py", ".sh", ".txt", ".yml", ".yaml", ".service", ".conf", "run", ".js", ".json"];
    let named = |name: &str, text: &str| -> Vec<String> { shape::workplaces(name, text) };
    let mut complaints = Vec::new();
    for path in files(&["."], &ends) {
        let text = fs::read_to_string(&path).expect("a file of that kind is text");
        complaints.extend(named(&path.to_string_lossy(), &text));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert!(!named("README.md", &["see /wo", "rk/main"].concat()).is_empty());
    assert!(!named("README.md", &["as `sha", "red/DESIGN.md` says"].concat()).is_empty());
    assert!(named("README.md", "a network/path, unshared/data, work/ and a shared value").is_empty());
}
