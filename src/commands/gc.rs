//! `gc`: reaps what is provably dead.

use serde::Serialize;

use super::unlink::Entry;
use crate::context::Context;
use crate::output::{Output, text};
use crate::shm::attached::Attached;
use crate::shm::jobs::{Ended, Which};
use crate::shm::place::Place;
use crate::shm::reap::{Action, Item, Options, Plan};
use crate::shm::state::State;
use crate::{Error, Kind, Result};

/// Arguments of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm gc                      stale and abandoned projects of yours
  cute-shm gc --dry-run            what would be reaped, and why the rest is not
  cute-shm gc --job \"$SLURM_JOB_ID\" --user \"$SLURM_JOB_UID\" --best-effort
                                   for an epilog")]
pub struct Args {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 11 when there is something to reap; nothing is reaped
    #[arg(long)]
    pub check: bool,
    /// Broken and corrupt projects too
    #[arg(long)]
    pub broken: bool,
    /// Segments too that nothing claims and nobody has
    #[arg(long)]
    pub orphans: bool,
    /// How old orphans must be, such as 30s, 10min, 2h
    #[arg(long, value_name = "AGE", default_value = "10min", value_parser = parse_age)]
    pub min_age: i64,
    /// Take this job off each project's list, and reap those with no job left
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,
    /// The jobs that are on this node (blanks or commas between): all others have ended, as with --job
    #[arg(long, value_name = "IDS", conflicts_with = "job")]
    pub live_jobs: Option<String>,
    /// When jobs were seen to have ended, in seconds since 1970: what joined later stays [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub before: Option<jiff::Timestamp>,
    /// Only what belongs to this user (name or number)
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub user: Option<u32>,
    /// Persistent projects too that are older than this and that nobody has
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: Option<i64>,
    /// Restore the metadata of detached projects from their ledgers
    #[arg(long)]
    pub repair: bool,
    /// As root: whatever belongs to other users too
    #[arg(long)]
    pub all_users: bool,
    /// Report failures, but exit 0: for epilog scripts, where a failure drains the node
    #[arg(long)]
    pub best_effort: bool,
}

/// The JSON fields of `gc`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// Nothing was done: this is what would be.
    pub dry_run: bool,
    /// Every project that was looked at, with what was done and why.
    pub items: Vec<Done>,
    /// Memory that is free now.
    pub freed_bytes: u64,
    /// Memory that is freed when processes let go.
    pub mapped_bytes: u64,
}

/// One project that was looked at.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Done {
    /// Its name.
    pub project: String,
    /// Its owner.
    pub uid: u32,
    /// Its state before.
    pub state: State,
    /// `reaped`, `recovered`, `repaired`, `job_dropped`, `skipped` or `failed`.
    pub action: &'static str,
    /// Why.
    pub reason: String,
    /// How many segments went.
    pub segment_count: usize,
    /// Memory that is free now.
    pub freed_bytes: u64,
    /// Memory that is freed when processes let go.
    pub mapped_bytes: u64,
    /// Those processes.
    pub mapped_pids: Vec<u32>,
}

/// Runs `gc`.
///
/// # Errors
/// [`Kind::Findings`] with `--check`; [`Kind::Partial`] when something could not be reaped, unless
/// `--best-effort`.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let result = reap(args, output);
    match result {
        Err(error) if args.best_effort && error.kind() != Kind::Findings => {
            output.fail(&error);
            Ok(())
        }
        result => result,
    }
}

fn reap(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let options = options(args, output.context);
    let dry = args.dry_run || args.check;
    output.body.dry_run = dry;
    let plan = Plan::make(&output.context.paths, &options)?;
    let attached = Attached::look(&Place::open(&output.context.paths)?);
    let mut failed = 0;
    for item in &plan.items {
        let removed = match item.action {
            Action::Keep => Ok(Vec::new()),
            _ if dry => Ok(item.would_remove(&output.context.paths)?),
            _ => plan.carry_out(item, &options),
        };
        let busy = removed.as_ref().err().filter(|error| error.kind() == Kind::Busy);
        if let Some(busy) = busy.map(ToString::to_string) {
            // Somebody was quicker: whoever it is leaves the project at rest.
            let entry = Entry::new(item.project.name(), &[], &attached);
            report(item, "skipped", &busy, entry, dry, output);
            continue;
        }
        let action = match (&removed, item.action) {
            (Err(_), _) => "failed",
            (_, Action::Keep) => "skipped",
            (_, Action::Reap | Action::ReapOrphans) => "reaped",
            (_, Action::Recover) => "recovered",
            (_, Action::DropJob) => "job_dropped",
            (_, Action::Repair) => "repaired",
        };
        if let Err(error) = &removed {
            failed += 1;
            output.fail(error);
        }
        let entry = Entry::new(item.project.name(), &removed.unwrap_or_default(), &attached);
        report(item, action, &item.reason, entry, dry, output);
    }
    let to_do = plan.items.iter().filter(|item| item.action != Action::Keep).count();
    if to_do == 0 {
        output.status("nothing to reap");
    }
    match (args.check, to_do, failed) {
        (true, 1.., _) => {
            let what = text::count(to_do as u64, "project");
            Err(Error::new(Kind::Findings, format!("{what} to reap"))
                .with_hint("run 'cute-shm gc'"))
        }
        (_, _, 0) => Ok(()),
        _ => Err(Error::new(Kind::Partial, format!("{failed} of {to_do} could not be reaped"))),
    }
}

/// What is known of ended jobs. The restart count is that of the epilog that calls us, if one does.
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
    Options {
        broken: args.broken,
        orphans: args.orphans,
        min_age: args.min_age,
        ended: ended(args, context),
        user: args.user,
        older_than: args.older_than,
        repair: args.repair,
        all_users: args.all_users,
    }
}

fn report(
    item: &Item,
    action: &'static str,
    reason: &str,
    entry: Entry,
    dry: bool,
    output: &mut Output<'_, Body>,
) {
    let name = text::shown(&entry.project, true);
    let state = item.project.state;
    match action {
        // What is well is told only to those who ask.
        "skipped" if state == State::Live => {
            output.detail(&format!("kept {name} ({state}): {reason}"));
        }
        "skipped" => output.status(&format!("skipped {name} ({state}): {reason}")),
        "failed" => {}
        _ => {
            let would = if dry { "would be " } else { "" };
            let verb = action.replace('_', " ");
            // A repair frees nothing.
            let freed = match action {
                "repaired" => String::new(),
                _ => format!("; {}", entry.sentence(dry)),
            };
            output.line(&format!("{name} ({state}) {would}{verb}: {reason}{freed}"));
        }
    }
    output.body.freed_bytes += entry.freed_bytes;
    output.body.mapped_bytes += entry.mapped_bytes;
    output.body.items.push(Done {
        project: entry.project,
        uid: item.project.uid,
        state,
        action,
        reason: reason.to_owned(),
        segment_count: entry.segment_count,
        freed_bytes: entry.freed_bytes,
        mapped_bytes: entry.mapped_bytes,
        mapped_pids: entry.mapped_pids,
    });
}

/// Seconds from `90`, `30s`, `10min`, `2h`, `7d`.
fn parse_age(text: &str) -> std::result::Result<i64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().map_err(|_| format!("'{text}' is no age"))?;
    let unit = match &text[digits..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        other => return Err(format!("'{other}' is no unit: use s, min, h or d")),
    };
    number.checked_mul(unit).ok_or_else(|| format!("'{text}' is too long"))
}

/// A moment in seconds since 1970, with a fraction if need be: bash's $EPOCHREALTIME.
fn parse_time(text: &str) -> std::result::Result<jiff::Timestamp, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is no number of seconds"))?;
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
    jiff::Timestamp::from_duration(since).map_err(|e| e.to_string())
}

/// A user's number from a number or a name.
pub(super) fn parse_user(text: &str) -> std::result::Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match nix::unistd::User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err(format!("there is no user '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        assert_eq!(parse_age("90"), Ok(90));
        assert_eq!(parse_age("10min"), Ok(600));
        assert_eq!(parse_age("2h"), Ok(7200));
        assert_eq!(parse_age("7d"), Ok(604_800));
        for bad in ["", "x", "3y", "99999999999999999999", "-1"] {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_have_fractions() {
        assert_eq!(parse_time("1.5").unwrap().as_millisecond(), 1500);
        assert!(parse_time("yesterday").is_err() && parse_time("inf").is_err());
    }

    #[test]
    fn users_are_numbers_or_names() {
        assert_eq!(parse_user("1234"), Ok(1234));
        assert_eq!(parse_user("root"), Ok(0));
        assert!(parse_user("no such user").is_err());
    }
}
