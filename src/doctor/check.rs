//! The finding of one check.

use serde::Serialize;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// No problem.
    Ok,
    /// Information.
    Note,
    /// A possible failure.
    Warning,
    /// A certain failure.
    Problem,
}

impl Level {
    /// Returns the JSON name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Check {
    /// Name of the check, stable for scripts.
    pub(crate) name: &'static str,
    /// Severity.
    pub(crate) level: Level,
    /// The finding.
    pub(crate) message: String,
    /// The suggested action; null if there is none.
    pub(crate) hint: Option<String>,
}

impl Check {
    /// Creates a finding without a hint.
    pub(crate) fn new(name: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { name, level, message: message.into(), hint: None }
    }

    /// Adds a suggested action.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
