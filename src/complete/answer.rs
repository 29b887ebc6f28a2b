//! Answers the question of a completion script.

use std::ffi::OsString;
use std::io::Write as _;

use super::context::Wanted;
use super::line::{Cursor, Line};
use super::probe::{self, MOST, PATHS};
use super::values::{self, Answer, Candidate};
use crate::text::is_unsafe;

/// Prints the candidates for a completion script. `args` are the shell and its command line. The exit code is always 0.
pub(crate) fn run(args: &[OsString], program: clap::Command) -> u8 {
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
        let text = answer(&line, program, shell == "zsh");
        // A shell that does not listen any more has what it wants.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    0
}

/// The first line says what kind of words can stand here, and what of the word belongs to something else (`--root=`);
/// the others are such words, each with a tabulator and its meaning.
fn answer(line: &Line, mut program: clap::Command, has_globs: bool) -> String {
    program.build();
    let wanted = Wanted::at(&program, line);
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
