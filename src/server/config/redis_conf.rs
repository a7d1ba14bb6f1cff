//! Recognises a `redis.conf` handed over as our TOML, and says what to write instead.

use super::kind::{Kind, quote};
use super::mistake::{Mistake, Place};
use super::table;

/// One mistake for each directive, or none when the text does not look like redis.conf.
///
/// It does when its first directive is a lower-case word, a blank and something that does not begin with `=`.
pub(super) fn mistakes(text: &str, at: impl Fn(usize) -> Place) -> Vec<Mistake> {
    let directives = || text.lines().enumerate().filter(|(_, line)| !is_blank(line));
    let Some((_, first)) = directives().next() else { return Vec::new() };
    if directive(first).is_none() {
        return Vec::new();
    }
    let mistake = |(i, line): (usize, &str)| {
        let (name, value) = directive(line)?;
        // Lines that may hold a password are not repeated, nor are those that we cannot tell from them.
        let is_plain = table::by_redis_name(name).is_some_and(|parameter| parameter.kind != Kind::Secret);
        let line_text = if is_plain { line.trim().to_owned() } else { format!("{name} ...") };
        Some(Mistake::RedisSyntax { at: at(i + 1), line_text, advice: advice(name, value) })
    };
    directives().filter_map(mistake).collect()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// `port 6379` -> (`port`, `6379`).
fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim().split_once([' ', '\t'])?;
    let value = value.trim_start();
    let is_word = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !name.is_empty();
    (is_word && !value.starts_with('=')).then_some((name, value))
}

fn advice(name: &str, value: &str) -> String {
    let Some(parameter) = table::by_redis_name(name) else {
        return format!("{name} has no counterpart, leave it out");
    };
    let text = value.trim_matches('"');
    let toml = match parameter.kind.parse(text) {
        _ if parameter.kind == Kind::Secret => "\"...\"".to_owned(),
        Some(value) => parameter.kind.print_toml(&value),
        None => quote(text),
    };
    format!("write {} = {toml} under [{}]", parameter.key, parameter.section)
}
