//! The JSON form of every command's output. Fields are only ever added: docs/json.md describes them.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::error::Error;
use crate::shm::format::ledger::{BatchJob, Lifetime, Note, SourceFile};
use crate::shm::store::state::State;
use crate::text::is_unsafe;

/// The version of these forms.
pub const SCHEMA: &str = "cute-shm/1";

/// The one object on stdout.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Envelope<'a, B> {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The subcommand; null when the command line was not understood.
    pub command: Option<&'static str>,
    /// Whether there was no error.
    pub ok: bool,
    /// The command's own fields.
    #[serde(flatten)]
    pub body: &'a B,
    /// What was left out, or is odd.
    pub warnings: &'a [Warning],
    /// What failed.
    pub errors: &'a [Failure],
}

/// Something that a user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// `skipped`, `filled`, `attributes`, `outside`, `root`, `mode`, `descriptors`, `state`, `unread`, `unverified`, `unmatched`, `notify`,
    /// `ready_fd`, `release`, `filters`.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// What it concerns: a path in the project, a project, a file.
    pub concerns: Option<String>,
}

impl Warning {
    /// A warning about nothing in particular.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), concerns: None }
    }

    /// What a load left out.
    pub fn skipped(note: &Note) -> Self {
        Self { code: "skipped", message: note.reason.clone(), concerns: Some(note.path.clone()) }
    }
}

impl Warning {
    /// A virtual dataset without all of its sources.
    pub fn filled(note: &Note) -> Self {
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

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// The kind of failure: it decides the exit code.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it concerns.
    pub concerns: Option<String>,
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
pub struct Project {
    /// Its name.
    pub name: String,
    /// What was found.
    pub state: State,
    /// Somebody changes it just now.
    pub changing: bool,
    /// The reason for the state.
    pub reason: Option<String>,
    /// `persistent` or `held`; null when Python made it.
    pub lifetime: Option<Lifetime>,
    /// Who made it, and answers for it while it is held.
    pub keeper: Option<Keeper>,
    /// The owner's user id.
    pub uid: u32,
    /// Path of the metadata file; null for orphans, which have none.
    pub metadata: Option<String>,
    /// When it was loaded.
    pub created: Option<String>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// The jobs that use it.
    pub jobs: Vec<BatchJob>,
    /// What was read.
    pub sources: Vec<SourceFile>,
    /// How many arrays it has, by path.
    pub array_count: usize,
    /// How many segments are missing.
    pub missing_count: usize,
    /// Bytes of its segments.
    pub size_bytes: u64,
    /// Memory that they take.
    pub resident_bytes: u64,
    /// Processes that have a segment mapped; null when that was not asked, or cannot be seen.
    pub attached_pids: Option<Vec<u32>>,
    /// Its arrays; null in the short form.
    pub arrays: Option<Vec<Array>>,
}

/// Who keeps a project.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Keeper {
    /// Process id.
    pub pid: u32,
    /// User id.
    pub uid: u32,
}

/// One array.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Array {
    /// `/group/name`.
    pub key: String,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// What `str(numpy.dtype)` gives.
    pub dtype: String,
    /// Bytes of the elements; null when the dtype has no fixed size.
    pub size_bytes: Option<u64>,
    /// Name of the segment in the shm directory.
    pub segment: String,
    /// Whether the segment is gone.
    pub missing: bool,
    /// How the source stored it; null when that is not known, and in `list`.
    pub storage: Option<Storage>,
    /// Attributes; NaN and infinity, which JSON lacks, as the strings "nan", "inf" and "-inf".
    pub attrs: serde_json::Map<String, serde_json::Value>,
}

/// How a file stored an array.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Storage {
    /// `compact`, `contiguous`, `chunked`, `external` or `virtual`.
    pub layout: String,
    /// The extents of a chunk.
    pub chunk: Option<Vec<u64>>,
    /// Names of the filters, in the order of writing.
    pub filters: Vec<String>,
    /// The names of an enum's values.
    pub enum_names: std::collections::BTreeMap<String, i64>,
}

/// The text of an object. Characters that could mislead a terminal are written as `\u` escapes, which every
/// reader of JSON decodes.
///
/// # Errors
/// Returns the error of the serializer.
pub fn text(object: &impl Serialize) -> serde_json::Result<String> {
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

/// A TOML value in JSON.
pub fn value(value: &toml::Value) -> serde_json::Value {
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

/// A table of attributes in JSON.
pub fn attributes(table: &toml::Table) -> serde_json::Map<String, serde_json::Value> {
    table.iter().map(|(name, item)| (name.clone(), value(item))).collect()
}
