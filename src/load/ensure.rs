//! The decision of `--ensure`: whether the existing project is the requested one, and whether it is current.

use std::time::Instant;

use crate::error::shell_quote;
use crate::error::{Error, Kind, Result};
use crate::load::outcome::Outcome;
use crate::load::plan;
use crate::load::planned::Planned;
use crate::load::request::Request;
use crate::shm::format::ledger::{Lifetime, NamedFile, Record, Selection, SourceFile};
use crate::shm::store::batch_jobs;
use crate::shm::store::held::HeldProject;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::lock::LivenessLock;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::{Project, State};

/// What `--ensure` does with an existing project.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The project is complete and its sources are unchanged.
    Reuse,
    /// The same files and selection, but the sources changed or the load was incomplete.
    Reload,
    /// Another project. The text is the difference, such as "loaded from '/a.h5', not '/b.h5'".
    Different(String),
}

/// Compares an existing project with the request.
///
/// # Errors
/// Returns the error of a requested file that cannot be read.
pub(crate) fn compare(project: &Project, request: &Request) -> Result<Verdict> {
    let Some(record) = project.record() else {
        return Ok(Verdict::Different("created by another program".to_owned()));
    };
    let mut wanted = Vec::new();
    for input in &request.inputs {
        wanted.push(plan::source(&input.path, input.group.as_deref())?);
    }
    let files = named_files(request);
    let difference = different_files(record, &files, &wanted)
        .or_else(|| different_selection(&record.selection, &request.selection));
    if let Some(difference) = difference {
        let held = project.state == State::Live && record.lifetime == Lifetime::Held;
        let keeper = held.then(|| format!(", held by process {}", record.keeper.pid));
        return Ok(Verdict::Different(difference + &keeper.unwrap_or_default()));
    }
    let is_current = project.state == State::Live
        && record.complete
        && !(request.strict && record.skip_count > 0)
        && is_unchanged(record, &wanted);
    Ok(if is_current { Verdict::Reuse } else { Verdict::Reload })
}

/// Returns the error of a request that must not replace an existing project.
pub(crate) fn refusal(project: &Project, request: &Request, difference: &str) -> Error {
    let name = request.project.to_text();
    let hint = format!(
        "add --overwrite to replace it, remove it with 'cute-shm unlink {}', or choose another name",
        shell_quote(&name)
    );
    let state = match project.state {
        State::Live => String::new(),
        state => format!("{state}, "),
    };
    Error::new(Kind::Exists, format!("project '{name}' exists already: {state}{difference}"))
        .with_subject(name)
        .with_hint(hint)
}

/// The requested files under their absolute names, for the ledger.
pub(crate) fn named_files(request: &Request) -> Vec<NamedFile> {
    let named = request.inputs.iter().map(|input| {
        let path = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
        NamedFile { path: path.to_string_lossy().into_owned(), group: input.group.clone() }
    });
    named.collect()
}

/// Identifies a load among those of a project: equal requests fail in the same way.
pub(crate) fn identity(request: &Request) -> String {
    let (files, strict, keep_going) = (named_files(request), request.strict, request.keep_going);
    serde_json::json!([files, request.selection, strict, keep_going]).to_string()
}

/// Joins the project if it is the requested one: the caller's job is added, and a held project gets a
/// further keeper or becomes persistent. Returns `None` if a load is needed.
///
/// # Errors
/// Returns the errors of [`compare`] and of a change of the ledger.
pub(crate) fn reuse(
    dirs: &NodeDirs,
    request: &Request,
    store: &mut LedgerStore<'_>,
    begun: Instant,
) -> Result<Option<Outcome>> {
    let Some(project) = store.judge()? else { return Ok(None) };
    let record = project.record();
    let Some(current) = store.current().filter(|current| {
        project.key == *store.lock().key()
            && record.is_some_and(|record| record.token == current.token)
    }) else {
        return Ok(None);
    };
    if compare(&project, request)? != Verdict::Reuse {
        return Ok(None);
    }
    let token = current.token.clone();
    let held = current.lifetime == Lifetime::Held && request.lifetime == Lifetime::Held;
    let planned = Planned { sources: current.sources.clone(), ..Planned::default() };
    store.amend(|record| {
        if let Some(job) = &request.job {
            batch_jobs::join(&mut record.jobs, job);
        }
        if !held {
            record.lifetime = Lifetime::Persistent;
        }
    })?;
    let life =
        held.then(|| LivenessLock::take(&dirs.shm, store.lock().key(), &token)).transpose()?;
    Ok(Some(Outcome {
        planned,
        arrays: project.present.len() as u64,
        bytes: project.size(),
        failed: Vec::new(),
        reused: true,
        lifetime: if held { Lifetime::Held } else { Lifetime::Persistent },
        elapsed: begun.elapsed(),
        held: life.map(|life| HeldProject::new(store.lock().key().clone(), token.clone(), life)),
        token,
    }))
}

/// Whether every file that the load read is as it was.
fn is_unchanged(record: &Record, wanted: &[SourceFile]) -> bool {
    let is_loaded = |source| record.sources.iter().any(|loaded| !loaded.linked && loaded == source);
    let mut linked = record.sources.iter().filter(|source| source.linked);
    wanted.iter().all(is_loaded) && linked.all(plan::is_unchanged)
}

/// The files in which the request differs from the load. A file is the same if its name or its real path is.
fn different_files(record: &Record, files: &[NamedFile], wanted: &[SourceFile]) -> Option<String> {
    if record.files.is_empty() {
        return Some("shared by a program, not loaded from a file".to_owned());
    }
    let is_same = |(file, source): (&NamedFile, &SourceFile)| {
        let real = |loaded: &SourceFile| {
            !loaded.linked && loaded.path == source.path && loaded.group == source.group
        };
        record.files.contains(file) || record.sources.iter().any(real)
    };
    if record.files.len() == files.len() && files.iter().zip(wanted).all(is_same) {
        return None;
    }
    let (loaded, wanted) = (quoted(&record.files), quoted(files));
    Some(format!("loaded from {loaded}, not {wanted}"))
}

fn quoted(files: &[NamedFile]) -> String {
    let names = files.iter().map(|file| match &file.group {
        Some(group) => format!("'{group}={}'", file.path),
        None => format!("'{}'", file.path),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The options in which the request differs from the load.
fn different_selection(loaded: &Selection, wanted: &Selection) -> Option<String> {
    if loaded == wanted {
        return None;
    }
    let (had, asked) = (options(loaded), options(wanted));
    let only = |some: &[String], other: &[String]| {
        let some = some.iter().filter(|option| !other.contains(option));
        some.cloned().collect::<Vec<_>>().join(" ")
    };
    let (had, asked) = (only(&had, &asked), only(&asked, &had));
    Some(match (had.is_empty(), asked.is_empty()) {
        (false, true) => format!("loaded with {had}"),
        (true, false) => format!("loaded without {asked}"),
        (false, false) => format!("loaded with {had}, not with {asked}"),
        // The same globs in another order.
        (true, true) => format!("loaded with {}", options(loaded).join(" ")),
    })
}

/// A selection as options of the command line.
fn options(selection: &Selection) -> Vec<String> {
    let Selection { include, exclude, rows, native, dtypes, mode, group } = selection;
    let globs = |option: &str, globs: &[String]| -> Vec<String> {
        globs.iter().map(|glob| format!("{option} '{glob}'")).collect()
    };
    let mut options = globs("--include", include);
    options.extend(globs("--exclude", exclude));
    options.extend(rows.map(|rows| format!("{} {rows}", rows.option())));
    options.extend(native.then(|| "--byte-order native".to_owned()));
    options.extend(globs("--dtype", dtypes));
    options.push(format!("--mode {mode:o}"));
    options.extend(group.map(|group| format!("--group {group}")));
    options
}

/// Whether the request may replace an existing project.
///
/// # Errors
/// Returns [`Kind::Exists`] for another project, unless the request has `--overwrite`.
pub(crate) fn check_replaceable(
    project: &Project,
    request: &Request,
    overwrite: bool,
) -> Result<()> {
    if overwrite {
        return Ok(());
    }
    match compare(project, request)? {
        Verdict::Different(difference) => Err(refusal(project, request, &difference)),
        Verdict::Reuse | Verdict::Reload => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::rows::Rows;

    fn file(path: &str, group: Option<&str>) -> NamedFile {
        NamedFile { path: path.to_owned(), group: group.map(str::to_owned) }
    }

    #[test]
    fn a_different_selection_is_named_as_options() {
        let plain = Selection { mode: 0o600, ..Selection::default() };
        let rows = |stop| Selection { rows: Some(Rows::Range(0, Some(stop))), ..plain.clone() };
        let told = |loaded: &Selection, wanted: &Selection| different_selection(loaded, wanted);
        assert_eq!(told(&plain, &plain), None);
        assert_eq!(told(&rows(10), &plain).unwrap(), "loaded with --rows 0:10");
        assert_eq!(told(&plain, &rows(10)).unwrap(), "loaded without --rows 0:10");
        assert_eq!(
            told(&rows(10), &rows(20)).unwrap(),
            "loaded with --rows 0:10, not with --rows 0:20"
        );
        let shard = Selection { rows: Some(Rows::Shard(0, 2)), mode: 0o640, ..plain.clone() };
        assert_eq!(
            told(&plain, &shard).unwrap(),
            "loaded with --mode 600, not with --shard 0/2 --mode 640"
        );
        let rules = |rules: [&str; 2]| Selection {
            dtypes: rules.map(str::to_owned).to_vec(),
            ..plain.clone()
        };
        let reordered = told(&rules(["a=f4", "b=f8"]), &rules(["b=f8", "a=f4"]));
        assert_eq!(reordered.unwrap(), "loaded with --dtype 'a=f4' --dtype 'b=f8' --mode 600");
    }

    #[test]
    fn files_are_named_with_their_groups() {
        assert_eq!(quoted(&[file("/a.h5", None)]), "'/a.h5'");
        assert_eq!(quoted(&[file("/a", Some("x")), file("/b", Some("y"))]), "'x=/a', 'y=/b'");
    }
}
