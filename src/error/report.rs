//! The serialized error, for another process.

use serde::{Deserialize, Serialize};

use super::{Error, Kind};

/// A serialized [`Error`]: its message includes that of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    kind: Kind,
    message: String,
    subject: Option<String>,
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind,
            message: error.to_string(),
            subject: error.subject.clone(),
            hint: error.hint.clone(),
            detail: error.detail.clone(),
        }
    }
}

impl From<ErrorReport> for Error {
    fn from(report: ErrorReport) -> Self {
        Self {
            kind: report.kind,
            message: report.message,
            subject: report.subject,
            hint: report.hint,
            detail: report.detail,
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_keeps_kind_subject_and_hint_when_serialized() {
        let error = Error::new(Kind::Corrupt, "bad").with_subject("f.h5").with_hint("try another");
        let back = Error::from(ErrorReport::from(&error));
        assert_eq!(
            (back.kind(), back.subject(), back.hint()),
            (Kind::Corrupt, Some("f.h5"), Some("try another"))
        );
    }
}
