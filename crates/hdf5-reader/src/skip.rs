//! Objects that are not loaded, with the reasons.

/// A path that is not loaded, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The path: `/group/dataset`, or `/group/dataset/field`.
    pub path: String,
    /// A sentence without capital and full stop.
    pub reason: String,
    /// The message of the HDF5 library, if it reported the reason.
    pub detail: Option<String>,
}

impl Skip {
    pub(crate) fn new(path: String, reason: String) -> Self {
        Self { path, reason, detail: None }
    }
}
