//! What one connection listens to.

use super::ROW_BYTES;
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
    own: Option<Box<Own>>,
}

#[derive(Debug, Default)]
struct Own {
    /// By [`ChannelKind`].
    names: [Names; 3],
    bytes: usize,
}

impl Subscriptions {
    pub fn contains(&self, kind: ChannelKind, name: &[u8]) -> bool {
        self.own.as_ref().is_some_and(|own| own.names[kind as usize].contains(name))
    }

    pub fn insert(&mut self, kind: ChannelKind, name: Arc<[u8]>) {
        let (own, bytes) = (self.own.get_or_insert_default(), ROW_BYTES + name.len());
        if own.names[kind as usize].insert(name) {
            own.bytes += bytes;
        }
    }

    /// False if the connection did not listen to it.
    pub fn remove(&mut self, kind: ChannelKind, name: &[u8]) -> bool {
        let Some(own) = &mut self.own else { return false };
        let removed = own.names[kind as usize].remove(name);
        if removed {
            own.bytes -= ROW_BYTES + name.len();
        }
        if own.names.iter().all(Names::is_empty) {
            self.own = None;
        }
        removed
    }

    pub fn is_empty(&self) -> bool {
        self.own.is_none()
    }

    pub fn count(&self, kind: ChannelKind) -> usize {
        self.own.as_ref().map_or(0, |own| own.names[kind as usize].len())
    }

    /// Bytes that all names take.
    pub fn bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes)
    }

    /// All names of a kind, in order.
    pub fn names(&self, kind: ChannelKind) -> Vec<Arc<[u8]>> {
        self.own.as_ref().map_or(Vec::new(), |own| own.names[kind as usize].iter().cloned().collect())
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
            assert_eq!(own.bytes(), (kind as usize + 1) * 2 * (1 + ROW_BYTES));
        }
        assert_eq!(own.names(ChannelKind::Shard), [(*b"a").into(), Arc::<[u8]>::from(*b"b")]);
        assert!(own.contains(ChannelKind::Plain, b"a") && !own.contains(ChannelKind::Plain, b"c"));
        for kind in ChannelKind::ALL {
            assert!(!own.is_empty());
            assert!(own.remove(kind, b"a") && !own.remove(kind, b"a") && own.remove(kind, b"b"));
        }
        assert!(own.is_empty() && own.bytes() == 0);
    }
}
