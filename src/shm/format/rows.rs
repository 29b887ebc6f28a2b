//! The selected rows of each array: a range, or one shard. A row is an index on the first axis.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A part of every array along its first axis. Arrays without axes have no rows and are taken whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rows {
    /// From the first index up to, but without, the second; cut to the array as a slice in Python is.
    Range(u64, Option<u64>),
    /// Share `.0` of `.1`: shares follow each other, differ by at most one row, and cover everything.
    Shard(u64, u64),
}

impl Rows {
    /// The rows of an array that has `all` of them.
    pub fn of(self, all: u64) -> Range<u64> {
        match self {
            Self::Range(start, stop) => {
                let start = start.min(all);
                start..stop.unwrap_or(all).clamp(start, all)
            }
            Self::Shard(index, count) => {
                let cut = |part: u64| {
                    let rows = u128::from(all) * u128::from(part) / u128::from(count.max(1));
                    // A share of a u64 is a u64: `part` is at most `count`.
                    u64::try_from(rows).unwrap_or(all)
                };
                cut(index.min(count))..cut(index.saturating_add(1).min(count))
            }
        }
    }

    /// The option that selects these rows.
    pub fn option(self) -> &'static str {
        match self {
            Self::Range(..) => "--rows",
            Self::Shard(..) => "--shard",
        }
    }

    /// Reads `START:STOP`, either of which may be missing.
    ///
    /// # Errors
    /// Returns the reason as a sentence.
    pub fn parse_range(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "invalid row range '{text}': expected START:STOP, such as 0:1000, 1000: or :500"
            )
        };
        let number = |part: &str| part.parse::<u64>().map_err(|_| bad());
        let (start, stop) = text.split_once(':').ok_or_else(bad)?;
        let start = if start.is_empty() { 0 } else { number(start)? };
        let stop = if stop.is_empty() { None } else { Some(number(stop)?) };
        match stop {
            Some(stop) if stop < start => {
                Err(format!("invalid row range '{text}': STOP is less than START"))
            }
            _ => Ok(Self::Range(start, stop)),
        }
    }

    /// Reads `I/N`, I counting from 0.
    ///
    /// # Errors
    /// Returns the reason as a sentence.
    pub fn parse_shard(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            Some((index.parse::<u64>().ok()?, count.parse::<u64>().ok()?))
        });
        match parsed {
            Some((index, count)) if index < count => Ok(Self::Shard(index, count)),
            Some(_) => Err(format!("invalid shard '{text}': I must be 0 to N-1")),
            None => Err(format!("invalid shard '{text}': expected I/N, such as 0/4, or 'auto'")),
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(start, None) => write!(f, "{start}:"),
            Self::Range(start, Some(stop)) => write!(f, "{start}:{stop}"),
            Self::Shard(index, count) => write!(f, "{index}/{count}"),
        }
    }
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') { Self::parse_shard(text) } else { Self::parse_range(text) }
    }
}

impl TryFrom<String> for Rows {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rows> for String {
    fn from(rows: Rows) -> Self {
        rows.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_as_slices_are() {
        let of = |text: &str, all| Rows::parse_range(text).unwrap().of(all);
        assert_eq!(of("2:5", 10), 2..5);
        assert_eq!(of("2:", 10), 2..10);
        assert_eq!(of(":", 10), 0..10);
        assert_eq!(of("2:50", 10), 2..10);
        assert_eq!(of("20:50", 10), 10..10);
        for bad in ["", "5", "5:2", "-1:2", "a:b", "1:2:3"] {
            assert!(Rows::parse_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_cover_everything_once_and_evenly() {
        for all in [0, 1, 5, 7, 100, u64::MAX] {
            for count in [1, 2, 3, 7, 11] {
                let shares: Vec<_> =
                    (0..count).map(|index| Rows::Shard(index, count).of(all)).collect();
                assert_eq!((shares[0].start, shares.last().unwrap().end), (0, all));
                assert!(shares.windows(2).all(|two| two[0].end == two[1].start));
                let sizes = shares.iter().map(|share| share.end - share.start);
                assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            }
        }
        for bad in ["2/2", "0/0", "1", "a/b", "-1/2"] {
            assert!(Rows::parse_shard(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        for text in ["3:", "0:7", "1/4"] {
            assert_eq!(text.parse::<Rows>().unwrap().to_string(), text);
        }
    }
}
