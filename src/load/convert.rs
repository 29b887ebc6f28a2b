//! Conversions of values during a load: `--byte-order native` and `--dtype GLOB=float32`.

use globset::GlobMatcher;
use numpy_dtype::{Class, Dtype};

use crate::error::{Error, Kind, Result};
use crate::load::cast;
use crate::shm::format::ledger::Selection;

/// The conversions of a load.
#[derive(Debug, Default)]
pub(crate) struct Conversions {
    native: bool,
    dtypes: Vec<(GlobMatcher, Dtype)>,
    rules: Vec<String>,
}

/// The conversion of one type to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversion {
    from: Dtype,
    to: Dtype,
}

impl Conversions {
    /// Parses the rules of a selection.
    ///
    /// # Errors
    /// Returns [`Kind::Usage`] for an invalid rule.
    pub(crate) fn new(selection: &Selection) -> Result<Self> {
        let dtypes = selection.dtypes.iter().map(|rule| parse(rule)).collect::<Result<_>>()?;
        Ok(Self { native: selection.native, dtypes, rules: selection.dtypes.clone() })
    }

    /// Returns the rules that match none of these paths.
    pub(crate) fn unmatched(&self, paths: &[&str]) -> Vec<&str> {
        let is_idle = |(glob, _): &(GlobMatcher, Dtype)| !paths.iter().any(|p| glob.is_match(p));
        let rules = self.dtypes.iter().zip(&self.rules);
        rules.filter(|(rule, _)| is_idle(rule)).map(|(_, text)| text.as_str()).collect()
    }

    /// Returns the conversion of the array at `path` (`/group/name`), or `None` if it is not converted.
    ///
    /// # Errors
    /// Returns [`Kind::Unsupported`] if values of this type cannot be converted.
    pub(crate) fn of(&self, path: &str, from: &Dtype) -> Result<Option<Conversion>> {
        let rule = self.dtypes.iter().rev().find(|(glob, _)| glob.is_match(path));
        let to = match rule {
            Some((_, to)) => to.clone(),
            None if self.native => Dtype::new(from.class().clone(), from.itemsize(), false),
            None => return Ok(None),
        };
        let conversion = Conversion { from: from.clone(), to };
        if conversion.from == conversion.to {
            return Ok(None);
        }
        let castable = cast::is_possible(from, &conversion.to);
        if !(conversion.is_swap() || castable) {
            let message = format!("'{path}' cannot be converted from {from} to {}", conversion.to);
            return Err(Error::new(Kind::Unsupported, message)
                .with_subject(path)
                .with_hint(
                    "--dtype converts integers, booleans, floats of 2, 4 or 8 bytes and complex numbers \
                     of 8 or 16 bytes; complex numbers only become complex numbers",
                ));
        }
        Ok(Some(conversion))
    }
}

/// Parses a rule `GLOB=DTYPE`.
fn parse(rule: &str) -> Result<(GlobMatcher, Dtype)> {
    let usage =
        |message: String| Error::new(Kind::Usage, message).with_hint("--dtype '/images/*=float32'");
    let Some((pattern, name)) = rule.rsplit_once('=') else {
        return Err(usage(format!("'{rule}' is not GLOB=DTYPE")));
    };
    let dtype = Dtype::parse(name).filter(cast::is_known);
    let dtype = dtype.ok_or_else(|| {
        usage(format!("invalid dtype '{name}': expected a number type of numpy, such as float32"))
    })?;
    let glob =
        crate::shm::format::glob::glob(pattern).map_err(|e| usage(format!("invalid glob: {e}")))?;
    Ok((glob.compile_matcher(), dtype))
}

impl Conversion {
    /// The dtype of the converted values.
    pub(crate) fn to(&self) -> &Dtype {
        &self.to
    }

    fn is_swap(&self) -> bool {
        self.from.class() == self.to.class() && self.from.itemsize() == self.to.itemsize()
    }

    /// Converts all values of `source` to `target`. May change `source`.
    pub(crate) fn apply(&self, source: &mut [u8], target: &mut Vec<u8>) {
        if self.is_swap() {
            swap(&self.from, source);
            target.clear();
            target.extend_from_slice(source);
            return;
        }
        if self.from.is_big_endian() {
            swap(&self.from, source);
        }
        cast::cast(&self.from, source, &self.to, target);
        if self.to.is_big_endian() {
            swap(&self.to, target);
        }
    }
}

/// Reverses the bytes of each number.
fn swap(dtype: &Dtype, bytes: &mut [u8]) {
    let parts = if *dtype.class() == Class::Complex { 2 } else { 1 };
    let size = if *dtype.class() == Class::Text { 4 } else { dtype.itemsize() / parts };
    match size {
        2 => swap_all::<2>(bytes),
        4 => swap_all::<4>(bytes),
        8 => swap_all::<8>(bytes),
        16 => swap_all::<16>(bytes),
        _ => {}
    }
}

fn swap_all<const N: usize>(bytes: &mut [u8]) {
    for number in bytes.as_chunks_mut::<N>().0 {
        number.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(native: bool, rules: &[&str], from: &str) -> Result<Option<Conversion>> {
        let dtypes = rules.iter().map(|&rule| rule.to_owned()).collect();
        let selection = Selection { native, dtypes, ..Selection::default() };
        Conversions::new(&selection)?.of("/a/x", &Dtype::parse(from).unwrap())
    }

    fn converted(rules: &[&str], from: &str, mut bytes: Vec<u8>) -> Vec<u8> {
        let mut target = Vec::new();
        conversion(true, rules, from).unwrap().unwrap().apply(&mut bytes, &mut target);
        target
    }

    #[test]
    fn bytes_become_native_and_nothing_else_changes() {
        assert_eq!(conversion(true, &[], "<f4").unwrap(), None);
        assert_eq!(conversion(true, &[], "|S4").unwrap(), None);
        assert_eq!(converted(&[], ">i4", vec![0, 0, 0, 1]), [1, 0, 0, 0]);
        assert_eq!(converted(&[], ">c8", vec![1, 2, 3, 4, 5, 6, 7, 8]), [4, 3, 2, 1, 8, 7, 6, 5]);
    }

    #[test]
    fn values_are_cast_as_the_last_rule_says() {
        let rules = &["**=int8", "x=float32"];
        assert_eq!(converted(rules, ">i2", vec![1, 0]), 256_f32.to_le_bytes());
        assert_eq!(conversion(false, &["/b/*=int8"], "<f4").unwrap(), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(conversion(false, &["x=float32"], "|S4").unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(conversion(false, &["float32"], "<f4").unwrap_err().kind(), Kind::Usage);
        assert_eq!(conversion(false, &["x=S4"], "<f4").unwrap_err().kind(), Kind::Usage);
    }
}
