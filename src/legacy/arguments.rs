//! Parses arguments like Python's argparse: options at any position, long options with one dash, unambiguous
//! prefixes of options (`-s` for `-short`), and joined letters (`-vo`).

use std::ffi::{OsStr, OsString};

use crate::legacy::syntax::{Flag, Syntax};

/// The parsed arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    flags: Vec<&'static str>,
    pub(crate) positionals: Vec<OsString>,
}

impl Arguments {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }
}

/// The reason why the command does not run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Help was requested: its text.
    Help(String),
    /// The arguments are invalid: the error message.
    Usage(String),
}

/// The role of one argument.
enum Meaning {
    Positional,
    Unknown,
    /// An option, and the text joined to it.
    Flag(&'static Flag, Option<String>),
}

pub(crate) fn parse(syntax: &'static Syntax, args: &[OsString]) -> Result<Arguments, Stop> {
    let mut found = Arguments::default();
    let mut unknown = Vec::new();
    let mut rest = false;
    for arg in args {
        match if rest { Meaning::Positional } else { meaning(syntax, arg)? } {
            Meaning::Positional if !rest && arg == "--" => rest = true,
            Meaning::Positional if found.positionals.len() < syntax.positionals.len() => {
                found.positionals.push(arg.clone());
            }
            Meaning::Positional | Meaning::Unknown => unknown.push(arg.to_string_lossy()),
            Meaning::Flag(flag, joined) => take(syntax, flag, joined.as_deref(), &mut found.flags)?,
        }
    }
    let missing = &syntax.positionals[found.positionals.len()..];
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
        let what = format!("the following arguments are required: {}", names.join(", "));
        return Err(wrong(syntax, &what));
    }
    if !unknown.is_empty() {
        return Err(wrong(syntax, &format!("unrecognized arguments: {}", unknown.join(" "))));
    }
    Ok(found)
}

fn wrong(syntax: &Syntax, what: &str) -> Stop {
    Stop::Usage(format!("{}\n{}: error: {what}", syntax.usage(), syntax.program))
}

fn meaning(syntax: &'static Syntax, arg: &OsStr) -> Result<Meaning, Stop> {
    let text = arg.to_string_lossy();
    if !text.starts_with('-') || text == "-" || text == "--" {
        return Ok(Meaning::Positional);
    }
    if let Some(flag) = exact(syntax, &text) {
        return Ok(Meaning::Flag(flag, None));
    }
    if let Some((name, value)) = text.split_once('=')
        && let Some(flag) = exact(syntax, name)
    {
        return Ok(Meaning::Flag(flag, Some(value.to_owned())));
    }
    let mut matches = matches(syntax, &text);
    match (matches.pop(), matches.is_empty()) {
        (Some((_, flag, joined)), true) => Ok(Meaning::Flag(flag, joined)),
        (Some((last, ..)), false) => {
            let mut names: Vec<&str> = matches.iter().map(|(name, ..)| *name).collect();
            names.push(last);
            let what = format!("ambiguous option: {text} could match {}", names.join(", "));
            Err(wrong(syntax, &what))
        }
        (None, _) if is_number(&text) || text.contains(' ') => Ok(Meaning::Positional),
        (None, _) => Ok(Meaning::Unknown),
    }
}

fn exact(syntax: &'static Syntax, text: &str) -> Option<&'static Flag> {
    syntax.flags.iter().find(|flag| flag.written.contains(&text))
}

type Match = (&'static str, &'static Flag, Option<String>);

/// Returns the options that start with `text`, and the one-letter option at its start.
fn matches(syntax: &'static Syntax, text: &str) -> Vec<Match> {
    let long = text.starts_with("--");
    let (prefix, value) = match text.split_once('=') {
        Some((prefix, value)) if long => (prefix, Some(value.to_owned())),
        _ => (text, None),
    };
    let letter = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
    let mut found = Vec::new();
    for flag in syntax.flags {
        for written in flag.written {
            if !long && *written == &text[..letter] {
                found.push((*written, flag, Some(text[letter..].to_owned())));
            } else if written.starts_with(prefix) {
                found.push((*written, flag, value.clone()));
            }
        }
    }
    found
}

fn is_number(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match text[1..].split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !part.is_empty(),
        None => digits(&text[1..]),
    }
}

/// Adds a flag. The text joined to it consists of the letters of other flags.
fn take(
    syntax: &'static Syntax,
    flag: &'static Flag,
    joined: Option<&str>,
    flags: &mut Vec<&'static str>,
) -> Result<(), Stop> {
    let mut flag = flag;
    let mut letters = joined.unwrap_or_default().chars();
    let is_empty = joined.is_some_and(str::is_empty);
    loop {
        let next = letters.clone().next();
        let other = next.and_then(|letter| exact(syntax, &format!("-{letter}")));
        if is_empty || (next.is_some() && other.is_none()) {
            let (name, rest) = (flag.written.join("/"), letters.as_str());
            let what = format!("argument {name}: ignored explicit argument '{rest}'");
            return Err(wrong(syntax, &what));
        }
        if flag.name == "help" {
            return Err(Stop::Help(syntax.help()));
        }
        flags.push(flag.name);
        let Some(other) = other else { return Ok(()) };
        flag = other;
        letters.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::syntax::{HDF5, LIST};

    fn read(syntax: &'static Syntax, line: &str) -> Result<(String, String), String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse(syntax, &args) {
            Ok(found) => {
                let positionals: Vec<_> =
                    found.positionals.iter().map(|arg| arg.to_string_lossy()).collect();
                Ok((found.flags.join(" "), positionals.join(" ")))
            }
            Err(Stop::Usage(text)) => {
                Err(text.split_once(": error: ").map_or(text.clone(), |(_, what)| what.to_owned()))
            }
            Err(Stop::Help(_)) => Err("help".to_owned()),
        }
    }

    fn is(line: &str, flags: &str, positionals: &str) {
        assert_eq!(read(&HDF5, line), Ok((flags.to_owned(), positionals.to_owned())), "{line}");
    }

    fn fails(line: &str, what: &str) {
        assert_eq!(read(&HDF5, line), Err(what.to_owned()), "{line}");
    }

    #[test]
    fn options_are_accepted_at_any_position_and_abbreviated() {
        is("p f -o", "overwrite", "p f");
        is("-no-progress p -v f", "no_progress verbose", "p f");
        is("p -n f --ver", "no_progress verbose", "p f");
        is("-vo p f", "verbose overwrite", "p f");
        is("p -- -o", "", "p -o");
        is("-5 -.5", "", "-5 -.5");
        assert_eq!(read(&LIST, "-s"), Ok(("short".to_owned(), String::new())));
    }

    #[test]
    fn error_messages_equal_those_of_argparse() {
        fails("p", "the following arguments are required: hdf5_file");
        fails("p f x -z", "unrecognized arguments: x -z");
        fails("-ox p f", "argument -o/--overwrite: ignored explicit argument 'x'");
        fails("--verb=3 p f", "argument -v/--verbose: ignored explicit argument '3'");
        fails("--verbose= p f", "argument -v/--verbose: ignored explicit argument ''");
        fails("p -h", "help");
        assert_eq!(read(&LIST, "x"), Err("unrecognized arguments: x".to_owned()));
    }
}
