//! Converts the arguments of `load-hdf5` into the request of a load.

use std::ffi::OsString;

use super::args::{Args, Share};
use super::body::Body;
use crate::error::{Error, Kind, Result};
use crate::load::{Existing, External, Input, Request, default_external, named};
use crate::output::Output;
use crate::shm::format::ledger::{Lifetime, Selection};
use crate::shm::format::name::ProjectName;
use crate::shm::format::rows::Rows;
use crate::shm::store::lock::LOCK_TIMEOUT;

pub(super) fn request(args: &Args, output: &Output<'_, Body>) -> Result<Request> {
    Ok(Request {
        project: ProjectName::new(&args.project)?,
        inputs: inputs(&args.files)?,
        selection: Selection {
            include: args.include.clone(),
            exclude: args.exclude.clone(),
            rows: rows(args, output)?,
            native: args.byte_order.is_some(),
            dtypes: args.dtype.clone(),
            mode: args.mode,
            group: args.group,
        },
        lifetime: if args.persistent { Lifetime::Persistent } else { Lifetime::Held },
        existing: match (args.ensure, args.overwrite) {
            (true, overwrite) => Existing::Ensure { overwrite },
            (false, true) => Existing::Replace,
            (false, false) => Existing::Refuse,
        },
        strict: args.strict,
        keep_going: args.keep_going,
        wait: args.wait.or((!args.ensure).then_some(LOCK_TIMEOUT)),
        grace: args.grace,
        job: output.context.job.clone(),
        threads: args.jobs,
        numa: args.numa.clone(),
        verify: args.verify,
        external: external(args),
    })
}

/// Root reads other files only with `--external` or as another user.
fn external(args: &Args) -> External {
    match (args.no_external, args.external || args.as_user.is_some()) {
        (true, _) => External::Refuse,
        (false, true) => External::Allow,
        (false, false) => default_external(),
    }
}

/// Returns the selected rows. `auto` is resolved here, so that the ledger contains the share.
fn rows(args: &Args, output: &Output<'_, Body>) -> Result<Option<Rows>> {
    match args.shard {
        None => Ok(args.rows),
        Some(Share::Given(rows)) => Ok(Some(rows)),
        Some(Share::Auto) => output.context.share.map(Some).ok_or_else(|| {
            Error::new(Kind::Usage, "--shard auto needs SLURM_NODEID and SLURM_NNODES")
                .with_hint("run it with srun --ntasks-per-node=1, or give --shard I/N")
        }),
    }
}

/// Returns the files with their groups: the given name, else the stem if there are several files.
fn inputs(files: &[OsString]) -> Result<Vec<Input>> {
    let mut inputs: Vec<Input> = Vec::new();
    for file in files {
        let (name, path) = named(file);
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let group = name.or_else(|| if files.len() > 1 { stem() } else { None });
        if let Some(group) = &group {
            if group.contains('/') || group.is_empty() || group == "shm_name" {
                return Err(Error::new(
                    Kind::Usage,
                    format!("'{group}' cannot be the name of a group"),
                ));
            }
            if inputs.iter().any(|input| input.group.as_ref() == Some(group)) {
                return Err(Error::new(
                    Kind::Usage,
                    format!("two files would become the group '{group}'"),
                )
                .with_hint("name them: first=a/x.h5 second=b/x.h5"));
            }
        }
        inputs.push(Input { path, group });
    }
    Ok(inputs)
}
