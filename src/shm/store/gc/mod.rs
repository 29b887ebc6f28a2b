//! `gc`: judges one project after the other and acts on it at once, so that memory is freed from the first
//! moment. Only provably dead projects are removed, unless the options ask for more.

mod act;
mod collector;
mod decide;
mod inventory;
mod other_roots;
mod outcome;
mod run;
pub(crate) mod squatters;

pub(crate) use outcome::{Action, Options, Outcome, Reported};
pub(crate) use run::run;
