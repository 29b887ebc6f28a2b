//! Converts elements of the file to elements in memory, with the results of HDF5's own conversion: strings with any
//! padding, integers that numpy lacks, and compounds with such fields.

use crate::buffer::resize_buffer;
use crate::error::Decoded;
use crate::widening::Widening;

/// A conversion with more steps than this is left to HDF5.
const MOST_STEPS: usize = 512;

/// The conversion of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// Bytes of an element in the file.
    from: usize,
    /// Bytes of an element as it is read.
    to: usize,
    steps: Vec<Step>,
}

/// One part of an element: `count` values that follow each other on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    from: usize,
    to: usize,
    count: usize,
    value: Value,
}

/// The conversion of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Bytes that are copied.
    Same(usize),
    /// A string of this many bytes that ends at its first NUL.
    Terminated(usize),
    /// A string of this many bytes that ends before its trailing spaces.
    Spaced(usize),
    /// An integer that keeps its size.
    Widened(Widening),
    /// An integer of a size that numpy lacks.
    Resized(Resizing),
}

/// An integer of up to 8 bytes that is extended to more, least significant byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resizing {
    /// Bytes in the file.
    pub from: usize,
    /// Bytes in memory.
    pub to: usize,
    /// Whether the file has the most significant byte first.
    pub big_endian: bool,
    /// Whether the integer has a sign.
    pub signed: bool,
    /// The number of significant bits, and of the bits below them.
    pub bits: (usize, usize),
}

impl Value {
    /// Bytes before and after.
    fn sizes(self) -> (usize, usize) {
        match self {
            Self::Same(size) | Self::Terminated(size) | Self::Spaced(size) => (size, size),
            Self::Widened(widen) => (widen.size(), widen.size()),
            Self::Resized(resize) => (resize.from, resize.to),
        }
    }

    /// Converts values that follow each other; both slices have as many.
    fn apply(self, source: &[u8], target: &mut [u8]) {
        match self {
            Self::Same(_) => target.copy_from_slice(source),
            Self::Terminated(size) => strings(size, source, target, first_nul),
            Self::Spaced(size) => strings(size, source, target, |text| {
                text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1)
            }),
            Self::Widened(widen) => {
                target.copy_from_slice(source);
                widen.apply(target);
            }
            Self::Resized(resize) => resize.apply(source, target),
        }
    }
}

/// The length of a string: up to its first NUL, or all of it.
fn first_nul(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is zero, if none before it is.
        let zeros = word.wrapping_sub(ONES) & !word & ONES << 7;
        if zeros != 0 {
            return number * 8 + zeros.trailing_zeros() as usize / 8;
        }
    }
    let nul = rest.iter().position(|&byte| byte == 0);
    nul.map_or(text.len(), |place| words.len() * 8 + place)
}

/// Copies strings of `size` bytes up to the `length` of each; the rest becomes NUL.
fn strings(size: usize, source: &[u8], target: &mut [u8], length: impl Fn(&[u8]) -> usize) {
    target.copy_from_slice(source);
    for text in target.chunks_exact_mut(size.max(1)) {
        let length = length(text);
        text[length..].fill(0);
    }
}

impl Resizing {
    fn is_possible(self) -> bool {
        let (bits, below) = self.bits;
        let fits = bits.checked_add(below).is_some_and(|all| bits > 0 && all <= self.from * 8);
        fits && (1..=8).contains(&self.from) && matches!(self.to, 1 | 2 | 4 | 8)
    }

    fn apply(self, source: &[u8], target: &mut [u8]) {
        let (bits, below) = self.bits;
        let (above, rest) = (64 - bits - below, 64 - bits);
        for (source, target) in source.chunks_exact(self.from).zip(target.chunks_exact_mut(self.to))
        {
            let next = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
            let number = match self.big_endian {
                true => source.iter().fold(0, next),
                false => source.iter().rev().fold(0, next),
            };
            let number = match self.signed {
                true => ((number << above).cast_signed() >> rest).cast_unsigned(),
                false => number << above >> rest,
            };
            target.copy_from_slice(&number.to_le_bytes()[..self.to]);
        }
    }
}

impl Conversion {
    fn one(value: Value) -> Self {
        let (from, to) = value.sizes();
        Self { from, to, steps: vec![Step { from: 0, to: 0, count: 1, value }] }
    }

    /// Elements that are copied.
    pub fn same(size: usize) -> Self {
        Self::one(Value::Same(size))
    }

    /// Strings that end at their first NUL.
    pub fn terminated(size: usize) -> Self {
        Self::one(Value::Terminated(size))
    }

    /// Strings that end before their trailing spaces.
    pub fn spaced(size: usize) -> Self {
        Self::one(Value::Spaced(size))
    }

    /// Integers that keep their size.
    pub fn widened(widen: Widening) -> Self {
        Self::one(Value::Widened(widen))
    }

    /// Integers of a size that numpy lacks.
    pub fn resized(resize: Resizing) -> Option<Self> {
        resize.is_possible().then(|| Self::one(Value::Resized(resize)))
    }

    /// `count` such elements in a row.
    pub fn array(&self, count: u64) -> Option<Self> {
        let count = usize::try_from(count).ok()?;
        let (from, to) = (self.from.checked_mul(count)?, self.to.checked_mul(count)?);
        if let [step] = self.steps[..]
            && step.spans(self.from, self.to)
        {
            let count = step.count.checked_mul(count)?;
            return Some(Self { from, to, steps: vec![Step { count, ..step }] });
        }
        if self.steps.len().checked_mul(count)? > MOST_STEPS {
            return None;
        }
        let moved = |number: usize, step: &Step| Step {
            from: step.from + number * self.from,
            to: step.to + number * self.to,
            ..*step
        };
        let steps = (0..count).flat_map(|number| self.steps.iter().map(move |s| moved(number, s)));
        Some(Self { from, to, steps: steps.collect() })
    }

    /// Fields at their offsets, before and after, in elements of that many bytes, before and after.
    pub fn table(
        (from, to): (usize, usize),
        fields: impl IntoIterator<Item = Option<(usize, usize, Self)>>,
    ) -> Option<Self> {
        let mut steps = Vec::new();
        for field in fields {
            let (file, memory, field) = field?;
            if file.checked_add(field.from)? > from || memory.checked_add(field.to)? > to {
                return None;
            }
            steps.extend(field.steps.iter().map(|step| Step {
                from: step.from + file,
                to: step.to + memory,
                ..*step
            }));
        }
        (steps.len() <= MOST_STEPS).then_some(Self { from, to, steps })
    }

    /// Bytes of an element in the file.
    pub fn file_size(&self) -> usize {
        self.from
    }

    /// Bytes of an element as it is read.
    pub fn size(&self) -> usize {
        self.to
    }

    /// Converts all elements of `source`.
    pub fn apply(&self, source: &[u8], target: &mut Vec<u8>) -> Decoded {
        let Some(count) = source.len().checked_div(self.from) else { return Ok(()) };
        resize_buffer(target, count.saturating_mul(self.to))?;
        let source = &source[..count * self.from];
        if let [step] = self.steps[..]
            && step.spans(self.from, self.to)
        {
            step.value.apply(source, target);
            return Ok(());
        }
        for (source, target) in
            source.chunks_exact(self.from).zip(target.chunks_exact_mut(self.to.max(1)))
        {
            for step in &self.steps {
                let (before, after) = step.value.sizes();
                let source = &source[step.from..][..step.count * before];
                step.value.apply(source, &mut target[step.to..][..step.count * after]);
            }
        }
        Ok(())
    }
}

impl Step {
    /// Whether its values are all that elements of these sizes have.
    fn spans(&self, from: usize, to: usize) -> bool {
        let (before, after) = self.value.sizes();
        (self.from, self.to) == (0, 0) && (self.count * before, self.count * after) == (from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(convert: &Conversion, source: &[u8]) -> Vec<u8> {
        let mut target = vec![0xee];
        convert.apply(source, &mut target).unwrap();
        target
    }

    #[test]
    fn the_first_nul_is_found_at_every_position() {
        for length in 0..40 {
            for place in 0..=length {
                let mut text = vec![0x80; length];
                text[place..].fill(0);
                for after in [0, 1, 0xff] {
                    text.iter_mut().skip(place + 1).for_each(|byte| *byte = after);
                    assert_eq!(first_nul(&text), place);
                }
            }
        }
    }

    #[test]
    fn strings_end_at_their_padding() {
        assert_eq!(apply(&Conversion::terminated(4), b"a\0bcabcd\0xyz"), b"a\0\0\0abcd\0\0\0\0");
        assert_eq!(apply(&Conversion::spaced(4), b"a b     abcd"), b"a b\0\0\0\0\0abcd");
    }

    #[test]
    fn integers_of_three_bytes_become_four_bytes() {
        let resize = |big_endian, signed| {
            Conversion::resized(Resizing { from: 3, to: 4, big_endian, signed, bits: (24, 0) })
                .unwrap()
        };
        assert_eq!(
            apply(&resize(false, true), &[0xfe, 0xff, 0xff, 1, 2, 3]),
            [0xfe, 0xff, 0xff, 0xff, 1, 2, 3, 0]
        );
        assert_eq!(apply(&resize(true, false), &[0xff, 0xff, 0xfe]), [0xfe, 0xff, 0xff, 0]);
        let odd = Resizing { from: 3, to: 4, big_endian: false, signed: false, bits: (24, 1) };
        assert!(Conversion::resized(odd).is_none());
    }

    #[test]
    fn fields_and_arrays_of_fields_are_converted_one_by_one() {
        let resize = Resizing { from: 3, to: 4, big_endian: false, signed: false, bits: (24, 0) };
        let pair = Conversion::resized(resize).unwrap().array(2).unwrap();
        let text = Conversion::terminated(2);
        let table = Conversion::table((9, 10), [Some((0, 0, text)), Some((3, 2, pair))]).unwrap();
        let source = [b'a', 0, 99, 1, 2, 3, 4, 5, 6];
        assert_eq!(apply(&table, &source), [b'a', 0, 1, 2, 3, 0, 4, 5, 6, 0]);
        let twice = table.array(2).unwrap();
        assert_eq!(apply(&twice, &[source, source].concat()), apply(&table, &source).repeat(2));
        assert!(table.array(1 << 20).is_none());
        assert!(Conversion::table((9, 10), [Some((7, 0, Conversion::same(4)))]).is_none());
    }
}
