//! A part of an array, selected in numpy's notation: `0:10,:,3`.

use numpy_dtype::Dtype;

use crate::error::{Error, Kind, Result};
use crate::shm::format::tree::Array;
use crate::shm::segment::published::PublishedSegment;

/// One axis of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    count: u64,
    /// Elements from one to the next.
    stride: i64,
}

/// The elements of a view, as places in an array.
#[derive(Debug)]
struct Selection {
    /// The first element's place.
    first: u64,
    axes: Vec<Axis>,
}

/// A part of an array, without a copy of it.
#[derive(Debug)]
pub(crate) struct View {
    source: PublishedSegment,
    dtype: Dtype,
    item: usize,
    selection: Selection,
}

impl View {
    /// A view of the whole array behind `source`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when nothing is known of its dtype.
    pub(crate) fn new(source: PublishedSegment, array: &Array) -> Result<Self> {
        let dtype = Dtype::parse(&array.dtype);
        let known = dtype.and_then(|dtype| Some((usize::try_from(dtype.itemsize()).ok()?, dtype)));
        let Some((item, dtype)) = known else {
            let what = format!("unknown dtype '{}'", array.dtype);
            return Err(Error::new(Kind::Unsupported, what));
        };
        Ok(Self { source, dtype, item, selection: Selection::all(&array.shape) })
    }

    /// The part that `text` selects: integers, slices with steps, and one `...`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what numpy would refuse.
    pub(crate) fn slice(self, text: &str) -> Result<Self> {
        Ok(Self { selection: self.selection.slice(text)?, ..self })
    }

    /// Elements along each axis.
    pub(crate) fn shape(&self) -> Vec<u64> {
        self.selection.axes.iter().map(|axis| axis.count).collect()
    }

    /// The elements' type.
    pub(crate) fn dtype(&self) -> &Dtype {
        &self.dtype
    }

    /// Bytes of an element.
    pub(crate) fn item(&self) -> usize {
        self.item
    }

    /// How many elements it has.
    pub(crate) fn size(&self) -> u64 {
        self.selection.size()
    }

    /// Reads elements in C order from number `start` on; `into` must be a multiple of an element.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn read(&self, start: u64, into: &mut [u8]) -> Result<()> {
        if self.item == 0 || into.is_empty() {
            return Ok(());
        }
        let Selection { first, axes } = &self.selection;
        if self.selection.is_contiguous() {
            return self.source.read_at((first + start) * self.item as u64, into);
        }
        let last = axes.last().copied().unwrap_or(Axis { count: 1, stride: 1 });
        let mut number = start;
        let mut rest = into;
        while !rest.is_empty() {
            let within = number % last.count;
            let run = (last.count - within).min((rest.len() / self.item) as u64);
            let (now, after) = rest.split_at_mut(usize::try_from(run).unwrap_or(1) * self.item);
            self.run(self.selection.place(number), last.stride, now)?;
            (number, rest) = (number + run, after);
        }
        Ok(())
    }

    /// Reads the elements of one row.
    fn run(&self, first: u64, stride: i64, into: &mut [u8]) -> Result<()> {
        let item = self.item as u64;
        if stride == 1 {
            return self.source.read_at(first * item, into);
        }
        for (number, element) in into.chunks_exact_mut(self.item).enumerate() {
            let step = stride.saturating_mul(i64::try_from(number).unwrap_or(0));
            self.source.read_at(first.saturating_add_signed(step) * item, element)?;
        }
        Ok(())
    }

    /// The number of the element at `index`, in C order.
    pub(crate) fn number(&self, index: &[u64]) -> u64 {
        self.selection.axes.iter().zip(index).fold(0, |all, (axis, at)| all * axis.count + at)
    }
}

impl Selection {
    /// Every element of an array.
    fn all(shape: &[u64]) -> Self {
        let mut axes = Vec::with_capacity(shape.len());
        let mut stride = 1_i64;
        for &count in shape.iter().rev() {
            axes.push(Axis { count, stride });
            stride = stride.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
        }
        axes.reverse();
        Self { first: 0, axes }
    }

    fn slice(mut self, text: &str) -> Result<Self> {
        let usage = |why: String| {
            Error::new(Kind::Usage, format!("bad slice '{text}': {why}"))
                .with_hint("as in numpy: --slice '0:10,:,3' or '...,::-1'")
        };
        let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
        let mut parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        // numpy allows a comma at the end.
        if parts.len() > 1 && parts.last() == Some(&"") {
            parts.pop();
        }
        let dots = parts.iter().position(|part| *part == "...");
        let given = parts.len() - usize::from(dots.is_some());
        if given > self.axes.len() {
            let axes = self.axes.len();
            let noun = if axes == 1 { "axis" } else { "axes" };
            return Err(usage(format!("the array has {axes} {noun}")));
        }
        let rest = std::iter::repeat_n(":", self.axes.len() - given);
        let at = dots.unwrap_or(parts.len());
        parts.splice(at..at + usize::from(dots.is_some()), rest);
        let mut axes = Vec::new();
        let mut first = i64::try_from(self.first).unwrap_or(0);
        for (number, (part, axis)) in parts.iter().zip(&self.axes).enumerate() {
            let (start, kept) =
                one(part, *axis).map_err(|why| usage(format!("axis {number}: {why}")))?;
            first = first.saturating_add(start.saturating_mul(axis.stride));
            axes.extend(kept);
        }
        (self.first, self.axes) = (u64::try_from(first).unwrap_or(0), axes);
        Ok(self)
    }

    /// An array without elements may have other extents of any size.
    fn size(&self) -> u64 {
        match self.axes.iter().any(|axis| axis.count == 0) {
            true => 0,
            false => self.axes.iter().fold(1, |size, axis| size.saturating_mul(axis.count)),
        }
    }

    /// Whether its elements lie one after the other.
    fn is_contiguous(&self) -> bool {
        let mut stride = 1;
        self.axes.iter().rev().all(|axis| {
            let follows = axis.stride == stride || axis.count == 1;
            stride = stride.saturating_mul(i64::try_from(axis.count).unwrap_or(i64::MAX));
            follows
        })
    }

    /// Where element `number` of the view stands in the array.
    fn place(&self, number: u64) -> u64 {
        let (mut rest, mut place) = (number, self.first);
        for axis in self.axes.iter().rev() {
            let index = i64::try_from(rest % axis.count.max(1)).unwrap_or(0);
            rest /= axis.count.max(1);
            place = place.saturating_add_signed(index.saturating_mul(axis.stride));
        }
        place
    }
}

/// What one part selects of an axis: the first index, and what is left of the axis.
fn one(part: &str, axis: Axis) -> std::result::Result<(i64, Option<Axis>), String> {
    let n = i64::try_from(axis.count).unwrap_or(i64::MAX);
    let number =
        |text: &str| text.trim().parse::<i64>().map_err(|_| format!("'{text}' is no number"));
    if !part.contains(':') {
        let index = number(part)?;
        let place = if index < 0 { index + n } else { index };
        return match (0..n).contains(&place) {
            true => Ok((place, None)),
            false => Err(format!("index {index} is out of bounds, the size is {n}")),
        };
    }
    let fields: Vec<&str> = part.split(':').collect();
    if fields.len() > 3 {
        return Err(format!("'{part}' is no slice"));
    }
    let field = |at: usize| match fields.get(at).map(|text| text.trim()) {
        None | Some("") => Ok(None),
        Some(text) => number(text).map(Some),
    };
    let step = field(2)?.unwrap_or(1);
    if step == 0 {
        return Err("a step of 0".to_owned());
    }
    // Python's rules for slices: bounds are clipped, for negative steps one place further down.
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let bound = |at: Option<i64>, missing: i64| match at {
        None => missing,
        Some(at) if at < 0 => at.saturating_add(n).clamp(low, high),
        Some(at) => at.clamp(low, high),
    };
    let (start, end) = match step > 0 {
        true => (bound(field(0)?, low), bound(field(1)?, high)),
        false => (bound(field(0)?, high), bound(field(1)?, low)),
    };
    let distance = if step > 0 { end - start } else { start - end };
    let count = u64::try_from(distance).unwrap_or(0).div_ceil(step.unsigned_abs());
    let start = if count == 0 { 0 } else { start };
    Ok((start, Some(Axis { count, stride: axis.stride.saturating_mul(step) })))
}

/// Selects a part of an array of this shape, for a fuzz target.
#[cfg(any(test, fuzzing))]
pub(super) fn select(shape: &[u64], text: &str) {
    let elements = shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
    let Ok(selection) = Selection::all(shape).slice(text) else { return };
    let (size, _) = (selection.size(), selection.is_contiguous());
    if let Some(elements) = elements.filter(|&n| i64::try_from(n).is_ok()) {
        assert!(size <= elements);
        for number in [0, size / 2, size.saturating_sub(1)] {
            assert!(size == 0 || selection.place(number) < elements, "{shape:?} {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(part: &str, count: u64) -> Vec<i64> {
        let axis = Axis { count, stride: 1 };
        match one(part, axis).unwrap() {
            (start, None) => vec![start],
            (start, Some(axis)) => {
                (0..i64::try_from(axis.count).unwrap()).map(|i| start + i * axis.stride).collect()
            }
        }
    }

    #[test]
    fn slices_select_what_python_selects() {
        assert_eq!(picked(":", 3), [0, 1, 2]);
        assert_eq!(picked("-1", 3), [2]);
        assert_eq!(picked("1:100:2", 6), [1, 3, 5]);
        assert_eq!(picked("::-1", 3), [2, 1, 0]);
        assert_eq!(picked("-2:0:-1", 4), [2, 1]);
        assert_eq!(picked("5:2", 6), [0_i64; 0]);
        assert_eq!(picked("-100:2", 6), [0, 1]);
    }

    #[test]
    fn what_numpy_refuses_is_refused() {
        let axis = Axis { count: 3, stride: 1 };
        for part in ["3", "-4", "a", "1:2:0", "1:2:3:4", ""] {
            assert!(one(part, axis).is_err(), "{part}");
        }
    }
}
