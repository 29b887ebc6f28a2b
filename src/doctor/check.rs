//! The finding of one check.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It will fail for some, or some day.
    Warning,
    /// It fails.
    Problem,
}

impl Level {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// What was looked at: stable, for scripts.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// A sentence without capital and full stop.
    pub message: String,
    /// What to do about it; null where there is nothing to do.
    pub hint: Option<String>,
}

impl Check {
    /// A finding without advice.
    pub fn new(name: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { name, level, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
