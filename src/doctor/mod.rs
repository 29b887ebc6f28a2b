//! Checks for shared-memory problems of a node. Each check is a pure function of a `Node` and suggests a fix.

mod check;
mod examine;
mod limits;
mod logind;
mod memory;
mod namespaces;
mod node;
mod pages;
mod space;
mod tmpfiles;

pub(crate) use self::check::{Check, Level};
pub(crate) use self::examine::{examine, leftovers};
pub(crate) use self::node::Node;
