//! An array as numpy prints it: all of a small one, the corners of a large one.

use std::fmt::Write as _;

use super::floats::{Float, Layout};
use super::slice::View;
use super::values::{Value, value};
use crate::error::Result;

/// Arrays of more elements are shown by their corners.
const THRESHOLD: u64 = 1000;
/// Elements shown at each end of an axis then.
const EDGE: u64 = 3;
/// Where lines are broken.
const WIDTH: usize = 75;

/// The text that Python's `print(array)` writes.
///
/// # Errors
/// As the system says.
pub(crate) fn preview(view: &View) -> Result<String> {
    let shape = view.shape();
    if shape.contains(&0) {
        return Ok("[]".to_owned());
    }
    let summary = view.size() > THRESHOLD;
    let shown: Vec<Vec<u64>> = shape.iter().map(|&n| indices(n, summary)).collect();
    let values = read(view, &shown)?;
    if shape.is_empty() {
        return Ok(values.first().map(alone).unwrap_or_default());
    }
    let words = words(&values);
    let mut printer = Printer { shape: &shape, shown: &shown, words: words.into_iter() };
    Ok(printer.axis(0, " ", WIDTH))
}

fn indices(n: u64, summary: bool) -> Vec<u64> {
    if summary && n > 2 * EDGE { (0..EDGE).chain(n - EDGE..n).collect() } else { (0..n).collect() }
}

/// The shown values, in C order.
fn read(view: &View, shown: &[Vec<u64>]) -> Result<Vec<Value>> {
    let count: usize = shown.iter().map(Vec::len).product();
    let mut values = Vec::with_capacity(count);
    let mut element = vec![0_u8; view.item()];
    for number in 0..count {
        let mut rest = number;
        let mut index: Vec<u64> = Vec::with_capacity(shown.len());
        for axis in shown.iter().rev() {
            index.push(axis[rest % axis.len()]);
            rest /= axis.len();
        }
        index.reverse();
        view.read(view.number(&index), &mut element)?;
        values.push(value(view.dtype(), &element));
    }
    Ok(values)
}

/// A scalar.
fn alone(value: &Value) -> String {
    match value {
        Value::Float(float) => float.alone(),
        Value::Complex(real, imaginary) => {
            let text = imaginary.alone();
            let short = |text: &str| text.strip_suffix(".0").unwrap_or(text).to_owned();
            let sign = if text.starts_with('-') { "" } else { "+" };
            format!("({}{sign}{}j)", short(&real.alone()), short(&text))
        }
        Value::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
        Value::Text(text) | Value::Time(text) => text.clone(),
        other => word(other),
    }
}

/// Every value in its column.
fn words(values: &[Value]) -> Vec<String> {
    let floats =
        |pick: &dyn Fn(&Value) -> Option<Float>| values.iter().filter_map(pick).collect::<Vec<_>>();
    match values.first() {
        Some(Value::Float(_)) => {
            let all = floats(&|v| if let Value::Float(float) = v { Some(*float) } else { None });
            let layout = Layout::of(&all, false);
            all.into_iter().map(|float| layout.format(float)).collect()
        }
        Some(Value::Complex(..)) => {
            let real =
                floats(&|v| if let Value::Complex(real, _) = v { Some(*real) } else { None });
            let imaginary = floats(&|v| if let Value::Complex(_, i) = v { Some(*i) } else { None });
            let layouts = (Layout::of(&real, false), Layout::of(&imaginary, true));
            let both = real.into_iter().zip(imaginary);
            both.map(|(real, imaginary)| {
                let text = layouts.1.format(imaginary);
                let end = text.trim_end().len();
                format!("{}{}j{}", layouts.0.format(real), &text[..end], &text[end..])
            })
            .collect()
        }
        _ => {
            let words: Vec<String> = values.iter().map(word).collect();
            let right =
                matches!(values.first(), Some(Value::Integer(_) | Value::Span(_) | Value::Time(_)));
            let width = words.iter().map(String::len).max().unwrap_or(0);
            let aligned = |word: String| if right { format!("{word:>width$}") } else { word };
            words.into_iter().map(aligned).collect()
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Bool(true) => " True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Bytes(bytes) => bytes_literal(bytes),
        Value::Raw(bytes) => raw_literal(bytes),
        Value::Text(text) => text_literal(text),
        Value::Time(text) => format!("'{text}'"),
        Value::Span(Some(count)) => count.to_string(),
        Value::Span(None) => "'NaT'".to_owned(),
        Value::Float(float) => float.alone(),
        Value::Complex(..) => String::new(),
    }
}

/// Raw bytes in hexadecimal: `b'\x61\x00'`.
fn raw_literal(bytes: &[u8]) -> String {
    let mut out = String::from("b'");
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
    out.push('\'');
    out
}

/// A Python literal: `b'ab\x00'`.
pub(super) fn bytes_literal(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut out = format!("b{quote}");
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\'' if quote == '\'' => out.push_str("\\'"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}

/// A Python literal: `'ab\n'`. Whatever might mislead a terminal is escaped.
pub(super) fn text_literal(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{61c}' | '\u{feff}');
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\'' if quote == '\'' => out.push_str("\\'"),
            c if c.is_control() && u32::from(c) < 256 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || hidden => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

struct Printer<'a> {
    shape: &'a [u64],
    shown: &'a [Vec<u64>],
    words: std::vec::IntoIter<String>,
}

impl Printer<'_> {
    /// One axis in brackets; `indent` is what lines that are broken begin with.
    fn axis(&mut self, axis: usize, indent: &str, width: usize) -> String {
        let left = self.shape.len() - axis;
        let shown = self.shown[axis].len();
        let gap = (shown as u64) < self.shape[axis];
        let (mut out, mut line) = (String::new(), indent.to_owned());
        let edge = usize::try_from(EDGE).unwrap_or(0);
        for number in 0..shown {
            if gap && number == edge {
                if left == 1 {
                    extend(&mut out, &mut line, "...", width - 1, indent);
                    line.push(' ');
                } else {
                    out.push_str(indent);
                    out.push_str("...");
                    out.push_str(&"\n".repeat(left - 1));
                }
            }
            if left == 1 {
                let word = self.words.next().unwrap_or_default();
                extend(&mut out, &mut line, &word, width - 1, indent);
                if number + 1 < shown {
                    line.push(' ');
                }
            } else {
                let inner = self.axis(axis + 1, &format!("{indent} "), width - 1);
                out.push_str(indent);
                out.push_str(&inner);
                if number + 1 < shown {
                    out.push_str(&"\n".repeat(left - 1));
                }
            }
        }
        if left == 1 {
            out.push_str(&line);
        }
        format!("[{}]", &out[indent.len()..])
    }
}

/// Adds a word to the line, which goes to `out` when it is full.
fn extend(out: &mut String, line: &mut String, word: &str, width: usize, indent: &str) {
    let length = |text: &str| text.chars().count();
    if length(line) > length(indent) && length(line) + length(word) > width {
        out.push_str(line.trim_end());
        out.push('\n');
        line.clear();
        line.push_str(indent);
    }
    line.push_str(word);
}
