//! Check for cleaners of /tmp that remove old metadata: systemd-tmpfiles or a cron job.

use std::path::Path;

use globset::GlobBuilder;

use super::check::{Check, Level};
use super::node::Node;

const DIRECTORIES: [&str; 3] = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"];
const CRON: [&str; 3] =
    ["/etc/cron.daily/tmpreaper", "/etc/cron.daily/tmpwatch", "/etc/cron.daily/tmpreap"];

/// One line of tmpfiles.d that affects cleaning.
#[derive(Debug)]
struct Line {
    file: String,
    /// Whether the path and everything below it is excluded from cleaning.
    is_excluded: bool,
    path: String,
    age: Option<String>,
}

/// Checks whether a cleaner removes metadata files that were not used for some time.
pub(super) fn ages(node: &Node) -> Check {
    let name = "tmp_cleaners";
    if let Some(cron) = CRON.iter().find(|cron| node.exists(cron)) {
        return Check::new(name, Level::Warning, format!("'{cron}' cleans temporary directories"))
            .with_hint(
                "exclude the root (--protect, or its configuration), or use another --root",
            );
    }
    let root = &node.paths.root;
    if !node.has_systemd() {
        return Check::new(
            name,
            Level::Ok,
            "systemd does not run, and no cron job cleans temporary directories",
        );
    }
    let lines = lines(node);
    let shown = root.display();
    let hint = format!("echo 'd {shown} 1777 root root -' > {}/cute-shm.conf", DIRECTORIES[0]);
    match governing(&lines, root) {
        None => Check::new(name, Level::Ok, format!("no line of tmpfiles.d applies to '{shown}'")),
        Some(Line { age: Some(age), file, path, is_excluded: false }) => {
            let why = format!(
                "'{file}' removes files in '{path}' older than {age}, including those in '{shown}'"
            );
            Check::new(name, Level::Warning, why).with_hint(format!(
                "{hint}; run 'cute-shm gc --repair' to restore removed metadata"
            ))
        }
        Some(line) => Check::new(
            name,
            Level::Ok,
            format!("'{}' excludes '{shown}' ('{}')", line.file, line.path),
        ),
    }
}

/// Returns the effective lines. Of several lines for one path, that in the first file by name counts.
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

/// Parses a line: type, path, mode, user, group, age (tmpfiles.d(5)). Skips lines with specifiers.
fn parse(line: &str, file: &Path) -> Option<Line> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let kind = words.first()?.chars().next()?;
    let path = words.get(1)?.trim_matches('"');
    if !matches!(kind, 'd' | 'D' | 'e' | 'v' | 'q' | 'Q' | 'C' | 'x') || path.contains('%') {
        return None;
    }
    // The text before a colon selects the timestamps; '~' excludes the first level.
    let age = words.get(5).map(|age| age.trim_start_matches('~'));
    let age = age.map(|age| age.rsplit(':').next().unwrap_or(age)).filter(|age| *age != "-");
    Some(Line {
        file: file.display().to_string(),
        is_excluded: kind == 'x',
        path: path.trim_end_matches('/').to_owned(),
        age: age.map(str::to_owned),
    })
}

/// Returns the line that applies to the directory: its own line, or that of the nearest parent.
fn governing<'a>(lines: &'a [Line], root: &Path) -> Option<&'a Line> {
    root.ancestors().find_map(|directory| {
        let fits = |line: &&Line| {
            let glob = GlobBuilder::new(&line.path).literal_separator(true).build();
            glob.is_ok_and(|glob| glob.compile_matcher().is_match(directory))
        };
        // A line that names the directory itself takes precedence over a glob.
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
    fn age_of_tmp_applies_to_the_root() {
        let found = check(&[TMP]);
        assert_eq!(found.level, Level::Warning);
        assert!(found.message.contains("older than 10d"), "{found:?}");
        assert!(found.hint.unwrap().contains("d /tmp/cute-shm 1777"));
    }

    #[test]
    fn line_for_the_root_overrides_the_age_of_tmp() {
        let own = ("etc/tmpfiles.d/cute-shm.conf", "d /tmp/cute-shm 1777 root root -\n");
        assert_eq!(check(&[TMP, own]).level, Level::Ok);
        assert_eq!(check(&[TMP, ("etc/tmpfiles.d/a.conf", "x /tmp/cute-*\n")]).level, Level::Ok);
        let old = ("etc/tmpfiles.d/a.conf", "d /tmp/cute-shm 1777 root root mM:3d\n");
        assert_eq!(check(&[TMP, old]).level, Level::Warning, "an age of its own");
    }

    #[test]
    fn etc_overrides_the_distribution() {
        assert_eq!(
            check(&[TMP, ("etc/tmpfiles.d/tmp.conf", "q /tmp 1777 root root -\n")]).level,
            Level::Ok
        );
        assert_eq!(check(&[TMP, ("etc/tmpfiles.d/tmp.conf", "")]).level, Level::Ok);
        let later = ("etc/tmpfiles.d/z.conf", "q /tmp 1777 root root -\n");
        assert_eq!(check(&[TMP, later]).level, Level::Warning, "the first file by name counts");
    }

    #[test]
    fn unrelated_lines_and_directories_are_ignored() {
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
    fn cron_job_is_a_warning_and_without_systemd_nothing_else_is() {
        assert_eq!(ages(&node(&[("etc/cron.daily/tmpreaper", "")]).1).level, Level::Warning);
        assert_eq!(ages(&node(&[TMP]).1).level, Level::Ok);
    }
}
