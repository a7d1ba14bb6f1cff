//! Consistent hashing with virtual nodes: which node of a changing set a point of the 64-bit circle belongs to.
//!
//! A node stands on the circle at `vnodes * weight` points; a point belongs to the first node at or clockwise after it.
//! Adding a node takes keys only from others to it, removing one gives its keys only to others. The answer depends on
//! the names, weights and `vnodes` alone: not on the order of insertion, the machine, the process or the version.
//!
//! The hash is part of that contract, so it is written out here instead of taken from a package: FNV-1a over the bytes
//! (Fowler, Noll, Vo; 64-bit parameters), whose high bits are weak for short names, then SplitMix64's finalizer
//! (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014), which mends exactly that. A node's
//! points are the SplitMix64 sequence seeded with its name's hash.

use super::error::RoutingError;

/// The most points on one ring: 12 MiB, enough for 1,024 nodes of 1,024 points.
pub const POINTS_MAX: usize = 1 << 20;

/// 2^64 divided by the golden ratio, SplitMix64's step.
pub(super) const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A circle of weighted nodes; `N` is whatever the caller wants back: a core, an address.
///
/// ```
/// use coldplate::routing::{HashRing, point_of};
///
/// let mut ring = HashRing::new(160)?;
/// for (name, port) in [("cache-a", 11211), ("cache-b", 11212), ("cache-c", 11213)] {
///     ring.add(name, port, 1.0)?;
/// }
/// let key = point_of(b"user:42");
/// let owner = ring.owner(key).expect("three nodes");
/// assert_eq!(owner.value, 11212);
///
/// // The owner, then the nodes that would own the key without it: where copies belong.
/// let replicas: Vec<u16> = ring.walk(key).take(2).map(|node| node.value).collect();
/// assert_eq!(replicas[0], owner.value);
///
/// ring.remove("cache-b");
/// assert_eq!(ring.owner(key).expect("two nodes").value, replicas[1]);
/// # Ok::<(), coldplate::routing::RoutingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HashRing<N> {
    vnodes: usize,
    nodes: Vec<Node<N>>,
    /// Ascending, apart from `owners` so that a binary search reads eight points a cache line.
    points: Vec<u64>,
    /// `owners[i]` is the row in `nodes` of the node that stands at `points[i]`.
    owners: Vec<u32>,
}

/// A node as it was added.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<N> {
    pub name: String,
    pub value: N,
    pub weight: f64,
}

impl<N> HashRing<N> {
    /// An empty ring on which a node of weight 1 gets `vnodes` points. Its share of the circle then deviates by about
    /// `1 / sqrt(vnodes)` of itself.
    pub fn new(vnodes: usize) -> Result<HashRing<N>, RoutingError> {
        if vnodes == 0 {
            return Err(RoutingError::NoVnodes);
        }
        Ok(HashRing { vnodes, nodes: Vec::new(), points: Vec::new(), owners: Vec::new() })
    }

    /// Adds a node; on an error the ring is as before. Sorts all points: build once, look up often.
    ///
    /// ```
    /// use coldplate::routing::{HashRing, RoutingError};
    ///
    /// let mut ring = HashRing::new(100)?;
    /// ring.add("a", (), 1.0)?;
    /// assert_eq!(ring.add("a", (), 1.0), Err(RoutingError::DuplicateNode { name: "a".into() }));
    /// assert_eq!(ring.add("b", (), 0.0), Err(RoutingError::InvalidWeight { name: "b".into(), weight: 0.0 }));
    /// # Ok::<(), RoutingError>(())
    /// ```
    pub fn add(&mut self, name: &str, value: N, weight: f64) -> Result<(), RoutingError> {
        self.extend([Node { name: name.to_owned(), value, weight }])
    }

    /// Adds all nodes, or none of them on an error. Sorts once, where `add` would sort for each.
    pub fn extend(&mut self, nodes: impl IntoIterator<Item = Node<N>>) -> Result<(), RoutingError> {
        let (nodes_before, points_before) = (self.nodes.len(), self.points.len());
        let result = nodes.into_iter().try_for_each(|node| self.append(node));
        if result.is_err() {
            self.nodes.truncate(nodes_before);
            self.points.truncate(points_before);
            self.owners.truncate(points_before);
        } else {
            self.sort();
        }
        result
    }

    /// Takes a node off the ring; its points fall to their clockwise neighbours. `None` if there is no such node.
    pub fn remove(&mut self, name: &str) -> Option<Node<N>> {
        let gone = self.nodes.iter().position(|node| node.name == name)?;
        let node = self.nodes.remove(gone);
        let mut kept = 0;
        for from in 0..self.points.len() {
            let owner = self.owners[from] as usize;
            if owner != gone {
                self.points[kept] = self.points[from];
                self.owners[kept] = self.owners[from] - u32::from(owner > gone);
                kept += 1;
            }
        }
        self.points.truncate(kept);
        self.owners.truncate(kept);
        Some(node)
    }

    /// The node that owns a point; `None` on an empty ring. A binary search.
    #[inline]
    pub fn owner(&self, point: u64) -> Option<&Node<N>> {
        let row = self.owners.get(self.place_of(point)).or(self.owners.first())?;
        Some(&self.nodes[*row as usize])
    }

    /// Every node once, in the order in which it would own the point if those before it were gone.
    pub fn walk(&self, point: u64) -> Walk<'_, N> {
        Walk { ring: self, next: self.place_of(point), left: self.nodes.len(), seen: vec![false; self.nodes.len()] }
    }

    /// The nodes, in the order in which they were added.
    pub fn nodes(&self) -> &[Node<N>] {
        &self.nodes
    }

    /// How many points all nodes together stand on.
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// Rows of `nodes` clockwise from a point, repeats included, once around.
    pub(super) fn rows_from(&self, point: u64) -> impl Iterator<Item = usize> {
        let (before, from) = self.owners.split_at(self.place_of(point));
        from.iter().chain(before).map(|&row| row as usize)
    }

    /// The place in `points` of the first one at or after `point`; one past the last means the first again.
    #[inline]
    fn place_of(&self, point: u64) -> usize {
        self.points.partition_point(|&other| other < point)
    }

    /// Checks the node and appends its points out of order, which only `extend` may leave so.
    fn append(&mut self, node: Node<N>) -> Result<(), RoutingError> {
        let Node { name, weight, .. } = &node;
        if !(weight.is_finite() && *weight > 0.0) {
            return Err(RoutingError::InvalidWeight { name: name.clone(), weight: *weight });
        }
        if self.nodes.iter().any(|other| other.name == *name) {
            return Err(RoutingError::DuplicateNode { name: name.clone() });
        }
        // The cast saturates, and a light node still stands somewhere.
        let count = ((self.vnodes as f64 * weight).round() as usize).max(1);
        let points = self.points.len().saturating_add(count);
        if points > POINTS_MAX {
            return Err(RoutingError::TooManyPoints { name: name.clone(), points, points_max: POINTS_MAX });
        }
        self.points.extend(points_of(name).take(count));
        self.owners.resize(points, self.nodes.len() as u32);
        self.nodes.push(node);
        Ok(())
    }

    fn sort(&mut self) {
        let mut pairs: Vec<(u64, u32)> = self.points.drain(..).zip(self.owners.drain(..)).collect();
        // Where two nodes meet on one point the smaller name has it, so that the order of adding cannot matter.
        pairs.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| self.nodes[a.1 as usize].name.cmp(&self.nodes[b.1 as usize].name))
        });
        (self.points, self.owners) = pairs.into_iter().unzip();
    }
}

/// Distinct nodes clockwise from a point; made by [`HashRing::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a, N> {
    ring: &'a HashRing<N>,
    next: usize,
    left: usize,
    seen: Vec<bool>,
}

impl<'a, N> Iterator for Walk<'a, N> {
    type Item = &'a Node<N>;

    fn next(&mut self) -> Option<&'a Node<N>> {
        // Every node stands on at least one point, so the search ends while any is left.
        while self.left > 0 {
            let row = self.ring.owners[self.next % self.ring.owners.len()] as usize;
            self.next += 1;
            if !std::mem::replace(&mut self.seen[row], true) {
                self.left -= 1;
                return Some(&self.ring.nodes[row]);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<N> ExactSizeIterator for Walk<'_, N> {}

/// The point of a key or name on the circle; stable for ever, not keyed, so not for tables that clients fill.
///
/// ```
/// assert_eq!(coldplate::routing::point_of(b""), 0xF52A_15E9_A9B5_E89B);
/// ```
#[inline]
pub fn point_of(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    mix(hash)
}

/// A node's points, without end.
fn points_of(name: &str) -> impl Iterator<Item = u64> {
    let seed = point_of(name.as_bytes());
    (1..).map(move |index: u64| mix(seed.wrapping_add(index.wrapping_mul(GOLDEN))))
}

/// SplitMix64's finalizer: a bijection in which each input bit flips each output bit about half the time.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ring(vnodes: usize, names: &[String]) -> HashRing<()> {
        let mut ring = HashRing::new(vnodes).expect("vnodes above 0");
        for name in names {
            ring.add(name, (), 1.0).expect("distinct names");
        }
        ring
    }

    fn owner<N>(ring: &HashRing<N>, point: u64) -> &str {
        &ring.owner(point).expect("a ring with nodes").name
    }

    /// Each mistake is told with its data, and leaves the ring as it was.
    #[test]
    fn mistakes() {
        assert!(matches!(HashRing::<()>::new(0), Err(RoutingError::NoVnodes)));
        let mut ring = HashRing::new(10).expect("ten");
        ring.add("a", 1, 1.0).expect("the first");
        for weight in [0.0, -1.0, f64::INFINITY] {
            let name = "b".to_owned();
            assert_eq!(ring.add("b", 2, weight), Err(RoutingError::InvalidWeight { name, weight }));
        }
        assert!(matches!(ring.add("b", 2, f64::NAN), Err(RoutingError::InvalidWeight { .. })));
        assert_eq!(ring.add("a", 3, 1.0), Err(RoutingError::DuplicateNode { name: "a".into() }));
        let error = ring.add("b", 2, POINTS_MAX as f64 / 10.0).expect_err("ten points too many");
        assert_eq!(
            error,
            RoutingError::TooManyPoints { name: "b".into(), points: POINTS_MAX + 10, points_max: POINTS_MAX }
        );
        assert!(ring.add("b", 2, f64::MAX).is_err());
        let both = ["c", "a"].map(|name| Node { name: name.into(), value: 4, weight: 1.0 });
        assert!(ring.extend(both).is_err(), "the second is a duplicate, so neither is added");
        assert_eq!((ring.points(), ring.nodes().len(), owner(&ring, 7)), (10, 1, "a"));
        assert_eq!(ring.remove("b"), None);
    }

    /// An empty ring owns nothing, before the first node and after the last.
    #[test]
    fn empty() {
        let mut ring = ring(5, &["only".into()]);
        assert_eq!(ring.walk(0).len(), 1);
        ring.remove("only").expect("it is there");
        assert_eq!((ring.owner(0), ring.walk(0).next(), ring.points()), (None, None, 0));
    }

    /// The point hash is a contract: other versions and machines must find the same nodes.
    #[test]
    fn golden() {
        let names: Vec<String> = (0..5).map(|index| format!("cache-{index}")).collect();
        let ring = ring(160, &names);
        let owners: Vec<&str> =
            ["", "a", "user:42", "key:000000000001"].map(|key| owner(&ring, point_of(key.as_bytes()))).to_vec();
        assert_eq!(owners, ["cache-1", "cache-4", "cache-4", "cache-2"]);
    }

    /// Shares of the circle follow the weights; with 1,024 points a unit to about 3 %, tested at four times that.
    #[test]
    fn weights() {
        let mut ring = HashRing::new(1024).expect("vnodes above 0");
        for (name, weight) in [("half", 0.5), ("one", 1.0), ("three", 3.0)] {
            ring.add(name, weight, weight).expect("distinct names");
        }
        let probes = 100_000;
        for name in ["half", "one", "three"] {
            let weight = ring.nodes().iter().find(|node| node.name == name).expect("added").weight;
            let hits = (0..probes).filter(|&index| owner(&ring, mix(index)) == name).count() as f64;
            let ratio = hits / (probes as f64 * weight / 4.5);
            assert!((0.88..1.12).contains(&ratio), "{name} has {ratio} of its share");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Adding moves points only to the new node and removing it restores every owner, in any order of insertion.
        #[test]
        fn minimal_movement(names in proptest::collection::btree_set("[a-z0-9.:]{1,20}", 2..20), at in any::<usize>()) {
            let mut names: Vec<String> = names.into_iter().collect();
            let all = ring(40, &names);
            names.reverse();
            let mut reversed = ring(40, &names);
            let new = names.remove(at % names.len());
            let without = ring(40, &names);
            reversed.remove(&new).expect("it is on the ring");
            for point in (0..500).map(mix) {
                let (before, after) = (owner(&without, point), owner(&all, point));
                prop_assert!(after == before || after == new, "{} went from {} to {}", point, before, after);
                prop_assert_eq!(owner(&reversed, point), before);
            }
        }

        /// A walk names every node once, its first is the owner, its second the owner once the first is gone.
        #[test]
        fn walks(count in 2_usize..12, point in any::<u64>()) {
            let names: Vec<String> = (0..count).map(|index| format!("n{index}")).collect();
            let mut ring = ring(16, &names);
            let walk: Vec<String> = ring.walk(point).map(|node| node.name.clone()).collect();
            prop_assert_eq!(walk.iter().collect::<BTreeSet<_>>().len(), count);
            prop_assert_eq!(walk.len(), count);
            for name in &walk {
                prop_assert_eq!(owner(&ring, point), name);
                ring.remove(name);
            }
        }
    }
}
