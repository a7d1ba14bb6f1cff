//! Proves which segments count.

use super::super::*;
use crate::types::CoreId;

fn header(run: u64, core: u16, number: u64, oldest: (u64, u64), runs_from: u64) -> SegmentHeader {
    SegmentHeader {
        name: SegmentName { run, core: CoreId(core), number },
        cores: 2,
        first_sequence: 1,
        durable: 0,
        oldest_run: oldest.0,
        oldest: oldest.1,
        runs_from,
        layout: 1,
        secret: run << 16 | u64::from(core),
        segment_bytes: 0,
    }
}

fn catalog(headers: &[SegmentHeader]) -> Result<Catalog, LogError> {
    unless_unfinished(headers, &[])
}

fn unless_unfinished(headers: &[SegmentHeader], unfinished: &[u64]) -> Result<Catalog, LogError> {
    let found = |header: &SegmentHeader| Segment::found(header.name, 4096, &header.encode());
    Catalog::new(headers.iter().map(found).collect(), unfinished)
}

fn numbers(chain: &Chain) -> (u64, u16, Vec<u64>) {
    (chain.run(), chain.core().0, chain.segments().iter().map(|segment| segment.name.number).collect())
}

#[test]
fn chains_come_by_run_and_core_without_what_is_dead() {
    let headers = [
        header(2, 0, 1, (1, 0), 1),
        header(1, 1, 0, (1, 0), 0),
        header(1, 1, 1, (1, 0), 0),
        header(1, 0, 3, (1, 2), 0),
        header(2, 0, 0, (1, 3), 1),
        header(1, 0, 1, (1, 0), 0),
        header(0, 5, 9, (0, 9), 0),
    ];
    let catalog = catalog(&headers).expect("a log");
    let chains: Vec<_> = catalog.chains.iter().map(numbers).collect();
    assert_eq!(chains, [(1, 0, vec![3]), (1, 1, vec![0, 1]), (2, 0, vec![0, 1])]);
    let dead: Vec<_> = catalog.dead.iter().map(|name| (name.run, name.core.0, name.number)).collect();
    assert_eq!(dead, [(0, 5, 9), (1, 0, 1)]);
    assert!(catalog.chains[0].has_layout(1) && !catalog.chains[0].has_layout(2));
    assert_eq!(Catalog::new(Vec::new(), &[]).expect("nothing").chains.len(), 0);
}

// A chain whose headers say nothing is not passed over: there has to be a core that reads it.
#[test]
fn a_chain_has_a_core_that_reads_it() {
    let sound = catalog(&[header(1, 3, 0, (1, 0), 0)]).expect("a log");
    let layout = sound.chains[0].segments()[0].header.as_ref().expect("it can be read").layout;
    assert!(sound.is_placed_by(layout, 4) && !sound.is_placed_by(layout + 1, 4) && !sound.is_placed_by(layout, 3));
    let name = SegmentName { run: 1, core: CoreId(3), number: 0 };
    let damaged = Catalog::new(vec![Segment::found(name, 8192, &[7; HEADER_BYTES])], &[]).expect("not told yet");
    assert!(damaged.is_placed_by(layout, 4) && !damaged.is_placed_by(layout, 3));
}

/// A run that begins anew says in each header that all before it is dead. Until it is finished neither its keys count nor
/// what it says; from then on nothing else does.
#[test]
fn an_unfinished_run_is_nothing() {
    let headers = [
        header(1, 0, 0, (1, 0), 0),
        header(1, 1, 0, (1, 0), 0),
        header(2, 0, 0, (0, 0), 2),
        header(2, 0, 1, (0, 0), 2),
        header(2, 1, 0, (0, 0), 2),
    ];
    let chains = |unfinished: &[u64]| {
        let catalog = unless_unfinished(&headers, unfinished).expect("a log");
        let dead: Vec<_> = catalog.dead.iter().map(|name| (name.run, name.core.0, name.number)).collect();
        (catalog.chains.iter().map(numbers).collect::<Vec<_>>(), dead)
    };
    let (older, anew) = (vec![(1, 0, vec![0]), (1, 1, vec![0])], vec![(2, 0, vec![0, 1]), (2, 1, vec![0])]);
    assert_eq!(chains(&[2]), (older, vec![(2, 0, 0), (2, 0, 1), (2, 1, 0)]));
    assert_eq!(chains(&[]), (anew, vec![(1, 0, 0), (1, 1, 0)]));
    assert_eq!(chains(&[1, 2]).0, []);
}

#[test]
fn an_oldest_segment_that_is_missing_is_named() {
    let missing = |headers: &[SegmentHeader]| match catalog(headers) {
        Err(LogError::Missing { name, .. }) => name.number,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&[header(1, 0, 3, (1, 2), 0)]), 2);
    assert_eq!(missing(&[header(1, 0, 3, (0, 2), 0)]), 0);
    assert_eq!(missing(&[header(1, 0, 0, (1, 0), 0), header(1, 0, 2, (1, 0), 0)]), 1);
}
