//! The parts of the manual pages that the definition of the command line lacks: exit status, environment,
//! files, and related pages.

/// A term and its meaning.
pub(crate) type Entry = (&'static str, &'static str);

/// The additions to one page.
#[derive(Debug)]
pub(crate) struct Extra {
    /// Exit codes of the command, except 0, 1 and 2.
    pub(crate) codes: &'static [&'static str],
    /// More about the exit status.
    pub(crate) status: &'static str,
    /// Environment variables of this command.
    pub(crate) environment: &'static [Entry],
    /// Whether the command reads or writes projects.
    pub(crate) projects: bool,
    /// Related pages: commands by name, other pages with their section.
    pub(crate) see: &'static [&'static str],
}

/// The date of this release.
pub(super) const DATE: &str = "2026-11-24";

/// Exit codes of every command.
pub(crate) const CODES: [&str; 3] = ["0", "1", "2"];

pub(super) const ENVIRONMENT: [Entry; 2] = [
    (
        "CUTE_SHM_ROOT",
        "Directory of the metadata files, unless --root is given. Default: /tmp/cute-shm.",
    ),
    (
        "CUTE_SHM_DIR",
        "Directory of the segments, ledgers and lock files. Default: /dev/shm. The Python reader uses only /dev/shm.",
    ),
];

pub(super) const NO_COLOR: Entry =
    ("NO_COLOR", "Disables color if it is set and not empty. --color has precedence.");

pub(super) const FILES: [Entry; 4] = [
    (
        "/tmp/cute-shm/cute-shm.PROJECT.toml",
        "The metadata of a project, in the format of the Python package cute_shm.",
    ),
    ("/dev/shm/cute-shm.PROJECT.XXXXXXXXXX", "A segment: the bytes of one array."),
    (
        "/dev/shm/cute-shm.PROJECT.XXXXXXXX.ledger",
        "The ledger: owner, sources and batch jobs of a project.",
    ),
    (
        "/dev/shm/cute-shm.PROJECT.XXXXXXXX.lock",
        "The lock file: locked by the keeper of a project and by each process that changes it.",
    ),
];

const JOB: Entry = (
    "SLURM_JOB_ID, PBS_JOBID, LSB_JOBID, CUTE_SHM_JOB",
    "The batch job that uses the project, for 'cute-shm gc --job'.",
);
const SHARE: Entry = (
    "SLURM_NODEID, SLURM_NNODES, SLURM_STEP_NUM_NODES",
    "Number of this node and of all nodes, for '--shard auto'.",
);
const NOTIFY: Entry = (
    "NOTIFY_SOCKET",
    "Socket of the service manager, which is notified when the project is ready.",
);
const PLUGINS: Entry = (
    "HDF5_PLUGIN_PATH",
    "Directories of HDF5 plugins, separated by colons, for filters that are not built in. Default: none.",
);
const PREFIXES: Entry = (
    "HDF5_EXT_PREFIX, HDF5_EXTFILE_PREFIX, HDF5_VDS_PREFIX",
    "Additional directories for targets of external links, external raw files and sources of virtual datasets.",
);
const PROJECT: Entry =
    ("CUTE_SHM_PROJECT", "Name of the project; set for CMD, with CUTE_SHM_ROOT and CUTE_SHM_DIR.");

/// Returns the additions to the page of `command`, or of the program.
pub(crate) fn extra(command: &str) -> Extra {
    let plain =
        Extra { codes: &[], status: "", environment: &[], projects: true, see: &["", "list"] };
    match command {
        "load-hdf5" => Extra {
            codes: &["3", "4", "5", "6", "7", "8", "9", "10", "128+n"],
            status: "With '-- CMD', the status is that of CMD, or 125 if the load fails, 126 if CMD cannot be executed, \
                     127 if CMD is not found.",
            environment: &[JOB, SHARE, NOTIFY, PLUGINS, PREFIXES, PROJECT],
            see: &["", "list", "show", "unlink", "wait", "gc", "doctor", "shm_overview(7)"],
            ..plain
        },
        "list" => Extra { codes: &["6", "11"], see: &["", "show", "gc"], ..plain },
        "show" => Extra { codes: &["3", "6", "7", "8"], see: &["", "list", "export"], ..plain },
        "export" => Extra {
            codes: &["3", "4", "5", "6", "7", "8", "9", "128+n"],
            see: &["", "show", "h5dump(1)", "h5diff(1)"],
            ..plain
        },
        "unlink" => Extra { codes: &["3", "6", "7", "8", "10"], see: &["", "list", "gc"], ..plain },
        "gc" => Extra {
            codes: &["6", "7", "10", "11"],
            see: &["", "list", "unlink", "doctor", "tmpfiles.d(5)"],
            ..plain
        },
        "wait" => Extra { codes: &["6", "7"], see: &["", "load-hdf5", "list"], ..plain },
        "doctor" => Extra {
            codes: &["6", "11"],
            see: &["", "gc", "shm_overview(7)", "logind.conf(5)", "tmpfiles.d(5)"],
            ..plain
        },
        "completions" | "help" => Extra { projects: false, see: &["", "man"], ..plain },
        "man" => Extra {
            codes: &["6"],
            projects: false,
            see: &["", "completions", "help", "man(1)"],
            ..plain
        },
        _ => Extra {
            codes: &["3", "4", "5", "6", "7", "8", "9", "10", "11", "128+n"],
            environment: &[JOB],
            see: &[
                "load-hdf5",
                "list",
                "show",
                "export",
                "unlink",
                "gc",
                "wait",
                "doctor",
                "completions",
                "man",
                "help",
                "shm_overview(7)",
            ],
            ..plain
        },
    }
}
