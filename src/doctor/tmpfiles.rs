//! Cleaners of /tmp: systemd-tmpfiles with an age that reaches the root, or a cron job.

use std::path::Path;

use globset::GlobBuilder;

use super::check::{Check, Level};
use super::node::Node;

const DIRECTORIES: [&str; 3] = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"];
const CRON: [&str; 3] =
    ["/etc/cron.daily/tmpreaper", "/etc/cron.daily/tmpwatch", "/etc/cron.daily/tmpreap"];

/// One line of tmpfiles.d that bears on cleaning.
#[derive(Debug)]
struct Line {
    file: String,
    /// Stays as it is, with what is below.
    spared: bool,
    path: String,
    age: Option<String>,
}

/// Whether something removes metadata files that nobody touched for a while.
pub(super) fn ages(node: &Node) -> Check {
    let name = "tmp_cleaners";
    if let Some(cron) = CRON.iter().find(|cron| node.exists(cron)) {
        return Check::new(name, Level::Warning, format!("'{cron}' cleans temporary directories"))
            .with_hint(
                "let it spare the root (--protect, or its configuration), or use another --root",
            );
    }
    let root = &node.paths.root;
    if !node.has_systemd() {
        return Check::new(name, Level::Ok, "no systemd here, and no cron job that cleans");
    }
    let lines = lines(node);
    let shown = root.display();
    let hint = format!("echo 'd {shown} 1777 root root -' > {}/cute-shm.conf", DIRECTORIES[0]);
    match governing(&lines, root) {
        None => Check::new(name, Level::Ok, format!("no line of tmpfiles.d reaches '{shown}'")),
        Some(Line { age: Some(age), file, path, spared: false }) => {
            let why =
                format!("'{file}' cleans '{path}' of what is older than {age}, '{shown}' too");
            Check::new(name, Level::Warning, why)
                .with_hint(format!("{hint}; 'cute-shm gc --repair' restores what went"))
        }
        Some(line) => Check::new(
            name,
            Level::Ok,
            format!("'{}' spares '{shown}' ('{}')", line.file, line.path),
        ),
    }
}

/// Every line in force. Of several for one path that in the first file, by name, counts.
fn lines(node: &Node) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (file, text) in node.configuration(&DIRECTORIES) {
        for line in text.lines().filter_map(|line| parse(line, &file)) {
            if !lines.iter().any(|earlier| earlier.path == line.path) {
                lines.push(line);
            }
        }
    }
    lines
}

/// Type, path, mode, user, group, age: tmpfiles.d(5). Lines with specifiers are of no use to us.
fn parse(line: &str, file: &Path) -> Option<Line> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let kind = words.first()?.chars().next()?;
    let path = words.get(1)?.trim_matches('"');
    if !matches!(kind, 'd' | 'D' | 'e' | 'v' | 'q' | 'Q' | 'C' | 'x') || path.contains('%') {
        return None;
    }
    // What stands before a colon says which times count; '~' spares the first level.
    let age = words.get(5).map(|age| age.trim_start_matches('~'));
    let age = age.map(|age| age.rsplit(':').next().unwrap_or(age)).filter(|age| *age != "-");
    Some(Line {
        file: file.display().to_string(),
        spared: kind == 'x',
        path: path.trim_end_matches('/').to_owned(),
        age: age.map(str::to_owned),
    })
}

/// The line for the directory or the nearest one above it: what has a line of its own is left to that.
fn governing<'a>(lines: &'a [Line], root: &Path) -> Option<&'a Line> {
    root.ancestors().find_map(|directory| {
        let fits = |line: &&Line| {
            let glob = GlobBuilder::new(&line.path).literal_separator(true).build();
            glob.is_ok_and(|glob| glob.compile_matcher().is_match(directory))
        };
        // A glob steps back behind a line that names the directory itself.
        let exact = lines.iter().find(|line| Path::new(&line.path) == directory);
        exact.or_else(|| lines.iter().find(fits))
    })
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    const TMP: (&str, &str) =
        ("usr/lib/tmpfiles.d/tmp.conf", "# comment\nq /tmp 1777 root root 10d\n");

    fn check(files: &[(&str, &str)]) -> Check {
        let mut all = vec![("run/systemd/system/x", "")];
        all.extend(files);
        ages(&node(&all).1)
    }

    #[test]
    fn an_age_on_tmp_reaches_the_root() {
        let found = check(&[TMP]);
        assert_eq!(found.level, Level::Warning);
        assert!(found.message.contains("older than 10d"), "{found:?}");
        assert!(found.hint.unwrap().contains("d /tmp/cute-shm 1777"));
    }

    #[test]
    fn a_line_of_its_own_stops_it() {
        let own = ("etc/tmpfiles.d/cute-shm.conf", "d /tmp/cute-shm 1777 root root -\n");
        assert_eq!(check(&[TMP, own]).level, Level::Ok);
        assert_eq!(check(&[TMP, ("etc/tmpfiles.d/a.conf", "x /tmp/cute-*\n")]).level, Level::Ok);
        let old = ("etc/tmpfiles.d/a.conf", "d /tmp/cute-shm 1777 root root mM:3d\n");
        assert_eq!(check(&[TMP, old]).level, Level::Warning, "an age of its own");
    }

    #[test]
    fn etc_hides_what_the_distribution_says() {
        assert_eq!(
            check(&[TMP, ("etc/tmpfiles.d/tmp.conf", "q /tmp 1777 root root -\n")]).level,
            Level::Ok
        );
        assert_eq!(check(&[TMP, ("etc/tmpfiles.d/tmp.conf", "")]).level, Level::Ok);
        let later = ("etc/tmpfiles.d/z.conf", "q /tmp 1777 root root -\n");
        assert_eq!(check(&[TMP, later]).level, Level::Warning, "the first file by name counts");
    }

    #[test]
    fn other_lines_and_other_directories_do_not_count() {
        assert_eq!(
            check(&[(
                "usr/lib/tmpfiles.d/a.conf",
                "r! /tmp/.X*\nd /var/tmp - - - 30d\nx /tmp/p-%b-*\n"
            )])
            .level,
            Level::Ok
        );
    }

    #[test]
    fn cron_jobs_clean_too_and_without_systemd_nothing_else_does() {
        assert_eq!(ages(&node(&[("etc/cron.daily/tmpreaper", "")]).1).level, Level::Warning);
        assert_eq!(ages(&node(&[TMP]).1).level, Level::Ok);
    }
}
