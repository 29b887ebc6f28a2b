//! What can stand at the cursor of a shell's command line. The scripts in `completions/` ask, with
//! `cute-shm __complete SHELL ...`; nothing here ever prints an error, and nothing takes long.

mod context;
mod line;
mod probe;
mod scripts;
mod values;

use std::ffi::OsString;
use std::io::Write as _;

use clap::CommandFactory as _;

use self::context::Wanted;
#[cfg(test)]
pub(crate) use self::line::words_of;
use self::line::{Cursor, Line};
pub use self::scripts::script;
use self::values::{Answer, Candidate};
use crate::cli::Cli;
use crate::output::text::is_unsafe;

/// The word that the scripts put before their question.
pub const WORD: &str = "__complete";

/// The word with which the program asks itself for the paths in a file.
const PATHS: &str = "__paths";

/// More candidates than this help nobody.
const MOST: usize = 10_000;

/// Answers a script's question: the shell, and what it tells of the line. The exit code is always 0.
pub fn run(args: &[OsString]) -> u8 {
    let Some((shell, rest)) = args.split_first() else { return 0 };
    if shell == PATHS {
        probe::list(rest);
        return 0;
    }
    let line = match shell.to_str() {
        Some("bash") => Line::of_bash(rest),
        Some("zsh") => Line::of_words(rest, false),
        Some("fish") => Line::of_words(rest, true),
        _ => None,
    };
    if let Some(line) = line {
        let text = answer(&line, shell == "zsh");
        // A shell that does not listen any more has what it wants.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    0
}

/// The first line says what kind of words can stand here, and what of the word belongs to something else (`--root=`);
/// the others are such words, each with a tabulator and its meaning.
fn answer(line: &Line, has_globs: bool) -> String {
    let mut command = Cli::command();
    command.build();
    let wanted = Wanted::at(&command, line);
    let answer = values::of(&wanted, has_globs);
    let mut out = format!("{}\t{}\n", answer.word(), wanted.prefix);
    if let Answer::Values(candidates) = answer {
        let shown = candidates.iter().filter_map(|candidate| shown(candidate, &wanted, line));
        out.extend(shown.take(MOST));
    }
    out
}

/// A candidate's line; `None` for one that does not go on from the word, and for names that no shell can take.
fn shown(candidate: &Candidate, wanted: &Wanted, line: &Line) -> Option<String> {
    let Candidate { value, about } = candidate;
    if !value.starts_with(&wanted.begun) || value.chars().any(is_unsafe) {
        return None;
    }
    let whole = format!("{}{value}", wanted.prefix);
    let word = match &line.cursor {
        Cursor::Bash(cursor) => cursor.insert(&whole)?,
        Cursor::Zsh => value.clone(),
        Cursor::Fish => whole,
    };
    let about: String = about.chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
    Some(if about.is_empty() { format!("{word}\n") } else { format!("{word}\t{about}\n") })
}
