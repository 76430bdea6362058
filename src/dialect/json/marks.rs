//! Where the bytes stand that may matter in a string: quotes, backslashes, control characters.
//!
//! They are found for the whole text first, in blocks and without a branch, so that the scanner need not wait for the length
//! of one string before it begins with what comes after it.

use wide::{CmpEq as _, CmpLt as _, i8x16};

/// Bytes whose marks are one word.
pub(super) const BLOCK: usize = 64;

/// Mark the bytes that may matter: a bit for each, the first byte's lowest, a word for each begun block. Tells whether all
/// bytes are ASCII.
pub(super) fn find(bytes: &[u8], marks: &mut [u64]) -> bool {
    let (blocks, rest) = bytes.as_chunks();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let mut all = i8x16::splat(0);
    for (block, place) in blocks.iter().zip(&mut *marks) {
        *place = find_in(block, &mut all);
    }
    if let Some(place) = marks.get_mut(blocks.len()) {
        *place = find_in(&last, &mut all);
    }
    all.move_mask() == 0
}

/// Puts into `all` the bits that any byte has.
fn find_in(block: &[u8; BLOCK], all: &mut i8x16) -> u64 {
    let (parts, _) = block.as_chunks();
    parts.iter().rev().fold(0, |marks, part| {
        let part = i8x16::new(part.map(u8::cast_signed));
        *all |= part;
        let is = |byte: u8| part.cmp_eq(i8x16::splat(byte.cast_signed()));
        // What is not ASCII is negative here.
        let control = part.cmp_lt(i8x16::splat(0x20)) & !part.cmp_lt(i8x16::splat(0));
        let special = is(b'"') | is(b'\\') | control;
        marks << 16 | u64::from(special.move_mask().cast_unsigned())
    })
}

/// The marked places in order.
pub(super) struct Marks<'a> {
    blocks: std::slice::Iter<'a, u64>,
    /// First byte behind the block that is being given out.
    after: usize,
    /// Those of its places that were not given out yet.
    left: u64,
}

impl<'a> Marks<'a> {
    pub(super) fn new(marks: &'a [u64]) -> Self {
        Self { blocks: marks.iter(), after: 0, left: 0 }
    }

    /// The next place; one that no text has when there is none.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        while self.left == 0 {
            let Some(block) = self.blocks.next() else { return usize::MAX };
            self.left = *block;
            self.after += BLOCK;
        }
        let place = self.after - BLOCK + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_bytes_that_may_matter_are_found(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut words = vec![0; bytes.len().div_ceil(BLOCK)];
            prop_assert_eq!(find(&bytes, &mut words), bytes.is_ascii());
            let mut marks = Marks::new(&words);
            let found: Vec<_> = std::iter::from_fn(|| Some(marks.next()).filter(|at| *at != usize::MAX)).collect();
            let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            let expected: Vec<_> = (0..bytes.len()).filter(|at| special(bytes[*at])).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_single_byte_that_is_not_ascii_is_noticed(length in 1..300_usize, at in any::<prop::sample::Index>()) {
            let mut bytes = vec![b'a'; length];
            let mut words = vec![0; length.div_ceil(BLOCK)];
            prop_assert!(find(&bytes, &mut words));
            bytes[at.index(length)] = 0x80;
            prop_assert!(!find(&bytes, &mut words));
        }
    }
}
