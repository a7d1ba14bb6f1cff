//! Files: TOML text to assignments, every mistake collected on the way.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::arrays::Rows;
use super::kind::Kind;
use super::mistake::{Mistake, Place};
use super::nearest::nearest;
use super::parameter::Parameter;
use super::settings::PatternPolicy;
use super::table::{self, SECTIONS, TABLE};
use super::upstream::{ROUTES, Route, UPSTREAMS, Upstream};
use super::{hot, profiles, redis_conf};

/// A file is a page of text; more than this is not a configuration, and parsing it would only cost memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file to the end, or to the bound: `--config /dev/zero` must end too.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// A parameter's text, still to be parsed, and where it stands.
pub(super) struct Assignment {
    pub parameter: &'static Parameter,
    pub text: String,
    pub at: Place,
}

/// Whose text is being read, for places in messages.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Profile(String),
}

impl Source {
    fn at(&self, line: usize) -> Place {
        match self {
            Self::File(path) => Place::File { path: path.clone(), line },
            Self::Profile(name) => Place::Profile { name: name.clone(), line },
        }
    }
}

/// What a text says: assignments, the tables of arrays with their places, and the profile that it builds on.
#[derive(Default)]
pub(super) struct Contents {
    pub assignments: Vec<Assignment>,
    pub policies: Vec<(PatternPolicy, Place)>,
    pub upstreams: Vec<(Upstream, Place)>,
    pub routes: Vec<(Route, Place)>,
    pub profile: Option<(String, Place)>,
    pub mistakes: Vec<Mistake>,
}

/// Reads a whole text. A text with a syntax error still yields the mistakes of the lines that could be read.
pub(super) fn read(source: &Source, text: &str) -> Contents {
    let redis = redis_conf::mistakes(text, |line| source.at(line));
    if !redis.is_empty() {
        return Contents { mistakes: redis, ..Contents::default() };
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { source, text, contents: Contents::default() };
    for error in &errors {
        let at = reader.at(error.span().unwrap_or_default());
        reader.contents.mistakes.push(Mistake::Syntax { at, reason: error.message().replace('\n', "; ") });
    }
    let broken: Vec<Place> = reader.contents.mistakes.iter().map(Mistake::place).collect();
    for (name, value) in document.get_ref().iter() {
        let at = |span: Range<usize>| place(source, text, span);
        let path = name.get_ref().as_ref();
        if path == UPSTREAMS.path {
            let read = UPSTREAMS.read(value.get_ref(), at(name.span()), at);
            reader.contents.upstreams = reader.keep(read);
            continue;
        }
        if path == ROUTES.path {
            let read = ROUTES.read(value.get_ref(), at(name.span()), at);
            reader.contents.routes = reader.keep(read);
            continue;
        }
        match value.get_ref() {
            DeValue::Table(keys) => reader.section(name.get_ref(), name.span(), keys),
            other => reader.outside_section(name.get_ref(), name.span(), other),
        }
    }
    let mut contents = reader.contents;
    // What the parser recovered on a broken line is its guess: do not report mistakes in a guess.
    let is_guess = |mistake: &Mistake| !matches!(mistake, Mistake::Syntax { .. }) && broken.contains(&mistake.place());
    contents.mistakes.retain(|mistake| !is_guess(mistake));
    contents.assignments.retain(|assignment| !broken.contains(&assignment.at));
    contents
}

struct Reader<'a> {
    source: &'a Source,
    text: &'a str,
    contents: Contents,
}

impl Reader<'_> {
    fn at(&self, span: Range<usize>) -> Place {
        place(self.source, self.text, span)
    }

    /// An array's tables; its mistakes are noted.
    fn keep<T>(&mut self, read: Rows<T>) -> Vec<(T, Place)> {
        self.contents.mistakes.extend(read.mistakes);
        read.rows
    }

    fn section(&mut self, section: &str, span: Range<usize>, keys: &DeTable<'_>) {
        if !SECTIONS.iter().any(|(name, _)| *name == section) {
            let nearest = nearest(section, SECTIONS.iter().map(|(name, _)| *name)).expect("there are sections");
            let (at, section, nearest) = (self.at(span), section.to_owned(), nearest.to_owned());
            return self.contents.mistakes.push(Mistake::UnknownSection { at, section, nearest });
        }
        for (key, value) in keys {
            if (section, key.get_ref().as_ref()) == (hot::SECTION, hot::KEY) {
                let (source, text, at) = (self.source, self.text, self.at(key.span()));
                let read = hot::ARRAY.read(value.get_ref(), at, |span| place(source, text, span));
                self.contents.policies = self.keep(read);
                continue;
            }
            let Some(parameter) = table::by_key(section, key.get_ref()) else {
                self.unknown_key(format!("{section}.{}", key.get_ref()), key.get_ref(), section, key.span());
                continue;
            };
            let at = self.at(key.span());
            match text_of(&parameter.kind, value.get_ref()) {
                Ok(text) => self.contents.assignments.push(Assignment { parameter, text, at }),
                Err(found) => {
                    let (key, allowed) = (parameter.path(), parameter.allowed());
                    self.contents.mistakes.push(Mistake::Value { at, key, found, allowed });
                }
            }
        }
    }

    /// Only `profile` stands outside the sections, since it is not a parameter but a set of them.
    fn outside_section(&mut self, key: &str, span: Range<usize>, value: &DeValue<'_>) {
        if key != "profile" {
            return self.unknown_key(key.to_owned(), key, "", span);
        }
        let at = self.at(span);
        match value {
            DeValue::String(name) => self.contents.profile = Some((name.to_string(), at)),
            other => self.contents.mistakes.push(profiles::unknown(at, "profile", describe(other))),
        }
    }

    fn unknown_key(&mut self, written: String, key: &str, section: &str, span: Range<usize>) {
        // A right key in the wrong section is nearer than a similar one in the right section.
        let elsewhere = TABLE.iter().find(|p| key == p.key || key == p.flag || p.redis == Some(key));
        let tables = (section == hot::SECTION).then_some(hot::KEY);
        let here = || nearest(key, table::section(section).map(|p| p.key).chain(tables));
        let arrays = [UPSTREAMS.path, ROUTES.path];
        let anywhere = || nearest(key, TABLE.iter().map(|p| p.key).chain(arrays)).expect("the table has rows");
        let path_of = |key: &str| TABLE.iter().find(|p| p.key == key).map_or_else(|| key.to_owned(), Parameter::path);
        let nearest = elsewhere.map(Parameter::path).or_else(|| Some(format!("{section}.{}", here()?)));
        let nearest = nearest.unwrap_or_else(|| path_of(anywhere()));
        self.contents.mistakes.push(Mistake::UnknownKey { at: self.at(span), key: written, nearest });
    }
}

fn place(source: &Source, text: &str, span: Range<usize>) -> Place {
    let before = &text.as_bytes()[..span.start.min(text.len())];
    source.at(1 + before.iter().filter(|byte| **byte == b'\n').count())
}

/// The text that a TOML value stands for, if its type suits the kind; otherwise what it is, for the message.
pub(super) fn text_of(kind: &Kind, value: &DeValue<'_>) -> Result<String, String> {
    let number = matches!(
        kind,
        Kind::Count { .. }
            | Kind::PowerOfTwo { .. }
            | Kind::Integer { .. }
            | Kind::Bytes { .. }
            | Kind::Octal { .. }
            | Kind::Cpus { .. }
    );
    let text = !matches!(kind, Kind::Count { .. } | Kind::PowerOfTwo { .. } | Kind::Integer { .. });
    match value {
        DeValue::String(string) if text => Ok(string.to_string()),
        DeValue::Integer(_) if number => Ok(integer(value)),
        DeValue::Boolean(on) if *kind == Kind::Switch => Ok(on.to_string()),
        DeValue::Array(items) if kind.is_list() => {
            let items = items.iter().map(|item| match (kind, item.get_ref()) {
                (Kind::Addresses | Kind::Servers, DeValue::String(string)) => Ok(string.to_string()),
                (Kind::Cpus { .. } | Kind::Weights { .. }, item @ DeValue::Integer(_)) => Ok(integer(item)),
                (_, other) => Err(format!("an array with {}", describe(other))),
            });
            Ok(items.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        // A password with the quotes forgotten is still a password: name the type, not the text.
        other if *kind == Kind::Secret => Err(format!("of type {} (not shown)", other.type_str())),
        other => Err(describe(other)),
    }
}

/// Decimal text, whatever base the file used; what fits no integer stays as written and is refused by the kind.
fn integer(value: &DeValue<'_>) -> String {
    let integer = value.as_integer().expect("the caller matched an integer");
    i128::from_str_radix(integer.as_str(), integer.radix()).map_or_else(|_| integer.to_string(), |n| n.to_string())
}

/// How messages name what was found.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(string) => super::kind::quote(string),
        DeValue::Integer(_) => integer(value),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
