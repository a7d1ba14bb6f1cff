//! Keys of `[[upstream]]` about what a server may cost: what it may send, and what becomes of its keys when it fails.

use super::arrays::{FITS, Key};
use super::kind::Kind;
use super::parameter::Stored;
use super::upstream::Upstream;

pub(super) const IN_FLIGHT_BYTES_MAX: Key<Upstream> = Key {
    key: "in_flight_bytes_max",
    kind: Kind::Bytes { min: 1 << 10, max: 4 << 30 },
    unit: "of each connection",
    absent: "64mb",
    example: "",
    why: "Bytes of requests that may wait for a server's replies, as for their number.",
    get: |upstream| Some(upstream.in_flight_bytes_max.to_value()),
    set: |upstream, value| upstream.in_flight_bytes_max = Stored::from_value(value).expect(FITS),
};

pub(super) const VALUE_BYTES_MAX: Key<Upstream> = Key {
    key: "value_bytes_max",
    kind: Kind::Bytes { min: 1 << 10, max: 4 << 30 },
    unit: "",
    absent: "512mb",
    example: "",
    why: "The largest value of a reply. A server that sends more is disconnected.",
    get: |upstream| Some(upstream.value_bytes_max.to_value()),
    set: |upstream, value| upstream.value_bytes_max = Stored::from_value(value).expect(FITS),
};

pub(super) const REPLY_BYTES_MAX: Key<Upstream> = Key {
    key: "reply_bytes_max",
    kind: Kind::Bytes { min: 64 << 10, max: 64 << 30 },
    unit: "",
    absent: "1gb",
    example: "",
    why: "The largest reply, with all that it is made of. It is in memory before the client gets it if it comes in pieces.",
    get: |upstream| Some(upstream.reply_bytes_max.to_value()),
    set: |upstream, value| upstream.reply_bytes_max = Stored::from_value(value).expect(FITS),
};

pub(super) const AUTO_EJECT: Key<Upstream> = Key {
    key: "auto_eject",
    kind: Kind::Switch,
    unit: "",
    absent: "off",
    example: "",
    why: "Places the keys of a server that fails on the others of its pool until it answers again, as twemproxy's \
          auto_eject_hosts. For caches only: what is written meanwhile stays behind.",
    get: |upstream| Some(upstream.auto_eject.to_value()),
    set: |upstream, value| upstream.auto_eject = Stored::from_value(value).expect(FITS),
};
