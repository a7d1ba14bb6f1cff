//! What a row of the table is, and how its value reaches the typed configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use log::LevelFilter;

use super::kind::{Kind, Value};
use super::servers::{self, UpstreamServer};
use super::settings::Config;
use super::upstream::{ReadFrom, UpstreamKind};
use crate::engine::{ClientsLimit, DebugAccess, Endpoint, Fsync, OutputLimits, Percentiles};
use crate::keyspace::{EventClasses, Policy};
use crate::routing::{Distribution, Hash};

/// One parameter: everything that files, flags, help, printing and CONFIG derive from.
pub struct Parameter {
    pub section: &'static str,
    pub key: &'static str,
    /// The long flag, without its dashes.
    pub flag: &'static str,
    /// A second name for the flag, where Redis users know one.
    pub flag_alias: Option<&'static str>,
    /// The name under which CONFIG GET knows it.
    pub redis: Option<&'static str>,
    pub kind: Kind,
    pub default: &'static str,
    /// What a bare number counts; empty where the kind says it already.
    pub unit: &'static str,
    pub why: &'static str,
    /// CONFIG SET may change it while the server runs.
    pub live: bool,
    pub(super) field: Field,
}

/// The way from a row to its field of [`Config`] and back.
pub(super) struct Field {
    pub get: fn(&Config) -> Value,
    pub set: fn(&mut Config, Value),
}

/// `field!(network.port)`: the accessors of one field.
macro_rules! field {
    ($section:ident . $name:ident) => {
        $crate::server::config::parameter::Field {
            get: |config| $crate::server::config::parameter::Stored::to_value(&config.$section.$name),
            set: |config, value| {
                config.$section.$name = $crate::server::config::parameter::Stored::from_value(value)
                    .expect("a row's kind and range fit its field, as the table's test proves");
            },
        }
    };
}
pub(super) use field;

impl Parameter {
    pub(super) const fn row(section: &'static str, key: &'static str, flag: &'static str, field: Field) -> Self {
        Self {
            section,
            key,
            flag,
            flag_alias: None,
            redis: None,
            kind: Kind::Switch,
            default: "",
            unit: "",
            why: "",
            live: false,
            field,
        }
    }

    pub(super) const fn kind(mut self, kind: Kind, default: &'static str) -> Self {
        self.kind = kind;
        self.default = default;
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub(super) const fn redis(mut self, name: &'static str) -> Self {
        self.redis = Some(name);
        self
    }

    pub(super) const fn alias(mut self, flag: &'static str) -> Self {
        self.flag_alias = Some(flag);
        self
    }

    pub(super) const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    pub(super) const fn why(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// `network.port`: how a file's key is named in messages.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// What is allowed, as one phrase, unit included.
    pub fn allowed(&self) -> String {
        let allowed = self.kind.allowed();
        if self.unit.is_empty() { allowed } else { format!("{allowed} ({})", self.unit) }
    }

    pub fn get(&self, config: &Config) -> Value {
        (self.field.get)(config)
    }

    pub(super) fn set(&self, config: &mut Config, value: Value) {
        (self.field.set)(config, value);
    }
}

/// A type that a field of [`Config`] may have. `None` where the value does not fit: a mistake in the table.
pub(super) trait Stored: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! stored_count {
    ($($integer:ty),*) => {$(
        impl Stored for $integer {
            fn to_value(&self) -> Value {
                Value::Count(u64::try_from(*self).expect("every counting field is at most 64 bits wide"))
            }
            fn from_value(value: Value) -> Option<Self> {
                let Value::Count(count) = value else { return None };
                Self::try_from(count).ok()
            }
        }
        impl Stored for Vec<$integer> {
            fn to_value(&self) -> Value {
                let wide = |n: &$integer| u64::try_from(*n).expect("every counting field is at most 64 bits wide");
                Value::Numbers(self.iter().map(wide).collect())
            }
            fn from_value(value: Value) -> Option<Self> {
                let Value::Numbers(numbers) = value else { return None };
                numbers.into_iter().map(|n| <$integer>::try_from(n).ok()).collect()
            }
        }
    )*};
}
stored_count!(u16, u32, u64, usize);

impl Stored for i64 {
    fn to_value(&self) -> Value {
        Value::Integer(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Integer(number) = value { Some(number) } else { None }
    }
}

impl Stored for OutputLimits {
    fn to_value(&self) -> Value {
        Value::Text(self.print())
    }
    fn from_value(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        let mut limits = OutputLimits::default();
        limits.set(text.as_bytes()).ok().map(|()| limits)
    }
}

impl Stored for EventClasses {
    fn to_value(&self) -> Value {
        Value::Text(self.letters())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(&text) } else { None }
    }
}

impl Stored for ClientsLimit {
    fn to_value(&self) -> Value {
        Value::Text(self.print())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(text.as_bytes()).ok() } else { None }
    }
}

impl Stored for Percentiles {
    fn to_value(&self) -> Value {
        Value::Text(self.print())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(text.as_bytes()).ok() } else { None }
    }
}

impl Stored for DebugAccess {
    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(&text) } else { None }
    }
}

impl Stored for Fsync {
    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(&text) } else { None }
    }
}

/// Types that list their values with their names.
macro_rules! stored_name {
    ($($named:ty),*) => {$(
        impl Stored for $named {
            fn to_value(&self) -> Value {
                let (name, _) = Self::ALL.iter().find(|(_, value)| value == self).expect("each has a name");
                Value::Text((*name).to_owned())
            }
            fn from_value(value: Value) -> Option<Self> {
                let Value::Text(text) = value else { return None };
                Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
            }
        }
    )*};
}
stored_name!(Distribution, Hash, UpstreamKind, ReadFrom);

impl Stored for Vec<UpstreamServer> {
    fn to_value(&self) -> Value {
        Value::Text(servers::print_list(self))
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { servers::parse_list(&text) } else { None }
    }
}

impl Stored for bool {
    fn to_value(&self) -> Value {
        Value::Switch(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Switch(on) = value { Some(on) } else { None }
    }
}

impl Stored for Vec<IpAddr> {
    fn to_value(&self) -> Value {
        Value::Addresses(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Addresses(addresses) = value { Some(addresses) } else { None }
    }
}

impl Stored for PathBuf {
    fn to_value(&self) -> Value {
        Value::Text(self.to_string_lossy().into_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.into()) } else { None }
    }
}

impl Stored for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

/// Empty text stands for none, as in Redis's `unixsocket ""` and `requirepass ""`.
impl Stored for Option<PathBuf> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Text(String::new()), Stored::to_value)
    }
    fn from_value(value: Value) -> Option<Self> {
        let path = PathBuf::from_value(value)?;
        Some(if path.as_os_str().is_empty() { None } else { Some(path) })
    }
}

impl Stored for Option<String> {
    fn to_value(&self) -> Value {
        Value::Text(self.clone().unwrap_or_default())
    }
    fn from_value(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        Some(if text.is_empty() { None } else { Some(text) })
    }
}

impl Stored for Policy {
    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(&text) } else { None }
    }
}

impl Stored for Endpoint {
    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(&text) } else { None }
    }
}

impl Stored for LevelFilter {
    fn to_value(&self) -> Value {
        Value::Text(self.as_str().to_ascii_lowercase())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { text.parse().ok() } else { None }
    }
}
