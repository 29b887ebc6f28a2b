//! TOML in the form in which this program and the Python package write it, read in one pass: a few
//! times faster than a reader of all TOML. Whatever is written otherwise is not read at all (`None`), right
//! or wrong: the crate `toml` has the say on that.

#![expect(
    clippy::option_option,
    reason = "the outer one gives up, the inner one tells what comes next"
)]

mod arrays;
mod reader;
mod tables;

pub(crate) use self::arrays::arrays;
pub(crate) use self::tables::table;

#[cfg(test)]
mod tests;
