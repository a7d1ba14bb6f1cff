//! What was told of keys by keyspace notifications: is that what happened to them?
//!
//! Whoever listens to the end hears, since its subscription was confirmed, each event that a reply tells of, as often as
//! replies tell of it and no oftener than requests could have made it, those of one connection in its order; and all who
//! listen hear the events of a key in one order, of which whoever came later hears the end. An event may come late: nobody
//! waits for it. That a key has lapsed is told at most once for each expiry.

use crate::history::{Failure, Record};
use crate::messages::{News, Subscription};
use crate::model::{Action, Until};
use crate::request::KEYS;
use crate::resp::Reply;

const KEYSPACE: &str = "__keyspace@0__:";
const KEYEVENT: &str = "__keyevent@0__:";
const NAMES: [&str; 8] = ["set", "expire", "incrby", "append", "del", "persist", "expired", "evicted"];

/// How often an event happened to a key: at least, and at most.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    least: usize,
    most: usize,
}

pub fn check(news: &News, records: &[Record]) -> Result<(), Failure> {
    for one in &news.subscriptions {
        let Some(since) = one.lasting_since() else { continue };
        for (key, name) in KEYS.iter().enumerate() {
            for event in NAMES {
                let heard = occurrences(one, name, event);
                let bounds = bounds(records, since, key, event);
                if let Some(heard) = heard.filter(|heard| !(bounds.least..=bounds.most).contains(heard)) {
                    let what = format!(
                        "connection {} by {:?} hears {heard} times that {event} happened to {name:?}: due {bounds:?}",
                        one.link, one.name
                    );
                    return Err(Failure::new(what));
                }
            }
            check_order(news, one, name)?;
            check_own_order(records, one, (key, name), since)?;
        }
    }
    Ok(())
}

/// What replies tell of the requests of one connection on a key is heard in its order.
fn check_own_order(
    records: &[Record],
    one: &Subscription,
    (key, name): (usize, &str),
    since: u64,
) -> Result<(), Failure> {
    if occurrences(one, name, "set").is_none() || !one.name.starts_with("__key") || one.name.starts_with(KEYEVENT) {
        return Ok(());
    }
    let heard = of_key(one, name);
    let mut links: Vec<usize> = records.iter().map(|record| record.link).collect();
    links.sort_unstable();
    links.dedup();
    for link in links {
        let mut told = Vec::new();
        let own = records.iter().filter(|record| record.link == link && record.asked.is_some_and(|at| at > since));
        for (record, reply) in own.filter_map(|record| Some((record, record.reply.as_ref()?))) {
            let parts = record.request.parts.iter().zip(record.request.answers(reply));
            for ((_, action), answer) in parts.filter(|((part, _), _)| *part == key) {
                told.extend(NAMES.into_iter().filter(|event| happened(action, answer.as_ref(), event).least > 0));
            }
        }
        let mut rest = heard.iter();
        if !told.iter().all(|event| rest.any(|heard| heard == event)) {
            let what = format!("connection {} hears of {name:?} in another order than connection {link}", one.link);
            return Err(Failure { what, trace: format!("{heard:?}\n{told:?}") });
        }
    }
    Ok(())
}

/// How often a listener heard of an event of a key; none if it does not listen for that.
fn occurrences(one: &Subscription, key: &str, event: &str) -> Option<usize> {
    let (by_key, by_event) = (format!("{KEYSPACE}{key}"), format!("{KEYEVENT}{event}"));
    let start = one.name.trim_end_matches('*');
    let listens = |channel: &str| channel.starts_with(start) && (one.name.ends_with('*') || channel == start);
    let heard =
        |channel: &str, payload: &str| one.heard().iter().filter(|(on, said)| on == channel && said == payload).count();
    match (listens(&by_key), listens(&by_event)) {
        (true, _) => Some(heard(&by_key, event)),
        (_, true) => Some(heard(&by_event, key)),
        _ => None,
    }
}

/// Events of one key, as its own channel tells them.
fn of_key<'a>(one: &'a Subscription, key: &str) -> Vec<&'a str> {
    let channel = format!("{KEYSPACE}{key}");
    one.heard().iter().filter(|(on, _)| *on == channel).map(|(_, event)| event.as_str()).collect()
}

fn check_order(news: &News, one: &Subscription, key: &str) -> Result<(), Failure> {
    if occurrences(one, key, "set").is_none() || !one.name.starts_with(KEYSPACE) {
        return Ok(());
    }
    let own = of_key(one, key);
    for other in news.subscriptions.iter().filter(|other| other.lasting_since().is_some()) {
        let hears = other.name.starts_with(KEYSPACE) && occurrences(other, key, "set").is_some();
        let theirs = of_key(other, key);
        if hears && !own.ends_with(&theirs) && !theirs.ends_with(&own) {
            let what = format!("connections {} and {} hear of {key:?} in two orders", one.link, other.link);
            return Err(Failure { what, trace: format!("{own:?}\n{theirs:?}") });
        }
    }
    Ok(())
}

fn bounds(records: &[Record], since: u64, key: usize, event: &str) -> Bounds {
    let mut bounds = Bounds::default();
    for record in records {
        let Some(at) = record.asked else { continue };
        let answers = match &record.reply {
            Some(reply) => record.request.answers(reply),
            None => vec![None; record.request.parts.len()],
        };
        for ((part, action), answer) in record.request.parts.iter().zip(answers) {
            if *part != key {
                continue;
            }
            let times = happened(action, answer.as_ref(), event);
            bounds.most += times.most;
            bounds.least += if at > since { times.least } else { 0 };
        }
    }
    bounds
}

/// How often one action made an event happen.
fn happened(action: &Action, answer: Option<&Reply>, event: &str) -> Bounds {
    let done = match answer {
        None => None,
        Some(Reply::Int(0) | Reply::Null | Reply::Error(_)) => Some(false),
        Some(_) => Some(true),
    };
    let names: &[&str] = match action {
        Action::Set { until: Until::AfterMs(_) | Until::AtMs(_), .. } => &["set", "expire"],
        Action::Set { .. } | Action::SetNx(_) => &["set"],
        // It answers null where there was nothing, and writes all the same.
        Action::GetSet(_) if event == "set" => return Bounds { least: usize::from(done.is_some()), most: 1 },
        Action::GetDel | Action::Del => &["del"],
        Action::Incr => &["incrby"],
        Action::Append(_) => &["append"],
        Action::ExpireMs(ms) if *ms <= 0 => &["del"],
        Action::ExpireMs(_) | Action::ExpireAtMs(_) => &["expire"],
        Action::Persist => &["persist"],
        _ => &[],
    };
    let lapses = matches!(
        action,
        Action::Set { until: Until::AfterMs(_) | Until::AtMs(_), .. } | Action::ExpireMs(_) | Action::ExpireAtMs(_)
    );
    match event {
        "expired" => Bounds { least: 0, most: usize::from(lapses && done != Some(false)) },
        _ if names.contains(&event) => {
            Bounds { least: usize::from(done == Some(true)), most: usize::from(done != Some(false)) }
        }
        _ => Bounds::default(),
    }
}
