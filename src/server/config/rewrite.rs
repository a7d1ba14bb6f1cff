//! CONFIG REWRITE: what CONFIG SET changed, written into the file; its comments and its order stay.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value as Toml};

use super::file::read_bounded;
use super::kind::{Kind, Value, quote};
use super::parameter::Parameter;
use super::settings::Config;
use super::table::TABLE;

/// Writes settings, named and printed as CONFIG GET shows them, into the file that the server was started with.
///
/// A key that the file has gets its value; one that it lacks is added if its value is no longer the one that the server
/// started with. What only a flag or a profile said therefore stays out.
pub fn rewrite(path: &Path, started: &Config, settings: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let text = rewritten(&read_bounded(path)?, started, settings)?;
    replace(path, &text)
}

/// The text of the file that [`rewrite`] writes.
pub fn rewritten(text: &str, started: &Config, settings: &[(&str, Vec<u8>)]) -> io::Result<String> {
    let mut document: DocumentMut = text.parse().map_err(io::Error::other)?;
    for (name, value) in settings {
        let is_it = |row: &&Parameter| row.live && (row.redis == Some(*name) || row.flag == *name);
        let Some(parameter) = TABLE.iter().find(is_it) else { continue };
        let value = std::str::from_utf8(value).map_err(io::Error::other)?;
        let Some(now) = parameter.kind.parse(value) else { continue };
        let toml = match parameter.kind {
            Kind::Secret => quote(value),
            kind => kind.print_toml(&now),
        };
        let section = document.get(parameter.section).and_then(Item::as_table_like);
        let found = section.and_then(|section| section.get(parameter.key)).and_then(Item::as_value);
        let stands = match found {
            Some(found) => text_of(found).and_then(|text| parameter.kind.parse(&text)),
            None => Some(parameter.get(started)),
        };
        // Of two names that CONFIG GET shows alike, the file keeps its own.
        let alike = |stands: &Value| {
            *stands == now || matches!(parameter.kind, Kind::OneOf(_)) && parameter.kind.print_redis(stands) == value
        };
        let stands = stands.as_ref().is_some_and(alike);
        if !stands {
            set(&mut document, parameter, &toml)?;
        }
    }
    Ok(document.to_string())
}

/// The text that a value in the file stands for.
fn text_of(value: &Toml) -> Option<String> {
    match value {
        Toml::String(text) => Some(text.value().clone()),
        Toml::Integer(number) => Some(number.value().to_string()),
        Toml::Boolean(on) => Some(on.value().to_string()),
        _ => None,
    }
}

fn set(document: &mut DocumentMut, parameter: &Parameter, toml: &str) -> io::Result<()> {
    let mut value: Toml = toml.parse().map_err(io::Error::other)?;
    let section = document.entry(parameter.section).or_insert_with(|| Item::Table(Table::new()));
    let section = section.as_table_like_mut().ok_or_else(|| io::Error::other("a section is no table"))?;
    match section.get_mut(parameter.key).and_then(Item::as_value_mut) {
        Some(old) => {
            // What stands around it, a comment behind it for one, stays.
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            section.insert(parameter.key, Item::Value(value));
        }
    }
    Ok(())
}

/// Puts a new file in the place of the old one: whoever reads meanwhile sees either, and a crash leaves one of them.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".rewrite-{}", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().inspect_err(|_| {
        // The error says what went wrong; a file left over is the lesser evil.
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::defaults;
    use super::*;

    const FILE: &str =
        "# Ours.\n[memory]\nmaxmemory = \"1gb\" # enough\n\n# Who may talk.\n[security]\nrequirepass = \"old\"\n";

    fn changed(settings: &[(&str, &str)]) -> String {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        rewritten(FILE, &defaults(), &settings).expect("the file is well formed")
    }

    #[test]
    fn what_stands_stays_to_the_byte() {
        assert_eq!(
            changed(&[("maxmemory", "1073741824"), ("requirepass", "old"), ("timeout", "0"), ("port", "1")]),
            FILE
        );
    }

    /// CONFIG GET shows the level error as warning, which is none that was set.
    #[test]
    fn a_name_of_ours_stays() {
        let file = "[log]\nlevel = \"error\"\n";
        let text = rewritten(file, &defaults(), &[("loglevel", b"warning".to_vec())]).expect("it is well formed");
        assert_eq!(text, file);
    }

    #[test]
    fn changes_keep_comments_and_order() {
        let text = changed(&[
            ("maxmemory", "2147483648"),
            ("requirepass", "a \"b"),
            ("timeout", "30"),
            ("loglevel", "warning"),
            ("hot", "off"),
            ("slowlog-log-slower-than", "-1"),
            ("maxmemory-policy", "allkeys-lru"),
        ]);
        let wanted = "# Ours.\n[memory]\nmaxmemory = \"2gb\" # enough\nmaxmemory_policy = \"allkeys-lru\"\n\n# Who may \
                      talk.\n[security]\nrequirepass = \"a \\\"b\"\n\n[network]\ntimeout = 30\n\n[log]\nlevel = \
                      \"warn\"\nslowlog_log_slower_than = -1\n\n[hot]\nenabled = false\n";
        assert_eq!(text, wanted);
    }

    /// Proves that a rewritten file is one that the server starts with, to the same values.
    #[test]
    fn it_loads_back() {
        let text =
            changed(&[("client-output-buffer-limit", "normal 1 2 3 slave 4 5 6 pubsub 7 8 9"), ("hot-keys-max", "7")]);
        let contents = super::super::file::read(&super::super::file::Source::File("c.toml".into()), &text);
        assert!(contents.mistakes.is_empty(), "{text}");
        let loaded = super::super::resolve(&super::super::Sources::default(), contents, &[0]).expect("it is fine");
        assert_eq!(loaded.config.hot.keys_max, 7);
        assert_eq!(loaded.config.limits.client_output_buffer_limit.pubsub.soft_s, 9);
    }
}
