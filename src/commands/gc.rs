//! `gc`: removes dead projects.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::parse::{parse_age, parse_time, parse_user};
use super::removed::Entry;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::output::Output;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::batch_jobs::{Ended, Which};
use crate::shm::store::gc::{self, Action, Options, Outcome, Reported};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::State;
use crate::text;

/// The time limit of `--best-effort`: a scheduler waits for its epilog.
const BEST_EFFORT_LIMIT: Duration = Duration::from_secs(30);

/// Arguments of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm gc                      remove your stale and abandoned projects
  cute-shm gc --dry-run            print planned actions and reasons
  cute-shm gc --older-than 7d      also remove unused projects older than a week
  cute-shm gc --job \"$SLURM_JOB_ID\" --all-roots --all-users --best-effort
                                   in an epilog, as root")]
pub(crate) struct Args {
    /// Print the planned actions and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Exit 11 if anything can be removed, and remove nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Also remove broken and corrupt projects
    #[arg(long)]
    pub(crate) broken: bool,
    /// Also remove orphaned segments that no process uses
    #[arg(long)]
    pub(crate) orphans: bool,
    /// Minimum age of orphaned segments, such as 30s, 10m, 12h or 7d
    #[arg(long, value_name = "AGE", default_value = "10m", value_parser = parse_age)]
    pub(crate) min_age: i64,
    /// Remove this job from the job list of each project, and remove projects without jobs
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// Do the same for each scheduler job not in IDS (separated by spaces or commas)
    #[arg(long, value_name = "IDS", conflicts_with = "job")]
    pub(crate) live_jobs: Option<String>,
    /// Keep job entries newer than this Unix time in seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) before: Option<jiff::Timestamp>,
    /// Process only projects of this user (name or number)
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub(crate) user: Option<u32>,
    /// Also remove unused persistent projects older than this, such as 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) older_than: Option<i64>,
    /// Restore the metadata of detached projects from their ledgers
    #[arg(long)]
    pub(crate) repair: bool,
    /// As root, process the projects of all users
    #[arg(long)]
    pub(crate) all_users: bool,
    /// Process the projects of all roots
    #[arg(long)]
    pub(crate) all_roots: bool,
    /// Stop after this time and report the rest, such as 10s [default with --best-effort: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    pub(crate) time_limit: Option<i64>,
    /// Report failures but exit 0, for epilogs, where a failure drains the node
    #[arg(long)]
    pub(crate) best_effort: bool,
}

/// The JSON fields of `gc`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Nothing was changed: the items list the planned actions.
    pub(crate) dry_run: bool,
    /// Every project that was found, with the action and its reason.
    pub(crate) items: Vec<Done>,
    /// Memory that was freed.
    pub(crate) freed_bytes: u64,
    /// Memory that is freed when the processes that map it exit.
    pub(crate) mapped_bytes: u64,
}

/// One project that was found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Done {
    /// Its name.
    pub(crate) project: String,
    /// Its root; null for orphaned segments, and if no ledger names the root.
    pub(crate) root: Option<String>,
    /// Its owner.
    pub(crate) uid: u32,
    /// Its state before; null if it was not judged.
    pub(crate) state: Option<State>,
    /// `reaped`, `recovered`, `repaired`, `job_dropped`, `cleared`, `skipped`, `not_reached` or `failed`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) action: Reported,
    /// Why.
    pub(crate) reason: String,
    /// Number of removed segments.
    pub(crate) segment_count: usize,
    /// Memory that was freed.
    pub(crate) freed_bytes: u64,
    /// Memory that is freed when the processes that map it exit.
    pub(crate) mapped_bytes: u64,
    /// These processes.
    pub(crate) mapped_pids: Vec<u32>,
}

/// Runs `gc`.
///
/// # Errors
/// Returns [`Kind::Findings`] with `--check`, and [`Kind::Partial`] if an action failed or the time limit was
/// reached, unless `--best-effort` is given.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let result = collect(args, output);
    match result {
        Err(error) if args.best_effort && error.kind() != Kind::Findings => {
            output.fail(&error);
            Ok(())
        }
        result => result,
    }
}

fn collect(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let options = options(args, output.context);
    output.body.dry_run = options.dry_run;
    let paths = &output.context.paths;
    let mut outcomes = Vec::new();
    let result = gc::run(paths, &options, &mut |outcome| outcomes.push(outcome));
    // The processes that map removed segments are searched last: reading /proc may take long.
    let attached = match outcomes.iter().any(|outcome| !outcome.removed.is_empty()) {
        true => Attachments::read(&NodeDirs::without_root(paths)?),
        false => Attachments::default(),
    };
    let mut tally = Tally::default();
    for outcome in &outcomes {
        tally.add(outcome);
        if let Some(error) = &outcome.error {
            output.fail(error);
        }
        report(outcome, &attached, options.dry_run, output);
    }
    if tally.other_users > 0 && nix::unistd::Uid::effective().is_root() && args.user.is_none() {
        let count = text::count(tally.other_users, "project");
        output.status(format!("skipped {count} of other users (--all-users includes them)"));
    }
    if tally.other_roots > 0 {
        let count = text::count(tally.other_roots, "project");
        output.status(format!("skipped {count} of other roots (--all-roots includes them)"));
    }
    if tally.due + tally.busy + tally.not_reached == 0 && result.is_ok() {
        output.status("nothing to remove");
    }
    result.and_then(|()| tally.result(args))
}

/// Counts of outcomes.
#[derive(Default)]
struct Tally {
    due: u64,
    failed: u64,
    not_reached: u64,
    busy: u64,
    other_users: u64,
    other_roots: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        match outcome.action {
            Action::NotReached => self.not_reached += 1,
            Action::Keep => self.due += u64::from(outcome.error.is_some()),
            Action::OtherUser => self.other_users += 1,
            Action::OtherRoot => self.other_roots += 1,
            _ => self.due += 1,
        }
        self.busy += u64::from(outcome.is_busy);
        self.failed += u64::from(outcome.error.is_some());
    }

    fn result(&self, args: &Args) -> Result<()> {
        if args.check && self.due > 0 {
            let what = text::count(self.due, "project");
            return Err(Error::new(Kind::Findings, format!("{what} to remove"))
                .with_hint("run 'cute-shm gc'"));
        }
        if self.not_reached > 0 {
            let what = text::count(self.not_reached, "project");
            let message = format!("the time limit was reached before {what} could be checked");
            return Err(Error::new(Kind::Partial, message)
                .with_hint("run 'cute-shm gc' again, or raise the limit with --time-limit"));
        }
        match self.failed {
            0 => Ok(()),
            failed => {
                let message = format!("{failed} of {} could not be removed", self.due);
                Err(Error::new(Kind::Partial, message))
            }
        }
    }
}

/// The ended jobs. The restart count is that of the epilog that runs this command.
fn ended(args: &Args, context: &Context) -> Option<Ended> {
    let before = args.before.unwrap_or_else(jiff::Timestamp::now);
    if let Some(id) = &args.job {
        let own = context.job.as_ref().is_some_and(|job| job.id == *id);
        let restart = context.restart_count.filter(|_| own).unwrap_or(u64::MAX);
        return Some(Ended { which: Which::One(id.clone(), restart), before });
    }
    let ids = args.live_jobs.as_ref()?;
    let split = ids.split(|c: char| c.is_whitespace() || c == ',');
    let ids = split.filter(|id| !id.is_empty()).map(str::to_owned).collect();
    Some(Ended { which: Which::AllBut(ids), before })
}

fn options(args: &Args, context: &Context) -> Options {
    let limit = args.time_limit.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
    Options {
        broken: args.broken,
        orphans: args.orphans,
        min_age: args.min_age,
        ended: ended(args, context),
        user: args.user,
        older_than: args.older_than,
        repair: args.repair,
        all_users: args.all_users,
        all_roots: args.all_roots,
        dry_run: args.dry_run || args.check,
        time_limit: limit.or(args.best_effort.then_some(BEST_EFFORT_LIMIT)),
    }
}

fn report(outcome: &Outcome, attached: &Attachments, dry: bool, output: &mut Output<'_, Body>) {
    let entry = Entry::new(&outcome.name, &outcome.removed, attached);
    let action = outcome.reported();
    let (name, reason) = (&entry.project, &outcome.reason);
    let root = outcome.root.as_deref().map(Path::to_string_lossy);
    let root_shown = match &root {
        Some(root) => format!(" in '{root}'"),
        None => String::new(),
    };
    let state = outcome.state.map_or_else(String::new, |state| format!(" ({state})"));
    let subject = format!("{name}{root_shown}{state}");
    match action {
        // Live projects, and those of other users and roots, are listed only with -v.
        Reported::Skipped
            if !outcome.is_busy
                && (outcome.action != Action::Keep || outcome.state == Some(State::Live)) =>
        {
            output.detail(format!("kept {subject}: {reason}"));
        }
        Reported::Skipped => output.status(format!("skipped {subject}: {reason}")),
        // The error itself is printed before.
        Reported::Failed => output.status(format!("failed to remove {subject}: {reason}")),
        Reported::NotReached => output.detail(format!("did not reach {subject}: {reason}")),
        _ => {
            let freed = match action {
                Reported::Reaped | Reported::Recovered | Reported::JobDropped => {
                    format!("; {}", entry.sentence(dry))
                }
                _ => String::new(),
            };
            output.line(format!("{} {subject}: {reason}{freed}", verb(action, dry)));
        }
    }
    output.body.freed_bytes += entry.freed_bytes;
    output.body.mapped_bytes += entry.mapped_bytes;
    output.body.items.push(Done {
        project: entry.project,
        root: root.map(std::borrow::Cow::into_owned),
        uid: outcome.uid,
        state: outcome.state,
        action,
        reason: reason.clone(),
        segment_count: entry.segment_count,
        freed_bytes: entry.freed_bytes,
        mapped_bytes: entry.mapped_bytes,
        mapped_pids: entry.mapped_pids,
    });
}

/// The action in a sentence.
fn verb(action: Reported, dry: bool) -> &'static str {
    match (action, dry) {
        (Reported::Recovered, false) => "recovered",
        (Reported::Recovered, true) => "would recover",
        (Reported::JobDropped, false) => "updated the job list of",
        (Reported::JobDropped, true) => "would update the job list of",
        (Reported::Repaired, false) => "repaired",
        (Reported::Repaired, true) => "would repair",
        (_, false) => "removed",
        (_, true) => "would remove",
    }
}
