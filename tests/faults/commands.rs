//! How a test runs the command in a [`Sandbox`], and the state that it finds there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cute_shm::shm::format::metadata::Metadata;

use super::common::fixtures;
pub use super::common::sandbox::{BINARY, Mount, Sandbox};
use super::process::{Done, Process};
use super::support::until;

impl Sandbox {
    /// A folder of /dev/shm as the shm directory.
    pub fn new() -> Self {
        Self::on_disk()
    }

    /// A small file full of `value`.
    pub fn uniform_file(&self, value: i64) -> PathBuf {
        let path = self.file(&format!("{value}.h5"));
        if !path.exists() {
            fixtures::uniform(&path, value);
        }
        path
    }

    /// A command in this place, without what the caller's batch job would add.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(BINARY);
        command.args(args);
        command
    }

    /// Another program in this place.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("CUTE_SHM_DIR", self.shm()).env("CUTE_SHM_ROOT", self.root());
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        self.start(args).wait()
    }

    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Process {
        Process::start(&mut self.command(args))
    }

    /// Loads `file`, to stay.
    #[track_caller]
    pub fn load(&self, project: &str, file: &Path, more: &[&str]) -> Done {
        self.run(load_args(project, file, &[&["--persistent"], more].concat()))
    }

    /// Loads `file` and holds it; returns when it is there.
    #[track_caller]
    pub fn hold(&self, project: &str, file: &Path, more: &[&str]) -> Process {
        let mut keeper = self.start(load_args(project, file, more));
        until("it is held", || {
            assert!(keeper.is_running(), "the keeper ended: {:?}", keeper.so_far());
            keeper.said().contains("loaded")
        });
        keeper
    }

    /// The state that `list` tells of a project; `None` when it tells nothing.
    #[track_caller]
    pub fn state(&self, project: &str) -> Option<String> {
        let listed = self.run(["list", "-s", "--json"]).expect(0).json();
        let projects = listed["projects"].as_array().expect("projects").clone();
        let found = projects.into_iter().find(|found| found["name"] == project)?;
        Some(found["state"].as_str().expect("a state").to_owned())
    }

    /// The names in both directories; in this node's own shm directory, those that contain the tag.
    pub fn files(&self) -> BTreeSet<String> {
        self.in_shm().into_iter().chain(self.in_root()).collect()
    }

    #[track_caller]
    pub fn assert_nothing(&self) {
        assert_eq!(self.files(), BTreeSet::new(), "something was left");
    }

    /// The segments of a project's metadata, unless there is none.
    pub fn segments(&self, project: &str) -> Option<BTreeSet<String>> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        let metadata = Metadata::parse(&text).unwrap_or_else(|e| panic!("half visible: {e}"));
        Some(metadata.arrays().into_iter().map(|(_, array)| array.segment.clone()).collect())
    }

    /// The number that a project is full of; `None` when there is none. Anything between is a failure:
    /// segments that are missing, of different loads, or filled in part.
    #[track_caller]
    pub fn whole(&self, project: &str) -> Option<i64> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        self.try_whole(&text)
            .unwrap_or_else(|why| panic!("project '{project}' is not whole: {why}"))
    }

    /// As [`Self::whole`], for a metadata text; `Err` says what is wrong.
    pub fn try_whole(&self, text: &str) -> Result<Option<i64>, String> {
        let metadata = Metadata::parse(text)?;
        let mut found = None;
        for (path, array) in metadata.arrays() {
            let bytes = fs::read(self.shm().join(&array.segment))
                .map_err(|e| format!("{}: {e}", path.join("/")))?;
            let wanted = usize::try_from(array.nbytes().expect("i64")).expect("a small array");
            if bytes.len() < wanted {
                return Err(format!("{} is too short", path.join("/")));
            }
            for chunk in bytes[..wanted].chunks_exact(8) {
                let value = i64::from_ne_bytes(chunk.try_into().expect("8 bytes"));
                if *found.get_or_insert(value) != value {
                    return Err(format!("{} holds {value}, others {found:?}", path.join("/")));
                }
            }
        }
        Ok(Some(found.unwrap_or(0)))
    }

    /// Asserts that nothing is there but what belongs to this project, or nothing at all without it.
    #[track_caller]
    pub fn assert_only(&self, project: &str) {
        let Some(mut expected) = self.segments(project) else { return self.assert_nothing() };
        expected.insert(format!("cute-shm.{project}.toml"));
        let ours = |name: &String| {
            let rest = name.strip_prefix(&format!("cute-shm.{project}.")).unwrap_or("");
            rest.len() > 9 && (rest[8..] == *".ledger" || rest[8..] == *".lock")
        };
        let mut found = self.files();
        let records = found.iter().filter(|name| ours(name)).count();
        found.retain(|name| !ours(name));
        assert_eq!(found, expected, "more or less than the project");
        assert!(records == 2, "{records} ledgers and locks");
    }
}

/// The arguments of a load.
pub fn load_args(project: &str, file: &Path, more: &[&str]) -> Vec<String> {
    let mut args = vec!["load-hdf5".to_owned(), project.to_owned()];
    args.push(file.to_str().expect("a path of ours").to_owned());
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}
