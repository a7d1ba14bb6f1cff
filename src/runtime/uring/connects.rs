//! Addresses of connections that are being made: the kernel reads each when its entry is submitted, which may be later.

use socket2::SockAddr;

/// A slab of addresses; its indices travel as user data.
#[derive(Default)]
pub(super) struct Connects {
    /// Boxed, so that growing moves no address.
    rows: Vec<Option<(u64, Box<SockAddr>)>>,
    busy: usize,
}

impl Connects {
    /// Keeps an address until `complete`; where it lies, and its row.
    pub fn start(&mut self, token: u64, address: SockAddr) -> (u32, *const libc::sockaddr, libc::socklen_t) {
        let index = self.rows.iter().position(Option::is_none).unwrap_or_else(|| {
            self.rows.push(None);
            self.rows.len() - 1
        });
        self.busy += 1;
        let (_, address) = self.rows[index].insert((token, Box::new(address)));
        (index as u32, address.as_ptr().cast(), address.len())
    }

    /// The kernel is done with it; its token.
    pub fn complete(&mut self, index: u32) -> u64 {
        let (token, _) = self.rows[index as usize].take().expect("a connect completes once");
        self.busy -= 1;
        token
    }

    /// The row of a token's connect.
    pub fn row_of(&self, token: u64) -> Option<u32> {
        let is_it = |row: &Option<(u64, Box<SockAddr>)>| row.as_ref().is_some_and(|(of, _)| *of == token);
        self.rows.iter().position(is_it).map(|index| index as u32)
    }

    pub fn in_flight(&self) -> usize {
        self.busy
    }
}
