//! One manual page: what clap's definition says, in the sections that a reader of manual pages looks for.

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::sections::{CODES, DATE, ENVIRONMENT, Extra, FILES, NO_COLOR, extra};
use crate::cli::{EXAMPLES, EXIT_CODES};

/// The page of a command as roff.
pub(super) fn page(command: &clap::Command, name: &str) -> String {
    let extra = extra(command.get_name());
    let man = Man::new(command.clone().display_name(name))
        .date(DATE)
        .source(concat!("cute-shm ", env!("CARGO_PKG_VERSION")))
        .manual("cute-shm manual");
    let mut out = Vec::new();
    // Writing into memory cannot fail.
    let _ = man.render_title(&mut out);
    let _ = man.render_name_section(&mut out);
    let _ = synopsis(command).to_writer(&mut out);
    let _ = man.render_description_section(&mut out);
    let _ = man.render_options_section(&mut out);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut out);
    }
    let text = tidy(&String::from_utf8_lossy(&out));
    let mut roff = Roff::new();
    status(&mut roff, &extra);
    environment(&mut roff, &extra);
    files(&mut roff, &extra);
    examples(&mut roff, command);
    see_also(&mut roff, &extra);
    text + &roff.to_roff()
}

/// Each section begins with the same definition of an apostrophe, of which one is enough; and breaks around
/// an empty line are one space.
fn tidy(text: &str) -> String {
    let preamble = Roff::new().render();
    let rest = text.replace(&preamble, "");
    preamble + &rest.replace(".br\n\n.br\n", ".sp\n")
}

/// The line that help begins with.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_bin_name().unwrap_or("cute-shm");
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    roff.text([bold(name), roman(usage.strip_prefix(name).unwrap_or(usage))]);
    roff
}

fn section(roff: &mut Roff, title: &str) {
    roff.control("SH", [title]);
}

fn entry(roff: &mut Roff, term: Inline, text: &str) {
    roff.control("TP", []);
    roff.text([term]);
    roff.text([roman(text)]);
}

/// The table of exit codes that help prints: code and meaning.
fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = EXIT_CODES.lines().skip(1).filter_map(|row| row.trim().split_once(' '));
    rows.map(|(code, meaning)| (code, meaning.trim()))
}

fn status(roff: &mut Roff, extra: &Extra) {
    section(roff, "EXIT STATUS");
    for (code, meaning) in codes() {
        if CODES.contains(&code) || extra.codes.contains(&code) {
            entry(roff, bold(code), meaning);
        }
    }
    if !extra.status.is_empty() {
        roff.control("PP", []);
        roff.text([roman(extra.status)]);
    }
}

fn environment(roff: &mut Roff, extra: &Extra) {
    section(roff, "ENVIRONMENT");
    let everywhere = ENVIRONMENT.iter().filter(|_| extra.projects).chain([&NO_COLOR]);
    for (name, text) in everywhere.chain(extra.environment) {
        entry(roff, bold(*name), text);
    }
}

fn files(roff: &mut Roff, extra: &Extra) {
    section(roff, "FILES");
    if extra.projects {
        for (name, text) in FILES {
            entry(roff, italic(name), text);
        }
    } else {
        roff.text([roman("None of the node: the command reads and writes no project.")]);
    }
}

fn examples(roff: &mut Roff, command: &clap::Command) {
    section(roff, "EXAMPLES");
    for (number, (line, comment)) in lines(command).into_iter().enumerate() {
        if comment.is_empty() {
            // A section begins with a paragraph.
            if number > 0 {
                roff.control("PP", []);
            }
            roff.text([bold(line)]);
        } else {
            entry(roff, bold(line), &comment);
        }
    }
}

/// The examples of a command's help: each line, and what it is for.
fn lines(command: &clap::Command) -> Vec<(String, String)> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let help = if command.has_subcommands() { EXAMPLES } else { &help };
    let mut found: Vec<(String, String)> = Vec::new();
    for line in help.lines().skip(1) {
        let (text, rest) = (line.trim(), line.strip_prefix("  ").unwrap_or(line));
        match found.last_mut() {
            // What stands far to the right belongs to the line above.
            Some((_, comment)) if rest.starts_with(' ') => comment.push_str(text),
            _ => {
                let (example, comment) = text.split_once("  ").unwrap_or((text, ""));
                found.push((example.to_owned(), comment.trim().to_owned()));
            }
        }
    }
    found
}

fn see_also(roff: &mut Roff, extra: &Extra) {
    section(roff, "SEE ALSO");
    let last = extra.see.len().saturating_sub(1);
    let mut text = Vec::new();
    for (number, page) in extra.see.iter().enumerate() {
        let (name, chapter) = match page.split_once('(') {
            Some((name, chapter)) => (name.to_owned(), format!("({chapter}")),
            None if page.is_empty() => ("cute-shm".to_owned(), "(1)".to_owned()),
            None => (format!("cute-shm-{page}"), "(1)".to_owned()),
        };
        let comma = if number == last { "" } else { ", " };
        text.extend([bold(name), roman(format!("{chapter}{comma}"))]);
    }
    roff.text(text);
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;
    use crate::complete::words_of;

    fn commands() -> Vec<clap::Command> {
        let mut program = Cli::command();
        program.build();
        let subcommands = program.get_subcommands().cloned().collect::<Vec<_>>();
        [program].into_iter().chain(subcommands).collect()
    }

    /// Our part of a shell's line, with values for its variables.
    fn ours(line: &str) -> Vec<String> {
        let line = &line[line.find("cute-shm ").unwrap_or(0)..];
        let end = [" | ", " && ", " >"].iter().filter_map(|sign| line.find(sign)).min();
        let line = line[..end.unwrap_or(line.len())].replace("$$", "1");
        let words = words_of(&line).into_iter();
        words.map(|word| if word.starts_with('$') { "0".to_owned() } else { word }).collect()
    }

    #[test]
    fn the_command_line_takes_every_example() {
        for command in commands() {
            let lines = lines(&command);
            assert!(!lines.is_empty(), "{} has no examples", command.get_name());
            for (line, _) in lines {
                let words = ours(&line);
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{line}\n{words:?}\n{}", parsed.unwrap_err());
                let of =
                    if command.get_name() == "cute-shm" { &words[0] } else { command.get_name() };
                assert!(words.iter().any(|word| word == of), "'{line}' is no example of {of}");
            }
        }
    }

    #[test]
    fn what_is_cited_is_there() {
        let commands = commands();
        let known: Vec<&str> = codes().map(|(code, _)| code).collect();
        for command in &commands {
            let extra = extra(command.get_name());
            for code in CODES.iter().chain(extra.codes) {
                assert!(known.contains(code), "{}: {code}", command.get_name());
            }
            for page in extra.see.iter().filter(|page| !page.is_empty() && !page.contains('(')) {
                assert!(commands.iter().any(|command| command.get_name() == *page), "{page}");
            }
        }
    }

    #[test]
    fn every_page_has_its_sections_once() {
        for command in commands() {
            let text = page(&command, command.get_name());
            for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "FILES", "ENVIRONMENT"] {
                let head = format!(".SH {title}\n");
                assert_eq!(text.matches(&head).count(), 1, "{title} in {}", command.get_name());
            }
            assert!(text.contains(".SH \"EXIT STATUS\"") && text.contains(".SH \"SEE ALSO\""));
        }
    }
}
