//! What the manual pages say beside the command line's definition: exit status, environment, files, and
//! what else to read.

/// A term and what it means.
pub(crate) type Entry = (&'static str, &'static str);

/// What one page adds.
#[derive(Debug)]
pub(crate) struct Extra {
    /// The exit codes that the command has, besides 0, 1 and 2.
    pub codes: &'static [&'static str],
    /// What else there is to say of the exit status.
    pub status: &'static str,
    /// Variables besides those of every command.
    pub environment: &'static [Entry],
    /// Whether it reads or writes projects.
    pub projects: bool,
    /// Other pages: ours by the command's name, others with their section.
    pub see: &'static [&'static str],
}

/// The date of this release.
pub(super) const DATE: &str = "2026-11-24";

/// Exit codes of every command.
pub(crate) const CODES: [&str; 3] = ["0", "1", "2"];

pub(super) const ENVIRONMENT: [Entry; 2] = [
    (
        "CUTE_SHM_ROOT",
        "Directory of the metadata files, unless --root names one; else /tmp/cute-shm.",
    ),
    (
        "CUTE_SHM_DIR",
        "Directory of the segments, ledgers and locks; else /dev/shm. Python's reader looks in /dev/shm only.",
    ),
];

pub(super) const NO_COLOR: Entry =
    ("NO_COLOR", "When it is set and not empty, nothing is coloured, unless --color says so.");

pub(super) const FILES: [Entry; 4] = [
    (
        "/tmp/cute-shm/cute-shm.PROJECT.toml",
        "A project's metadata, which Python's cute_shm reads and writes.",
    ),
    ("/dev/shm/cute-shm.PROJECT.XXXXXXXXXX", "A segment: the bytes of one array."),
    ("/dev/shm/cute-shm.PROJECT.XXXXXXXX.ledger", "Who owns a project, and from where it came."),
    ("/dev/shm/cute-shm.PROJECT.XXXXXXXX.lock", "Locked by who keeps a project, or changes it."),
];

const JOB: Entry = (
    "SLURM_JOB_ID, PBS_JOBID, LSB_JOBID, CUTE_SHM_JOB",
    "The batch job that uses the project, for 'cute-shm gc --job'.",
);
const SHARE: Entry = (
    "SLURM_NODEID, SLURM_NNODES, SLURM_STEP_NUM_NODES",
    "Which of how many nodes this is, for '--shard auto'.",
);
const NOTIFY: Entry =
    ("NOTIFY_SOCKET", "A service manager's socket, which is told when the project is ready.");
const PLUGINS: Entry = (
    "HDF5_PLUGIN_PATH",
    "Directories of HDF5 plugins, separated by colons: for filters that are not built in. None by default.",
);
const PREFIXES: Entry = (
    "HDF5_EXT_PREFIX, HDF5_EXTFILE_PREFIX, HDF5_VDS_PREFIX",
    "Where else to look for targets of external links, external raw files and sources of virtual datasets.",
);
const PROJECT: Entry = (
    "CUTE_SHM_PROJECT",
    "Set for the command behind '--', with CUTE_SHM_ROOT and CUTE_SHM_DIR: the project's name.",
);

/// What the page of `command` adds; the program's own for its own name.
pub(crate) fn extra(command: &str) -> Extra {
    let plain =
        Extra { codes: &[], status: "", environment: &[], projects: true, see: &["", "list"] };
    match command {
        "load-hdf5" => Extra {
            codes: &["3", "4", "5", "6", "7", "8", "9", "10", "128+n"],
            status: "With a command behind '--' the status is the command's; 125 when the load fails before it is started, \
                     126 when it cannot be executed, 127 when it is not found.",
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
