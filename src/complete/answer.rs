//! Answers the request of a completion script.

use std::ffi::OsString;
use std::io::Write as _;

use super::context::Context;
use super::line::{Cursor, Line};
use super::probe::{self, MAX_CANDIDATES, PATHS};
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
        // EPIPE is not an error: the shell needs no further candidates.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    0
}

/// Formats the answer. The first line has the type of the candidates and the part of the word before the value
/// (`--root=`). Each further line has a candidate, a tab and its description.
fn answer(line: &Line, mut program: clap::Command, has_globs: bool) -> String {
    program.build();
    let context = Context::at(&program, line);
    let answer = values::of(&context, has_globs);
    let mut out = format!("{}\t{}\n", answer.word(), context.prefix);
    if let Answer::Values(candidates) = answer {
        let shown = candidates.iter().filter_map(|candidate| shown(candidate, &context, line));
        out.extend(shown.take(MAX_CANDIDATES));
    }
    out
}

/// Formats a candidate; `None` if it does not start with the word, or if no shell accepts its characters.
fn shown(candidate: &Candidate, context: &Context, line: &Line) -> Option<String> {
    let Candidate { value, about } = candidate;
    if !value.starts_with(&context.begun) || value.chars().any(is_unsafe) {
        return None;
    }
    let whole = format!("{}{value}", context.prefix);
    let word = match &line.cursor {
        Cursor::Bash(cursor) => cursor.insert(&whole)?,
        Cursor::Zsh => value.clone(),
        Cursor::Fish => whole,
    };
    let about: String = about.chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
    Some(if about.is_empty() { format!("{word}\n") } else { format!("{word}\t{about}\n") })
}
