//! `--upstream URL`: an upstream in one word.
//!
//! `cluster://10.0.0.1:6379,10.0.0.2:6379`, `pool://a:6379,b:6379:2?distribution=jump`, `single://:password@[::1]:6379`,
//! `single:///run/redis.sock`. What stands behind `?` are keys of `[[upstream]]`. As in redis-cli, a user without a colon is
//! a password; what would end a part of the URL is written as `%` and two hexadecimal digits.

use super::kind::{quote, shown};
use super::mistake::{Mistake, Place};
use super::names::UPSTREAM_KINDS;
use super::servers;
use super::upstream::{Password, UPSTREAMS, Upstream};

/// The flag.
const FLAG: &str = "--upstream";

/// Reads the URL of the flag that was given as the `index`th, from 0.
pub(super) fn parse(url: &str, index: usize) -> Result<Upstream, Mistake> {
    let kinds = || UPSTREAM_KINDS.iter().map(|kind| format!("{}://", kind.name)).collect::<Vec<_>>().join(", ");
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let mut upstream = Upstream { name: format!("upstream-{}", index + 1), ..Upstream::default() };
    let key = UPSTREAMS.key("kind").expect("it is a key");
    // Exactly, since any other case is another scheme to somebody.
    if scheme != scheme.to_ascii_lowercase() || !key.store(&mut upstream, scheme) {
        return Err(mistake("", redacted(url), format!("an address that begins with one of {}", kinds())));
    }
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let list = match place.rsplit_once('@') {
        None => place,
        Some((user, list)) => {
            let (name, password) = user.split_once(':').unwrap_or(("", user));
            let text = |part: &str| {
                let allowed = "text, with % and two hexadecimal digits where it has to be".to_owned();
                decoded(part).ok_or_else(|| mistake("", redacted(url), allowed))
            };
            upstream.username = Some(text(name)?).filter(|name| !name.is_empty());
            upstream.password = Some(text(password)?).filter(|password| !password.is_empty()).map(Password);
            list
        }
    };
    let servers = decoded(list).and_then(|list| servers::parse_list(&list));
    upstream.servers = servers.ok_or_else(|| mistake("servers", quote(list), servers::ALLOWED.to_owned()))?;
    query.map_or("", |query| query).split('&').filter(|pair| !pair.is_empty()).try_for_each(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        set(&mut upstream, name, value)
    })?;
    Ok(upstream)
}

/// Stores one pair of what stands behind `?`.
fn set(upstream: &mut Upstream, name: &str, value: &str) -> Result<(), Mistake> {
    let Some(key) = UPSTREAMS.key(name).filter(|key| !["kind", "servers"].contains(&key.key)) else {
        let (key, nearest) = (format!("{FLAG} {name}"), UPSTREAMS.nearest(name).to_owned());
        return Err(Mistake::UnknownKey { at: Place::Flag, key, nearest });
    };
    let is_secret = key.key == "password";
    let wrong =
        |found: String| mistake(key.key, if is_secret { "(not shown)".to_owned() } else { found }, key.allowed());
    let text = decoded(value).ok_or_else(|| wrong(quote(value)))?;
    if key.store(upstream, &text) { Ok(()) } else { Err(wrong(shown(&text))) }
}

fn mistake(key: &str, found: String, allowed: String) -> Mistake {
    let key = if key.is_empty() { FLAG.to_owned() } else { format!("{FLAG} {key}") };
    Mistake::Value { at: Place::Flag, key, found, allowed }
}

/// The URL in quotes, without what may be a password.
fn redacted(url: &str) -> String {
    let before = url.split_once('?').map_or(url, |(before, _)| before);
    let shown = match (before.rsplit_once('@'), before.split_once("://")) {
        (Some((_, list)), Some((scheme, _))) => format!("{scheme}://...@{list}"),
        (Some((_, list)), None) => format!("...@{list}"),
        (None, _) => before.to_owned(),
    };
    quote(&shown)
}

/// `%41` becomes `A`. `None` where two digits are missing, or where what comes of it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, behind) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(digits[0])? << 4 | digit(digits[1])?) as u8);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Distribution, Hash};
    use crate::server::config::upstream::UpstreamKind;

    fn good(url: &str) -> Upstream {
        parse(url, 0).unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
    }

    fn servers_of(upstream: &Upstream) -> String {
        servers::print_list(&upstream.servers)
    }

    #[test]
    fn each_scheme_and_part() {
        let cluster = good("cluster://10.0.0.1:6379,10.0.0.2:6379");
        assert_eq!(
            (cluster.kind, servers_of(&cluster).as_str()),
            (UpstreamKind::Cluster, "10.0.0.1:6379,10.0.0.2:6379")
        );
        assert_eq!(
            (cluster.name.as_str(), parse("single://a:1", 4).expect("fine").name.as_str()),
            ("upstream-1", "upstream-5")
        );
        let pool =
            good("pool://a:6379,b:6379:2,[::1]:7?distribution=jump&hash=md5&hash_tag=%7B%7D&name=users&eject_ms=5");
        assert_eq!((pool.kind, servers_of(&pool).as_str()), (UpstreamKind::Pool, "a:6379,b:6379:2,[::1]:7"));
        assert_eq!(
            (pool.distribution, pool.hash, pool.layout().hash_tag),
            (Distribution::Jump, Hash::Md5, Some(*b"{}"))
        );
        assert_eq!((pool.name.as_str(), pool.eject_ms), ("users", 5));
        assert_eq!(servers_of(&good("pool://a:6379%20first,unix:/run/b:2")), "a:6379 first,unix:/run/b:2");
        let single = good("single://me:p%40ss:w@/run/redis.sock");
        assert_eq!(single.username.as_deref(), Some("me"));
        assert_eq!(single.password, Some(Password("p@ss:w".into())));
        assert_eq!(servers_of(&single), "unix:/run/redis.sock");
        for (url, password) in
            [("single://:pw@a:1", Some("pw")), ("single://pw@a:1", Some("pw")), ("single://@a:1", None)]
        {
            let upstream = good(url);
            assert_eq!(
                (upstream.username, upstream.password),
                (None, password.map(|word| Password(word.into()))),
                "{url}"
            );
        }
    }

    /// Each mistake says what was found and what is allowed, and never a password.
    #[test]
    fn mistakes_in_their_words() {
        let schemes = "allowed: an address that begins with one of cluster://, pool://, single://";
        let servers = format!("allowed: {}", servers::ALLOWED);
        for (url, expected) in [
            ("10.0.0.1:6379", format!("command line: --upstream is \"10.0.0.1:6379\"; {schemes}")),
            ("redis://me:secret@a:1?x", format!("command line: --upstream is \"redis://...@a:1\"; {schemes}")),
            ("secret@a:1", format!("command line: --upstream is \"...@a:1\"; {schemes}")),
            ("POOL://a:1", format!("command line: --upstream is \"POOL://a:1\"; {schemes}")),
            ("pool://", format!("command line: --upstream servers is \"\"; {servers}")),
            ("pool://secret@a:1,b", format!("command line: --upstream servers is \"a:1,b\"; {servers}")),
            (
                "pool://a:1?hsah=md5",
                "command line: unknown key --upstream hsah; the nearest known one is hash".to_owned(),
            ),
            (
                "pool://a:1?eject_ms=0",
                "command line: --upstream eject_ms is 0; allowed: a whole number from 1 to 3600000 (milliseconds)".to_owned(),
            ),
            (
                "single://%zz@a:1",
                "command line: --upstream is \"single://...@a:1\"; allowed: text, with % and two hexadecimal digits where \
                 it has to be"
                    .to_owned(),
            ),
            (
                "pool://a:1?password=%",
                "command line: --upstream password is (not shown); allowed: text, quoted in files".to_owned(),
            ),
        ] {
            assert_eq!(parse(url, 0).expect_err(url).to_string(), expected, "{url}");
        }
        assert!(parse("pool://a:1?kind=single", 0).is_err() && parse("pool://a:1?servers=b:1", 0).is_err());
    }
}
