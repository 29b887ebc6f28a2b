//! Errors: a kind with its exit code, a message, the object that failed, and a hint.

mod exit_code;
mod failure;
mod kind;
mod limit_hint;
mod report;
mod shell;

pub(crate) use exit_code::exit_codes;
pub use failure::{Error, Result};
pub use kind::Kind;
pub(crate) use limit_hint::soft_limit;
pub(crate) use report::ErrorReport;
pub(crate) use shell::shell_quote;
