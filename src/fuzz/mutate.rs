//! Mutations that hurt a binary protocol: flips, cuts, splices, and integers that lie about lengths.

/// Inputs do not grow beyond this.
const LONGEST_INPUT_SIZE_BYTES: usize = 64 * 1024;

/// Values at which length and count checks go wrong.
const EDGES: [i64; 18] = [
    0,
    1,
    -1,
    -2,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX,
    i64::MIN,
];

/// Derives inputs from a corpus; one buffer serves all of them.
pub(super) struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    input: Vec<u8>,
    rng: fastrand::Rng,
}

impl<'a> Mutator<'a> {
    pub(super) fn new(corpus: &'a [Vec<u8>]) -> Mutator<'a> {
        Mutator { corpus, input: Vec::new(), rng: fastrand::Rng::with_seed(0) }
    }

    /// One to four mutations of an entry of the corpus, all of them decided by `seed`.
    pub(super) fn mutate(&mut self, seed: u64) -> &[u8] {
        self.rng = fastrand::Rng::with_seed(seed);
        self.input.clear();
        if !self.corpus.is_empty() {
            self.input.extend_from_slice(&self.corpus[self.rng.usize(..self.corpus.len())]);
        }
        for _ in 0..self.rng.u8(1..=4) {
            self.mutate_once();
        }
        self.input.truncate(LONGEST_INPUT_SIZE_BYTES);
        &self.input
    }

    fn mutate_once(&mut self) {
        if self.input.is_empty() {
            return self.insert_random();
        }
        let at = self.rng.usize(..self.input.len());
        match self.rng.u8(..12) {
            0 | 1 => self.input[at] ^= 1 << self.rng.u8(..8),
            2 => self.input[at] = self.rng.u8(..),
            // A compact length or a count of tags, off by a little.
            3 => self.input[at] = self.input[at].wrapping_add(self.rng.u8(..5)).wrapping_sub(2),
            4 | 5 => self.overwrite_integer(at),
            6 => self.nudge_integer(at),
            7 => self.insert_varint(at),
            8 => self.input.truncate(at),
            9 => {
                let end = self.end_of_range(at);
                drop(self.input.drain(at..end));
            }
            10 => self.repeat_range(at),
            _ if self.rng.bool() => self.splice(at),
            _ => self.insert_random(),
        }
    }

    /// The end of a range that begins at `at` and is short more often than long.
    fn end_of_range(&mut self, at: usize) -> usize {
        let longest = if self.rng.bool() { 8 } else { self.input.len() };
        (at + self.rng.usize(1..=longest)).min(self.input.len())
    }

    fn overwrite_integer(&mut self, at: usize) {
        let value = EDGES[self.rng.usize(..EDGES.len())].to_be_bytes();
        let width = [1, 2, 4, 8][self.rng.usize(..4)].min(self.input.len() - at);
        self.input[at..at + width].copy_from_slice(&value[8 - width..]);
    }

    /// A big-endian integer moves by a little: the length that is off by one.
    fn nudge_integer(&mut self, at: usize) {
        let width = [2, 4, 8][self.rng.usize(..3)].min(self.input.len() - at);
        let mut value = [0; 8];
        value[8 - width..].copy_from_slice(&self.input[at..at + width]);
        let value = i64::from_be_bytes(value).wrapping_add(self.rng.i64(-3..=3)).to_be_bytes();
        self.input[at..at + width].copy_from_slice(&value[8 - width..]);
    }

    /// An edge value as a varint, in place of one byte or before it.
    fn insert_varint(&mut self, at: usize) {
        let mut value = EDGES[self.rng.usize(..EDGES.len())] as u64;
        let mut varint = Vec::with_capacity(10);
        while value >= 0x80 {
            varint.push(value as u8 | 0x80);
            value >>= 7;
        }
        varint.push(value as u8);
        let replaced = self.rng.usize(..2);
        drop(self.input.splice(at..at + replaced, varint));
    }

    fn repeat_range(&mut self, at: usize) {
        let end = self.end_of_range(at);
        let times = if self.rng.u8(..8) == 0 { 50 } else { 1 };
        for _ in 0..times {
            self.input.extend_from_within(at..end);
            let length = end - at;
            // What was appended moves behind the range it repeats.
            self.input[end..].rotate_right(length);
            if self.input.len() > LONGEST_INPUT_SIZE_BYTES {
                return;
            }
        }
    }

    /// The head of this input, the tail of another.
    fn splice(&mut self, at: usize) {
        let other = &self.corpus[self.rng.usize(..self.corpus.len())];
        let from = self.rng.usize(..=other.len());
        self.input.truncate(at);
        self.input.extend_from_slice(&other[from..]);
    }

    fn insert_random(&mut self) {
        let at = self.rng.usize(..=self.input.len());
        let random: Vec<u8> = (0..self.rng.usize(1..=16)).map(|_| self.rng.u8(..)).collect();
        drop(self.input.splice(at..at, random));
    }
}
