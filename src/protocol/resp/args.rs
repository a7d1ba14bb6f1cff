//! A request's arguments, left where they were received.

/// Marks an argument that lies in a body of its own; the rest of `at` is then the body's index.
const BODY: u32 = 1 << 31;

/// Where one argument of a request lies: in the request's text, or in a body of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    at: u32,
    len: u32,
}

impl Arg {
    /// An argument at `at` of the request's text. [`Limits`](super::Limits) keeps both within 31 bits.
    #[inline]
    pub fn text(at: usize, len: usize) -> Self {
        debug_assert!(at + len < BODY as usize, "request_max() bounds a request below 2 GiB");
        Self { at: at as u32, len: len as u32 }
    }

    /// An argument that is body `index` of its request.
    pub fn body(index: usize, len: usize) -> Self {
        debug_assert!(index < BODY as usize && len < BODY as usize, "request_max() bounds a request below 2 GiB");
        Self { at: index as u32 | BODY, len: len as u32 }
    }

    /// The argument's length in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a place has a length; it is no collection")]
    pub fn len(self) -> usize {
        self.len as usize
    }
}

/// A request's arguments, borrowed from the buffer they came in.
pub struct Args<'a> {
    text: &'a [u8],
    args: &'a [Arg],
    bodies: &'a mut [Vec<u8>],
}

impl<'a> Args<'a> {
    /// The arguments `args` of the request that starts at `text[0]`. Requests from [`parse`](super::parse) have no
    /// bodies; for those that were held back, see [`Input::args`](super::Input::args).
    #[inline]
    pub fn new(text: &'a [u8], args: &'a [Arg], bodies: &'a mut [Vec<u8>]) -> Self {
        Self { text, args, bodies }
    }

    /// The number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Argument `i`; out of range is the caller's bug and panics. Empty once [`take_body`](Self::take_body) took it.
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        self.resolve(self.args[i])
    }

    #[inline]
    pub fn try_get(&self, i: usize) -> Option<&[u8]> {
        self.args.get(i).map(|&arg| self.resolve(arg))
    }

    /// Whether argument `i` lies in a body of its own.
    #[inline]
    pub fn is_body(&self, i: usize) -> bool {
        self.args[i].at & BODY != 0
    }

    /// Moves a large argument out whole, without a copy; `None` if it lies among the text, where it must be copied.
    pub fn take_body(&mut self, i: usize) -> Option<Vec<u8>> {
        let at = self.args[i].at;
        (at & BODY != 0).then(|| std::mem::take(&mut self.bodies[(at & !BODY) as usize]))
    }

    /// Whether any argument lies in a body of its own.
    pub fn has_bodies(&self) -> bool {
        (0..self.len()).any(|i| self.is_body(i))
    }

    /// A copy of the request with all arguments among the text, for [`Args::new`].
    pub fn flatten(&self) -> (Vec<u8>, Vec<Arg>) {
        let mut text = Vec::new();
        let mut places = Vec::with_capacity(self.len());
        for arg in self.iter() {
            places.push(Arg::text(text.len(), arg.len()));
            text.extend_from_slice(arg);
        }
        (text, places)
    }

    /// The bytes of a request as they were received, if all of it lies among the text and each line ends as it should:
    /// whoever reads these bytes finds the same arguments. `None` decides nothing.
    pub fn as_received(&self) -> Option<&'a [u8]> {
        let text = self.text;
        let ends_line = |end: usize| text.get(end.checked_sub(2)?..end).filter(|line_end| line_end == b"\r\n");
        let header = text.iter().position(|byte| *byte == b'$').filter(|_| text[0] == b'*')?;
        ends_line(header)?;
        let mut end = 0;
        for arg in self.args {
            if arg.at & BODY != 0 {
                return None;
            }
            ends_line(arg.at as usize)?;
            end = (arg.at + arg.len) as usize + 2;
            ends_line(end)?;
        }
        text.get(..end)
    }

    /// Where the arguments lie, to make a selection of them for [`narrow`](Self::narrow).
    #[inline]
    pub fn places(&self) -> &'a [Arg] {
        self.args
    }

    /// The same request, lent.
    #[inline]
    pub fn lend(&mut self) -> Args<'_> {
        Args { text: self.text, args: self.args, bodies: self.bodies }
    }

    /// The same request with only these of its arguments: how a command on several keys becomes several on one.
    #[inline]
    pub fn narrow<'b>(&'b mut self, args: &'b [Arg]) -> Args<'b> {
        Args { text: self.text, args, bodies: self.bodies }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.args.iter().map(|&arg| self.resolve(arg))
    }

    #[inline]
    fn resolve(&self, arg: Arg) -> &[u8] {
        if arg.at & BODY == 0 {
            let at = arg.at as usize;
            &self.text[at..at + arg.len as usize]
        } else {
            &self.bodies[(arg.at & !BODY) as usize]
        }
    }
}

/// A request's arguments kept for later, apart from the buffer they came in.
#[derive(Debug, Default)]
pub struct OwnedArgs {
    text: Vec<u8>,
    args: Vec<Arg>,
    bodies: Vec<Vec<u8>>,
}

impl OwnedArgs {
    /// Copies the arguments; bodies move.
    pub fn take(args: &mut Args) -> OwnedArgs {
        let mut owned = OwnedArgs::default();
        for index in 0..args.len() {
            match args.take_body(index) {
                Some(body) => owned.push_body(body),
                None => owned.push(args.get(index)),
            }
        }
        owned
    }

    pub fn push(&mut self, arg: &[u8]) {
        self.args.push(Arg::text(self.text.len(), arg.len()));
        self.text.extend_from_slice(arg);
    }

    /// Adds an argument that moves on without a copy.
    pub fn push_body(&mut self, body: Vec<u8>) {
        self.args.push(Arg::body(self.bodies.len(), body.len()));
        self.bodies.push(body);
    }

    /// Bytes of all arguments, and of what keeps them.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.args.len() * size_of::<Arg>() + self.bodies.iter().map(Vec::len).sum::<usize>()
    }

    pub fn args(&mut self) -> Args<'_> {
        Args::new(&self.text, &self.args, &mut self.bodies)
    }
}
