//! Output: the result of a command on stdout, messages and progress on stderr; text, or one JSON object.

pub(crate) mod events;
pub(crate) mod json;
mod message;
pub(crate) mod progress;
pub(crate) mod ready;
mod style;
mod styled;
pub(crate) mod table;
mod writer;

pub(crate) use self::message::{print_plain, say};
pub(crate) use self::style::{BOLD, CYAN, DIM, GREEN, RED, YELLOW};
pub(crate) use self::styled::Text;
pub(crate) use self::writer::Output;
