//! The configuration as text and as flags: nothing panics, and what is accepted is printed as what reads back to it.

use coldplate::load;
use coldplate::server::cli::{self, Outcome};
use coldplate::server::config::{Loaded, Sources, load_text, print, rewritten};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// As if the machine had them.
const CPUS: [usize; 4] = [0, 1, 2, 3];
/// What CONFIG SET may have changed before CONFIG REWRITE.
const CHANGED: [(&str, &str); 5] = [
    ("maxmemory", "123456789"),
    ("timeout", "77"),
    ("loglevel", "warning"),
    ("requirepass", "a \"b\\"),
    ("slowlog-log-slower-than", "-1"),
];

/// A TOML text.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources = Sources { file: Some("c.toml".into()), ..Sources::default() };
    match load_text(&sources, text, &CPUS) {
        Ok(loaded) => {
            reads_back(&loaded);
            is_rewritten(text, &sources, &loaded);
        }
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "a refusal says why");
            // What breaks a rule between two keys may be the one that was left out.
            let says_where = |line: &str| ["c.toml:", "default:", "profile "].iter().any(|at| line.starts_with(at));
            assert!(mistakes.to_string().lines().all(says_where), "{mistakes}");
        }
    }
}

/// Arguments, one a line; `bench` as the first asks for the load generator.
pub fn flags(data: &[u8]) {
    let words = data.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let words: Vec<OsString> = words.collect();
    if words[0] == "bench" {
        let _ = load::cli::parse(words.into_iter().skip(1));
        return;
    }
    let Ok(mut invocation) = cli::parse([OsString::from("coldplate")].into_iter().chain(words)) else { return };
    // Reading files is no part of this.
    invocation.sources.file = None;
    match cli::answer(&invocation, &CPUS) {
        Outcome::Serve(loaded) => reads_back(&loaded),
        Outcome::Answer(text) | Outcome::Refuse(text) => assert!(!text.is_empty()),
    }
}

fn reads_back(loaded: &Loaded) {
    let printed = print(loaded);
    let read = load_text(&Sources::default(), &printed, &CPUS);
    let mut read = read.unwrap_or_else(|mistakes| panic!("{mistakes}\n{printed}")).config;
    // All that is not printed.
    read.security.requirepass = loaded.config.security.requirepass.clone();
    for (upstream, printed) in read.upstreams.iter_mut().zip(&loaded.config.upstreams) {
        upstream.password = printed.password.clone();
    }
    assert_eq!(read, loaded.config);
}

fn is_rewritten(text: &str, sources: &Sources, loaded: &Loaded) {
    let settings: Vec<_> = CHANGED.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    let text = rewritten(text, &loaded.config, &settings).expect("what loads can be rewritten");
    let again = load_text(sources, &text, &CPUS);
    let mut again = again.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")).config;
    assert_eq!((again.memory.maxmemory_bytes, again.network.timeout_s), (123_456_789, 77), "{text}");
    assert_eq!(again.security.requirepass.as_deref(), Some("a \"b\\"), "{text}");
    // All else is as it was.
    again.memory.maxmemory_bytes = loaded.config.memory.maxmemory_bytes;
    again.network.timeout_s = loaded.config.network.timeout_s;
    again.security.requirepass = loaded.config.security.requirepass.clone();
    again.log = loaded.config.log.clone();
    assert_eq!(again, loaded.config, "{text}");
}
