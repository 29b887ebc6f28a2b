//! The words that can stand at the cursor: from the definition, the registry, or an HDF5 file.

use std::path::{Path, PathBuf};

use clap::{Arg, ValueHint};

use super::context::{Place as At, Wanted};
use super::probe;
use crate::context::Context;
use crate::load::named;
use crate::shm::format::metadata::{METADATA_LIMIT, Metadata};
use crate::shm::format::name::ProjectName;
use crate::shm::format::tree::{Node, to_path, walk};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, metadata_in};
use crate::shm::store::state;

/// A word and what it means.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(crate) value: String,
    pub(crate) about: String,
}

/// What can stand at the cursor.
#[derive(Debug)]
pub(super) enum Answer {
    /// One of these.
    Values(Vec<Candidate>),
    /// A file, an HDF5 file, a directory, a command: the shell knows.
    Shell(&'static str),
}

/// Suffixes of files that HDF5 opens, as people name them.
const SUFFIXES: [&str; 13] =
    ["h5", "hdf5", "hdf", "he5", "h4h5", "nc", "nc4", "cdf", "nxs", "mat", "h5ad", "loom", "cxi"];

impl Answer {
    /// The word for it in the answer.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Values(_) => "values",
            Self::Shell(what) => what,
        }
    }
}

/// What can stand where something is wanted. A shell that `has_globs` finds HDF5 files itself.
pub(super) fn of(wanted: &Wanted, has_globs: bool) -> Answer {
    match wanted.place {
        At::Subcommand => Answer::Values(subcommands(wanted.command)),
        At::Option => Answer::Values(options(wanted)),
        At::Value(arg) => value(wanted, arg, has_globs),
        At::Command => Answer::Shell("command"),
        At::Nothing => Answer::Values(Vec::new()),
    }
}

fn plain(value: impl Into<String>) -> Candidate {
    Candidate { value: value.into(), about: String::new() }
}

fn subcommands(command: &clap::Command) -> Vec<Candidate> {
    let about =
        |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string).unwrap_or_default();
    command
        .get_subcommands()
        .map(|found| Candidate {
            value: found.get_name().to_owned(),
            about: about(found.get_about()),
        })
        .collect()
}

fn options(wanted: &Wanted) -> Vec<Candidate> {
    let named = |arg: &Arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        let short = short.filter(|_| wanted.begun == "-");
        long.into_iter()
            .chain(short)
            .map(move |value| Candidate { value, about: about.clone() })
            .collect()
    };
    let shown = wanted.command.get_arguments().filter(|arg| !arg.is_hide_set());
    let found: Vec<Vec<Candidate>> = shown.map(named).collect();
    found.into_iter().flatten().collect()
}

fn value(wanted: &Wanted, arg: &Arg, has_globs: bool) -> Answer {
    let possible: Vec<Candidate> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| plain(value.get_name()))
        .collect();
    if !possible.is_empty() {
        return Answer::Values(possible);
    }
    let found = match arg.get_id().as_str() {
        "project" | "projects" | "pattern" => projects(wanted),
        "subcommand" => return Answer::Values(subcommands(wanted.program)),
        "key" => keys(wanted),
        "include" | "exclude" | "dtype" if wanted.command.get_name() == "load-hdf5" => {
            Some(file_paths(wanted))
        }
        "include" | "exclude" => keys(wanted).map(globs),
        "files" => return files(wanted, has_globs),
        _ => match arg.get_value_hint() {
            ValueHint::FilePath | ValueHint::AnyPath => return Answer::Shell("files"),
            ValueHint::DirPath => return Answer::Shell("dirs"),
            _ => None,
        },
    };
    Answer::Values(found.unwrap_or_default())
}

/// Where the projects are, also when the line says so.
fn open(wanted: &Wanted) -> Option<NodeDirs> {
    let root = wanted.values("root").last().map(|root| expanded(root));
    NodeDirs::open(&Context::resolve(root).paths).ok()
}

/// A path without the shell's sign for the home directory.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// The names of projects that can be read; where others count too, all that belong to the root.
fn projects(wanted: &Wanted) -> Option<Vec<Candidate>> {
    let dirs = open(wanted)?;
    let all = matches!(wanted.command.get_name(), "wait" | "unlink" | "list");
    let names: Vec<ProjectName> = if all {
        let scan = Scan::new(&dirs);
        let keys = state::keys_of_root(&dirs, &scan, |_| true).ok()?;
        keys.into_iter().map(|key| key.project).collect()
    } else {
        metadata_in(dirs.root.as_ref()?).ok()?.into_iter().collect()
    };
    let given = wanted.values("projects");
    let names = names.iter().filter_map(|name| name.as_os_str().to_str());
    Some(names.filter(|name| !given.iter().any(|given| given == name)).map(plain).collect())
}

/// The groups and arrays of the project on the line, written as the key was begun: `/a/b`, `a/b` or `a.b`.
fn keys(wanted: &Wanted) -> Option<Vec<Candidate>> {
    let name = ProjectName::existing(wanted.values("project").first()?.as_ref()).ok()?;
    let dirs = open(wanted)?;
    let (text, _) =
        dirs.root.as_ref()?.read_text(&name.metadata_file(), METADATA_LIMIT).known().ok()??;
    let mut found = Vec::new();
    let metadata = Metadata::parse(&text).ok()?;
    walk(&metadata.root, &mut |path, node| {
        let about = match node {
            Node::Array(array) => format!("{} {}", crate::text::shape(&array.shape), array.dtype),
            Node::Group(_) => "group".to_owned(),
        };
        found.push(Candidate { value: to_path(path), about });
    });
    let written = |key: String| match &wanted.begun {
        begun if begun.is_empty() || begun.starts_with('/') => key,
        begun if begun.contains('.') && !key[1..].starts_with(begun.as_str()) => {
            key[1..].replace('/', ".")
        }
        _ => key[1..].to_owned(),
    };
    let written = |Candidate { value, about }| Candidate { value: written(value), about };
    Some(found.into_iter().map(written).collect())
}

/// Names in which a glob's characters stand for themselves.
fn globs(names: Vec<Candidate>) -> Vec<Candidate> {
    let escaped = |Candidate { value, about }| Candidate { value: globset::escape(&value), about };
    names.into_iter().map(escaped).collect()
}

/// The paths in the files on the line, below the groups that the files become.
fn file_paths(wanted: &Wanted) -> Vec<Candidate> {
    let files = wanted.values("files");
    let mut found = Vec::new();
    for file in files {
        let (name, path) = named(&file.into());
        let path = expanded(&path.to_string_lossy());
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let group = name.or_else(|| stem.filter(|_| files.len() > 1));
        let below = group.map_or_else(String::new, |group| format!("/{group}"));
        found.extend(probe::paths(&path).into_iter().map(|path| plain(format!("{below}{path}"))));
    }
    globs(if wanted.begun.is_empty() || wanted.begun.starts_with('/') {
        found
    } else {
        found.into_iter().map(|path| plain(&path.value[1..])).collect()
    })
}

/// HDF5 files by their suffix, and directories; other files when there are none of these.
fn files(wanted: &Wanted, has_globs: bool) -> Answer {
    let begun = wanted.begun.as_str();
    if has_globs || begun.starts_with('~') {
        return Answer::Shell(if has_globs { "hdf5" } else { "files" });
    }
    let (folder, name) = begun.split_at(begun.rfind('/').map_or(0, |slash| slash + 1));
    let listed = std::fs::read_dir(if folder.is_empty() { "." } else { folder });
    let mut found = Vec::new();
    for entry in listed.into_iter().flatten().flatten() {
        let Ok(file) = entry.file_name().into_string() else { continue };
        let suffix = Path::new(&file).extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let directory = entry.path().is_dir();
        let fits = directory || suffix.is_some_and(|suffix| SUFFIXES.iter().any(|s| suffix == *s));
        if fits && file.starts_with(name) && (name.starts_with('.') || !file.starts_with('.')) {
            let slash = if directory { "/" } else { "" };
            found.push(plain(format!("{folder}{file}{slash}")));
        }
    }
    if found.is_empty() { Answer::Shell("files") } else { Answer::Values(found) }
}
