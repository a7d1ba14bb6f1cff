//! Options of SET and GETEX, and expiries as arguments.

use super::{NOT_AN_INTEGER, Request, SYNTAX};
use crate::protocol::command::Command;
use crate::protocol::resp::parse_i64;
use std::borrow::Cow;

/// An expiry as an argument gave it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    None,
    /// KEEPTTL
    Keep,
    /// The number's argument, its unit in milliseconds, and whether it counts from now.
    At {
        amount: Option<i64>,
        unit_ms: i64,
        relative: bool,
    },
}

impl Expiry {
    /// Milliseconds since 1970; the error carries the command's name, as in Redis.
    pub fn resolve(self, name: &str, now_ms: u64) -> Result<Option<u64>, Cow<'static, str>> {
        let Expiry::At { amount, unit_ms, relative } = self else { return Ok(None) };
        let amount = amount.ok_or(NOT_AN_INTEGER)?;
        let base_ms = if relative { now_ms as i64 } else { 0 };
        match amount.checked_mul(unit_ms).and_then(|ms| ms.checked_add(base_ms)) {
            Some(at_ms) if amount > 0 => Ok(Some(at_ms as u64)),
            _ => Err(invalid_expire_time(name)),
        }
    }
}

/// The error of an expiry that overflows, or that is not positive where it must be.
pub fn invalid_expire_time(name: &str) -> Cow<'static, str> {
    format!("ERR invalid expire time in '{name}' command").into()
}

/// SETEX's and PSETEX's second argument.
pub fn relative(request: &Request) -> Expiry {
    let unit_ms = if request.command == Command::SetEx { 1000 } else { 1 };
    Expiry::At { amount: parse_i64(request.args.get(2)), unit_ms, relative: true }
}

pub struct SetOptions {
    pub expiry: Expiry,
    pub nx: bool,
    pub xx: bool,
    pub get: bool,
}

pub struct GetExOptions {
    pub expiry: Expiry,
    pub persist: bool,
}

/// An expiry option and its number, when `args[at]` is one and a number follows.
fn expiry_at(request: &Request, at: usize) -> Option<Expiry> {
    let (unit_ms, relative) = match request.args.get(at).to_ascii_lowercase().as_slice() {
        b"ex" => (1000, true),
        b"px" => (1, true),
        b"exat" => (1000, false),
        b"pxat" => (1, false),
        _ => return None,
    };
    let amount = parse_i64(request.args.try_get(at + 1)?);
    Some(Expiry::At { amount, unit_ms, relative })
}

/// Two expiry options may follow each other only if they are the same one, as in Redis; the last counts.
fn compatible(before: Expiry, new: Expiry) -> bool {
    match (before, new) {
        (Expiry::None, _) => true,
        (Expiry::At { unit_ms: a, relative: b, .. }, Expiry::At { unit_ms: c, relative: d, .. }) => (a, b) == (c, d),
        (before, new) => before == new,
    }
}

pub fn parse_set(request: &Request) -> Result<SetOptions, Cow<'static, str>> {
    let mut options = SetOptions { expiry: Expiry::None, nx: false, xx: false, get: false };
    let mut at = 3;
    while at < request.args.len() {
        match request.args.get(at).to_ascii_lowercase().as_slice() {
            b"nx" if !options.xx => options.nx = true,
            b"xx" if !options.nx => options.xx = true,
            b"get" => options.get = true,
            b"keepttl" if compatible(options.expiry, Expiry::Keep) => options.expiry = Expiry::Keep,
            _ => match expiry_at(request, at) {
                Some(expiry) if compatible(options.expiry, expiry) => {
                    options.expiry = expiry;
                    at += 1;
                }
                _ => return Err(SYNTAX.into()),
            },
        }
        at += 1;
    }
    Ok(options)
}

pub fn parse_getex(request: &Request) -> Result<GetExOptions, Cow<'static, str>> {
    let mut options = GetExOptions { expiry: Expiry::None, persist: false };
    let mut at = 2;
    while at < request.args.len() {
        if request.args.get(at).eq_ignore_ascii_case(b"persist") && options.expiry == Expiry::None {
            options.persist = true;
        } else {
            match expiry_at(request, at) {
                Some(expiry) if !options.persist && compatible(options.expiry, expiry) => options.expiry = expiry,
                _ => return Err(SYNTAX.into()),
            }
            at += 1;
        }
        at += 1;
    }
    Ok(options)
}
