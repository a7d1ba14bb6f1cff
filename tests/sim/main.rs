//! Plays the engine under a seeded simulator: several cores, impatient clients, full mailboxes, a clock that jumps.
//!
//! Proves that each key is linearizable, that transactions over a few keys are strictly serializable, that each connection
//! gets each reply once and in order, that no client of CLIENT TRACKING keeps a stale value, that each message reaches each
//! listener once and in order, that nobody waits for ever, and that all of it is put away at the end; and, by planted
//! faults, that these checks would notice.
//!
//!     cargo test --test sim                    seeds for about fifteen seconds of one core
//!     SIM_SEEDS=100000 cargo test --test sim   more of them, with a line now and then on how far it is
//!     SIM_FIRST=5000 ...                       from this one on
//!     SIM_KIND=4 ...                           only those whose remainder by 8 is 4: transactions
//!     SIM_HAZARD=torn ...                      only those that this besets, by the names that swarm.rs has
//!     SIM_FAULT=LetGo ...                      of the planted faults this one alone
//!     SIM_RAW=1 ...                            what fails is shown as it is, and not shrunk
//!     SEED=4711 cargo test --test sim          one seed again, bit for bit; add -- --nocapture to see its trace's hash
//!
//! Those of `any_seed_before_servers_keeps_the_promises` have the engines in front of servers (`upstream/`): SEED='4711 upstream'.
//!
//! A seed draws what its run is about (`scenario.rs`) and what besets it (`swarm.rs`). One that fails is shrunk
//! (`shrink.rs`), printed with the requests on the key or the connection that went wrong, and added to `seeds.txt`, which
//! is played first from then on. `SEED` takes such a line as well.

mod audience;
mod boot;
mod cache;
mod client;
mod deed;
mod disk;
mod elders;
mod ending;
mod events;
mod faults;
mod history;
mod linear;
mod link;
mod loading;
mod medium;
mod messages;
mod model;
mod outlived;
mod push;
mod reached;
mod request;
mod resp;
mod rng;
mod scenario;
mod script;
mod serial;
mod shrink;
mod stage;
mod storage;
mod swarm;
mod switch;
mod turn;
mod upstream;
mod weather;
mod whole;
mod world;

use faults::Fault;
use history::Failure;
use reached::Reached;
use shrink::shrink;
use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Instant;
use swarm::{Hazard, Plan};
use upstream::Counts;
use world::{Outcome, play};

const SEEDS_DEFAULT: u64 = 500;
const SERVER_SEEDS_DEFAULT: u64 = 300;
/// Seeds within which a planted fault has to be caught.
const FAULT_SEEDS_MAX: usize = 1000;
const SEEDS_ONCE_FAILED: &str = include_str!("seeds.txt");
const SEEDS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/seeds.txt");
/// Between two lines that say how far a long run is.
const PROGRESS_S: f64 = 10.0;

/// Plays a plan; a panic of the engine is a failure like any other.
fn outcome(plan: &Plan, fault: Option<Fault>, quiet: bool) -> Outcome {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(quiet);
    let outcome = catch_unwind(AssertUnwindSafe(|| play(plan, fault)));
    QUIET.set(false);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default();
        let failure = Failure::new(format!("the engine panicked: {text}"));
        Outcome { result: Err(failure), reached: Reached::default(), requests: 0, undecided: 0, digest: 0, units: 400 }
    })
}

/// Plays a plan that has to go well. One that does not is shrunk, and what is left of it kept in `seeds.txt`.
fn expect_good(plan: &Plan) -> Outcome {
    let outcome = outcome(plan, None, false);
    if outcome.result.is_ok() {
        return outcome;
    }
    let what = outcome.result.as_ref().expect_err("it failed").what.clone();
    if std::env::var("SIM_RAW").is_ok() {
        let failure = outcome.result.expect_err("it failed");
        panic!("seed {}: {}\n{}", plan.print(), failure.what, failure.trace);
    }
    let shrunk = shrink(plan, outcome, &|plan| self::outcome(plan, None, true));
    let line = shrunk.plan.print();
    keep(&line, &shrunk.failure.what);
    let (asked, runs, Failure { what: less, trace }) = (shrunk.requests, shrunk.runs, shrunk.failure);
    panic!("seed {}: {what}\nshrunk in {runs} runs to {asked} requests: SEED='{line}': {less}\n{trace}", plan.print());
}

/// Adds a plan to those that are played first from now on.
fn keep(line: &str, what: &str) {
    let known = SEEDS_ONCE_FAILED.lines().any(|known| known.split('#').next().unwrap_or("").trim() == line);
    let file = std::fs::OpenOptions::new().append(true).open(SEEDS_FILE);
    if let (false, Ok(mut file)) = (known, file) {
        let _ = writeln!(file, "{line} # {}", what.lines().next().unwrap_or(""));
    }
}

fn number_from(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Every run, whatever its seed, keeps the promises.
#[test]
fn any_seed_keeps_the_promises() {
    if let Ok(line) = std::env::var("SEED") {
        let outcome = expect_good(&Plan::parse(&line).unwrap_or_else(|error| panic!("SEED: {error}")));
        println!("{} requests, trace {:016x}", outcome.requests, outcome.digest);
        return;
    }
    expect_good_seeds(Plan::of, SEEDS_DEFAULT, None);
}

/// So does every run in front of servers.
#[test]
fn any_seed_before_servers_keeps_the_promises() {
    if std::env::var("SEED").is_err() {
        expect_good_seeds(Plan::before_servers, SERVER_SEEDS_DEFAULT, None);
    }
}

/// And where those are well and keys are hot: copies live for longer then.
#[test]
fn hot_keys_of_well_servers_keep_the_promises() {
    if std::env::var("SEED").is_err() {
        expect_good_seeds(Plan::before_well_servers, SERVER_SEEDS_DEFAULT, Some(Hazard::Storm));
    }
}

/// Plays seeds, those that the environment names or so many.
fn expect_good_seeds(plan_of: fn(u64) -> Plan, default: u64, hazard: Option<Hazard>) {
    let (first, count) = (number_from("SIM_FIRST").unwrap_or(0), number_from("SIM_SEEDS"));
    let name = std::env::var("SIM_HAZARD").ok();
    let named = name.map(|name| Hazard::named(&name).unwrap_or_else(|| panic!("SIM_HAZARD={name} is no hazard")));
    let hazard = named.or(hazard);
    let (kind, step) = number_from("SIM_KIND").map_or((0, 1), |kind| (kind, 8));
    let seeds = first..first + count.unwrap_or(default);
    let besets = |seed: &u64| hazard.is_none_or(|hazard| plan_of(*seed).is_beset_by(hazard));
    let seeds: Vec<u64> = seeds.filter(|seed| seed % step == kind % step && besets(seed)).collect();
    let (start, mut told_s) = (Instant::now(), 0.0);
    let (mut requests, mut undecided) = (0, 0);
    for (done, seed) in seeds.iter().enumerate() {
        let outcome = expect_good(&plan_of(*seed));
        requests += outcome.requests;
        undecided += outcome.undecided;
        let seconds = start.elapsed().as_secs_f64();
        if count.is_some() && seconds >= told_s + PROGRESS_S {
            told_s = seconds;
            let (all, speed) = (seeds.len(), (done + 1) as f64 / seconds);
            eprintln!("{} of {all} seeds, {requests} requests, {speed:.0} seeds/s, at seed {seed}", done + 1);
        }
    }
    let (count, seconds) = (seeds.len(), start.elapsed().as_secs_f64());
    println!("{count} seeds, {requests} requests, {undecided} keys undecided, {:.0} seeds/s", count as f64 / seconds);
    // Hazards leave many requests unanswered, and each of those may have been run or not.
    let share = if hazard.is_some() || plan_of(0).upstream { 10 } else { 20 };
    assert!(undecided <= 2 + count / share, "the checker gives up on too many histories: {undecided}");
}

/// What went wrong once does not come back.
#[test]
fn seeds_that_once_failed_pass() {
    for line in SEEDS_ONCE_FAILED.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        expect_good(&Plan::parse(line).expect("a line of seeds.txt is a plan"));
    }
}

/// The canary: a write that goes astray is noticed, and what is reported is less than what was played, fails by itself, and
/// fails the same way each time.
#[test]
fn a_canary_dies_and_is_shrunk() {
    let fails = |seed: &u64| outcome(&Plan::of(*seed), Some(Fault::LoseWrite), true).result.is_err();
    let seed = (0..).step_by(16).find(fails).expect("some seed shows a lost write");
    let plan = Plan::of(seed);
    let whole = outcome(&plan, Some(Fault::LoseWrite), true);
    let asked = whole.requests;
    let shrunk = shrink(&plan, whole, &|plan| outcome(plan, Some(Fault::LoseWrite), true));
    let line = shrunk.plan.print();
    println!("{asked} requests of seed {seed} became {}, by SEED='{line}'", shrunk.requests);
    assert!(shrunk.requests < asked / 2, "{asked} requests became {} by {line}", shrunk.requests);
    for _ in 0..2 {
        let again = outcome(&Plan::parse(&line).expect("it was printed so"), Some(Fault::LoseWrite), true);
        assert_eq!(again.result.expect_err("it fails by itself").what, shrunk.failure.what);
    }
}

/// Each hazard besets some runs, and comes to pass there.
#[test]
fn hazards_are_reached() {
    let (mut jumps, mut stalls, mut delayed, mut restarts, mut power_cuts) = (0, 0, 0, 0, 0);
    for seed in 1000..1100 {
        let reached = expect_good(&Plan::of(seed)).reached;
        jumps += reached.jumps;
        stalls += reached.stalls;
        delayed += reached.delayed;
        restarts += reached.restarts;
        power_cuts += reached.power_cuts;
    }
    let told = format!(
        "{jumps} jumps, {stalls} stalls, {delayed} batches delayed, {restarts} restarts, {power_cuts} power cuts"
    );
    println!("{told}");
    assert!(jumps > 100 && stalls > 50 && delayed > 500 && restarts > 8 && power_cuts > 4, "{told}");
}

/// Disks fail and fill up, segments begin and go, other cores take logs over, and damaged ones are refused.
#[test]
fn disks_are_reached() {
    let mut total = Reached::default();
    for seed in (0..2000).filter(|seed| Plan::of(*seed).is_beset_by(Hazard::Segments)) {
        let reached = expect_good(&Plan::of(seed)).reached;
        total.failed_disks += reached.failed_disks;
        total.short_disks += reached.short_disks;
        total.unlogged += reached.unlogged;
        total.let_down += reached.let_down;
        total.segments += reached.segments;
        total.removed += reached.removed;
        total.taken_over += reached.taken_over;
        total.buried += reached.buried;
        total.refusals += reached.refusals;
    }
    println!("{total:?}");
    let Reached { failed_disks, short_disks, unlogged, let_down, segments, buried, refusals, .. } = total;
    let gone = total.removed.min(total.taken_over);
    assert!([failed_disks, unlogged, let_down, refusals].iter().all(|times| *times > 20), "{total:?}");
    assert!(short_disks > 5 && buried > 1 && segments > 500 && gone > 100, "{total:?}");
}

/// The seeds come to the bounds that they are about; a run in which nothing is ever full would prove little.
#[test]
fn the_bounds_are_reached() {
    let mut total = Reached::default();
    for seed in (7..256).step_by(8) {
        let reached = expect_good(&Plan::plain(seed)).reached;
        total.full_mailboxes += reached.full_mailboxes;
        total.paused_receives += reached.paused_receives;
        total.full_posts += reached.full_posts;
        total.hang_ups += reached.hang_ups;
    }
    println!("{total:?}");
    let Reached { full_mailboxes, paused_receives, full_posts, hang_ups, .. } = total;
    assert!([full_mailboxes, paused_receives, full_posts, hang_ups].iter().all(|times| *times > 0), "{total:?}");
}

/// Keys do become hot: folds leave and copies answer, in each run that is about it.
#[test]
fn hot_keys_are_reached() {
    let (mut folds, mut own_folds, mut copy_reads) = (0, 0, 0);
    for seed in (1..192).step_by(8) {
        let reached = expect_good(&Plan::plain(seed)).reached;
        folds += reached.folds;
        own_folds += reached.own_folds;
        copy_reads += reached.copy_reads;
    }
    let told = format!("{folds} folds, {own_folds} on their own core, {copy_reads} reads from copies");
    println!("{told}");
    assert!(folds > 500 && own_folds > 100 && copy_reads > 100, "{told}");
}

/// Transactions meet: they run, they are called off for a change to a watched key, and their clients leave meanwhile.
#[test]
fn transactions_are_reached() {
    let (mut ran, mut called_off, mut lost) = (0, 0, 0);
    for seed in (4..512).step_by(8) {
        let reached = expect_good(&Plan::plain(seed)).reached;
        ran += reached.execs_ran;
        called_off += reached.execs_called_off;
        lost += reached.execs_lost;
    }
    let told = format!("{ran} transactions ran, {called_off} were called off, {lost} lost their client");
    println!("{told}");
    assert!(ran > 400 && called_off > 100 && lost > 20, "{told}");
}

/// Clients keep values and are told of changes, messages are heard, and memory runs out.
#[test]
fn keepers_listeners_and_short_memory_are_reached() {
    let (mut kept, mut told, mut messages, mut refused) = (0, 0, 0, 0);
    for seed in (2..512).step_by(8).chain((6..512).step_by(16)).chain((24..1024).step_by(32)) {
        let reached = expect_good(&Plan::plain(seed)).reached;
        kept += reached.kept;
        told += reached.told;
        messages += reached.messages;
        refused += reached.refused;
    }
    let text =
        format!("{kept} values kept at rest, {told} invalidations, {messages} messages, {refused} writes refused");
    println!("{text}");
    assert!(kept > 100 && told > 500 && messages > 1000 && refused > 10, "{text}");
}

/// Servers send requests elsewhere and to wait, are gone, late and lost, and clients are told so.
#[test]
fn servers_in_trouble_are_reached() {
    let mut all: Vec<Counts> = Vec::new();
    for seed in 0..240 {
        all.push(expect_good(&Plan::before_servers(seed)).reached.servers);
    }
    let sum = |of: fn(&Counts) -> usize| all.iter().map(of).sum::<usize>();
    let sums = [
        ("served", sum(|counts| counts.served)),
        ("moved", sum(|counts| counts.moved)),
        ("asked elsewhere", sum(|counts| counts.asked)),
        ("asked again", sum(|counts| counts.again)),
        ("down", sum(|counts| counts.down)),
        ("loading", sum(|counts| counts.loading)),
        ("took over", sum(|counts| counts.promoted)),
        ("lost", sum(|counts| counts.lost)),
        ("cut", sum(|counts| counts.cut)),
        ("refused", sum(|counts| counts.refused)),
        ("hung", sum(|counts| counts.hung)),
        ("late", sum(|counts| counts.late)),
        ("unknown", sum(|counts| counts.unknown)),
        ("not done", sum(|counts| counts.not_done)),
        ("told of changes", sum(|counts| counts.pushes)),
        ("read from copies", sum(|counts| counts.copy_reads)),
        ("written past", sum(|counts| counts.past)),
        ("expired", sum(|counts| counts.expired)),
    ];
    println!("{sums:?}");
    assert!(sums.iter().all(|(_, times)| *times > 0), "{sums:?}");
}

/// Logs are switched off and on, become whole, and are looked at before they are.
#[test]
fn switched_logs_are_reached() {
    let (mut switches, mut begun_anew, mut looks) = (0, 0, 0);
    for seed in (0..600).filter(|seed| Plan::of(*seed).is_beset_by(Hazard::Switches)) {
        let reached = expect_good(&Plan::of(seed)).reached;
        switches += reached.switches;
        begun_anew += reached.begun_anew;
        looks += reached.looks;
    }
    let told = format!("{switches} switches, {begun_anew} logs begun anew, {looks} looks before");
    println!("{told}");
    assert!(switches > 100 && begun_anew > 30 && looks > 100, "{told}");
}

/// A seed is a run: twice the same events and replies.
#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in [0, 1, 2, 4, 6, 7, 8, 12, 14, 15, 24] {
        let (one, other) = (expect_good(&Plan::of(seed)), expect_good(&Plan::of(seed)));
        assert_eq!((one.digest, one.requests), (other.digest, other.requests), "seed {seed}");
    }
    for seed in 0..12 {
        let play = || expect_good(&Plan::before_servers(seed));
        let (one, other) = (play(), play());
        assert_eq!((one.digest, one.requests), (other.digest, other.requests), "seed {seed} before servers");
    }
}

/// Each fault that can be planted is noticed before long.
#[test]
fn planted_faults_are_caught() {
    let mut missed = Vec::new();
    let name = std::env::var("SIM_FAULT").ok();
    let is_meant = |fault: &Fault| name.as_ref().is_none_or(|name| format!("{fault:?}") == *name);
    for fault in Fault::ALL.into_iter().filter(is_meant) {
        let (first, step) = fault.seeds();
        let needs = fault.needs();
        let seeds = (first..).step_by(step);
        let seeds = seeds.filter(|seed| needs.is_none_or(|hazard| fault.plan(*seed).is_beset_by(hazard)));
        let seeds = seeds.take(FAULT_SEEDS_MAX);
        let both = |seed: u64| [needs.is_none().then(|| fault.plan(seed).spared()), Some(fault.plan(seed))];
        let mut plans = seeds.flat_map(both).flatten();
        let caught = plans.find_map(|plan| Some((outcome(&plan, Some(fault), true).result.err()?, plan)));
        match caught {
            Some((failure, plan)) => {
                let beset = if plan == fault.plan(plan.seed) { ", with its hazards" } else { "" };
                println!("{fault:?}: seed {}{beset}: {}", plan.seed, failure.what);
            }
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "nobody noticed {missed:?}");
}
