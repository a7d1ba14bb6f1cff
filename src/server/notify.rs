//! What systemd is told: starting, ready, stopping, status, alive. The only address of sd-notify.
//!
//! Without NOTIFY_SOCKET (no systemd, or another unit type) every call does nothing. A message that cannot be sent is
//! logged and forgotten: the service is better off serving than stopping over it.

use std::time::Duration;

use sd_notify::NotifyState;

/// Clients can connect; units ordered after this one may start.
pub fn ready(status: &str) {
    let status = one_line(status);
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Not ready yet, and not stuck either: systemd is to wait for so long from now on, whatever TimeoutStartSec says.
pub fn starting(status: &str, wait: Duration) {
    let (status, wait_us) = (one_line(status), u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    send(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(wait_us)]);
}

/// The drain has begun; from here TimeoutStopSec counts.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    send(&[NotifyState::Status(&one_line(text))]);
}

/// How often at the latest [`alive`] must be called, half of what systemd waits for; `None` without a watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// Call this only when every core has turned its loop since the last call: a watchdog fed by an idle thread watches
/// nothing.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd was not told {states:?}: {error}");
    }
}

/// A line break would end the field and begin another one.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that a status cannot smuggle in a second field.
    #[test]
    fn a_status_stays_on_its_line() {
        assert_eq!(one_line("up\nSTOPPING=1\r"), "up STOPPING=1 ");
    }

    /// Proves that nothing is needed and nothing happens outside systemd.
    #[test]
    fn without_systemd_nothing_happens() {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            starting("test", Duration::MAX);
            ready("test");
            status("test");
            alive();
            stopping();
        }
    }
}
