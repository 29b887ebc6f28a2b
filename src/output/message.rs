//! Messages on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::Style;

use super::styled::Text;
use crate::context::Context;

/// Formats a message with its label.
pub(crate) fn labeled(label: &str, style: Style, message: &str) -> Text {
    let mut text = Text::styled(label, style);
    text.push(format!(" {message}"));
    text
}

/// Writes a line to stderr.
pub(crate) fn say(text: impl Into<Text>, context: &Context) {
    let mut text = text.into();
    text.end_line();
    write_stderr(&text, context);
}

/// Writes lines without colors to stdout or stderr, before the options are parsed.
pub(crate) fn print_plain(lines: &str, to_stderr: bool) {
    let text = |terminal| Text::block(lines).render(terminal, false);
    // EPIPE is not an error: the reader closed the pipe early.
    let _ = match to_stderr {
        true => io::stderr().write_all(text(io::stderr().is_terminal()).as_bytes()),
        false => io::stdout().write_all(text(io::stdout().is_terminal()).as_bytes()),
    };
}

/// Writes with one call, because a loader also writes to stderr. A closed stderr is not an error.
pub(super) fn write_stderr(text: &Text, context: &Context) {
    let text = text.render(context.terminal_err, context.color_err);
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
