//! The command line: definition, global options, dispatch, and usage errors.

mod definition;
mod global;
mod run;
#[cfg(test)]
mod tests;
mod usage;

pub use self::run::run;
