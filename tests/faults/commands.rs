//! Runs the command in a [`Sandbox`] and inspects the resulting state.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cute_shm::internals::Metadata;

pub use super::binary::BINARY;
use super::common::fixtures;
pub use super::common::sandbox::{Mount, Sandbox};
use super::process::{Done, Process};
use super::support::wait_until;

impl Sandbox {
    /// Creates a sandbox with a directory in /dev/shm as the shm directory.
    pub fn new() -> Self {
        Self::on_disk()
    }

    /// Writes a small file in which every element is `value`.
    pub fn uniform_file(&self, value: i64) -> PathBuf {
        let path = self.file(&format!("{value}.h5"));
        if !path.exists() {
            fixtures::uniform(&path, value);
        }
        path
    }

    /// Returns a command in this sandbox, without the variables of the caller's batch job.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(BINARY);
        command.args(args);
        command
    }

    /// Returns another program in this sandbox.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("CUTE_SHM_DIR", self.shm()).env("CUTE_SHM_ROOT", self.root());
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// Runs a command until it exits.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        self.start(args).wait()
    }

    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Process {
        Process::start(&mut self.command(args))
    }

    /// Loads `file` as a persistent project.
    #[track_caller]
    pub fn load(&self, project: &str, file: &Path, more: &[&str]) -> Done {
        self.run(load_args(project, file, &[&["--persistent"], more].concat()))
    }

    /// Loads `file` and holds it. Returns when it is ready.
    #[track_caller]
    pub fn hold(&self, project: &str, file: &Path, more: &[&str]) -> Process {
        let mut keeper = self.start(load_args(project, file, more));
        wait_until("it is held", || {
            assert!(keeper.is_running(), "the keeper ended: {:?}", keeper.so_far());
            keeper.said().contains("loaded")
        });
        keeper
    }

    /// Returns the state of a project in `list`, or `None` if it is not listed.
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

    /// Returns the segments in the metadata of a project, if it has metadata.
    pub fn segments(&self, project: &str) -> Option<BTreeSet<String>> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        let metadata = Metadata::parse(&text).unwrap_or_else(|e| panic!("half visible: {e}"));
        Some(metadata.arrays().into_iter().map(|(_, array)| array.segment.clone()).collect())
    }

    /// Returns the value of all elements of a project, or `None` if it does not exist. Fails on partial projects:
    /// segments that are missing, of different loads, or partly filled.
    #[track_caller]
    pub fn whole(&self, project: &str) -> Option<i64> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        self.try_whole(&text)
            .unwrap_or_else(|why| panic!("project '{project}' is not whole: {why}"))
    }

    /// Like [`Self::whole`], for a metadata text. `Err` describes the problem.
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

    /// Asserts that all files belong to this project, or that no file exists without it.
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

/// Returns the arguments of a load.
pub fn load_args(project: &str, file: &Path, more: &[&str]) -> Vec<String> {
    let mut args = vec!["load-hdf5".to_owned(), project.to_owned()];
    args.push(file.to_str().expect("a path of ours").to_owned());
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}
