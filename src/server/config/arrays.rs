//! Arrays of tables: `[[hot.policy]]`, `[[upstream]]`, `[[route]]`. One small table of keys each makes reading, checks
//! and printing, as `table` does for everything else.

use std::fmt::Write as _;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::file::{describe, text_of};
use super::kind::{Kind, Value, shown};
use super::mistake::{Mistake, Place};
use super::nearest::nearest;
use super::print::comment;

/// An array, each of whose tables becomes a `T`.
pub(super) struct Array<T: 'static> {
    /// `hot.policy`: how files and messages name it.
    pub path: &'static str,
    /// What it is for, in the printed configuration.
    pub why: &'static str,
    pub tables_max: usize,
    pub keys: &'static [Key<T>],
}

/// A key of such a table.
pub(super) struct Key<T: 'static> {
    pub key: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    /// What holds where the key is left out; empty where it must not be.
    pub absent: &'static str,
    /// Its value in the example that is printed while there is no table; empty where the example has none.
    pub example: &'static str,
    pub why: &'static str,
    pub field: Field<T>,
}

/// The way from a key to its field and back.
pub(super) struct Field<T: 'static> {
    /// `None`: the key was left out.
    pub get: fn(&T) -> Option<Value>,
    pub set: fn(&mut T, Value),
}

/// `field!(Upstream.tls.on)`: the accessors of one field; `field!(Upstream.tls.ca_file?)`: of one that may have nothing.
macro_rules! field {
    ($row:ident . $($name:ident).+) => {
        $crate::server::config::arrays::Field {
            get: |row: &$row| Some($crate::server::config::parameter::Stored::to_value(&row.$($name).+)),
            set: |row: &mut $row, value| {
                row.$($name).+ = $crate::server::config::parameter::Stored::from_value(value)
                    .expect($crate::server::config::arrays::FITS);
            },
        }
    };
    ($row:ident . $($name:ident).+ ?) => {
        $crate::server::config::arrays::Field {
            get: |row: &$row| row.$($name).+.as_ref().map($crate::server::config::parameter::Stored::to_value),
            set: |row: &mut $row, value| {
                row.$($name).+ = $crate::server::config::parameter::Stored::from_value(value)
                    .expect($crate::server::config::arrays::FITS);
            },
        }
    };
}
pub(super) use field;

/// Why a value can be stored without a further question.
pub(super) const FITS: &str = "a key's kind and range fit its field, as a test proves";

/// What was read: the tables that could be, with their places, and mistakes in the others.
pub(super) struct Rows<T> {
    pub rows: Vec<(T, Place)>,
    pub mistakes: Vec<Mistake>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), mistakes: Vec::new() }
    }
}

impl<T: 'static> Key<T> {
    pub const fn row(key: &'static str, field: Field<T>) -> Self {
        Self { key, kind: Kind::Switch, unit: "", absent: "", example: "", why: "", field }
    }

    pub const fn kind(mut self, kind: Kind, absent: &'static str) -> Self {
        self.kind = kind;
        self.absent = absent;
        self
    }

    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub const fn why(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    pub fn allowed(&self) -> String {
        let allowed = self.kind.allowed();
        if self.unit.is_empty() { allowed } else { format!("{allowed} ({})", self.unit) }
    }

    /// Stores the value that a text stands for. `false`: it is none of those that are allowed.
    pub fn store(&self, row: &mut T, text: &str) -> bool {
        let value = self.kind.parse(text);
        value.map(|value| (self.field.set)(row, value)).is_some()
    }

    fn facts(&self) -> String {
        let absent = if self.absent.is_empty() { "required".into() } else { format!("default: {}", self.absent) };
        format!("{}: {} Allowed: {}; {absent}.", self.key, self.why, self.allowed())
    }
}

impl<T: Default> Array<T> {
    /// `hot.policy[1].fold`.
    pub fn key_path(&self, index: usize, key: &str) -> String {
        format!("{}[{index}].{key}", self.path)
    }

    pub fn key(&self, name: &str) -> Option<&'static Key<T>> {
        self.keys.iter().find(|key| key.key == name)
    }

    /// The name of a key that is most like `name`.
    pub fn nearest(&self, name: &str) -> &'static str {
        nearest(name, self.keys.iter().map(|key| key.key)).expect("there are keys")
    }

    /// How many tables there may be, and how they are written.
    fn allowed(&self) -> String {
        format!("at most {} tables, each under [[{}]]", self.tables_max, self.path)
    }

    /// Reads the array.
    pub fn read(&self, value: &DeValue<'_>, at: Place, place: impl Fn(Range<usize>) -> Place) -> Rows<T> {
        let mut found = Rows::default();
        let mut mistake = |at: Place, key: String, found_there: String| {
            found.mistakes.push(Mistake::Value { at, key, found: found_there, allowed: self.allowed() });
        };
        let DeValue::Array(tables) = value else {
            mistake(at, self.path.to_owned(), describe(value));
            return found;
        };
        if let Some(beyond) = tables.get(self.tables_max) {
            mistake(place(beyond.span()), self.path.to_owned(), format!("{} tables", tables.len()));
        }
        for (index, table) in tables.iter().enumerate().take(self.tables_max) {
            let at = place(table.span());
            match table.get_ref() {
                DeValue::Table(keys) => self.read_table(index, keys, at, &place, &mut found),
                other => {
                    let (key, there) = (format!("{}[{index}]", self.path), describe(other));
                    found.mistakes.push(Mistake::Value { at, key, found: there, allowed: self.allowed() });
                }
            }
        }
        found
    }

    fn read_table(
        &self,
        index: usize,
        keys: &DeTable<'_>,
        at: Place,
        place: &impl Fn(Range<usize>) -> Place,
        found: &mut Rows<T>,
    ) {
        let mut row = T::default();
        for (name, value) in keys {
            let at = place(name.span());
            let Some(key) = self.key(name.get_ref()) else {
                let (key, nearest) = (self.key_path(index, name.get_ref()), self.nearest(name.get_ref()));
                let nearest = self.key_path(index, nearest);
                found.mistakes.push(Mistake::UnknownKey { at, key, nearest });
                continue;
            };
            let read = text_of(&key.kind, value.get_ref())
                .and_then(|text| if key.store(&mut row, &text) { Ok(()) } else { Err(shown(&text)) });
            if let Err(there) = read {
                let (key, allowed) = (self.key_path(index, key.key), key.allowed());
                found.mistakes.push(Mistake::Value { at, key, found: there, allowed });
            }
        }
        for key in self.keys.iter().filter(|key| key.absent.is_empty()) {
            if !keys.iter().any(|(name, _)| name.get_ref() == key.key) {
                let (at, there) = (at.clone(), "missing".to_owned());
                let (key, allowed) = (self.key_path(index, key.key), key.allowed());
                found.mistakes.push(Mistake::Value { at, key, found: there, allowed });
            }
        }
        found.rows.push((row, at));
    }

    /// The array as TOML that reads back, secrets aside; while it is empty, an example in a comment.
    pub fn print(&self, out: &mut String, rows: &[T], origins: &[Place]) {
        out.push('\n');
        comment(out, &format!("{} At most {} tables.", self.why, self.tables_max));
        for key in self.keys {
            comment(out, &key.facts());
        }
        if rows.is_empty() {
            let _ = writeln!(out, "\n#[[{}]]", self.path);
            for key in self.keys.iter().filter(|key| !key.example.is_empty()) {
                let value = key.kind.parse(key.example).expect("each example is allowed, as a test proves");
                let _ = writeln!(out, "#{} = {}", key.key, key.kind.print_toml(&value));
            }
        }
        for (row, origin) in rows.iter().zip(origins) {
            out.push('\n');
            comment(out, &format!("Set by: {origin}."));
            let _ = writeln!(out, "[[{}]]", self.path);
            for (key, value) in self.keys.iter().filter_map(|key| Some((key, (key.field.get)(row)?))) {
                match key.kind {
                    Kind::Secret => comment(out, &format!("{} is set, and not shown.", key.key)),
                    kind => _ = writeln!(out, "{} = {}", key.key, kind.print_toml(&value)),
                }
            }
        }
    }
}

/// Proves that no allowed value can miss its field, that what is left out has its default, and that examples are allowed.
#[cfg(test)]
pub(super) fn assert_sound<T: Default>(array: &Array<T>) {
    for key in array.keys {
        let example = if key.example.is_empty() { None } else { Some(key.kind.parse(key.example).expect(key.key)) };
        let mut values: Vec<Value> = example.into_iter().collect();
        match key.kind {
            Kind::Count { min, max } => values.extend([Value::Count(min), Value::Count(max)]),
            Kind::OneOf(names) => values.extend(names.iter().map(|name| Value::Text(name.name.to_owned()))),
            _ => {}
        }
        for value in values {
            let mut row = T::default();
            (key.field.set)(&mut row, value.clone());
            assert_eq!((key.field.get)(&row), Some(value), "{}", key.key);
        }
        if let Some(left_out) = (key.field.get)(&T::default()).filter(|_| !key.absent.is_empty()) {
            assert_eq!(Some(left_out), key.kind.parse(key.absent), "{}", key.key);
        }
    }
}
