//! From arguments to what is asked of the loader; the usual mistakes are told before it is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Args, Body, Share};
use crate::error::{Error, Kind, Result};
use crate::h5::External;
use crate::h5::lookup::open_regular;
use crate::load::{Existing, Input, Request, not_regular, usual_external};
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

/// Root reads other files only if told so, or as another user.
fn external(args: &Args) -> External {
    match (args.no_external, args.external || args.as_user.is_some()) {
        (true, _) => External::Refuse,
        (false, true) => External::Allow,
        (false, false) => usual_external(),
    }
}

/// The selection of rows; `auto` is resolved here, so that the ledger tells which share it is.
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

/// The files with their groups: none for a single one, else the stem or the name given.
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

/// `NAME=FILE`, unless there is a file of that whole name.
pub(crate) fn named(file: &OsString) -> (Option<String>, PathBuf) {
    let whole = PathBuf::from(file);
    match file.to_str().and_then(|text| text.split_once('=')) {
        Some((name, path)) if !name.contains('/') && !whole.exists() => {
            (Some(name.to_owned()), path.into())
        }
        _ => (None, whole),
    }
}

/// The usual mistakes, told before anything is started.
pub(crate) fn check_readable(path: &Path) -> Result<()> {
    let shown = path.display();
    let cannot =
        |e| Error::io(format!("cannot open '{shown}'"), e).with_subject(path.to_string_lossy());
    let stat = std::fs::metadata(path).map_err(cannot)?;
    if stat.is_dir() {
        return Err(Error::new(
            Kind::Corrupt,
            format!("'{shown}' is a directory, not an HDF5 file"),
        )
        .with_subject(path.to_string_lossy()));
    }
    let opened = open_regular(path);
    opened.map(drop).map_err(|e| if stat.is_file() { cannot(e) } else { not_regular(path, &e) })
}
