//! Converts integers with unused bits to full ones of the same size and byte order, with the results of HDF5's own
//! conversion.

/// The place of such integers in their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widening {
    size: usize,
    big_endian: bool,
    signed: bool,
    /// Significant bits, at least 1.
    bits: usize,
    /// Bits below these.
    below: usize,
}

impl Widening {
    /// `None` for sizes other than 1, 2, 4 and 8.
    pub fn new(
        size: usize,
        (big_endian, signed): (bool, bool),
        (bits, below): (usize, usize),
    ) -> Option<Self> {
        let fits = bits > 0 && bits.checked_add(below)? <= size.checked_mul(8)?;
        let widen = Self { size, big_endian, signed, bits, below };
        (fits && matches!(size, 1 | 2 | 4 | 8)).then_some(widen)
    }

    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// Converts all `elements` in place.
    pub(crate) fn apply(self, elements: &mut [u8]) {
        match self.size {
            1 => self.bytes(elements),
            2 => self.shorts(elements),
            4 => self.longs(elements),
            _ => self.quads(elements),
        }
    }
}

macro_rules! widen {
    ($($name:ident: $unsigned:ty, $signed:ty;)*) => {
        impl Widening {$(
            fn $name(self, elements: &mut [u8]) {
                const BYTES: usize = size_of::<$unsigned>();
                let (above, rest) = (BYTES * 8 - self.bits - self.below, BYTES * 8 - self.bits);
                let elements = elements.as_chunks_mut::<BYTES>().0;
                let one = |number: $unsigned| match self.signed {
                    true => ((number << above).cast_signed() >> rest).cast_unsigned(),
                    false => number << above >> rest,
                };
                if self.big_endian {
                    for bytes in elements {
                        *bytes = one(<$unsigned>::from_be_bytes(*bytes)).to_be_bytes();
                    }
                } else {
                    for bytes in elements {
                        *bytes = one(<$unsigned>::from_le_bytes(*bytes)).to_le_bytes();
                    }
                }
            }
        )*}
    };
}

widen! {
    bytes: u8, i8;
    shorts: u16, i16;
    longs: u32, i32;
    quads: u64, i64;
}

#[cfg(test)]
mod tests {
    use super::Widening;

    fn widened(widen: Option<Widening>, elements: &[u8]) -> Vec<u8> {
        let mut elements = elements.to_vec();
        widen.unwrap().apply(&mut elements);
        elements
    }

    #[test]
    fn widening_keeps_signs_and_drops_unused_bits() {
        let twelve = |big, signed| Widening::new(2, (big, signed), (12, 3));
        // 0x801 between ones above and below.
        assert_eq!(widened(twelve(false, false), &[0x0f, 0xc0]), [0x01, 0x08]);
        assert_eq!(widened(twelve(false, true), &[0x0f, 0xc0]), [0x01, 0xf8]);
        assert_eq!(widened(twelve(true, true), &[0xc0, 0x0f]), [0xf8, 0x01]);
        assert_eq!(widened(Widening::new(1, (false, true), (1, 7)), &[0x80, 0x7f]), [0xff, 0]);
        assert_eq!(widened(Widening::new(8, (true, false), (64, 0)), b"abcdefgh"), b"abcdefgh");
        assert!(Widening::new(3, (false, false), (9, 0)).is_none());
        assert!(Widening::new(2, (false, false), (9, 8)).is_none());
        assert!(Widening::new(2, (false, false), (0, 8)).is_none());
    }
}
