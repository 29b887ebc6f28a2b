//! The exit codes: number, code in JSON and meaning of each kind. The help, the man pages and the README show them.

use super::Kind;

/// The kinds with an exit code of their own, in the order of the codes.
const KINDS: [Kind; 12] = [
    Kind::Io,
    Kind::Usage,
    Kind::NotFound,
    Kind::Exists,
    Kind::NoMemory,
    Kind::Permission,
    Kind::Busy,
    Kind::Corrupt,
    Kind::Unsupported,
    Kind::Partial,
    Kind::Findings,
    Kind::Signal(0),
];

impl Kind {
    /// Exit code, code in JSON, meaning.
    fn describe(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Io => (1, "io", "unexpected error, or I/O"),
            Self::Usage => (2, "usage", "usage error"),
            Self::NotFound => (3, "not_found", "not found"),
            Self::Exists => (4, "exists", "already exists"),
            Self::NoMemory => (5, "no_memory", "not enough memory"),
            Self::Permission => (6, "permission", "permission denied, or an unsafe directory"),
            Self::Busy => (7, "busy", "busy, timed out, or a source changed while it was read"),
            Self::Corrupt => (8, "corrupt", "corrupt input"),
            Self::Unsupported => (9, "unsupported", "unsupported, or a skip with --strict"),
            Self::Partial => (10, "partial", "some of several failed"),
            Self::Findings => (11, "findings", "findings, only with --check"),
            Self::Signal(number) => {
                (u8::try_from(128 + number).unwrap_or(u8::MAX), "signal", "ended by signal n")
            }
            Self::Status(status) => (status, "status", "the exit status of a command"),
        }
    }

    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        self.describe().0
    }

    /// The stable code of this kind in JSON.
    pub fn code(self) -> &'static str {
        self.describe().1
    }
}

/// Every exit code with its meaning, as the help shows them.
pub(crate) fn exit_codes() -> impl Iterator<Item = (String, &'static str)> {
    let success = ("0".to_owned(), "success, including \"nothing to do\"");
    let failures = KINDS.into_iter().map(|kind| {
        let (code, _, meaning) = kind.describe();
        (if code == 128 { "128+n".to_owned() } else { code.to_string() }, meaning)
    });
    [success].into_iter().chain(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_of_a_signal_is_128_plus_its_number() {
        assert_eq!(Kind::Signal(15).exit_code(), 143);
    }

    #[test]
    fn exit_codes_in_the_readme_are_those_of_the_program() {
        let readme = include_str!("../../README.md");
        for (code, meaning) in exit_codes() {
            let row = format!("| {} | {meaning} |", code.replace('+', " + "));
            assert!(readme.replace('`', "").contains(&row), "README.md lacks: {row}");
        }
    }
}
