//! Prefixes that connections listen to in BCAST mode: all of them on every core, and what has changed in this turn.

use crate::keyspace::Mark;
use crate::types::{ConnId, CoreId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys with one prefix that have changed in a turn, each with who changed it last.
#[derive(Debug)]
pub struct Broadcast {
    pub prefix: Box<[u8]>,
    pub keys: Vec<(Arc<[u8]>, Mark)>,
}

#[derive(Debug, Default)]
struct Prefix {
    /// Cores with connections that listen.
    cores: BTreeSet<CoreId>,
    /// Those of this core.
    here: Vec<ConnId>,
    changed: BTreeMap<Arc<[u8]>, Mark>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Prefixes {
    rows: BTreeMap<Box<[u8]>, Prefix>,
    /// How many prefixes have which length: a key is looked up once a length.
    lengths: BTreeMap<usize, usize>,
    has_changed: bool,
}

impl Prefixes {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prefixes for which this core is the first that listens, so that the sum over cores is the number of all.
    pub fn first_of(&self, core: CoreId) -> usize {
        self.rows.values().filter(|row| row.cores.first() == Some(&core)).count()
    }

    /// Connections of this core that listen to a prefix.
    pub fn here(&self, prefix: &[u8]) -> &[ConnId] {
        self.rows.get(prefix).map_or(&[], |row| &row.here)
    }

    pub fn add_core(&mut self, prefix: &[u8], core: CoreId) {
        if !self.rows.contains_key(prefix) {
            self.rows.insert(prefix.into(), Prefix::default());
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        self.rows.get_mut(prefix).expect("it is there").cores.insert(core);
    }

    pub fn add_here(&mut self, prefix: &[u8], own: CoreId, conn: ConnId) {
        self.add_core(prefix, own);
        let row = self.rows.get_mut(prefix).expect("it was just added");
        if !row.here.contains(&conn) {
            row.here.push(conn);
        }
    }

    /// True when nobody of this core listens any more.
    pub fn remove_here(&mut self, prefix: &[u8], conn: ConnId) -> bool {
        let Some(row) = self.rows.get_mut(prefix) else { return false };
        row.here.retain(|listener| *listener != conn);
        row.here.is_empty()
    }

    pub fn remove_core(&mut self, prefix: &[u8], core: CoreId) {
        let Some(row) = self.rows.get_mut(prefix) else { return };
        row.cores.remove(&core);
        if row.cores.is_empty() {
            self.rows.remove(prefix);
            let count = self.lengths.get_mut(&prefix.len()).expect("each prefix is counted");
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// Notes that a key has changed.
    pub fn collect(&mut self, key: &[u8], mark: Mark) {
        let mut shared: Option<Arc<[u8]>> = None;
        for length in self.lengths.keys().take_while(|length| **length <= key.len()) {
            let Some(row) = self.rows.get_mut(&key[..*length]) else { continue };
            self.has_changed = true;
            if let Some(known) = row.changed.get_mut(key) {
                *known = mark;
                continue;
            }
            row.changed.insert(Arc::clone(shared.get_or_insert_with(|| key.into())), mark);
        }
    }

    /// What has changed since the last call, for each prefix, and the cores that are to hear of it.
    pub fn take_changed(&mut self) -> Vec<(Arc<Broadcast>, Vec<CoreId>)> {
        if !std::mem::take(&mut self.has_changed) {
            return Vec::new();
        }
        let changed = self.rows.iter_mut().filter(|(_, row)| !row.changed.is_empty());
        let each = changed.map(|(prefix, row)| {
            let keys = std::mem::take(&mut row.changed).into_iter().collect();
            (Arc::new(Broadcast { prefix: prefix.clone(), keys }), row.cores.iter().copied().collect())
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId { index: 0, generation: 1 };

    fn taken(prefixes: &mut Prefixes) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
        let changed = prefixes.take_changed();
        let keys = |keys: &[(Arc<[u8]>, Mark)]| {
            keys.iter().map(|(key, mark)| format!("{}={}", text(key), mark.0)).collect::<Vec<_>>().join(" ")
        };
        changed.iter().map(|(broadcast, _)| (text(&broadcast.prefix), keys(&broadcast.keys))).collect()
    }

    /// A key goes to every prefix that it has, once, with its last author; others go nowhere.
    #[test]
    fn keys_are_collected_by_prefix() {
        let mut prefixes = Prefixes::default();
        for prefix in [&b""[..], b"a", b"a:1", b"b:"] {
            prefixes.add_core(prefix, CoreId(1));
        }
        for (key, mark) in [(&b"a:12"[..], 1), (b"a:2", 2), (b"", 3), (b"a:12", 4), (b"b", 5)] {
            prefixes.collect(key, Mark(mark));
        }
        let want = [("", "=3 a:12=4 a:2=2 b=5"), ("a", "a:12=4 a:2=2"), ("a:1", "a:12=4")];
        assert_eq!(taken(&mut prefixes), want.map(|(prefix, keys)| (prefix.to_string(), keys.to_string())));
        assert_eq!(taken(&mut prefixes), []);
    }

    /// A prefix is known for as long as one core has a listener, and counts for one core alone.
    #[test]
    fn prefixes_end_with_their_last_listener() {
        let mut prefixes = Prefixes::default();
        prefixes.add_here(b"a", CoreId(0), CONN);
        prefixes.add_core(b"a", CoreId(1));
        prefixes.add_core(b"b", CoreId(1));
        assert_eq!([0, 1, 2].map(|core| prefixes.first_of(CoreId(core))), [1, 1, 0]);
        assert_eq!(prefixes.here(b"a"), [CONN]);
        assert!(prefixes.remove_here(b"a", CONN));
        prefixes.remove_core(b"a", CoreId(0));
        prefixes.collect(b"a1", Mark(0));
        assert_eq!(prefixes.take_changed()[0].1, [CoreId(1)]);
        prefixes.remove_core(b"a", CoreId(1));
        prefixes.remove_core(b"b", CoreId(1));
        assert!(prefixes.is_empty() && prefixes.lengths.is_empty());
    }
}
