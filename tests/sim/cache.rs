//! What a client of CLIENT TRACKING keeps: filled by its reads, emptied by invalidations, as a careful client does it.
//!
//! The promise that is checked, in the words of `engine/invalidation`: nobody keeps a stale value unknowingly. Once the
//! world has come to rest, every value that is kept is the store's. Where invalidations come on the connection that
//! reads, the one about a value stands behind the reply that brought it; where they come on another one they may come
//! first, and what was asked before an invalidation is not kept. And nobody is told without a reason: of a key that it has
//! not read since it was last told, of one without its prefix, or of what only itself has changed with NOLOOP.

use crate::deed::{KeySet, Op};
use crate::model::Action;
use crate::request::KEYS;
use crate::resp::Reply;
use std::collections::{BTreeMap, VecDeque};

/// How a connection tracks, from the request on that said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    pub on: bool,
    pub bcast: bool,
    pub optin: bool,
    pub optout: bool,
    pub noloop: bool,
    /// The connection that is told instead, and its id.
    pub redirect: Option<(usize, i64)>,
    pub prefixes: Vec<&'static str>,
}

impl Mode {
    pub fn covers(&self, key: usize) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| KEYS[key].starts_with(prefix))
    }

    /// The keys of which a read may be kept that comes now.
    pub fn keeps(&self, behind_caching: bool) -> KeySet {
        let all = (1 << KEYS.len()) - 1;
        match self {
            Mode { on: false, .. } => 0,
            Mode { bcast: true, .. } => {
                (0..KEYS.len()).filter(|key| self.covers(*key)).fold(0, |set, key| set | 1 << key)
            }
            Mode { optin: true, .. } if !behind_caching => 0,
            Mode { optout: true, .. } if behind_caching => 0,
            _ => all,
        }
    }

    pub fn words(&self) -> Vec<Vec<u8>> {
        let mut words = vec!["CLIENT".to_string(), "TRACKING".into(), if self.on { "ON" } else { "OFF" }.into()];
        let flags = [("BCAST", self.bcast), ("OPTIN", self.optin), ("OPTOUT", self.optout), ("NOLOOP", self.noloop)];
        words.extend(flags.iter().filter(|(_, set)| *set).map(|(word, _)| word.to_string()));
        words.extend(self.prefixes.iter().flat_map(|prefix| ["PREFIX".to_string(), prefix.to_string()]));
        words.extend(self.redirect.iter().flat_map(|(_, id)| ["REDIRECT".to_string(), id.to_string()]));
        words.into_iter().map(String::into_bytes).collect()
    }
}

/// What a request was asked under, for when its reply comes.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Its commands; none if it has nothing to do with keys.
    pub ops: Vec<Op>,
    pub in_exec: bool,
    pub keeps: KeySet,
    pub noloop: bool,
    /// How often each key had been forgotten.
    forgotten: [u32; KEYS.len()],
}

#[derive(Debug, Default)]
pub struct Cache {
    /// As asked for last.
    pub mode: Mode,
    /// CLIENT CACHING was asked for, and nothing since.
    pub caching: bool,
    /// Commands of the transaction that is being queued, and whether CLIENT CACHING came before it.
    queued: Vec<Op>,
    caching_in_multi: bool,
    /// As answered last, and whether it was answered well.
    told_mode: Mode,
    trusted: bool,
    values: BTreeMap<usize, Reply>,
    forgotten: [u32; KEYS.len()],
    /// Keys that it may be told of: once for each of its reads, which were asked at these events, and by its prefixes.
    read: BTreeMap<usize, VecDeque<u64>>,
    /// Reads of each key that another connection was told of in its place.
    proxied: [u32; KEYS.len()],
    listened: KeySet,
}

impl Cache {
    /// A mode is asked for.
    pub fn ask(&mut self, mode: &Mode) {
        if mode.bcast {
            self.listened |= mode.keeps(false);
        }
        self.mode = mode.clone();
    }

    pub fn begin_multi(&mut self) {
        (self.caching_in_multi, self.caching) = (self.caching, false);
    }

    pub fn queue(&mut self, op: Op) {
        self.queued.push(op);
    }

    /// A command is asked for, or a transaction ends: what will be kept of its reply.
    pub fn asks(&mut self, op: Option<Op>) -> Asked {
        let in_exec = op.is_none();
        let ops = op.map_or_else(|| std::mem::take(&mut self.queued), |op| vec![op]);
        let caching = if in_exec { self.caching_in_multi } else { self.caching };
        self.caching = false;
        let (keeps, noloop) = (self.mode.keeps(caching), self.mode.noloop);
        Asked { ops, in_exec, keeps, noloop, forgotten: self.forgotten }
    }

    /// A mode was answered; what was kept under the last one is not told of any more.
    pub fn answered(&mut self, mode: &Mode, good: bool) {
        self.values.clear();
        self.told_mode = mode.clone();
        self.trusted = good && mode.on;
    }

    /// The connection that is told instead of this one is gone.
    pub fn lose_ear(&mut self) {
        self.values.clear();
        self.trusted = false;
    }

    /// Whether another connection hears for this one, now or once the last mode is answered.
    pub fn hears_on(&self, link: usize) -> bool {
        let by = |mode: &Mode| mode.redirect.is_some_and(|(ear, _)| ear == link);
        by(&self.told_mode) || by(&self.mode)
    }

    /// A reply has come.
    pub fn learn(&mut self, asked: &Asked, asked_at: u64, reply: &Reply) {
        let answers = match reply {
            Reply::Array(answers) if asked.in_exec => answers,
            _ if asked.in_exec => return,
            reply => std::slice::from_ref(reply),
        };
        for (op, answer) in asked.ops.iter().zip(answers) {
            match (op, answer) {
                (Op::One(key, Action::Get), value) => self.keep(*key, value, asked),
                (Op::MGet(keys), Reply::Array(values)) => {
                    keys.iter().zip(values).for_each(|(key, value)| self.keep(*key, value, asked));
                }
                _ => {}
            }
            let keys = (0..KEYS.len()).filter(|key| op.keys() & 1 << key != 0);
            if op.is_look() {
                let told = keys.filter(|key| asked.keeps & 1 << key != 0);
                told.for_each(|key| self.read.entry(key).or_default().push_back(asked_at));
            } else if asked.noloop {
                // Nobody else tells it of what it does itself.
                keys.for_each(|key| drop(self.values.remove(&key)));
            }
        }
    }

    fn keep(&mut self, key: usize, value: &Reply, asked: &Asked) {
        if asked.keeps & 1 << key != 0 && self.trusted && self.forgotten[key] == asked.forgotten[key] {
            self.values.insert(key, value.clone());
        }
    }

    /// Keys have changed; answers those that it could be told of only by mistake, and since when the others were kept.
    pub fn forget(&mut self, keys: &[usize], direct: bool) -> Result<Vec<(usize, u64)>, usize> {
        let mut since = Vec::new();
        for key in keys {
            self.values.remove(key);
            self.forgotten[*key] += 1;
            // The word about the first of two reads may come behind the reply to the second.
            let read = self.read.get_mut(key).and_then(VecDeque::pop_front);
            let listened = self.listened & 1 << key != 0;
            let proxied = &mut self.proxied[*key];
            match read {
                // What another connection was told of may be what this one is told of next: they are not in step.
                Some(_) if !direct => *proxied += 1,
                None if direct && !listened && *proxied == 0 => return Err(*key),
                None if direct && !listened => *proxied -= 1,
                _ => {}
            }
            // Who listens to prefixes is told of changes and not about reads, so of one before the last read too.
            since.push((*key, if listened { 0 } else { read.unwrap_or(0) }));
        }
        Ok(since)
    }

    pub fn forget_all(&mut self) {
        self.values.clear();
        self.forgotten.iter_mut().for_each(|times| *times += 1);
    }

    /// Whether it is promised to hear nothing of its own changes, on its own connection.
    pub fn is_spared_own(&self) -> bool {
        self.trusted && self.mode.noloop && self.told_mode.noloop && self.told_mode.redirect.is_none()
    }

    /// What is kept and is not what the store has.
    pub fn stale(&self, store: &[Reply]) -> Option<(usize, &Reply)> {
        self.values.iter().find(|(key, value)| store[**key] != **value).map(|(key, value)| (*key, value))
    }

    pub fn kept(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &[u8]) -> Reply {
        Reply::Bulk(text.to_vec())
    }

    fn get(cache: &mut Cache, key: usize) -> Asked {
        cache.asks(Some(Op::One(key, Action::Get)))
    }

    fn on(mode: Mode) -> Cache {
        let mode = Mode { on: true, ..mode };
        let mut cache = Cache::default();
        cache.ask(&mode);
        cache.answered(&mode, true);
        cache
    }

    /// A value is kept until it is invalidated, and what was asked before an invalidation is not kept.
    #[test]
    fn values_are_kept_until_they_are_invalidated() {
        let mut cache = on(Mode::default());
        let (one, other) = (get(&mut cache, 1), get(&mut cache, 1));
        cache.learn(&one, 7, &bulk(b"x"));
        let store = vec![bulk(b"y"); KEYS.len()];
        assert_eq!(cache.stale(&store), Some((1, &bulk(b"x"))));
        assert_eq!(cache.forget(&[1], true), Ok(vec![(1, 7)]));
        cache.learn(&other, 8, &bulk(b"x"));
        assert_eq!(cache.stale(&store), None);
        assert_eq!(cache.forget(&[2], true), Err(2), "it was not read");
    }

    /// What each mode keeps.
    #[test]
    fn modes_keep_what_they_are_told_of() {
        for (mode, behind_caching, kept) in [
            (Mode { optin: true, ..Mode::default() }, false, 0),
            (Mode { optin: true, ..Mode::default() }, true, 1),
            (Mode { optout: true, ..Mode::default() }, true, 0),
            (Mode { bcast: true, prefixes: vec!["a"], ..Mode::default() }, false, 1),
            (Mode { bcast: true, prefixes: vec!["b"], ..Mode::default() }, false, 0),
        ] {
            let mut cache = on(mode.clone());
            cache.caching = behind_caching;
            let asked = get(&mut cache, 1);
            cache.learn(&asked, 1, &bulk(b"x"));
            assert_eq!(cache.kept(), kept, "{mode:?}");
        }
    }

    /// With NOLOOP a client forgets by itself what it changes.
    #[test]
    fn own_changes_are_forgotten_with_noloop() {
        for (noloop, kept) in [(false, 1), (true, 0)] {
            let mut cache = on(Mode { noloop, ..Mode::default() });
            let (read, write) = (get(&mut cache, 1), cache.asks(Some(Op::Del(vec![1]))));
            cache.learn(&read, 1, &bulk(b"x"));
            cache.learn(&write, 2, &Reply::Int(1));
            assert_eq!(cache.kept(), kept);
        }
    }
}
