//! The arguments and help texts of the old commands.

use std::fmt::Write as _;

/// The arguments of an old command.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) program: &'static str,
    pub(crate) about: &'static str,
    /// Name and help.
    pub(crate) positionals: &'static [(&'static str, &'static str)],
    pub(crate) flags: &'static [Flag],
}

/// An option without a value: its internal name, its spellings, and its help.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) written: &'static [&'static str],
    pub(crate) help: &'static str,
}

const HELP: Flag =
    Flag { name: "help", written: &["-h", "--help"], help: "print this help and exit" };
const VERBOSE: Flag = Flag {
    name: "verbose",
    written: &["-v", "--verbose"],
    help: "report every segment on standard error",
};
const PROJECT: (&str, &str) = ("project", "the name of the project");

pub(crate) const HDF5: Syntax = Syntax {
    program: "cute-shm-hdf5",
    about: "Load an HDF5 file into shared memory as a persistent project. New name: cute-shm load-hdf5 --persistent",
    positionals: &[PROJECT, ("hdf5_file", "the HDF5 file")],
    flags: &[
        HELP,
        Flag {
            name: "no_progress",
            written: &["-no-progress"],
            help: "do not show a progress bar",
        },
        VERBOSE,
        Flag {
            name: "overwrite",
            written: &["-o", "--overwrite"],
            help: "replace an existing project",
        },
    ],
};

pub(crate) const LIST: Syntax = Syntax {
    program: "cute-shm-list",
    about: "List the projects of this node. New name: cute-shm list",
    positionals: &[],
    flags: &[HELP, Flag { name: "short", written: &["-short"], help: "print one row per project" }],
};

pub(crate) const UNLINK: Syntax = Syntax {
    program: "cute-shm-unlink",
    about: "Remove a project. New name: cute-shm unlink",
    positionals: &[PROJECT],
    flags: &[HELP, VERBOSE],
};

impl Syntax {
    /// Returns the line that starts with "usage:".
    pub(crate) fn usage(&self) -> String {
        let mut out = format!("usage: {}", self.program);
        for flag in self.flags {
            let _ = write!(out, " [{}]", flag.written[0]);
        }
        for (name, _) in self.positionals {
            let _ = write!(out, " {name}");
        }
        out
    }

    pub(crate) fn help(&self) -> String {
        let mut out = format!("{}\n\n{}\n", self.usage(), self.about);
        let section = |out: &mut String, title: &str, rows: Vec<(String, &str)>| {
            let _ = write!(out, "\n{title}:\n");
            for (name, help) in rows {
                let _ = writeln!(out, "  {name:<15}  {help}");
            }
        };
        if !self.positionals.is_empty() {
            let rows = self.positionals.iter().map(|(name, help)| ((*name).to_owned(), *help));
            section(&mut out, "positional arguments", rows.collect());
        }
        let rows = self.flags.iter().map(|flag| (flag.written.join(", "), flag.help));
        section(&mut out, "options", rows.collect());
        out
    }
}
