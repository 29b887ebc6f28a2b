//! From the words before the cursor to what is wanted at it, by the command line's definition.

use std::collections::HashMap;

use clap::{Arg, Command};

use crate::complete::line::Line;

/// What stands at the cursor.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// A subcommand's name.
    Subcommand,
    /// An option's name.
    Option,
    /// The value of an option, or an argument.
    Value(&'a Arg),
    /// A word of the command behind `--`.
    Command,
    /// Nothing can.
    Nothing,
}

/// What is wanted, and what is known by then.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The definition of the whole command line.
    pub(crate) program: &'a Command,
    /// The command, or subcommand, that is written.
    pub(crate) command: &'a Command,
    pub(crate) place: Place<'a>,
    /// The part of the word that is not of the value: `--root=`, the name of `NAME=FILE`.
    pub(crate) prefix: String,
    /// The value as far as it is written.
    pub(crate) begun: String,
    /// The values that were given, by argument.
    pub(crate) given: HashMap<String, Vec<String>>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn at(program: &'a Command, line: &Line) -> Self {
        let mut wanted = Self {
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
                wanted.give(arg, word);
            } else if word == "--" {
                wanted.place = Place::Command;
                return wanted;
            } else if word.len() > 1 && word.starts_with('-') {
                awaits = wanted.option(word);
            } else if let Some(found) = wanted.command.find_subcommand(word) {
                wanted.command = found;
            } else if let Some(arg) = wanted.argument(&mut number) {
                wanted.give(arg, word);
            }
        }
        wanted.decide(awaits, number);
        wanted
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

    /// The argument of this number, which it counts on; the last takes all that follow.
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

    /// Takes an option; the argument whose value is the next word.
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

    /// The values given for an argument.
    pub(crate) fn values(&self, id: &str) -> &[String] {
        self.given.get(id).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;
    use crate::complete::line::Cursor;

    /// A command line with each sort of argument that the program has.
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
        let wanted = Wanted::at(&command, &Line { words, current, cursor: Cursor::Zsh });
        let place = match wanted.place {
            Place::Value(arg) => arg.get_id().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            format!("{} {place} {}", wanted.command.get_name(), wanted.begun),
            what,
            "{line}"
        );
    }

    #[test]
    fn the_definition_says_what_stands_where() {
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
