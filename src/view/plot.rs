//! Arrays as pictures in a terminal: a line for one dimension, a heat map for two.

use std::fmt::Write as _;

use super::slice::View;
use super::stats::Histogram;
use super::values::{Value, value};
use crate::error::{Error, Kind, Result};

/// What there is to draw on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Whether there are half blocks and 256 colours; plain characters otherwise.
    pub(crate) rich: bool,
}

/// Values looked at for one column or one cell at most.
const SAMPLES: u64 = 64;
/// From little to much, in plain characters.
const RAMP: &[u8] = b" .:-=+*#%@";
/// From little to much, in the 256 colours: dark blue, green, yellow, each a little lighter.
const COLOURS: [u8; 16] = [17, 18, 19, 24, 30, 29, 35, 34, 40, 76, 112, 148, 184, 220, 226, 230];

/// Draws an array of one or two dimensions.
///
/// # Errors
/// [`Kind::Usage`] for other arrays; as the system says.
pub(crate) fn plot(view: &View, canvas: Canvas) -> Result<String> {
    let shape = view.shape();
    let usage = |message: String| {
        Error::new(Kind::Usage, message).with_hint("--slice takes a part: --slice '0,:,:'")
    };
    if shape.contains(&0) {
        return Ok("nothing to draw\n".to_owned());
    }
    let probe = element(view, 0)?;
    if probe.is_none() {
        return Err(Error::new(Kind::Unsupported, format!("{} cannot be drawn", view.dtype())));
    }
    match shape[..] {
        [n] => line(view, n, canvas),
        [rows, columns] => heat_map(view, rows, columns, canvas),
        [] => Err(Error::new(Kind::Usage, "a scalar cannot be drawn")
            .with_hint("print the value with 'cute-shm show PROJECT KEY'")),
        _ => Err(usage(format!("an array of {} dimensions cannot be drawn", shape.len()))),
    }
}

/// One element as a number; `None` for what is none.
fn element(view: &View, number: u64) -> Result<Option<f64>> {
    let mut bytes = vec![0; view.item()];
    view.read(number, &mut bytes)?;
    Ok(match value(view.dtype(), &bytes) {
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        #[allow(clippy::cast_precision_loss)] // a picture
        Value::Integer(number) => Some(number as f64),
        Value::Float(float) => Some(float.value),
        Value::Complex(real, imaginary) => Some(real.value.hypot(imaginary.value)),
        _ => None,
    })
}

/// Least and greatest finite value among some of `count` elements from `first` on, `stride` apart.
fn range(view: &View, first: u64, count: u64, stride: u64) -> Result<Option<(f64, f64)>> {
    let step = count.div_ceil(SAMPLES).max(1);
    let mut found: Option<(f64, f64)> = None;
    for at in (0..count).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        if let Some(x) = element(view, first + at * stride)?.filter(|x| x.is_finite()) {
            let (low, high) = found.unwrap_or((x, x));
            found = Some((low.min(x), high.max(x)));
        }
    }
    Ok(found)
}

fn extent(values: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let all =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, y)| (a.min(x), b.max(y)));
    if all.0 > all.1 { (0.0, 0.0) } else { all }
}

/// Where `x` stands between `low` and `high`, in `steps` steps.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn level(x: f64, low: f64, high: f64, steps: usize) -> usize {
    let part = if high > low { (x - low) / (high - low) } else { 0.5 };
    ((part * steps as f64) as usize).min(steps.saturating_sub(1))
}

fn line(view: &View, n: u64, canvas: Canvas) -> Result<String> {
    let columns =
        canvas.width.saturating_sub(12).max(10).min(usize::try_from(n).unwrap_or(usize::MAX));
    let mut spans = Vec::with_capacity(columns);
    for column in 0..columns as u64 {
        let (begin, end) = (column * n / columns as u64, (column + 1) * n / columns as u64);
        spans.push(range(view, begin, end - begin, 1)?);
    }
    let (low, high) = extent(spans.iter().flatten().copied());
    // Half blocks have two rows in each line.
    let rows = if canvas.rich { canvas.height * 2 } else { canvas.height };
    let filled = |column: usize, row: usize| {
        spans[column].is_some_and(|(from, to)| {
            (level(from, low, high, rows)..=level(to, low, high, rows)).contains(&row)
        })
    };
    let mut out = String::new();
    for line in (0..canvas.height).rev() {
        let label = match line {
            0 => format!("{low:>10.4}"),
            line if line + 1 == canvas.height => format!("{high:>10.4}"),
            _ => " ".repeat(10),
        };
        let mut text = String::new();
        for column in 0..columns {
            text.push(match canvas.rich {
                false => {
                    if filled(column, line) {
                        '*'
                    } else {
                        ' '
                    }
                }
                true => match (filled(column, 2 * line + 1), filled(column, 2 * line)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                },
            });
        }
        let _ = writeln!(out, "{label} |{}", text.trim_end());
    }
    let _ = writeln!(out, "{:>11}+{}", "", "-".repeat(columns));
    Ok(out)
}

fn heat_map(view: &View, rows: u64, columns: u64, canvas: Canvas) -> Result<String> {
    let fit = |n: u64, most: usize| usize::try_from(n).unwrap_or(usize::MAX).min(most).max(1);
    let lines = if canvas.rich { canvas.height * 2 } else { canvas.height };
    let (height, width) = (fit(rows, lines), fit(columns, canvas.width.saturating_sub(1).max(1)));
    let mut cells = Vec::with_capacity(height * width);
    for y in 0..height as u64 {
        // The row in the middle of those that fall into this cell.
        let row = u64::midpoint(y * rows / height as u64, (y + 1) * rows / height as u64);
        for x in 0..width as u64 {
            let (begin, end) = (x * columns / width as u64, (x + 1) * columns / width as u64);
            let first = row.min(rows - 1) * columns + begin;
            cells.push(
                range(view, first, (end - begin).min(8), 1)?.map(|(a, b)| f64::midpoint(a, b)),
            );
        }
    }
    let (low, high) = extent(cells.iter().flatten().map(|&x| (x, x)));
    let mut out = String::new();
    let at = |y: usize, x: usize| cells.get(y * width + x).copied().flatten();
    if canvas.rich {
        let colour =
            |cell: Option<f64>| cell.map_or(0, |x| COLOURS[level(x, low, high, COLOURS.len())]);
        for y in (0..height).step_by(2) {
            for x in 0..width {
                let upper = colour(at(y, x));
                let _ = match y + 1 < height {
                    true => write!(out, "\x1b[38;5;{upper};48;5;{}m▀", colour(at(y + 1, x))),
                    false => write!(out, "\x1b[0;38;5;{upper}m▀"),
                };
            }
            out.push_str("\x1b[0m\n");
        }
    } else {
        for y in 0..height {
            let line: String = (0..width)
                .map(|x| {
                    at(y, x).map_or('?', |v| char::from(RAMP[level(v, low, high, RAMP.len())]))
                })
                .collect();
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    let _ = writeln!(out, "from {low} to {high}");
    Ok(out)
}

impl Histogram {
    /// The bars, one a line.
    pub(crate) fn draw(&self, canvas: Canvas) -> String {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let room = canvas.width.saturating_sub(26).clamp(10, 60) as u64;
        let mut out = String::new();
        #[allow(clippy::cast_precision_loss)] // a few bins
        let step = (self.high - self.low) / self.counts.len().max(1) as f64;
        for (number, &count) in self.counts.iter().enumerate() {
            #[allow(clippy::cast_precision_loss)] // as above
            let low = if number == 0 { self.low } else { self.low + step * number as f64 };
            let eighths = usize::try_from(count * room * 8 / most).unwrap_or(0);
            let bar = match canvas.rich {
                true => {
                    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
                    format!("{}{part}", "█".repeat(eighths / 8))
                }
                false => "#".repeat(eighths.div_ceil(8)),
            };
            let _ = writeln!(out, "{:>12} {bar} {count}", short(low));
        }
        out
    }
}

/// A number in a narrow column.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e7 => {
            let text = format!("{x:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{x:.3e}"),
    }
}
