//! One pass over a block of numbers, in loops that the compiler turns into vector instructions.

/// What a block of numbers amounts to. Blocks are merged pairwise: no sum grows so large that small
/// values vanish in it. Source: Chan, Golub and others, "Updating Formulae and a Pairwise Algorithm for
/// Computing Sample Variances", 1979.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    /// Values that are neither NaN nor infinite.
    pub(super) finite: u64,
    pub(super) nan: u64,
    pub(super) infinite: u64,
    pub(super) mean: f64,
    /// Sum of squared distances from the mean.
    pub(super) squares: f64,
    /// Of all values but NaN.
    pub(super) min: f64,
    pub(super) max: f64,
    /// Of the finite values.
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Moments {
    pub(super) const NONE: Self = Self {
        finite: 0,
        nan: 0,
        infinite: 0,
        mean: 0.0,
        squares: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
    };

    #[allow(clippy::cast_precision_loss)] // counts of elements
    pub(super) fn merge(self, other: Self) -> Self {
        let finite = self.finite + other.finite;
        let (a, b) = (self.finite as f64, other.finite as f64);
        let (distance, all) = (other.mean - self.mean, (finite as f64).max(1.0));
        Self {
            finite,
            nan: self.nan + other.nan,
            infinite: self.infinite + other.infinite,
            mean: if a == 0.0 { other.mean } else { self.mean + distance * b / all },
            squares: self.squares + other.squares + distance * distance * a * b / all,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

/// Independent sums: as many as keep the vector units busy.
const LANES: usize = 16;

/// The moments of a block. The fast way is for finite numbers; a block with others is done again.
#[allow(clippy::cast_precision_loss)] // counts of elements
pub(super) fn moments<const N: usize>(block: &[[u8; N]], read: impl Fn([u8; N]) -> f64) -> Moments {
    let mut sums = [0.0_f64; LANES];
    let (mut least, mut most) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let (whole, rest) = block.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            let x = read(values[lane]);
            sums[lane] += x;
            least[lane] = if x < least[lane] { x } else { least[lane] };
            most[lane] = if x > most[lane] { x } else { most[lane] };
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        let x = read(*value);
        sums[lane] += x;
        least[lane] = least[lane].min(x);
        most[lane] = most[lane].max(x);
    }
    let sum: f64 = sums.iter().sum();
    let (min, max) = (
        least.into_iter().fold(f64::INFINITY, f64::min),
        most.into_iter().fold(f64::NEG_INFINITY, f64::max),
    );
    if !sum.is_finite() {
        return careful(block, read);
    }
    let finite = block.len() as u64;
    let mean = sum / (finite as f64).max(1.0);
    let mut squares = [0.0_f64; LANES];
    for values in whole {
        for lane in 0..LANES {
            let distance = read(values[lane]) - mean;
            squares[lane] += distance * distance;
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        squares[lane] += (read(*value) - mean).powi(2);
    }
    let squares = squares.iter().sum();
    Moments { finite, nan: 0, infinite: 0, mean, squares, min, max, low: min, high: max }
}

/// One value after the other, for blocks with NaN, infinities or sums that overflow.
#[allow(clippy::cast_precision_loss)] // counts of elements
fn careful<const N: usize>(block: &[[u8; N]], read: impl Fn([u8; N]) -> f64) -> Moments {
    let mut all = Moments::NONE;
    for x in block.iter().map(|bytes| read(*bytes)) {
        if x.is_nan() {
            all.nan += 1;
            continue;
        }
        all.min = all.min.min(x);
        all.max = all.max.max(x);
        if x.is_infinite() {
            all.infinite += 1;
            continue;
        }
        all.low = all.low.min(x);
        all.high = all.high.max(x);
        all.finite += 1;
        let distance = x - all.mean;
        all.mean += distance / all.finite as f64;
        all.squares += distance * (x - all.mean);
    }
    all
}

/// Counts every value of a block of one-byte or two-byte elements; `table` has one place for each.
pub(super) fn count_bytes(block: &[u8], table: &mut [u64]) {
    // Four tables: equal neighbours would wait for each other's increment.
    let mut four = [[0_u32; 256]; 4];
    let (whole, rest) = block.as_chunks::<4>();
    for bytes in whole {
        for lane in 0..4 {
            four[lane][usize::from(bytes[lane])] += 1;
        }
    }
    for &byte in rest {
        four[0][usize::from(byte)] += 1;
    }
    for (value, total) in table.iter_mut().enumerate().take(256) {
        *total += four.iter().map(|table| u64::from(table[value])).sum::<u64>();
    }
}

/// Counts two-byte elements.
pub(super) fn count_words(block: &[u8], big: bool, table: &mut [u64]) {
    for &bytes in block.as_chunks::<2>().0 {
        let value = if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        table[usize::from(value)] += 1;
    }
}

/// How elements of a kind become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
    F128,
}

/// What is done with the elements of a block, whatever their type.
trait Pass {
    type Found;

    fn over<const N: usize>(
        self,
        elements: &[[u8; N]],
        read: impl Fn([u8; N]) -> f64,
    ) -> Self::Found;
}

/// Passes over a block of elements in their bytes: a loop of its own for every type and byte order.
#[allow(clippy::cast_precision_loss)] // 64-bit integers: as numpy's mean
fn pass<P: Pass>(kind: Kind, big: bool, block: &[u8], pass: P) -> P::Found {
    macro_rules! over {
        ($type:ty, $to:expr) => {{
            let elements = block.as_chunks::<{ size_of::<$type>() }>().0;
            match big {
                true => pass.over(elements, |bytes| $to(<$type>::from_be_bytes(bytes))),
                false => pass.over(elements, |bytes| $to(<$type>::from_le_bytes(bytes))),
            }
        }};
    }
    match kind {
        Kind::I32 => over!(i32, f64::from),
        Kind::U32 => over!(u32, f64::from),
        Kind::I64 => over!(i64, |x| x as f64),
        Kind::U64 => over!(u64, |x| x as f64),
        Kind::F16 => over!(u16, |bits| f64::from(numpy_dtype::half_to_single(bits))),
        Kind::F32 => over!(f32, f64::from),
        Kind::F64 => over!(f64, |x| x),
        Kind::F128 => pass.over(block.as_chunks::<16>().0, |mut bytes| {
            if big {
                bytes.reverse();
            }
            super::values::float(&bytes).value
        }),
    }
}

/// The moments of a block of elements in their bytes.
pub(super) fn of_kind(kind: Kind, big: bool, block: &[u8]) -> Moments {
    struct All;
    impl Pass for All {
        type Found = Moments;

        fn over<const N: usize>(
            self,
            elements: &[[u8; N]],
            read: impl Fn([u8; N]) -> f64,
        ) -> Moments {
            moments(elements, read)
        }
    }
    pass(kind, big, block, All)
}

/// Bins of equal width, which count.
struct Bins<'a> {
    counts: &'a mut [u64],
    low: f64,
    scale: f64,
}

impl Pass for Bins<'_> {
    type Found = ();

    fn over<const N: usize>(self, elements: &[[u8; N]], read: impl Fn([u8; N]) -> f64) {
        let last = self.counts.len().saturating_sub(1);
        for x in elements.iter().map(|bytes| read(*bytes)) {
            if x.is_finite() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clipped below
                let bin = ((x - self.low) * self.scale) as usize;
                self.counts[bin.min(last)] += 1;
            }
        }
    }
}

/// Counts the elements of a block into bins of equal width from `low` on.
pub(super) fn bins(kind: Kind, big: bool, block: &[u8], low: f64, scale: f64, counts: &mut [u64]) {
    pass(kind, big, block, Bins { counts, low, scale });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        of_kind(Kind::F64, false, &bytes)
    }

    #[test]
    fn blocks_merge_into_the_whole() {
        let values: Vec<f64> = (0..1000).map(|n| f64::from(n * n % 77) + 1e6).collect();
        let whole = of(&values);
        let merged = of(&values[..333]).merge(of(&values[333..]));
        assert!((whole.mean - merged.mean).abs() < 1e-6);
        assert!((whole.squares - merged.squares).abs() / whole.squares < 1e-9);
        assert_eq!((whole.min, whole.max), (merged.min, merged.max));
        assert_eq!(Moments::NONE.merge(whole), whole);
    }

    #[test]
    fn nan_and_infinity_are_counted_and_left_out() {
        let found = of(&[1.0, f64::NAN, 3.0, f64::INFINITY]);
        assert_eq!((found.finite, found.nan, found.infinite), (2, 1, 1));
        assert_eq!((found.min, found.max, found.mean), (1.0, f64::INFINITY, 2.0));
        assert!((of(&[1e308, 1e308]).mean - 1e308).abs() < 1e295);
    }
}
