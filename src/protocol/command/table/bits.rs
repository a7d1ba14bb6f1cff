//! Values as rows of bits, and of integers of any width.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::{access::*, flag};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const READ: u32 = flag::READONLY;
const GROW: u32 = flag::WRITE | flag::DENYOOM;
const FAST: u32 = flag::FAST;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Bitmap)
}

const LENGTH: &str = "O(N) where N is the number of bytes looked at";
const EACH_FIELD: &str = "O(1) for each subcommand";
const OFFSET: Arg = Arg::integer("offset");
const ENCODING: Arg = Arg::text("encoding");
const START: Arg = Arg::integer("start");
const END: Arg = Arg::integer("end");
const UNIT: Arg =
    Arg::one_of("index_unit", &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")]).since("7.0.0").optional();
const FIELD: Arg = Arg::block("encoding_offset", &[ENCODING, OFFSET]).after("GET");
const OVERFLOW: Arg =
    Arg::one_of("wrap_sat_fail", &[Arg::word("wrap", "WRAP"), Arg::word("sat", "SAT"), Arg::word("fail", "FAIL")])
        .after("OVERFLOW")
        .optional();
const FIELD_WRITE: Arg = Arg::one_of(
    "write_operation",
    &[
        Arg::block("encoding_offset_value", &[ENCODING, OFFSET, Arg::integer("value")]).after("SET"),
        Arg::block("encoding_offset_increment", &[ENCODING, OFFSET, Arg::integer("increment")]).after("INCRBY"),
    ],
);

pub static ROWS: &[Spec] = &[
    row("setbit", C::SetBit, 4)
        .flags(GROW)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("2.2.0", "O(1)", "Set or clear one bit, and return what it was")
        .args(&[Arg::KEY, OFFSET, Arg::integer("value")]),
    row("getbit", C::GetBit, 3)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.2.0", "O(1)", "Read one bit")
        .args(&[Arg::KEY, OFFSET]),
    row("bitcount", C::BitCount, -2)
        .flags(READ)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.6.0", LENGTH, "Count the bits that are set")
        .args(&[Arg::KEY, Arg::block("index", &[START, END, UNIT]).optional()]),
    row("bitpos", C::BitPos, -3)
        .flags(READ)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.8.7", LENGTH, "Find the first bit that is set, or clear")
        .args(&[
            Arg::KEY,
            Arg::integer("bit"),
            Arg::block("index", &[START, Arg::block("end_index", &[END, UNIT]).optional()]).optional(),
        ]),
    row("bitfield", C::BitField, -2)
        .flags(GROW)
        .keys(
            Keys::one(RW | ACCESS | UPDATE | VARIABLE)
                .notes("This command allows both access and modification of the key"),
        )
        .doc("3.2.0", EACH_FIELD, "Read and write integers of any width at any bit")
        .args(&[
            Arg::KEY,
            Arg::one_of("operation", &[FIELD, Arg::block("write", &[OVERFLOW, FIELD_WRITE])]).optional().multiple(),
        ]),
    row("bitfield_ro", C::BitFieldRo, -2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("6.0.0", EACH_FIELD, "Read integers of any width at any bit")
        .args(&[Arg::KEY, FIELD.optional().multiple_tokens()]),
];
