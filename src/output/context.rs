//! What the environment says, resolved once: directories, color, terminal, verbosity, the batch job.

use std::env;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::shm::format::ledger::BatchJob;
use crate::shm::format::rows::Rows;
use crate::shm::store::node_dirs::{DEFAULT_ROOT, DEFAULT_SHM_DIR, Paths};

/// Everything that a command needs to know of its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where root and shm directory are.
    pub paths: Paths,
    /// One JSON object on standard output instead of text.
    pub json: bool,
    /// No status, no warnings.
    pub quiet: bool,
    /// 0, 1 (more), 2 (debug).
    pub verbose: u8,
    /// Color on standard output.
    pub color: bool,
    /// Color on standard error.
    pub color_err: bool,
    /// Columns of the terminal that standard output is; `None` for a file or a pipe.
    pub width: Option<usize>,
    /// Whether standard error is a terminal.
    pub terminal_err: bool,
    /// Where Python environments are that the user has at hand: the active one first.
    pub python_prefixes: Vec<PathBuf>,
    /// The batch job that we run in.
    pub job: Option<BatchJob>,
    /// The restart count that the scheduler tells, if it does.
    pub restart_count: Option<u64>,
    /// This node's share of what several nodes load.
    pub share: Option<Rows>,
}

impl Context {
    /// Reads the environment. The root is `root`, else that of the environment; all other options of the
    /// command line have their defaults.
    pub fn resolve(root: Option<PathBuf>) -> Self {
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
    pub fn with_color(mut self, choice: ColorChoice) -> Self {
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
pub enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A terminal that does not tell its size is one all the same: names are escaped for it.
fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0).max(20))
}

/// The active environment, and those whose programs are on the search path.
fn python_prefixes() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os);
    let active = active.filter(|value| !value.is_empty()).map(PathBuf::from);
    let on_path = env::split_paths(&path).filter(|directory| directory.ends_with("bin"));
    let on_path = on_path.filter_map(|directory| Some(directory.parent()?.to_owned()));
    let at_home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    active.chain(on_path).chain(at_home).collect()
}

/// The scheduler's variables, in the order in which they are believed.
fn job() -> Option<BatchJob> {
    let schedulers = [
        ("slurm", "SLURM_JOB_ID"),
        ("pbs", "PBS_JOBID"),
        ("lsf", "LSB_JOBID"),
        ("other", "CUTE_SHM_JOB"),
    ];
    schedulers.iter().find_map(|(scheduler, variable)| {
        let mut id = value(variable)?;
        // LSF gives the elements of an array one id: only the index tells them apart.
        if let ("lsf", Some(index)) = (*scheduler, value("LSB_JOBINDEX").filter(|i| i != "0")) {
            id = format!("{id}[{index}]");
        }
        let restart = restart_count().filter(|_| *scheduler == "slurm").unwrap_or(0);
        let since = jiff::Timestamp::now().to_string();
        Some(BatchJob { scheduler: (*scheduler).to_owned(), id, restart, since })
    })
}

/// How often Slurm restarted the job: a job's own environment and that of prologs and epilogs call it
/// differently.
fn restart_count() -> Option<u64> {
    ["SLURM_RESTART_COUNT", "SLURM_JOB_RESTART_COUNT"].into_iter().find_map(value)?.parse().ok()
}

/// Which of how many nodes this is.
fn share() -> Option<Rows> {
    let count = value("SLURM_STEP_NUM_NODES").or_else(|| value("SLURM_NNODES"))?;
    Rows::parse_shard(&format!("{}/{count}", value("SLURM_NODEID")?)).ok()
}

fn value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
