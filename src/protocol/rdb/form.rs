//! Lengths, and the forms in which a string is written.
//!
//! ```text
//! 00LLLLLL                          a length below 64, and so many bytes behind it
//! 01LLLLLL LLLLLLLL                 a length below 16,384
//! 0x80, 4 bytes  0x81, 8 bytes      a longer one; big-endian
//! 0xc0, 1 byte  0xc1, 2  0xc2, 4    a string that is an integer; little-endian
//! 0xc3, a length, a length          a compressed string: its bytes here, its bytes once unpacked
//! ```

use super::error::Fault;
use super::lzf;
use std::borrow::Cow;

pub const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;
/// Marks a string that is not `length, bytes`; which form it has is in the low bits.
const ENCODED: u8 = 0xc0;
pub const INT_8: u8 = ENCODED;
pub const INT_16: u8 = ENCODED + 1;
pub const INT_32: u8 = ENCODED + 2;
pub const LZF: u8 = ENCODED + 3;

/// A length and how many bytes it takes; `None` while some are missing.
pub fn length(bytes: &[u8]) -> Result<Option<(u64, usize)>, Fault> {
    Ok(match bytes {
        [] => None,
        [short @ 0..0x40, ..] => Some((u64::from(*short), 1)),
        [high @ 0x40..0x80, low, ..] => Some((u64::from(high & 0x3f) << 8 | u64::from(*low), 2)),
        [LENGTH_32, rest @ ..] => rest.first_chunk().map(|long| (u64::from(u32::from_be_bytes(*long)), 5)),
        [LENGTH_64, rest @ ..] => rest.first_chunk().map(|long| (u64::from_be_bytes(*long), 9)),
        [0x40..0x80] => None,
        [other, ..] => return Err(Fault::Length(*other)),
    })
}

/// How a string is written: what stands before its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain {
        bytes: u64,
    },
    /// So many bytes are a number.
    Integer {
        bytes: u64,
    },
    Compressed {
        bytes: u64,
        unpacked: u64,
    },
}

impl Form {
    /// The form at the start of `bytes` and how many of them say so; `None` while some are missing.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let Some(first) = bytes.first() else { return Ok(None) };
        Ok(match *first {
            INT_8 => Some((Self::Integer { bytes: 1 }, 1)),
            INT_16 => Some((Self::Integer { bytes: 2 }, 1)),
            INT_32 => Some((Self::Integer { bytes: 4 }, 1)),
            LZF => {
                let Some((packed, taken)) = length(&bytes[1..])? else { return Ok(None) };
                let unpacked = length(&bytes[1 + taken..])?;
                unpacked.map(|(unpacked, more)| (Self::Compressed { bytes: packed, unpacked }, 1 + taken + more))
            }
            _ => length(bytes)?.map(|(bytes, taken)| (Self::Plain { bytes }, taken)),
        })
    }

    /// What is written behind the form.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Plain { bytes } | Self::Integer { bytes } | Self::Compressed { bytes, .. } => bytes,
        }
    }

    /// The longer of what is written and of what that becomes; of a number, what is written.
    pub fn bytes_at_most(self) -> u64 {
        match self {
            Self::Compressed { bytes, unpacked } => bytes.max(unpacked),
            _ => self.bytes(),
        }
    }

    /// The string of what is written behind the form, all of it.
    pub fn string(self, body: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
        let integer = match (self, body) {
            (Self::Plain { .. }, _) => return Ok(Cow::Borrowed(body)),
            (Self::Compressed { unpacked, .. }, _) => {
                let unpacked = usize::try_from(unpacked).ok().and_then(|unpacked| lzf::decompress(body, unpacked));
                return unpacked.map(Cow::Owned).ok_or(Fault::Compression);
            }
            (Self::Integer { .. }, [a]) => i32::from(i8::from_le_bytes([*a])),
            (Self::Integer { .. }, [a, b]) => i32::from(i16::from_le_bytes([*a, *b])),
            (Self::Integer { .. }, _) => i32::from_le_bytes(body.try_into().map_err(|_| Fault::Truncated)?),
        };
        Ok(Cow::Owned(integer.to_string().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves each form at its bounds, that a missing byte is awaited, and that what is no length is refused.
    #[test]
    fn forms_are_read_whole_or_awaited() {
        let plain = |bytes| Form::Plain { bytes };
        for (bytes, form) in [
            (&b"\x00"[..], plain(0)),
            (b"\x3f", plain(63)),
            (b"\x40\x40", plain(64)),
            (b"\x7f\xff", plain(16_383)),
            (b"\x80\0\0\x40\0", plain(16_384)),
            (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff", plain(u64::MAX)),
            (b"\xc0", Form::Integer { bytes: 1 }),
            (b"\xc1", Form::Integer { bytes: 2 }),
            (b"\xc2", Form::Integer { bytes: 4 }),
            (b"\xc3\x05\x40\x64", Form::Compressed { bytes: 5, unpacked: 100 }),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(Form::read(&bytes[..cut]), Ok(None), "{cut} bytes of {bytes:?}");
            }
            assert_eq!(Form::read(&[bytes, b"more"].concat()), Ok(Some((form, bytes.len()))), "{bytes:?}");
        }
        for (bytes, first) in [(&b"\x82"[..], 0x82), (b"\xbf\0", 0xbf), (b"\xc4", 0xc4), (b"\xc3\xc0", 0xc0)] {
            assert_eq!(Form::read(bytes), Err(Fault::Length(first)), "{bytes:?}");
        }
    }

    #[test]
    fn strings_are_what_was_written() {
        let string = |form: Form, body: &[u8]| form.string(body).map(Cow::into_owned);
        for (body, text) in
            [(&b"\x80"[..], "-128"), (b"\x80\0", "128"), (b"\0\x80", "-32768"), (b"\xff\xff\xff\x7f", "2147483647")]
        {
            assert_eq!(string(Form::Integer { bytes: body.len() as u64 }, body), Ok(text.into()), "{body:?}");
        }
        let form = Form::Compressed { bytes: 5, unpacked: 21 };
        assert_eq!(string(form, b"\x01aa\xe0\x0a\0"), Ok(vec![b'a'; 21]));
        assert_eq!(string(form, b"\x01aa\xe0\x09\0"), Err(Fault::Compression));
        assert_eq!(string(Form::Compressed { bytes: 1, unpacked: u64::MAX }, b"a"), Err(Fault::Compression));
        assert_eq!(string(Form::Plain { bytes: 2 }, b"\0\xff"), Ok(b"\0\xff".to_vec()));
    }
}
