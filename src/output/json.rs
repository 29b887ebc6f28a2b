//! The JSON output of every command. Fields are only ever added. docs/json.md describes them.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::error::Error;
use crate::shm::format::ledger::{BatchJob, Lifetime, Note, SourceFile};
use crate::shm::store::state::State;
use crate::text::is_unsafe;

/// The version of the JSON output.
pub(crate) const SCHEMA: &str = "cute-shm/1";

/// The one object on stdout.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Envelope<'a, B> {
    /// Always [`SCHEMA`].
    pub(crate) schema: &'static str,
    /// The subcommand; null if the command line is invalid.
    pub(crate) command: Option<&'static str>,
    /// Whether the command succeeded.
    pub(crate) ok: bool,
    /// The command's own fields.
    #[serde(flatten)]
    pub(crate) body: &'a B,
    /// Warnings.
    pub(crate) warnings: &'a [Warning],
    /// Errors.
    pub(crate) errors: &'a [Failure],
}

/// A warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Warning {
    /// `skipped`, `filled`, `attributes`, `outside`, `root`, `mode`, `descriptors`, `state`, `unread`, `unverified`, `unmatched`, `notify`,
    /// `ready_fd`, `release`, `filters`.
    pub(crate) code: &'static str,
    /// A sentence.
    pub(crate) message: String,
    /// The object of the warning: a path in the project, a project, or a file.
    pub(crate) concerns: Option<String>,
}

impl Warning {
    /// Creates a warning without a subject.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), concerns: None }
    }

    /// Creates the warning for data that a load skipped.
    pub(crate) fn skipped(note: &Note) -> Self {
        Self { code: "skipped", message: note.reason.clone(), concerns: Some(note.path.clone()) }
    }

    /// Creates the warning for a virtual dataset with missing sources.
    pub(crate) fn filled(note: &Note) -> Self {
        Self { code: "filled", message: note.reason.clone(), concerns: Some(note.path.clone()) }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.concerns, self.code) {
            (Some(concerns), "skipped") => write!(f, "'{concerns}' is skipped: {}", self.message),
            (Some(concerns), _) => write!(f, "'{concerns}': {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Failure {
    /// The kind of error, which determines the exit code.
    pub(crate) code: &'static str,
    /// A sentence.
    pub(crate) message: String,
    /// The suggested action.
    pub(crate) hint: Option<String>,
    /// The object of the error.
    pub(crate) concerns: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.kind().code(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            concerns: error.subject().map(str::to_owned),
        }
    }
}

/// One project, in `list` and `show`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Project {
    /// Its name.
    pub(crate) name: String,
    /// Its state.
    pub(crate) state: State,
    /// Whether another process is changing it.
    pub(crate) changing: bool,
    /// The reason for the state.
    pub(crate) reason: Option<String>,
    /// `persistent` or `held`; null if Python created it.
    pub(crate) lifetime: Option<Lifetime>,
    /// The process that loaded it, and removes it on exit if it is held.
    pub(crate) keeper: Option<Keeper>,
    /// The owner's user id.
    pub(crate) uid: u32,
    /// Path of the metadata file; null for orphans, which have none.
    pub(crate) metadata: Option<String>,
    /// Time of the load.
    pub(crate) created: Option<String>,
    /// Seconds since the load.
    pub(crate) age_seconds: Option<i64>,
    /// The batch jobs that use it.
    pub(crate) jobs: Vec<BatchJob>,
    /// The files that were read.
    pub(crate) sources: Vec<SourceFile>,
    /// Number of arrays, by path.
    pub(crate) array_count: usize,
    /// Number of missing segments.
    pub(crate) missing_count: usize,
    /// Size of its segments.
    pub(crate) size_bytes: u64,
    /// Memory that its segments use.
    pub(crate) resident_bytes: u64,
    /// Processes that have a segment mapped; null if not requested or not readable.
    pub(crate) attached_pids: Option<Vec<u32>>,
    /// Its arrays; null in the short form.
    pub(crate) arrays: Option<Vec<Array>>,
}

/// The process that keeps a project.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Keeper {
    /// Process id.
    pub(crate) pid: u32,
    /// User id.
    pub(crate) uid: u32,
}

/// One array.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Array {
    /// `/group/name`.
    pub(crate) key: String,
    /// Elements along each axis.
    pub(crate) shape: Vec<u64>,
    /// The dtype, as `str(numpy.dtype)` prints it.
    pub(crate) dtype: String,
    /// Size of the elements; null if the dtype has no fixed size.
    pub(crate) size_bytes: Option<u64>,
    /// Name of the segment in the shm directory.
    pub(crate) segment: String,
    /// Whether the segment is missing.
    pub(crate) missing: bool,
    /// How the source stores it; null if unknown, and in `list`.
    pub(crate) storage: Option<Storage>,
    /// Attributes; NaN and infinity, which JSON lacks, as the strings "nan", "inf" and "-inf".
    pub(crate) attrs: serde_json::Map<String, serde_json::Value>,
}

/// How the source stores an array.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Storage {
    /// `compact`, `contiguous`, `chunked`, `external` or `virtual`.
    pub(crate) layout: String,
    /// The extents of a chunk.
    pub(crate) chunk: Option<Vec<u64>>,
    /// Names of the filters, in the order of writing.
    pub(crate) filters: Vec<String>,
    /// The names of an enum's values.
    pub(crate) enum_names: std::collections::BTreeMap<String, i64>,
}

/// Serializes an object. Characters that could mislead a terminal become `\u` escapes, which every JSON
/// parser decodes.
///
/// # Errors
/// Returns the error of the serializer.
pub(crate) fn text(object: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(object)?;
    if !text.contains(is_unsafe) {
        return Ok(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Below U+0020 the serializer has escaped them, and all of them are in the basic plane.
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Converts a TOML value to JSON.
pub(crate) fn value(value: &toml::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        toml::Value::String(text) => Json::String(text.clone()),
        toml::Value::Integer(number) => Json::from(*number),
        toml::Value::Float(number) if number.is_finite() => Json::from(*number),
        toml::Value::Float(number) if number.is_nan() => Json::from("nan"),
        toml::Value::Float(number) => Json::from(if *number > 0.0 { "inf" } else { "-inf" }),
        toml::Value::Boolean(truth) => Json::Bool(*truth),
        toml::Value::Datetime(when) => Json::String(when.to_string()),
        toml::Value::Array(items) => Json::Array(items.iter().map(self::value).collect()),
        toml::Value::Table(table) => Json::Object(attributes(table)),
    }
}

/// Converts a table of attributes to JSON.
pub(crate) fn attributes(table: &toml::Table) -> serde_json::Map<String, serde_json::Value> {
    table.iter().map(|(name, item)| (name.clone(), value(item))).collect()
}
