//! Tests of the examples and the manual pages against the definition.

use clap::{CommandFactory as _, Parser as _};

use super::definition::Cli;
use crate::commands::man::{CODES, codes, examples_of, extra, page};
use crate::complete::words_of;

fn commands() -> Vec<clap::Command> {
    let mut program = Cli::command();
    program.build();
    let subcommands = program.get_subcommands().cloned().collect::<Vec<_>>();
    [program].into_iter().chain(subcommands).collect()
}

/// Returns the arguments of this program in a shell line, with values for its variables.
fn ours(line: &str) -> Vec<String> {
    let line = &line[line.find("cute-shm ").unwrap_or(0)..];
    let end = [" | ", " && ", " >"].iter().filter_map(|sign| line.find(sign)).min();
    let line = line[..end.unwrap_or(line.len())].replace("$$", "1");
    let words = words_of(&line).into_iter();
    words.map(|word| if word.starts_with('$') { "0".to_owned() } else { word }).collect()
}

#[test]
fn every_example_is_a_valid_command_line() {
    for command in commands() {
        let lines = examples_of(&command);
        assert!(!lines.is_empty(), "{} has no examples", command.get_name());
        for (line, _) in lines {
            let words = ours(&line);
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{line}\n{words:?}\n{}", parsed.unwrap_err());
            let of = if command.get_name() == "cute-shm" { &words[0] } else { command.get_name() };
            assert!(words.iter().any(|word| word == of), "'{line}' is no example of {of}");
        }
    }
}

#[test]
fn cited_pages_exist() {
    let commands = commands();
    let known = codes(&commands[0]);
    for command in &commands {
        let extra = extra(command.get_name());
        for code in CODES.iter().chain(extra.codes) {
            assert!(known.iter().any(|(one, _)| one == code), "{}: {code}", command.get_name());
        }
        for page in extra.see.iter().filter(|page| !page.is_empty() && !page.contains('(')) {
            assert!(commands.iter().any(|command| command.get_name() == *page), "{page}");
        }
    }
}

#[test]
fn every_page_has_its_sections_once() {
    let codes = codes(&commands()[0]);
    for command in commands() {
        let text = page(&command, command.get_name(), &codes);
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "FILES", "ENVIRONMENT"] {
            let head = format!(".SH {title}\n");
            assert_eq!(text.matches(&head).count(), 1, "{title} in {}", command.get_name());
        }
        assert!(text.contains(".SH \"EXIT STATUS\"") && text.contains(".SH \"SEE ALSO\""));
    }
}
