//! Renders one manual page from the definition of the command line.

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::sections::{CODES, DATE, ENVIRONMENT, Extra, FILES, NO_COLOR, extra};

/// Returns the page of a command as roff. `codes` is the table of exit codes of the program.
pub(crate) fn page(command: &clap::Command, name: &str, codes: &[Code]) -> String {
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
    status(&mut roff, &extra, codes);
    environment(&mut roff, &extra);
    files(&mut roff, &extra);
    examples(&mut roff, command);
    see_also(&mut roff, &extra);
    text + &roff.to_roff()
}

/// Removes the repeated preamble of each section, and replaces line breaks around an empty line by a space.
fn tidy(text: &str) -> String {
    let preamble = Roff::new().render();
    let rest = text.replace(&preamble, "");
    preamble + &rest.replace(".br\n\n.br\n", ".sp\n")
}

/// Renders the usage line.
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

/// An exit code and its meaning.
pub(crate) type Code = (String, String);

/// Returns the table of exit codes that the help of the program prints.
pub(crate) fn codes(program: &clap::Command) -> Vec<Code> {
    let rows = help_lines(program, "Exit codes:").into_iter();
    let split = |row: String| {
        let (code, meaning) = row.trim().split_once(' ')?;
        Some((code.to_owned(), meaning.trim().to_owned()))
    };
    rows.filter_map(split).collect()
}

/// Returns the lines below a heading of the help text that follows the options.
fn help_lines(command: &clap::Command, heading: &str) -> Vec<String> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let rows = help.lines().skip_while(|line| *line != heading).skip(1);
    rows.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn status(roff: &mut Roff, extra: &Extra, codes: &[Code]) {
    section(roff, "EXIT STATUS");
    for (code, meaning) in codes {
        if CODES.contains(&code.as_str()) || extra.codes.contains(&code.as_str()) {
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
        roff.text([roman("None. The command does not access projects.")]);
    }
}

fn examples(roff: &mut Roff, command: &clap::Command) {
    section(roff, "EXAMPLES");
    for (number, (line, comment)) in examples_of(command).into_iter().enumerate() {
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

/// Returns the examples of a command: each line and its comment.
pub(crate) fn examples_of(command: &clap::Command) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in &help_lines(command, "Examples:") {
        let (text, rest) = (line.trim(), line.strip_prefix("  ").unwrap_or(line.as_str()));
        match found.last_mut() {
            // An indented line continues the comment of the line above.
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
