//! Finds the candidates at the cursor: from the definition, the projects, or an HDF5 file.

use std::path::{Path, PathBuf};

use clap::{Arg, ValueHint};

use super::context::{Context, Place as At};
use super::probe;
use crate::load::named;
use crate::shm::format::metadata::{METADATA_LIMIT, Metadata};
use crate::shm::format::name::ProjectName;
use crate::shm::format::tree::{Node, to_path, walk};
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::{Scan, metadata_in};
use crate::shm::store::state;

/// A word and its description.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(crate) value: String,
    pub(crate) about: String,
}

/// The candidates at the cursor.
#[derive(Debug)]
pub(super) enum Answer {
    /// These words.
    Values(Vec<Candidate>),
    /// Files, HDF5 files, directories or commands, which the shell completes.
    Shell(&'static str),
}

/// Common suffixes of HDF5 files.
const SUFFIXES: [&str; 13] =
    ["h5", "hdf5", "hdf", "he5", "h4h5", "nc", "nc4", "cdf", "nxs", "mat", "h5ad", "loom", "cxi"];

impl Answer {
    /// Returns the type in the first line of the answer.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Values(_) => "values",
            Self::Shell(what) => what,
        }
    }
}

/// Returns the candidates for a context. A shell that `has_globs` finds HDF5 files itself.
pub(super) fn of(context: &Context, has_globs: bool) -> Answer {
    match context.place {
        At::Subcommand => Answer::Values(subcommands(context.command)),
        At::Option => Answer::Values(options(context)),
        At::Value(arg) => value(context, arg, has_globs),
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

fn options(context: &Context) -> Vec<Candidate> {
    let named = |arg: &Arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        let short = short.filter(|_| context.begun == "-");
        long.into_iter()
            .chain(short)
            .map(move |value| Candidate { value, about: about.clone() })
            .collect()
    };
    let shown = context.command.get_arguments().filter(|arg| !arg.is_hide_set());
    let found: Vec<Vec<Candidate>> = shown.map(named).collect();
    found.into_iter().flatten().collect()
}

fn value(context: &Context, arg: &Arg, has_globs: bool) -> Answer {
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
        "project" | "projects" | "pattern" => projects(context),
        "subcommand" => return Answer::Values(subcommands(context.program)),
        "key" => keys(context),
        "include" | "exclude" | "dtype" if context.command.get_name() == "load-hdf5" => {
            Some(file_paths(context))
        }
        "include" | "exclude" => keys(context).map(globs),
        "files" => return files(context, has_globs),
        _ => match arg.get_value_hint() {
            ValueHint::FilePath | ValueHint::AnyPath => return Answer::Shell("files"),
            ValueHint::DirPath => return Answer::Shell("dirs"),
            _ => None,
        },
    };
    Answer::Values(found.unwrap_or_default())
}

/// Opens root and shm directory; `--root` on the line counts.
fn open(context: &Context) -> Option<NodeDirs> {
    let root = context.values("root").last().map(|root| expanded(root));
    NodeDirs::open(&crate::context::Context::resolve(root).paths).ok()
}

/// Expands `~/` at the start of a path.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// Returns the names of the projects with metadata. For some commands, returns all projects of the root.
fn projects(context: &Context) -> Option<Vec<Candidate>> {
    let dirs = open(context)?;
    let all = matches!(context.command.get_name(), "wait" | "unlink" | "list");
    let names: Vec<ProjectName> = if all {
        let scan = Scan::new(&dirs);
        let keys = state::keys_of_root(&dirs, &scan, |_| true).ok()?;
        keys.into_iter().map(|key| key.project).collect()
    } else {
        metadata_in(dirs.root.as_ref()?).ok()?.into_iter().collect()
    };
    let given = context.values("projects");
    let names = names.iter().filter_map(|name| name.as_os_str().to_str());
    Some(names.filter(|name| !given.iter().any(|given| given == name)).map(plain).collect())
}

/// Returns the groups and arrays of the project on the line, in the style of the typed key: `/a/b`, `a/b` or `a.b`.
fn keys(context: &Context) -> Option<Vec<Candidate>> {
    let name = ProjectName::existing(context.values("project").first()?.as_ref()).ok()?;
    let dirs = open(context)?;
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
    let written = |key: String| match &context.begun {
        begun if begun.is_empty() || begun.starts_with('/') => key,
        begun if begun.contains('.') && !key[1..].starts_with(begun.as_str()) => {
            key[1..].replace('/', ".")
        }
        _ => key[1..].to_owned(),
    };
    let written = |Candidate { value, about }| Candidate { value: written(value), about };
    Some(found.into_iter().map(written).collect())
}

/// Escapes the special characters of globs.
fn globs(names: Vec<Candidate>) -> Vec<Candidate> {
    let escaped = |Candidate { value, about }| Candidate { value: globset::escape(&value), about };
    names.into_iter().map(escaped).collect()
}

/// Returns the paths in the files on the line, below the group of each file.
fn file_paths(context: &Context) -> Vec<Candidate> {
    let files = context.values("files");
    let mut found = Vec::new();
    for file in files {
        let (name, path) = named(&file.into());
        let path = expanded(&path.to_string_lossy());
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let group = name.or_else(|| stem.filter(|_| files.len() > 1));
        let below = group.map_or_else(String::new, |group| format!("/{group}"));
        found.extend(probe::paths(&path).into_iter().map(|path| plain(format!("{below}{path}"))));
    }
    globs(if context.begun.is_empty() || context.begun.starts_with('/') {
        found
    } else {
        found.into_iter().map(|path| plain(&path.value[1..])).collect()
    })
}

/// Returns directories and files with a suffix of HDF5; if there are none, the shell lists all files.
fn files(context: &Context, has_globs: bool) -> Answer {
    let begun = context.begun.as_str();
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
