//! The environment and the global options, resolved once: directories, color, terminal, batch job.

use std::env;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::shm::format::ledger::BatchJob;
use crate::shm::format::rows::Rows;
use crate::shm::store::node_dirs::{DEFAULT_ROOT, DEFAULT_SHM_DIR, Paths};

/// The environment of a command and its global options.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Root and shm directory.
    pub(crate) paths: Paths,
    /// Print one JSON object instead of text.
    pub(crate) json: bool,
    /// Print no status and no warnings.
    pub(crate) quiet: bool,
    /// 0, 1 (more), 2 (debug).
    pub(crate) verbose: u8,
    /// Color on standard output.
    pub(crate) color: bool,
    /// Color on standard error.
    pub(crate) color_err: bool,
    /// Columns of the terminal on stdout; `None` for a file or a pipe.
    pub(crate) width: Option<usize>,
    /// Whether standard error is a terminal.
    pub(crate) terminal_err: bool,
    /// Python environments of the user, the active one first.
    pub(crate) python_prefixes: Vec<PathBuf>,
    /// The batch job of this process.
    pub(crate) job: Option<BatchJob>,
    /// The restart count of the batch job, if the scheduler sets it.
    pub(crate) restart_count: Option<u64>,
    /// The share of this node in a job with several nodes.
    pub(crate) share: Option<Rows>,
}

impl Context {
    /// Reads the environment. The root is `root`, else that of the environment; all other options of the
    /// command line have their defaults.
    pub(crate) fn resolve(root: Option<PathBuf>) -> Self {
        let directory = |name: &str, default: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map_or_else(|| default.into(), Into::into)
        };
        Self {
            paths: Paths {
                root: root.unwrap_or_else(|| directory("CUTE_SHM_ROOT", DEFAULT_ROOT)),
                shm: directory("CUTE_SHM_DIR", DEFAULT_SHM_DIR),
            },
            json: false,
            quiet: false,
            verbose: 0,
            color: false,
            color_err: false,
            width: std::io::stdout().is_terminal().then(terminal_width),
            terminal_err: std::io::stderr().is_terminal(),
            python_prefixes: python_prefixes(),
            job: job(),
            restart_count: restart_count(),
            share: share(),
        }
    }

    /// Decides for each stream whether to use color.
    pub(crate) fn with_color(mut self, choice: ColorChoice) -> Self {
        let no_color = value("NO_COLOR").is_some();
        let color = |terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color,
        };
        self.color = color(self.width.is_some()) && !self.json;
        self.color_err = color(self.terminal_err);
        self
    }
}

/// When to use color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Never
    Never,
}

/// Returns the width of the terminal; 80 if it is unknown, because names are escaped for any terminal.
fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0).max(20))
}

/// Returns the active environment, those on the search path, and `~/.local`.
fn python_prefixes() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os);
    let active = active.filter(|value| !value.is_empty()).map(PathBuf::from);
    let on_path = env::split_paths(&path).filter(|directory| directory.ends_with("bin"));
    let on_path = on_path.filter_map(|directory| Some(directory.parent()?.to_owned()));
    let at_home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    active.chain(on_path).chain(at_home).collect()
}

/// Reads the batch job from the environment. The first variable that is set decides.
fn job() -> Option<BatchJob> {
    let schedulers = [
        ("slurm", "SLURM_JOB_ID"),
        ("pbs", "PBS_JOBID"),
        ("lsf", "LSB_JOBID"),
        ("other", "CUTE_SHM_JOB"),
    ];
    schedulers.iter().find_map(|(scheduler, variable)| {
        let mut id = value(variable)?;
        // The elements of an LSF job array have the same id: the index distinguishes them.
        if let ("lsf", Some(index)) = (*scheduler, value("LSB_JOBINDEX").filter(|i| i != "0")) {
            id = format!("{id}[{index}]");
        }
        let restart = restart_count().filter(|_| *scheduler == "slurm").unwrap_or(0);
        let since = jiff::Timestamp::now().to_string();
        Some(BatchJob { scheduler: (*scheduler).to_owned(), id, restart, since })
    })
}

/// Returns the number of restarts of the Slurm job. Jobs and epilogs have different variables.
fn restart_count() -> Option<u64> {
    ["SLURM_RESTART_COUNT", "SLURM_JOB_RESTART_COUNT"].into_iter().find_map(value)?.parse().ok()
}

/// Returns the share of this node.
fn share() -> Option<Rows> {
    let count = value("SLURM_STEP_NUM_NODES").or_else(|| value("SLURM_NNODES"))?;
    Rows::parse_shard(&format!("{}/{count}", value("SLURM_NODEID")?)).ok()
}

fn value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
