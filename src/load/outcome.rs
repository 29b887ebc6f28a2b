//! The outcome of a load.

use std::time::Duration;

use crate::load::planned::Planned;
use crate::shm::format::ledger::{Lifetime, Note};
use crate::shm::format::name::Token;
use crate::shm::store::held::HeldProject;

/// The outcome of a load.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The plan.
    pub planned: Planned,
    /// The token of the load.
    pub token: Token,
    /// The number of arrays.
    pub arrays: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The datasets that could not be read (with `--keep-going`).
    pub failed: Vec<Note>,
    /// Whether the project was already loaded, so that nothing was done.
    pub reused: bool,
    /// The lifetime of the project.
    pub lifetime: Lifetime,
    /// The duration of the load.
    pub elapsed: Duration,
    /// The held project, if its lifetime is [`Lifetime::Held`].
    pub held: Option<HeldProject>,
}
