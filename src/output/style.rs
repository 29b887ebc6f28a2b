//! The colors of the output.

use anstyle::{AnsiColor, Style};

/// The bold red of "error".
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// What is well.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Names.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Titles.
pub(crate) const BOLD: Style = Style::new().bold();
