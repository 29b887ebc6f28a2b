//! The colors of the output.

use anstyle::{AnsiColor, Style};

/// Errors.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Success.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Names.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// Details.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Titles.
pub(crate) const BOLD: Style = Style::new().bold();
