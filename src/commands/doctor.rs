//! `doctor`: checks this node for shared-memory problems and suggests fixes.

use serde::Serialize;

use crate::doctor::{self, Check, Level, Node};
use crate::error::{Error, Kind, Result};
use crate::os::credentials::with_effective_user;
use crate::output::{DIM, GREEN, Output, RED, Text, YELLOW};
use crate::shm::store::gc::{self, Action, Options, Outcome};
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::state::State;
use crate::text;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm doctor                  run all checks
  cute-shm doctor --check --quiet  as a health check: exit 11 on a problem
  cute-shm doctor --json | jq -r '.checks[] | select(.level != \"ok\") | .message'")]
pub(crate) struct Args {
    /// Exit 11 if there is a warning or a problem
    #[arg(long)]
    pub(crate) check: bool,
    /// As root, check for this user (name or number)
    #[arg(long, value_name = "USER", value_parser = super::parse::parse_user)]
    pub(crate) user: Option<u32>,
}

/// The JSON fields of `doctor`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Name of this node.
    pub(crate) host: String,
    /// The result of each check.
    pub(crate) checks: Vec<Check>,
}

/// Runs `doctor`.
///
/// # Errors
/// Returns [`Kind::Findings`] with `--check` if there is a warning or a problem.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let paths = &output.context.paths;
    let user = args.user.filter(|&user| user != nix::unistd::Uid::effective().as_raw());
    let found = match user {
        Some(user) => with_effective_user(user, || Found::examine(paths))?,
        None => Found::examine(paths),
    };
    let mut checks = doctor::examine(&Node::this(paths, args.user, found.most_arrays));
    checks.push(found.directories);
    checks.push(doctor::leftovers(&found.leftovers));
    for check in &checks {
        output.line(line(check, output.context.width));
    }
    let wrong = checks.iter().filter(|check| check.level >= Level::Warning).count();
    output.body = Body { host: crate::os::host::Host::this().name, checks };
    if args.check && wrong > 0 {
        let what = text::count(wrong as u64, "finding");
        return Err(Error::new(Kind::Findings, format!("{what} on this node"))
            .with_hint("follow the advice of each check"));
    }
    Ok(())
}

/// Results that depend on the permissions of the user.
struct Found {
    directories: Check,
    leftovers: Vec<String>,
    most_arrays: u64,
}

impl Found {
    /// Examines the directories as the effective user.
    fn examine(paths: &Paths) -> Self {
        // An error is a finding of this check: the other checks go on.
        let options = Options { dry_run: true, ..Options::default() };
        let mut found = Vec::new();
        let opened = gc::run(paths, &options, &mut |outcome| found.push(outcome));
        let (leftovers, most_arrays) = (reapable(&found), most_arrays(&found));
        let usable = opened.and_then(|()| NodeDirs::rehearse(paths));
        let directories = match usable {
            Err(error) => unusable(&error),
            Ok(dirs) => odd(&dirs).unwrap_or_else(|| {
                let message = "root and shm directory are safe, and this user can write to them";
                Check::new("directories", Level::Ok, message)
            }),
        };
        Self { directories, leftovers, most_arrays }
    }
}

fn reapable(found: &[Outcome]) -> Vec<String> {
    let due = found.iter().filter(|outcome| {
        !matches!(outcome.action, Action::Keep | Action::OtherUser | Action::OtherRoot)
    });
    due.map(|outcome| {
        let state = outcome.state.map_or("", State::word);
        format!("'{}' ({state}): {}", outcome.name.to_text(), outcome.reason)
    })
    .collect()
}

fn most_arrays(found: &[Outcome]) -> u64 {
    found.iter().map(|outcome| outcome.segment_count as u64).max().unwrap_or(0)
}

fn unusable(error: &Error) -> Check {
    let check = Check::new("directories", Level::Problem, error.to_string());
    match error.hint() {
        Some(hint) => check.with_hint(hint),
        None => check,
    }
}

fn odd(dirs: &NodeDirs) -> Option<Check> {
    let warning = dirs.warning.clone()?;
    Some(Check::new("directories", Level::Warning, warning).with_hint(
        "let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf",
    ))
}

/// Columns before the message of a check.
const MARGIN: usize = 23;

/// Formats a check: one line for a pipe; wrapped lines for a terminal, with the advice on its own lines.
fn line(check: &Check, width: Option<usize>) -> Text {
    let style = match check.level {
        Level::Ok => GREEN,
        Level::Note => DIM,
        Level::Warning => YELLOW,
        Level::Problem => RED,
    };
    let mut out = Text::styled(format!("{:8}", check.level.word()), style);
    out.push(format!(" {:13} ", check.name));
    let Some(width) = width else {
        out.push(&check.message);
        if let Some(hint) = &check.hint {
            out.push(format!(". To do: {hint}"));
        }
        return out;
    };
    let room = width.saturating_sub(MARGIN).max(20);
    // Before the widths are counted: an escaped character takes more columns.
    let mut lines = text::wrapped(&text::shown(&check.message, true), room);
    if let Some(hint) = &check.hint {
        lines.extend(text::wrapped(&format!("To do: {}", text::shown(hint, true)), room));
    }
    for (number, line) in lines.into_iter().enumerate() {
        if number > 0 {
            out.end_line();
            out.push(" ".repeat(MARGIN));
        }
        out.push(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_gets_wrapped_lines_and_pipe_gets_one_line() {
        let check = Check::new("shm_size", Level::Problem, "64 MiB: what containers get")
            .with_hint("start it with --shm-size=16g");
        assert_eq!(
            line(&check, None).render(false, false),
            "problem  shm_size      64 MiB: what containers get. To do: start it with --shm-size=16g"
        );
        assert_eq!(
            line(&check, Some(44)).render(true, false),
            "problem  shm_size      64 MiB: what
                       containers get
                       To do: start it with
                       --shm-size=16g"
        );
    }
}
