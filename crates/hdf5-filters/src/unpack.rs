//! Numbers of any number of bits, without gaps between them, most significant bit first.

/// The number of numbers that fill whole bytes at any number of bits.
const GROUP: usize = 8;
/// Bytes that are read for a group: its own, at most 64, and one word beyond.
const WINDOW: usize = 80;
/// Numbers that are unpacked before they are finished: small enough for the stack, whole bytes.
const RUN: usize = 256;

/// An unsigned number of the machine.
pub(super) trait Word: Copy + Default + PartialEq {
    /// Its bits.
    const BITS: usize;
    /// The lower bits of `bits`.
    fn low(bits: u64) -> Self;
    /// The sum without its overflow.
    fn plus(self, other: Self) -> Self;
    /// The bits, shifted up by fewer places than there are bits.
    fn up(self, places: usize) -> Self;
    /// Writes it, least significant byte first.
    fn store(self, target: &mut [u8]);
}

macro_rules! word {
    ($($number:ty)*) => {$(
        impl Word for $number {
            const BITS: usize = size_of::<Self>() * 8;

            #[allow(clippy::cast_possible_truncation)] // the lower bits are meant
            #[allow(clippy::cast_lossless)] // of 64 bits it is all
            fn low(bits: u64) -> Self {
                bits as Self
            }

            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn up(self, places: usize) -> Self {
                self << places
            }

            fn store(self, target: &mut [u8]) {
                target.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

word!(u8 u16 u32 u64);

/// Unpacks numbers and writes the result of `finish` for each.
pub(super) fn each<W: Word>(code: &[u8], bits: usize, target: &mut [u8], finish: impl Fn(W) -> W) {
    let mut room = [W::default(); RUN];
    for (run, part) in target.chunks_mut(RUN * size_of::<W>()).enumerate() {
        let numbers = &mut room[..part.len() / size_of::<W>()];
        if bits > 0 {
            // A run's numbers fill whole bytes.
            unpack(code.get(run * RUN / 8 * bits..).unwrap_or_default(), bits, numbers);
        }
        for (element, &number) in part.chunks_exact_mut(size_of::<W>()).zip(&*numbers) {
            finish(number).store(element);
        }
    }
}

/// Reverses the bytes of numbers of `size` bytes.
pub(super) fn swap(size: usize, numbers: &mut [u8]) {
    match size {
        1 => {}
        2 => swapped::<2>(numbers, |bytes| u16::from_le_bytes(bytes).to_be_bytes()),
        4 => swapped::<4>(numbers, |bytes| u32::from_le_bytes(bytes).to_be_bytes()),
        8 => swapped::<8>(numbers, |bytes| u64::from_le_bytes(bytes).to_be_bytes()),
        _ => numbers.chunks_exact_mut(size).for_each(<[u8]>::reverse),
    }
}

fn swapped<const N: usize>(numbers: &mut [u8], swap: impl Fn([u8; N]) -> [u8; N]) {
    numbers.as_chunks_mut::<N>().0.iter_mut().for_each(|bytes| *bytes = swap(*bytes));
}

/// Takes numbers of `bits` bits, 1 to 64, from the beginning of `code`; beyond its end are zeros.
fn unpack<W: Word>(code: &[u8], bits: usize, numbers: &mut [W]) {
    let spread = Spread::new(W::BITS, bits);
    for (group, numbers) in numbers.chunks_mut(GROUP).enumerate() {
        let code = code.get(group * bits..).unwrap_or_default();
        let mut padded = [0; WINDOW];
        let window = if let Some(window) = code.first_chunk::<WINDOW>() {
            window
        } else {
            padded[..code.len()].copy_from_slice(code);
            &padded
        };
        match numbers.as_chunks_mut::<GROUP>().0 {
            [numbers] if spread.fits => spread.group(window, numbers),
            _ => one_by_one(window, bits, numbers),
        }
    }
}

/// The steps that spread the numbers of a word within it, by halves of halves.
struct Spread {
    /// Whether this many fit into one word at any bit offset.
    fits: bool,
    /// Bits of all of them in the code.
    bits: usize,
    /// For words of 8, 16 and 32 bits each: bits of a half, and the lower half of each whole.
    steps: [(usize, u64); 3],
}

impl Spread {
    fn new(word: usize, bits: usize) -> Self {
        let all = 64 / word * bits;
        // A group begins at a byte; a part of it begins at a multiple of all bits.
        let furthest = (0..GROUP * word / 64).map(|n| n * all % 8).max().unwrap_or(0);
        let step = |lane: usize| {
            let half = (bits * lane / word).min(63);
            (half, (0..32 / lane).fold(0, |mask, n| mask | ((1 << half) - 1) << (2 * lane * n)))
        };
        Self { fits: all + furthest <= 64, bits: all, steps: [step(8), step(16), step(32)] }
    }

    #[inline]
    fn group<W: Word>(&self, window: &[u8; WINDOW], numbers: &mut [W; GROUP]) {
        for (number, numbers) in numbers.chunks_exact_mut(64 / W::BITS).enumerate() {
            let first = number * self.bits;
            let mut all = word(window, first / 8) << (first % 8) >> (64 - self.bits);
            for (step, &(half, mask)) in self.steps.iter().enumerate().rev() {
                let lane = 8 << step;
                if lane >= W::BITS {
                    // The upper half comes first.
                    all = all >> half & mask | (all & mask) << lane;
                }
            }
            for (place, number) in numbers.iter_mut().enumerate() {
                *number = W::low(all >> (place * W::BITS));
            }
        }
    }
}

fn one_by_one<W: Word>(window: &[u8; WINDOW], bits: usize, numbers: &mut [W]) {
    for (place, number) in numbers.iter_mut().enumerate() {
        let (at, shift) = (place * bits / 8, place * bits % 8);
        let (high, next) = (word(window, at), window.get(at + 8).copied().unwrap_or(0));
        // A number of more than 57 bits may reach into a ninth byte.
        let both = u128::from(high) << 8 | u128::from(next);
        *number = W::low(low_word(both >> (8 - shift)) >> (64 - bits));
    }
}

#[inline]
fn word(window: &[u8; WINDOW], at: usize) -> u64 {
    window.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b))
}

#[allow(clippy::cast_possible_truncation)] // the upper bits are dropped on purpose
fn low_word(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::{Word, unpack};

    fn narrow<W: Word + std::fmt::Debug>(code: &[u8], bits: usize, plain: &[u64]) {
        if bits <= W::BITS {
            let plain: Vec<W> = plain.iter().copied().map(W::low).collect();
            let mut found = vec![W::default(); plain.len()];
            unpack(code, bits, &mut found);
            assert_eq!(found, plain, "{bits} bits of {}", W::BITS);
        }
    }

    #[test]
    fn numbers_of_every_width_are_unpacked() {
        for bits in 1..=64_usize {
            let most = u64::MAX >> (64 - bits);
            let plain: Vec<u64> = (0..77_u64)
                .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9) & most)
                .collect();
            let mut code = vec![0_u8; (plain.len() * bits).div_ceil(8)];
            for (number, value) in plain.iter().enumerate() {
                for bit in 0..bits {
                    let at = number * bits + bit;
                    code[at / 8] |= u8::from(value >> (bits - 1 - bit) & 1 == 1) << (7 - at % 8);
                }
            }
            let mut found = vec![0_u64; plain.len()];
            unpack(&code, bits, &mut found);
            assert_eq!(found, plain, "{bits} bits");
            narrow::<u32>(&code, bits, &plain);
            narrow::<u16>(&code, bits, &plain);
            narrow::<u8>(&code, bits, &plain);
        }
        let mut none = [7_u8; 3];
        unpack(&[], 5, &mut none);
        assert_eq!(none, [0; 3]);
    }
}
