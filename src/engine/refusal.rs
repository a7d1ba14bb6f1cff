//! Why a request that names a command does not get to run for this client, as things stand.

use super::sessions::Client;
use crate::protocol::command::{Command, Spec, flags::flag};
use std::borrow::Cow;

const NOAUTH: &str = "NOAUTH Authentication required.";

/// The error to answer with; `None` if the request may run.
pub(super) fn refusal(client: &Client, spec: &Spec) -> Option<Cow<'static, str>> {
    use Command::{PSubscribe, PUnsubscribe, Ping, Quit, Reset, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    if !client.authenticated && !spec.has(flag::NO_AUTH) {
        return Some(NOAUTH.into());
    }
    let while_listening = matches!(
        spec.command,
        Ping | Quit | Reset | Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe
    );
    (client.is_confined() && !while_listening).then(|| {
        format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        )
        .into()
    })
}
