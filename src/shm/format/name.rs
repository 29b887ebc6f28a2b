//! The names of projects, loads (tokens) and segments: parsing, checks and printing.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// The start of the names of all files of this program and of the Python package.
pub(crate) const PREFIX: &str = "cute-shm.";
/// The suffix of metadata files.
pub(crate) const METADATA_SUFFIX: &str = ".toml";
/// How long the last part of a segment's name is.
const SEGMENT_ID_LEN: usize = 10;
/// How long a load token is: the first half of a segment's id.
const TOKEN_LEN: usize = 5;
/// The longest name that a project of ours may have, in bytes.
const MAX_PROJECT_BYTES: usize = 128;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The name of a project. New names are clean UTF-8 ([`ProjectName::new`]). Python code may have created a project with
/// any file name ([`ProjectName::existing`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProjectName(OsString);

impl ProjectName {
    /// Checks the name of a new project: UTF-8, 1 to 128 bytes, no `/`, no NUL, no control
    /// characters, not starting with `.` or `-`.
    ///
    /// # Errors
    /// Returns [`Kind::Usage`] with the rule that is violated.
    pub fn new(name: &OsStr) -> Result<Self> {
        let broken = |why: &str| {
            let shown = name.to_string_lossy();
            Error::new(
                Kind::Usage,
                format!("invalid project name '{}': {why}", shown.escape_debug()),
            )
            .with_subject(shown.into_owned())
            .with_hint("use 1 to 128 bytes of UTF-8, such as 'imagenet' or 'run-42'")
        };
        let text = name.to_str().ok_or_else(|| broken("it is not UTF-8"))?;
        if text.is_empty() {
            return Err(broken("it is empty"));
        }
        if text.len() > MAX_PROJECT_BYTES {
            return Err(broken("it is longer than 128 bytes"));
        }
        if text.contains('/') {
            return Err(broken("it contains '/'"));
        }
        if text.chars().any(char::is_control) {
            return Err(broken("it contains a control character"));
        }
        if text.starts_with(['.', '-']) {
            return Err(broken("it starts with '.' or '-'"));
        }
        Ok(Self(name.to_owned()))
    }

    /// Checks the name of a project that may exist: any file name.
    ///
    /// # Errors
    /// Returns [`Kind::Usage`] if it cannot be part of a file name.
    pub fn existing(name: &OsStr) -> Result<Self> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.contains(&b'/') || bytes.contains(&0) {
            let shown = name.to_string_lossy();
            return Err(Error::new(
                Kind::Usage,
                format!(
                    "invalid project name '{}': empty, or with '/' or NUL",
                    shown.escape_debug()
                ),
            )
            .with_subject(shown.into_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The project whose metadata a file of this name holds: `cute-shm.<project>.toml`.
    pub fn of_metadata(file: &OsStr) -> Option<Self> {
        let bytes = file.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        Self::from_bytes(bytes.strip_suffix(METADATA_SUFFIX.as_bytes())?)
    }

    /// A name from the bytes of a file name.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(OsString::from_vec(bytes.to_vec())))
    }

    /// The name of the metadata file.
    pub fn metadata_file(&self) -> OsString {
        self.file(METADATA_SUFFIX)
    }

    /// `cute-shm.<project><suffix>`
    pub(crate) fn file(&self, suffix: &str) -> OsString {
        let mut name = OsString::from(PREFIX);
        name.push(&self.0);
        name.push(suffix);
        name
    }

    /// The name as the system has it.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// The name as text; bytes that are not UTF-8 are replaced.
    pub fn to_text(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_lossy())
    }
}

/// The random five characters that all segments of one load share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// A new random token.
    ///
    /// # Errors
    /// Returns [`Kind::Io`] if the system has no random numbers.
    pub fn random() -> Result<Self> {
        let number = getrandom::u64()
            .map_err(|error| Error::new(Kind::Io, format!("no random numbers: {error}")))?;
        Ok(Self(base62(number % 62_u64.pow(5))))
    }

    /// The token as a number below 62^5; it determines the byte of the liveness lock.
    pub fn number(&self) -> u64 {
        self.0.bytes().fold(0, |sum, byte| {
            let digit = BASE62.iter().position(|&b| b == byte).unwrap_or(0);
            sum * 62 + digit as u64
        })
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text.len() == TOKEN_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text))
        } else {
            Err(format!("'{}' is not a load token", text.escape_debug()))
        }
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

/// Five base-62 digits.
fn base62(mut number: u64) -> String {
    let mut digits = [b'0'; TOKEN_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

/// The file name of a segment: `cute-shm.<project>.<10 letters or digits>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentName(OsString);

impl SegmentName {
    /// The name of the `counter`-th segment of the load `token`.
    pub fn new(project: &ProjectName, token: &Token, counter: u64) -> Self {
        Self(project.file(&format!(".{token}{}", base62(counter))))
    }

    /// A name that was read from a file or a directory, with the project whose segment it is; `None`
    /// unless it has exactly the shape of a segment's name.
    pub fn parse(name: &OsStr) -> Option<(ProjectName, Self)> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let dot = rest.len().checked_sub(SEGMENT_ID_LEN + 1)?;
        let id = &rest[dot + 1..];
        if rest[dot] != b'.' || rest.contains(&b'/') || rest.contains(&0) {
            return None;
        }
        if !id.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        Some((ProjectName::from_bytes(&rest[..dot])?, Self(name.to_owned())))
    }

    /// A name that must be that of a segment of `project`.
    pub fn parse_for(project: &ProjectName, name: &OsStr) -> Option<Self> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let id = rest.strip_prefix(project.0.as_bytes())?.strip_prefix(b".")?;
        let is_id = id.len() == SEGMENT_ID_LEN && id.iter().all(u8::is_ascii_alphanumeric);
        is_id.then(|| Self(name.to_owned()))
    }

    /// The file name in the shm directory.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// The name as text.
    pub fn to_text(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// The first half of its id: the load that it is of, if it is ours.
    pub fn token(&self) -> Token {
        let bytes = self.0.as_bytes();
        let id = &bytes[bytes.len() - SEGMENT_ID_LEN..][..TOKEN_LEN];
        Token(String::from_utf8_lossy(id).into_owned())
    }

    /// Whether this segment belongs to the load `token`.
    pub fn bears(&self, token: &Token) -> bool {
        let bytes = self.0.as_bytes();
        bytes[bytes.len() - SEGMENT_ID_LEN..].starts_with(token.0.as_bytes())
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectName {
        ProjectName::new(OsStr::new(name)).unwrap()
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        let long = "x".repeat(129);
        for name in ["", "a/b", ".a", "-a", "a\nb", "a\u{9f}b", "\0", &long] {
            let error = ProjectName::new(OsStr::new(name)).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{name:?}");
        }
        assert!(ProjectName::new(OsStr::from_bytes(b"\xff")).is_err());
        for name in ["a", "a.b", "größe", "with space", "a-b_c", &"x".repeat(128)] {
            assert!(ProjectName::new(OsStr::new(name)).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn segments_are_parsed_from_the_right() {
        let token = Token::try_from("aB3xZ".to_owned()).unwrap();
        let name = SegmentName::new(&project("a.b"), &token, 63);
        assert_eq!(name.to_text(), "cute-shm.a.b.aB3xZ00011");
        assert!(name.bears(&token));
        assert_eq!(SegmentName::parse(name.as_os_str()).unwrap().0, project("a.b"));
        assert!(SegmentName::parse_for(&project("a"), name.as_os_str()).is_none());
    }

    #[test]
    fn parse_rejects_names_that_are_not_segments() {
        for name in [
            "cute-shm.a.aB3xZ0001",
            "cute-shm.a.aB3xZ0001-",
            "cute-shm..aB3xZ00011",
            "cute-shm.aB3xZ00011",
            "sem.a.aB3xZ00011",
            "cute-shm.../../etc/x.aB3xZ00011",
            "cute-shm.a.0123abcd.ledger",
        ] {
            assert!(SegmentName::parse(OsStr::new(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn a_token_is_a_number_below_62_to_the_5() {
        for _ in 0..100 {
            let token = Token::random().unwrap();
            assert!(token.number() < 62_u64.pow(5));
            assert_eq!(base62(token.number()), token.as_str());
        }
        assert!(Token::try_from("abc".to_owned()).is_err());
        assert!(Token::try_from("ab-de".to_owned()).is_err());
    }

    #[test]
    fn metadata_files_name_their_project() {
        let file = project("a.toml").metadata_file();
        assert_eq!(ProjectName::of_metadata(&file), Some(project("a.toml")));
        assert_eq!(ProjectName::of_metadata(OsStr::new("cute-shm..toml")), None);
        assert_eq!(ProjectName::of_metadata(OsStr::new("x.toml")), None);
    }
}
