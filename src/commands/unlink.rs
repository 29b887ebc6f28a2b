//! `unlink`: removes projects.

use std::ffi::OsString;

use serde::Serialize;

use super::common::{names, open, partial};
use super::removed::Entry;
use crate::error::{Kind, Result};
use crate::output::Output;
use crate::shm::format::name::ProjectName;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::{Owners, Removed};
use crate::shm::store::unlink::{unlink as remove, would_unlink};
use crate::shm::store::unlink_all::unlink_all;

/// Arguments of `unlink`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm unlink imagenet
  cute-shm unlink -f run-1 run-2     ignore missing projects")]
pub(crate) struct Args {
    /// Names of the projects
    #[arg(required = true, value_name = "PROJECT")]
    pub(crate) projects: Vec<OsString>,
    /// Ignore projects that do not exist
    #[arg(short, long)]
    pub(crate) force: bool,
    /// As root, also remove projects of other users, and files that block a project name
    #[arg(long)]
    pub(crate) all_users: bool,
    /// Print the planned removals and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The JSON fields of `unlink`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Nothing was removed: the entries list the planned removals.
    pub(crate) dry_run: bool,
    /// One entry for each removed project.
    pub(crate) removed: Vec<Entry>,
}

/// Runs `unlink`.
///
/// # Errors
/// Returns the error of the only project, or [`Kind::Partial`] if some of several failed.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let names = names(&args.projects)?;
    output.body.dry_run = args.dry_run;
    let dirs = open(output)?;
    let results: Vec<_> = names.iter().map(|name| one(&dirs, name, args)).collect();
    // The processes that map removed segments are searched last: reading /proc may take long.
    let attached = match results.iter().flatten().any(|removed| !removed.is_empty()) {
        true => Attachments::read(&dirs),
        false => Attachments::default(),
    };
    let mut failed = 0;
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(removed) => {
                let entry = Entry::new(name, &removed, &attached);
                let verb = if args.dry_run { "would remove" } else { "removed" };
                output.line(format!("{verb} {}: {}", entry.project, entry.sentence(args.dry_run)));
                output.body.removed.push(entry);
            }
            Err(error) if args.force && error.kind() == Kind::NotFound => {}
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                output.fail(&error);
            }
        }
    }
    partial(failed, names.len())
}

fn one(dirs: &NodeDirs, name: &ProjectName, args: &Args) -> Result<Vec<Removed>> {
    match (args.all_users, args.dry_run) {
        (true, dry_run) => unlink_all(dirs, name, dry_run),
        (false, true) => would_unlink(dirs, name, Owners::Own),
        (false, false) => remove(dirs, name, Owners::Own),
    }
}
