//! Engines that are sent any bytes: whatever comes, each client gets whole replies and nothing is left behind.

use crate::pieces::expand;
use crate::rig::{CLIENTS, CORES_MAX, Rig};
use crate::wire::assert_replies;
use coldplate::engine::Settings;

/// What stands before a byte that is no data but says what happens next.
const MARK: u8 = 0xfe;

/// The first byte says how many cores there are, whether keys get hot, and whether a password is asked for. The rest is
/// sent by the first client, up to a mark: behind it stands who sends what follows, or what happens.
pub fn stream(data: &[u8]) {
    let Some((&head, rest)) = data.split_first() else { return };
    let requirepass = if head & 0x10 == 0 { Vec::new() } else { b"sesame".to_vec() };
    let settings = Settings { requirepass, ..Settings::default() };
    let mut rig = Rig::new(usize::from(head % 4).clamp(1, CORES_MAX), head & 0x20 != 0, settings);
    let (mut client, rest) = (0, expand(rest));
    for (number, part) in rest.split(|byte| *byte == MARK).enumerate() {
        let mut bytes = part;
        if let (true, Some((&what, tail))) = (number > 0, part.split_first()) {
            bytes = tail;
            match what % 16 {
                who @ 0..8 => client = usize::from(who) % CLIENTS,
                8 => rig.replace(client),
                9 => rig.pass(100_000_000),
                10 => rig.pass(11_000),
                // What follows comes before anything else happens.
                _ => {}
            }
            if what % 16 < 11 {
                rig.settle();
            }
        }
        if !rig.send(client, bytes) {
            break;
        }
    }
    rig.settle();
    rig.pass(1000);
    rig.settle();
    for client in &rig.clients {
        assert_replies(&client.received);
    }
    rig.end();
}
