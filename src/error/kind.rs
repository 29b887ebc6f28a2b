//! The kinds of errors.

use serde::{Deserialize, Serialize};

/// The kind of an error. Each has one exit code and one code in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An I/O error, or an unexpected one.
    Io,
    /// The command line is invalid.
    Usage,
    /// A file, project, array or process does not exist.
    NotFound,
    /// A project or file of that name exists.
    Exists,
    /// Shared memory, the cgroup or the node has too little free memory.
    NoMemory,
    /// Permission denied, or an unsafe directory.
    Permission,
    /// Another process uses the object, a time limit was reached, or a source changed while it was read.
    Busy,
    /// The input is damaged.
    Corrupt,
    /// Valid input that cannot be represented.
    Unsupported,
    /// Some of several targets failed.
    Partial,
    /// `--check` has findings.
    Findings,
    /// Ended by the signal of this number.
    Signal(i32),
    /// A command that this process ran exited with this status.
    Status(u8),
}
