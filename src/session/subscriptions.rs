//! What one connection listens to.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What a name that a connection listens to stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// SUBSCRIBE: the channel of that name.
    Plain,
    /// PSUBSCRIBE: each channel whose name matches.
    Pattern,
    /// SSUBSCRIBE: the shard channel of that name.
    Shard,
}

impl ChannelKind {
    pub const ALL: [ChannelKind; 3] = [ChannelKind::Plain, ChannelKind::Pattern, ChannelKind::Shard];
}

/// The names of one kind.
type Names = BTreeSet<Arc<[u8]>>;

/// The names that one connection listens to. Most have none, so it is one word.
#[derive(Debug, Default)]
pub struct Subscriptions {
    names: Option<Box<[Names; 3]>>,
}

impl Subscriptions {
    pub fn contains(&self, kind: ChannelKind, name: &[u8]) -> bool {
        self.names.as_ref().is_some_and(|names| names[kind as usize].contains(name))
    }

    pub fn insert(&mut self, kind: ChannelKind, name: Arc<[u8]>) {
        self.names.get_or_insert_default()[kind as usize].insert(name);
    }

    /// False if the connection did not listen to it.
    pub fn remove(&mut self, kind: ChannelKind, name: &[u8]) -> bool {
        let Some(names) = &mut self.names else { return false };
        let removed = names[kind as usize].remove(name);
        if names.iter().all(Names::is_empty) {
            self.names = None;
        }
        removed
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_none()
    }

    pub fn count(&self, kind: ChannelKind) -> usize {
        self.names.as_ref().map_or(0, |names| names[kind as usize].len())
    }

    /// Bytes of all names.
    pub fn bytes(&self) -> usize {
        self.names.iter().flat_map(|names| names.iter()).flatten().map(|name| name.len()).sum()
    }

    /// All names of a kind, in order.
    pub fn names(&self, kind: ChannelKind) -> Vec<Arc<[u8]>> {
        self.names.as_ref().map_or(Vec::new(), |names| names[kind as usize].iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds are apart, a name counts once, and who has unsubscribed from all is as one who never subscribed.
    #[test]
    fn names_are_counted_by_kind() {
        let mut own = Subscriptions::default();
        for kind in ChannelKind::ALL {
            own.insert(kind, (*b"b").into());
            own.insert(kind, (*b"a").into());
            own.insert(kind, (*b"a").into());
            assert_eq!(own.count(kind), 2);
        }
        assert_eq!(own.names(ChannelKind::Shard), [(*b"a").into(), Arc::<[u8]>::from(*b"b")]);
        assert!(own.contains(ChannelKind::Plain, b"a") && !own.contains(ChannelKind::Plain, b"c"));
        for kind in ChannelKind::ALL {
            assert!(!own.is_empty());
            assert!(own.remove(kind, b"a") && !own.remove(kind, b"a") && own.remove(kind, b"b"));
        }
        assert!(own.is_empty());
    }
}
