//! New inputs out of known ones.

use fastrand::Rng;

use super::Shape;

/// No input is made longer than that.
const LONGEST: usize = 4 << 10;
/// Bytes that stand at the bounds of something: lengths, signs, quotes, the ends of ASCII.
const BOUNDS: [u8; 16] = [0, 1, 2, 4, 0x1F, b'"', b'\\', b'0', b'{', b'[', 0x7F, 0x80, 0x81, 0xC0, 0xF0, 0xFF];

/// An endless row of inputs, the same for the same seed.
pub(super) struct Mutations {
    known: Vec<Vec<u8>>,
    shape: Shape,
    words: &'static [&'static [u8]],
    rng: Rng,
}

impl Mutations {
    pub(super) fn new(known: Vec<Vec<u8>>, shape: Shape, words: &'static [&'static [u8]], seed: u64) -> Self {
        Self { known, shape, words, rng: Rng::with_seed(seed) }
    }

    fn one_known(&mut self) -> &Vec<u8> {
        let at = self.rng.usize(..self.known.len());
        &self.known[at]
    }

    /// Change parts and put them together again, so that lengths are right and readers get past them.
    fn by_parts(&mut self, input: &[u8], depth: usize) -> Vec<u8> {
        let mut parts = self.shape.split(input);
        for _ in 0..=self.rng.usize(..3) {
            if parts.is_empty() {
                break;
            }
            let at = self.rng.usize(..parts.len());
            match self.rng.u8(..8) {
                0 => drop(parts.remove(at)),
                1 => {
                    let again = parts[at].clone();
                    parts.insert(self.rng.usize(..=parts.len()), again);
                }
                2 => {
                    let others = self.shape.split(&self.one_known().clone());
                    if !others.is_empty() {
                        parts.insert(at, others[self.rng.usize(..others.len())].clone());
                    }
                }
                _ => {
                    let body = parts[at].1.clone();
                    let is_nested = depth < 4 && self.shape.is_nested(&body) && self.rng.bool();
                    parts[at].1 = if is_nested { self.by_parts(&body, depth + 1) } else { self.by_bytes(&body) };
                }
            }
        }
        self.shape.join(&parts)
    }

    fn by_bytes(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.rng.usize(..3) {
            let at = self.rng.usize(..=bytes.len());
            let end = self.rng.usize(at..=bytes.len().min(at + 32));
            match self.rng.u8(..9) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.rng.u8(..8),
                1 if at < bytes.len() => bytes[at] = BOUNDS[self.rng.usize(..BOUNDS.len())],
                2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(if self.rng.bool() { 1 } else { 255 }),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.rng.usize(..=bytes.len());
                    bytes.splice(to..to, piece);
                }
                5 if !self.words.is_empty() => {
                    let word = self.words[self.rng.usize(..self.words.len())];
                    bytes.splice(at..end.min(at + word.len()), word.iter().copied());
                }
                6 => {
                    let other = self.one_known().clone();
                    let from = self.rng.usize(..=other.len());
                    let to = self.rng.usize(from..=other.len().min(from + 64));
                    bytes.splice(at..end, other[from..to].iter().copied());
                }
                7 if self.rng.u8(..4) == 0 => bytes.truncate(at),
                // Again and again: what is nested or counted.
                8 if at < end => {
                    let piece = bytes[at..end].repeat(1 << self.rng.u8(1..9));
                    bytes.splice(at..end, piece);
                }
                _ => bytes.insert(at, self.rng.u8(..)),
            }
            bytes.truncate(LONGEST);
        }
        bytes
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let known = self.one_known().clone();
        let by_parts = !matches!(self.shape, Shape::Bytes) && self.rng.u8(..4) > 0;
        let mut input = if by_parts { self.by_parts(&known, 0) } else { self.by_bytes(&known) };
        input.truncate(LONGEST);
        Some(input)
    }
}
