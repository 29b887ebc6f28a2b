//! Floats with the fewest digits that tell them apart, laid out in columns as numpy does.
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.set_printoptions.html>.

/// Digits after the point that are printed at most.
const PRECISION: usize = 8;

/// A float and the width that it had in memory, which decides how many digits it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Float {
    /// Its value.
    pub(crate) value: f64,
    /// Bytes: 2, 4, 8 or 16.
    pub(crate) size: usize,
}

impl Float {
    /// Shortest decimal digits, as `d.ddde±x` split into mantissa and exponent.
    fn shortest(self) -> (String, i32) {
        let text = match self.size {
            #[allow(clippy::cast_possible_truncation)] // it was one before
            4 => format!("{:e}", self.value as f32),
            2 => half(self.value),
            _ => format!("{:e}", self.value),
        };
        split(&text)
    }

    /// With at most `precision` digits after the point, and none that does not matter: `1.5`, `2.`.
    fn positional(self) -> String {
        let (mantissa, exponent) = self.shortest();
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
        let after = (i32::try_from(digits).unwrap_or(0) - 1 - exponent).max(0);
        let after = usize::try_from(after).unwrap_or(0);
        let text = if after > PRECISION {
            format!("{:.PRECISION$}", self.value)
        } else {
            let value: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(self.value);
            format!("{value:.after$}")
        };
        trimmed(text)
    }

    fn scientific(self, digits: Option<usize>) -> String {
        let (mantissa, exponent) = self.shortest();
        let after = mantissa.split_once('.').map_or(0, |(_, after)| after.len());
        let (mantissa, exponent) = if after > PRECISION {
            split(&format!("{:.PRECISION$e}", self.value))
        } else {
            (mantissa, exponent)
        };
        let mut mantissa = trimmed(mantissa);
        if let Some(digits) = digits {
            let after = mantissa.split_once('.').map_or(0, |(_, after)| after.len());
            mantissa.extend(std::iter::repeat_n('0', digits.saturating_sub(after)));
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }

    /// As Python prints a single one: `2.5`, `1e+16`.
    pub(crate) fn alone(self) -> String {
        if !self.value.is_finite() {
            return special(self.value, false);
        }
        let (mantissa, exponent) = self.shortest();
        if self.value != 0.0 && !(-4..16).contains(&exponent) {
            let sign = if exponent < 0 { '-' } else { '+' };
            return format!("{mantissa}e{sign}{:02}", exponent.abs());
        }
        let value: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(self.value);
        let text = format!("{value}");
        if text.contains('.') { text } else { format!("{text}.0") }
    }
}

fn split(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

/// Always a point, never a zero at the end.
fn trimmed(mut text: String) -> String {
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').len());
    } else {
        text.push('.');
    }
    text
}

/// The fewest digits that a 16-bit float needs.
fn half(value: f64) -> String {
    let bits = numpy_dtype::double_to_half(value);
    for digits in 0..8 {
        let text = format!("{value:.digits$e}");
        if text.parse().is_ok_and(|back| numpy_dtype::double_to_half(back) == bits) {
            return text;
        }
    }
    format!("{value:e}")
}

fn special(value: f64, signed: bool) -> String {
    match (value.is_nan(), value > 0.0, signed) {
        (true, _, _) => "nan".to_owned(),
        (_, true, true) => "+inf".to_owned(),
        (_, true, false) => "inf".to_owned(),
        _ => "-inf".to_owned(),
    }
}

/// How all floats of an array are printed.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Digits after the point, when all have an exponent.
    scientific: Option<usize>,
    left: usize,
    right: usize,
    signed: bool,
}

impl Layout {
    /// The layout that suits these values; `signed` prints a plus too.
    pub(crate) fn of(values: &[Float], signed: bool) -> Self {
        let finite: Vec<Float> = values.iter().copied().filter(|v| v.value.is_finite()).collect();
        let nonzero = finite.iter().map(|v| v.value.abs()).filter(|&v| v != 0.0);
        let (least, most) =
            nonzero.fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
        let wide = most > 0.0 && (most >= 1e8 || least < 1e-4 || most / least > 1000.0);
        let plus = |v: &Float| usize::from(signed && !v.value.is_sign_negative());
        let mut layout = Self { scientific: None, left: 0, right: 0, signed };
        if wide {
            let texts: Vec<_> = finite.iter().map(|v| (plus(v), v.scientific(None))).collect();
            let parts = texts.iter().filter_map(|(plus, text)| {
                let (mantissa, exponent) = text.split_once('e')?;
                let (before, after) = mantissa.split_once('.')?;
                Some((before.len() + plus, after.len(), exponent.len() - 1))
            });
            let (mut digits, mut size) = (0, 0);
            for (before, after, exponent) in parts {
                layout.left = layout.left.max(before);
                (digits, size) = (digits.max(after), size.max(exponent));
            }
            layout.scientific = Some(digits);
            layout.right = size + 2 + digits;
        } else {
            for value in &finite {
                let text = value.positional();
                let (before, after) = text.split_once('.').unwrap_or((&text, ""));
                layout.left = layout.left.max(before.len() + plus(value));
                layout.right = layout.right.max(after.len());
            }
        }
        if finite.len() < values.len() {
            let offset = layout.right + 1;
            let special = values.iter().filter(|v| !v.value.is_finite());
            let minus = signed || values.iter().any(|v| v.value == f64::NEG_INFINITY);
            let infinite = values.iter().any(|v| v.value.is_infinite());
            let longest = if infinite { 3 + usize::from(minus) } else { 3 };
            if special.count() > 0 {
                layout.left = layout.left.max(longest.saturating_sub(offset));
            }
        }
        layout
    }

    /// One value in its column.
    pub(crate) fn format(&self, value: Float) -> String {
        let width = self.left + self.right + 1;
        if !value.value.is_finite() {
            return format!("{:>width$}", special(value.value, self.signed));
        }
        let plus = if self.signed && !value.value.is_sign_negative() { "+" } else { "" };
        if let Some(digits) = self.scientific {
            let text = format!("{plus}{}", value.scientific(Some(digits)));
            return format!("{text:>width$}");
        }
        let text = format!("{plus}{}", value.positional());
        let (before, after) = text.split_once('.').unwrap_or((&text, ""));
        format!("{before:>left$}.{after:<right$}", left = self.left, right = self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(values: &[f64]) -> Vec<String> {
        let values: Vec<Float> = values.iter().map(|&value| Float { value, size: 8 }).collect();
        let layout = Layout::of(&values, false);
        values.iter().map(|&value| layout.format(value)).collect()
    }

    #[test]
    fn columns_are_as_numpy_makes_them() {
        assert_eq!(printed(&[0.5, 0.25, 1.0]), ["0.5 ", "0.25", "1.  "]);
        assert_eq!(printed(&[1.0, 1.2e10]), ["1.0e+00", "1.2e+10"]);
        assert_eq!(printed(&[0.1 + 0.2, -10.0]), ["  0.3", "-10. "]);
        assert_eq!(printed(&[1.0, f64::NAN]), [" 1.", "nan"]);
        assert_eq!(printed(&[1.0, f64::NEG_INFINITY]), ["  1.", "-inf"]);
        assert_eq!(printed(&[1.0 / 3.0]), ["0.33333333"]);
    }

    #[test]
    fn a_single_one_is_as_python_prints_it() {
        let alone = |value| Float { value, size: 8 }.alone();
        assert_eq!(
            [alone(2.5), alone(3.0), alone(1e16), alone(1e-5)],
            ["2.5", "3.0", "1e+16", "1e-05"]
        );
        assert_eq!(Float { value: f64::from(0.1_f32), size: 4 }.alone(), "0.1");
        assert_eq!(Float { value: 0.099_975_585_937_5, size: 2 }.alone(), "0.1");
    }
}
