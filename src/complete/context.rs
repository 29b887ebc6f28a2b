//! Determines the completion context at the cursor from the definition of the command line.

use std::collections::HashMap;

use clap::{Arg, Command};

use crate::complete::line::Line;

/// The syntactic element at the cursor.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// The name of a subcommand.
    Subcommand,
    /// The name of an option.
    Option,
    /// The value of an option, or an argument.
    Value(&'a Arg),
    /// A word of the command after `--`.
    Command,
    /// No word is valid.
    Nothing,
}

/// The element at the cursor, and the arguments before it.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The definition of the whole command line.
    pub(crate) program: &'a Command,
    /// The command or subcommand on the line.
    pub(crate) command: &'a Command,
    pub(crate) place: Place<'a>,
    /// The part of the word before the value: `--root=`, the name in `NAME=FILE`.
    pub(crate) prefix: String,
    /// The part of the value before the cursor.
    pub(crate) begun: String,
    /// The values on the line, by argument.
    pub(crate) given: HashMap<String, Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn at(program: &'a Command, line: &Line) -> Self {
        let mut context = Self {
            program,
            command: program,
            place: Place::Nothing,
            prefix: String::new(),
            begun: line.current.clone(),
            given: HashMap::new(),
        };
        let mut awaits = None;
        let mut number = 0;
        for word in &line.words {
            if let Some(arg) = awaits.take() {
                context.give(arg, word);
            } else if word == "--" {
                context.place = Place::Command;
                return context;
            } else if word.len() > 1 && word.starts_with('-') {
                awaits = context.option(word);
            } else if let Some(found) = context.command.find_subcommand(word) {
                context.command = found;
            } else if let Some(arg) = context.argument(&mut number) {
                context.give(arg, word);
            }
        }
        context.decide(awaits, number);
        context
    }

    fn decide(&mut self, awaits: Option<&'a Arg>, mut number: usize) {
        if let Some(arg) = awaits {
            self.place = Place::Value(arg);
        } else if self.begun.starts_with('-') {
            let given =
                self.begun.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.place = match given {
                Some((name, value)) => {
                    self.prefix = format!("{name}=");
                    self.begun = value;
                    self.long(&name).map_or(Place::Nothing, Place::Value)
                }
                None => Place::Option,
            };
        } else if self.command.has_subcommands() {
            self.place = Place::Subcommand;
        } else if let Some(arg) = self.argument(&mut number) {
            self.place = Place::Value(arg);
            if let ("files", Some((name, path))) =
                (arg.get_id().as_str(), self.begun.split_once('='))
            {
                (self.prefix, self.begun) = (format!("{name}="), path.to_owned());
            }
        }
    }

    fn give(&mut self, arg: &Arg, value: &str) {
        self.given.entry(arg.get_id().to_string()).or_default().push(value.to_owned());
    }

    /// Returns the positional argument of this number and increments it; an argument with many values repeats.
    fn argument(&self, number: &mut usize) -> Option<&'a Arg> {
        let mut positionals = self.command.get_positionals().filter(|arg| !arg.is_last_set());
        let arg = positionals.nth(*number)?;
        let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        *number += usize::from(!many);
        Some(arg)
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        let name = name.strip_prefix("--")?;
        let takes = |arg: &&Arg| arg.get_long() == Some(name) && arg.get_action().takes_values();
        self.command.get_arguments().find(takes)
    }

    /// Records an option. Returns its argument if the next word is the value.
    fn option(&mut self, word: &str) -> Option<&'a Arg> {
        if word.starts_with("--") {
            let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
            let arg = self.long(name)?;
            return match value {
                None => Some(arg),
                Some(value) => {
                    self.give(arg, value);
                    None
                }
            };
        }
        let mut letters = word[1..].chars();
        while let Some(letter) = letters.next() {
            let arg = self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
            if arg.get_action().takes_values() {
                let rest = letters.as_str();
                if rest.is_empty() {
                    return Some(arg);
                }
                self.give(arg, rest.trim_start_matches('='));
                return None;
            }
        }
        None
    }

    /// Returns the values of an argument.
    pub(crate) fn values(&self, id: &str) -> &[String] {
        self.given.get(id).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;
    use crate::complete::line::Cursor;

    /// A command line with each type of argument of the program.
    fn program() -> Command {
        let global = Arg::new("root").long("root").global(true).action(ArgAction::Set);
        let verbose = Arg::new("verbose").short('v').global(true).action(ArgAction::Count);
        let many = |name: &'static str| Arg::new(name).num_args(1..);
        let show = Command::new("show")
            .args([Arg::new("project"), Arg::new("key")])
            .arg(Arg::new("stats").long("stats").action(ArgAction::SetTrue));
        let load = Command::new("load-hdf5")
            .args([Arg::new("project"), many("files"), many("command").last(true)])
            .arg(Arg::new("include").long("include").action(ArgAction::Append))
            .arg(Arg::new("jobs").short('j'));
        let unlink = Command::new("unlink").arg(many("projects"));
        Command::new("cute-shm").args([global, verbose]).subcommands([
            show,
            load,
            unlink,
            Command::new("list"),
        ])
    }

    fn is(line: &str, what: &str) {
        let mut command = program();
        command.build();
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap_or_default();
        let context = Context::at(&command, &Line { words, current, cursor: Cursor::Zsh });
        let place = match context.place {
            Place::Value(arg) => arg.get_id().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            format!("{} {place} {}", context.command.get_name(), context.begun),
            what,
            "{line}"
        );
    }

    #[test]
    fn context_follows_the_definition() {
        is("sh", "cute-shm Subcommand sh");
        is("--root /x ", "cute-shm Subcommand ");
        is("show --st", "show Option --st");
        is("show p", "show project p");
        is("show -v p k", "show key k");
        is("show p k x", "show Nothing x");
        is("unlink a b", "unlink projects b");
        is("load-hdf5 p f g", "load-hdf5 files g");
        is("load-hdf5 p n=g", "load-hdf5 files g");
        is("load-hdf5 p -vj 3 f --include=/a", "load-hdf5 include /a");
        is("load-hdf5 p f --include ", "load-hdf5 include ");
        is("load-hdf5 p f -- py", "load-hdf5 Command py");
        is("list --root=/x", "list root /x");
    }
}
