//! An array in numbers: least, greatest, mean, standard deviation, and how the values are spread.
//! All processors read blocks that stay in their caches.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use numpy_dtype::{Class, Dtype};
use serde::Serialize;

use super::kernels::{self, Kind, Moments};
use super::slice::View;
use super::values::{Value, value};
use crate::error::{Error, Result};
use crate::os::threads::{self, lock_ignoring_poison};

/// Bytes read at once.
const BLOCK: u64 = 256 << 10;
/// Bars of a histogram.
const BINS: usize = 32;
/// A histogram looks at no more bytes than this, in blocks from all over the array.
const SAMPLE: u64 = 128 << 20;

/// What is known of an array's values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Stats {
    /// Elements, all of them.
    pub(crate) count: u64,
    /// The least value but NaN; null when there is none. Not finite: "inf" or "-inf".
    pub(crate) min: serde_json::Value,
    /// The greatest value but NaN.
    pub(crate) max: serde_json::Value,
    /// Mean of the finite values.
    pub(crate) mean: Option<f64>,
    /// Standard deviation of the finite values (divided by their count, as numpy does).
    pub(crate) std: Option<f64>,
    /// How many are "not a number".
    pub(crate) nan_count: u64,
    /// How many are infinite.
    pub(crate) inf_count: u64,
    /// How many different values there are, for booleans and integers of up to 16 bits.
    pub(crate) distinct_count: Option<u64>,
    /// Whether the values are the magnitudes of complex numbers.
    pub(crate) is_magnitude: bool,
    /// How the finite values are spread; null when there are none.
    pub(crate) histogram: Option<Histogram>,
}

/// Counts of values in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Histogram {
    /// Where the first bin begins.
    pub(crate) low: f64,
    /// Where the last bin ends.
    pub(crate) high: f64,
    /// Values in each bin.
    pub(crate) counts: Vec<u64>,
    /// Values that were looked at; fewer than all in a large array.
    pub(crate) sample_count: u64,
}

/// The statistics of a view.
///
/// # Errors
/// Returns [`crate::error::Kind::Unsupported`] if the elements are not numbers, and an I/O error if they cannot be read.
pub(crate) fn stats(view: &View) -> Result<Stats> {
    let dtype = view.dtype();
    match (dtype.class(), dtype.itemsize()) {
        (Class::Bool | Class::Int | Class::Uint, 1 | 2) => counted(view),
        (Class::Int, 4) => measured(view, Kind::I32),
        (Class::Uint, 4) => measured(view, Kind::U32),
        (Class::Int, _) => measured(view, Kind::I64),
        (Class::Uint, _) => measured(view, Kind::U64),
        (Class::Float, 2) => measured(view, Kind::F16),
        (Class::Float, 4) => measured(view, Kind::F32),
        (Class::Float, 8) | (Class::Complex, 8 | 16) => measured(view, Kind::F64),
        (Class::Float, _) => measured(view, Kind::F128),
        _ => {
            let message =
                format!("there are no statistics of {dtype}, only of numbers and booleans");
            Err(Error::new(crate::error::Kind::Unsupported, message))
        }
    }
}

/// Every `stride`-th block of the view goes to one of the threads' states; returns them all.
fn each_block<S: Send>(
    view: &View,
    stride: u64,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &[u8]) + Sync,
) -> Result<Vec<S>> {
    let per_block = (BLOCK / view.item().max(1) as u64).max(1);
    let blocks = view.size().div_ceil(per_block);
    let next = AtomicU64::new(0);
    let (states, trouble) = (Mutex::new(Vec::new()), Mutex::new(None));
    let count = threads::processors();
    threads::crew(count.min(usize::try_from(blocks).unwrap_or(count)), || {
        let mut state = start();
        let mut buffer = vec![0_u8; usize::try_from(per_block).unwrap_or(1) * view.item()];
        loop {
            let block = next.fetch_add(stride, Ordering::Relaxed);
            if block >= blocks {
                break;
            }
            let first = block * per_block;
            let count = usize::try_from(per_block.min(view.size() - first)).unwrap_or(0);
            let bytes = &mut buffer[..count * view.item()];
            if let Err(error) = view.read(first, bytes) {
                lock_ignoring_poison(&trouble).replace(error);
                break;
            }
            work(&mut state, bytes);
        }
        lock_ignoring_poison(&states).push(state);
    });
    match trouble.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(states.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)),
    }
}

/// Numbers of which there are too many different ones to count each.
fn measured(view: &View, kind: Kind) -> Result<Stats> {
    let work = |all: &mut (Moments, Extremes), block: &[u8]| {
        let (block, big) = magnitudes(view.dtype(), block);
        all.0 = all.0.merge(kernels::of_kind(kind, big, &block));
        all.1.look(kind, big, &block);
    };
    let parts = each_block(view, 1, || (Moments::NONE, Extremes::default()), work)?;
    let whole = parts.iter().fold(Moments::NONE, |all, part| all.merge(part.0));
    let extremes = parts.into_iter().fold(Extremes::default(), |all, part| all.merge(part.1));
    let histogram = if whole.finite > 0 { Some(histogram(view, kind, whole)?) } else { None };
    let (min, max) = match extremes.found {
        Some((min, max)) => (json_integer(min), json_integer(max)),
        None if whole.min > whole.max => (serde_json::Value::Null, serde_json::Value::Null),
        None => (json_float(whole.min), json_float(whole.max)),
    };
    Ok(Stats {
        count: view.size(),
        min,
        max,
        mean: (whole.finite > 0).then_some(whole.mean),
        std: deviation(whole.squares, whole.finite),
        nan_count: whole.nan,
        inf_count: whole.infinite,
        distinct_count: None,
        is_magnitude: *view.dtype().class() == Class::Complex,
        histogram,
    })
}

/// The magnitudes of complex numbers, as numpy's `abs` gives them; other numbers as they are. Tells whether
/// their most significant byte is the first.
fn magnitudes<'b>(dtype: &Dtype, block: &'b [u8]) -> (Cow<'b, [u8]>, bool) {
    let big = dtype.is_big_endian();
    if *dtype.class() != Class::Complex {
        return (block.into(), big);
    }
    let single = |bytes: &[u8; 4]| match big {
        true => f32::from_be_bytes(*bytes),
        false => f32::from_le_bytes(*bytes),
    };
    let double = |bytes: &[u8; 8]| match big {
        true => f64::from_be_bytes(*bytes),
        false => f64::from_le_bytes(*bytes),
    };
    let magnitudes: Vec<u8> = match dtype.itemsize() {
        8 => block
            .as_chunks::<4>()
            .0
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|[real, imaginary]| {
                f64::from(single(real).hypot(single(imaginary))).to_le_bytes()
            })
            .collect(),
        _ => block
            .as_chunks::<8>()
            .0
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|[real, imaginary]| double(real).hypot(double(imaginary)).to_le_bytes())
            .collect(),
    };
    (magnitudes.into(), false)
}

/// Least and greatest of 64-bit integers, which a float does not hold exactly.
#[derive(Debug, Default, Clone, Copy)]
struct Extremes {
    found: Option<(i128, i128)>,
}

impl Extremes {
    fn look(&mut self, kind: Kind, big: bool, block: &[u8]) {
        macro_rules! pass {
            ($n:literal, $type:ty) => {{
                let values = block.as_chunks::<$n>().0.iter();
                let (least, most) = values.fold((<$type>::MAX, <$type>::MIN), |(a, b), &bytes| {
                    let x = if big {
                        <$type>::from_be_bytes(bytes)
                    } else {
                        <$type>::from_le_bytes(bytes)
                    };
                    (a.min(x), b.max(x))
                });
                (i128::from(least), i128::from(most))
            }};
        }
        let found = match kind {
            Kind::I64 => pass!(8, i64),
            Kind::U64 => pass!(8, u64),
            Kind::I32 => pass!(4, i32),
            Kind::U32 => pass!(4, u32),
            _ => return,
        };
        *self = self.merge(Self { found: Some(found) });
    }

    fn merge(self, other: Self) -> Self {
        let found = match (self.found, other.found) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        Self { found }
    }
}

fn histogram(view: &View, kind: Kind, whole: Moments) -> Result<Histogram> {
    let (low, high) = (whole.low, whole.high);
    let width = high - low;
    // Values that are all the same are one bar.
    let bins = if width > 0.0 && width.is_finite() { BINS } else { 1 };
    #[allow(clippy::cast_precision_loss)] // a small number
    let scale = if bins == 1 { 0.0 } else { bins as f64 / width };
    let stride = (view.size() * view.item() as u64).div_ceil(SAMPLE).max(1);
    let work = |counts: &mut Vec<u64>, block: &[u8]| {
        let (block, big) = magnitudes(view.dtype(), block);
        kernels::bins(kind, big, &block, low, scale, counts);
    };
    let parts = each_block(view, stride, || vec![0; bins], work)?;
    let counts: Vec<u64> = (0..bins).map(|bin| parts.iter().map(|part| part[bin]).sum()).collect();
    Ok(Histogram { low, high, sample_count: counts.iter().sum(), counts })
}

/// Elements of one or two bytes: how often each value occurs tells everything.
fn counted(view: &View) -> Result<Stats> {
    let dtype = view.dtype();
    let wide = dtype.itemsize() == 2;
    let work = |table: &mut Vec<u64>, block: &[u8]| match wide {
        true => kernels::count_words(block, dtype.is_big_endian(), table),
        false => kernels::count_bytes(block, table),
    };
    let places = if wide { 1 << 16 } else { 1 << 8 };
    let parts = each_block(view, 1, || vec![0_u64; places], work)?;
    let mut found: std::collections::BTreeMap<i128, u64> = std::collections::BTreeMap::new();
    for pattern in 0..places {
        let times: u64 = parts.iter().map(|table| table[pattern]).sum();
        if times > 0 {
            *found.entry(meaning(dtype, pattern)).or_default() += times;
        }
    }
    let count: u64 = found.values().sum();
    #[allow(clippy::cast_precision_loss)] // 16-bit values and counts of elements
    let (mean, squares) = {
        let sum: f64 = found.iter().map(|(&value, &times)| value as f64 * times as f64).sum();
        let mean = sum / (count as f64).max(1.0);
        let each = |(&value, &times): (&i128, &u64)| (value as f64 - mean).powi(2) * times as f64;
        (mean, found.iter().map(each).sum::<f64>())
    };
    let (min, max) = (found.keys().next(), found.keys().next_back());
    let json =
        |value: Option<&i128>| value.map_or(serde_json::Value::Null, |&value| json_integer(value));
    Ok(Stats {
        count,
        min: json(min),
        max: json(max),
        mean: (count > 0).then_some(mean),
        std: deviation(squares, count),
        nan_count: 0,
        inf_count: 0,
        distinct_count: Some(found.len() as u64),
        is_magnitude: false,
        histogram: spread(&found, count),
    })
}

/// A histogram of counted values: a bar for each where there are few.
fn spread(found: &std::collections::BTreeMap<i128, u64>, count: u64) -> Option<Histogram> {
    let (&low, &high) = (found.keys().next()?, found.keys().next_back()?);
    let range = usize::try_from(high - low + 1).ok()?;
    let bins = range.min(BINS);
    let mut counts = vec![0; bins];
    for (&value, &times) in found {
        counts[usize::try_from(value - low).ok()? * bins / range] += times;
    }
    #[allow(clippy::cast_precision_loss)] // 16-bit values
    Some(Histogram { low: low as f64, high: (high + 1) as f64, counts, sample_count: count })
}

/// The number that a pattern of 8 or 16 bits stands for, in native order.
fn meaning(dtype: &Dtype, pattern: usize) -> i128 {
    let bytes = u16::try_from(pattern).unwrap_or(0).to_le_bytes();
    let native = Dtype::new(dtype.class().clone(), dtype.itemsize(), false);
    let size = usize::try_from(dtype.itemsize()).unwrap_or(1).min(2);
    match value(&native, &bytes[..size]) {
        Value::Integer(number) => number,
        Value::Bool(truth) => i128::from(truth),
        _ => 0,
    }
}

#[allow(clippy::cast_precision_loss)] // a count of elements
fn deviation(squares: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| (squares / count as f64).max(0.0).sqrt())
}

fn json_integer(number: i128) -> serde_json::Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => number.into(),
        (_, Ok(number)) => number.into(),
        _ => serde_json::Value::Null,
    }
}

fn json_float(number: f64) -> serde_json::Value {
    match number {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ => number.into(),
    }
}
