//! The policy for files that a file refers to.

/// Which files may be read that a file refers to: targets of external links, external raw files, and sources of
/// virtual datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum External {
    /// Every file.
    #[default]
    Allow,
    /// Files in the directory of the file that was given, or below it.
    Inside,
    /// None.
    Refuse,
}
