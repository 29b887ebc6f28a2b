//! The colors of the output.

use anstyle::{AnsiColor, Style};

/// The bold red of "error".
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// What is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Names.
pub const CYAN: Style = AnsiColor::Cyan.on_default();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Titles.
pub const BOLD: Style = Style::new().bold();
