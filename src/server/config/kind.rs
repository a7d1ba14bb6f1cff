//! The kinds of value: how each is read, what it allows, and how it is written as TOML and as Redis prints it.

use std::net::{IpAddr, Ipv4Addr};

use super::{servers, units};
use crate::engine::{ClientsLimit, OutputLimits, Percentiles};
use crate::keyspace::EventClasses;

/// What a parameter holds. Reading is pure: whether a CPU exists is for `constraints` to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Switch,
    Count {
        min: u64,
        max: u64,
    },
    PowerOfTwo {
        min: u64,
        max: u64,
    },
    /// A whole number that may be negative.
    Integer {
        min: i64,
        max: i64,
    },
    /// What clients of each class may leave unread, in Redis's words.
    OutputLimits,
    /// Classes of keyspace events, by Redis's letters.
    EventClasses,
    /// What clients may take together: bytes, or a share of `maxmemory`.
    ClientsLimit,
    Percentiles,
    /// Bytes, with Redis's units.
    Bytes {
        min: u64,
        max: u64,
    },
    /// File mode digits.
    Octal {
        max: u64,
    },
    OneOf(&'static [Name]),
    Path,
    /// An address or a name of a machine, or nothing.
    Host,
    /// A glob over keys.
    Pattern {
        bytes_max: u64,
    },
    /// A name in a file, of letters, digits and `-_.`.
    Label {
        bytes_max: u64,
    },
    /// Servers with their weights and names.
    Servers,
    /// The two characters that a hash tag stands between, or nothing.
    Tag,
    Text,
    /// Text that is never printed.
    Secret,
    Addresses,
    /// CPU numbers; `empty` is how no number at all is written.
    Cpus {
        empty: &'static str,
    },
    Weights {
        max: u64,
    },
}

/// One of a closed set: our name, Redis's name for it, and other names that are taken to mean it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name {
    pub name: &'static str,
    pub redis: &'static str,
    pub aliases: &'static [&'static str],
}

impl Name {
    /// A name that Redis shares.
    pub(super) const fn plain(name: &'static str) -> Self {
        Self { name, redis: name, aliases: &[] }
    }
}

/// A parameter's value between its text and its field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Switch(bool),
    Count(u64),
    Integer(i64),
    Text(String),
    Addresses(Vec<IpAddr>),
    Numbers(Vec<u64>),
}

/// The longest name of a machine, by the rules of DNS.
const HOST_BYTES_MAX: usize = 253;

/// "No upper bound": what a TOML integer can hold.
pub(super) const UNBOUNDED: u64 = i64::MAX as u64;

impl Kind {
    /// Reads a value's text, from a flag or (as text) from a file. `None`: not what [`Kind::allowed`] says.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let within = |n: u64, min: u64, max: u64| (min..=max).contains(&n).then_some(Value::Count(n));
        match *self {
            Self::Switch => switch(text).map(Value::Switch),
            Self::Count { min, max } => within(text.parse().ok()?, min, max),
            Self::PowerOfTwo { min, max } => {
                let count: u64 = text.parse().ok()?;
                if count.is_power_of_two() { within(count, min, max) } else { None }
            }
            Self::Integer { min, max } => {
                let number = text.parse().ok()?;
                (min..=max).contains(&number).then_some(Value::Integer(number))
            }
            Self::OutputLimits => {
                let mut limits = OutputLimits::default();
                limits.set(text.as_bytes()).ok().map(|()| Value::Text(limits.print()))
            }
            Self::EventClasses => EventClasses::parse(text).map(|classes| Value::Text(classes.letters())),
            Self::ClientsLimit => ClientsLimit::parse(text.as_bytes()).ok().map(|limit| Value::Text(limit.print())),
            Self::Percentiles => Percentiles::parse(text.as_bytes()).ok().map(|those| Value::Text(those.print())),
            Self::Bytes { min, max } => within(units::bytes_parse(text)?, min, max),
            Self::Octal { max } => within(u64::from_str_radix(text, 8).ok()?, 0, max),
            Self::OneOf(names) => {
                let same = |name: &&str| name.eq_ignore_ascii_case(text);
                let found = names.iter().find(|n| same(&n.name) || same(&n.redis) || n.aliases.iter().any(same));
                found.map(|n| Value::Text(n.name.to_owned()))
            }
            Self::Host => is_host(text).then(|| Value::Text(text.to_owned())),
            Self::Path | Self::Text | Self::Secret => Some(Value::Text(text.to_owned())),
            Self::Label { bytes_max } => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let is_label = (1..=bytes_max).contains(&(text.len() as u64)) && text.bytes().all(fits);
                is_label.then(|| Value::Text(text.to_owned()))
            }
            Self::Servers => servers::parse_list(text).map(|list| Value::Text(servers::print_list(&list))),
            Self::Tag => {
                let is_tag = text.is_empty() || text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_graphic());
                is_tag.then(|| Value::Text(text.to_owned()))
            }
            Self::Pattern { bytes_max } => {
                (1..=bytes_max).contains(&(text.len() as u64)).then(|| Value::Text(text.to_owned()))
            }
            Self::Addresses => items(text).map(address).collect::<Option<_>>().map(Value::Addresses),
            Self::Cpus { empty } if text == empty || text.is_empty() => Some(Value::Numbers(Vec::new())),
            Self::Cpus { .. } => units::cpus_parse(text).map(|cpus| Value::Numbers(wide(cpus))),
            Self::Weights { max } => {
                let weight = |t: &str| t.parse().ok().filter(|n| (1..=max).contains(n));
                items(text).map(weight).collect::<Option<_>>().map(Value::Numbers)
            }
        }
    }

    /// What is allowed, as one phrase that completes "allowed: ".
    pub fn allowed(&self) -> String {
        match *self {
            Self::Switch => "on or off".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Integer { min, max: i64::MAX } => format!("a whole number from {min} up"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::OutputLimits => {
                "a class (normal, replica, pubsub), hard and soft bytes, and seconds, once or more".to_owned()
            }
            Self::EventClasses => "letters of Ag$lshzxeKEtmdn, or none, quoted in files".to_owned(),
            Self::ClientsLimit => "bytes, or a percentage of maxmemory such as 5%".to_owned(),
            Self::Percentiles => "numbers from 0 to 100 with one blank between them, or nothing".to_owned(),
            Self::PowerOfTwo { min, max } => format!("a power of two from {min} to {max}"),
            Self::Bytes { min, max } => {
                let upto = if max == UNBOUNDED { "up".to_owned() } else { format!("to {}", units::bytes_print(max)) };
                format!("bytes from {} {upto}, as a number or with b, k, kb, m, mb, g or gb", units::bytes_print(min))
            }
            Self::Octal { max } => format!("file mode digits from 0 to {max:o}"),
            Self::OneOf(names) => {
                let names: Vec<_> = names.iter().map(|n| n.name).collect();
                format!("one of {}", names.join(", "))
            }
            Self::Path => "a path, quoted in files".to_owned(),
            Self::Host => format!("an address or a host name of at most {HOST_BYTES_MAX} bytes, quoted in files"),
            Self::Pattern { bytes_max } => format!("a pattern as in KEYS, of 1 to {bytes_max} bytes, quoted in files"),
            Self::Label { bytes_max } => {
                format!("letters, digits, -, _ and ., 1 to {bytes_max} of them, quoted in files")
            }
            Self::Servers => servers::ALLOWED.to_owned(),
            Self::Tag => "two characters such as {}, or nothing, quoted in files".to_owned(),
            Self::Text | Self::Secret => "text, quoted in files".to_owned(),
            Self::Addresses => "IP addresses such as 127.0.0.1 or ::1, or * for every IPv4 address".to_owned(),
            Self::Cpus { empty: "" } => "CPUs such as 3 or 4-7, or nothing".to_owned(),
            Self::Cpus { empty } => format!("{empty}, or CPUs such as 0-3 or 0,2,4"),
            Self::Weights { max } => format!("weights from 1 to {max} such as 1,1,2"),
        }
    }

    /// The value's placeholder in the help.
    pub fn placeholder(&self) -> &'static str {
        match self {
            Self::Switch => "on|off",
            Self::Count { .. } | Self::PowerOfTwo { .. } | Self::Integer { .. } => "N",
            Self::OutputLimits => "CLASS HARD SOFT SECONDS",
            Self::EventClasses => "LETTERS",
            Self::ClientsLimit => "BYTES|N%",
            Self::Percentiles => "P P",
            Self::Bytes { .. } => "BYTES",
            Self::Octal { .. } => "MODE",
            Self::OneOf(_) => "NAME",
            Self::Path => "PATH",
            Self::Host => "HOST",
            Self::Pattern { .. } => "PATTERN",
            Self::Label { .. } => "NAME",
            Self::Servers => "HOST:PORT,HOST:PORT",
            Self::Tag => "TAG",
            Self::Text => "TEXT",
            Self::Secret => "SECRET",
            Self::Addresses => "IP",
            Self::Cpus { .. } => "CPUS",
            Self::Weights { .. } => "W,W",
        }
    }

    /// Whether a flag may be given several times, each adding to the list.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Addresses | Self::Servers | Self::Cpus { .. } | Self::Weights { .. })
    }

    /// The value as TOML that reads back to the same value. A secret is written as if it were empty.
    pub fn print_toml(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret, _) => "\"\"".to_owned(),
            (_, Value::Switch(on)) => on.to_string(),
            (Self::Bytes { .. }, Value::Count(n)) if *n > 0 && n % 1024 == 0 => {
                format!("\"{}\"", units::bytes_print(*n))
            }
            (Self::Octal { .. }, Value::Count(n)) => format!("\"{n:o}\""),
            (_, Value::Count(n)) => n.to_string(),
            (_, Value::Integer(n)) => n.to_string(),
            (_, Value::Addresses(list)) => {
                let quoted: Vec<_> = list.iter().map(|ip| format!("\"{ip}\"")).collect();
                format!("[{}]", quoted.join(", "))
            }
            (Self::Servers, Value::Text(list)) => {
                let quoted: Vec<_> = list.split(',').map(quote).collect();
                format!("[{}]", quoted.join(", "))
            }
            (_, Value::Text(_) | Value::Numbers(_)) => quote(&self.print(value)),
        }
    }

    /// The value as a flag takes it, and as messages name it.
    pub fn print(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Switch(on)) => (if *on { "on" } else { "off" }).to_owned(),
            (Self::Bytes { .. }, Value::Count(n)) => units::bytes_print(*n),
            (Self::Octal { .. }, Value::Count(n)) => format!("{n:o}"),
            (_, Value::Count(n)) => n.to_string(),
            (_, Value::Integer(n)) => n.to_string(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::Addresses(list)) => join(list, " "),
            (Self::Cpus { empty }, Value::Numbers(list)) if list.is_empty() => (*empty).to_owned(),
            (Self::Cpus { .. }, Value::Numbers(list)) => units::cpus_print(list),
            (_, Value::Numbers(list)) => join(list, ","),
        }
    }

    /// The value as Redis's CONFIG GET prints it: bytes as a plain number, switches as yes and no.
    pub fn print_redis(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Switch(on)) => (if *on { "yes" } else { "no" }).to_owned(),
            (Self::Bytes { .. }, Value::Count(n)) => n.to_string(),
            (Self::EventClasses, Value::Text(letters)) => {
                EventClasses::parse(letters).map_or_else(String::new, |classes| classes.to_string())
            }
            (Self::OneOf(names), Value::Text(text)) => {
                names.iter().find(|n| n.name == text).map_or(text.as_str(), |n| n.redis).to_owned()
            }
            _ => self.print(value),
        }
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => Some(true),
        "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// A list's items: commas and blanks both separate, as Redis's `bind` and our other lists have it.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|item| !item.is_empty())
}

/// Redis's rule for host names, and the colons of IPv6: what stands in a line of CLUSTER NODES must not break it.
pub(super) fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    text.len() <= HOST_BYTES_MAX && text.bytes().all(fits)
}

fn address(text: &str) -> Option<IpAddr> {
    if text == "*" { Some(Ipv4Addr::UNSPECIFIED.into()) } else { text.parse().ok() }
}

fn wide(cpus: Vec<usize>) -> Vec<u64> {
    cpus.into_iter().map(|cpu| cpu as u64).collect()
}

fn join<T: ToString>(list: &[T], separator: &str) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// How messages show what was found: a number bare, anything else in quotes.
pub(super) fn shown(text: &str) -> String {
    if text.parse::<i128>().is_ok() { text.to_owned() } else { quote(text) }
}

/// A TOML basic string: what TOML wants escaped is escaped, everything else stays as it is.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
