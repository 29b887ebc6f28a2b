//! Translates the error messages of the HDF5 library, which name its own structures and functions, into plain
//! English about files, datasets and datatypes.

use nix::errno::Errno;

use crate::error::Advice;

/// Parts of the library's messages, and their meaning. The first match counts.
const MEANINGS: &[(&str, &str)] = &[
    // The file as a whole.
    ("is already open for write", "a program is writing the file, or ended without closing it"),
    ("not already open for SWMR", "a program is writing the file, or ended without closing it"),
    (
        "multi driver should be used",
        "it is one part of a file that is stored in several (multi driver)",
    ),
    (
        "family driver should be used",
        "it is one part of a file that is stored in several (family driver)",
    ),
    ("bad superblock version number", "its format is damaged, or newer than this HDF5 library"),
    ("bad superblock status flags", "the superblock is damaged"),
    ("base address exceeds stored EOF", "the superblock is damaged"),
    (
        "driver info block address exceeds end of file",
        "the superblock leads beyond the end of the file",
    ),
    ("invalid page size in file space info", "the file space information is damaged"),
    ("parent entry has no children", "the cached metadata in the file is damaged"),
    ("ring is out of valid range", "the cached metadata in the file is damaged"),
    ("ring type mismatch", "the metadata of the file contradicts itself"),
    ("No space left on device", "no space is left on the device"),
    ("file read failed", "the file cannot be read (I/O error, or it is shorter than it says)"),
    // Object headers.
    ("incorrect metadata checksum", "the checksum of its metadata is wrong"),
    ("bad object header version number", "its object header is damaged"),
    (
        "bad object header message count",
        "its object header has another number of messages than it says",
    ),
    ("incorrect chunk number for object header chunk", "its object header is damaged"),
    (
        "unknown message with 'fail if unknown'",
        "its object header has a message of an unknown type",
    ),
    (
        "message of unshareable class",
        "its object header has a message that cannot be shared, but is",
    ),
    ("message not aligned", "its object header is damaged"),
    ("bad version number for", "a message of its object header has an unknown version"),
    ("invalid max creation order", "its attributes have an invalid creation order"),
    ("address of object past end of allocation", "its object header is beyond the end of the file"),
    ("ran off end of input buffer", "its metadata ends too early"),
    ("ran off the end", "its metadata ends too early"),
    ("buffer overrun", "its metadata ends too early"),
    ("level is not as expected", "an index in the file is damaged"),
    ("wrong B-tree signature", "an index in the file is damaged"),
    ("B-tree", "an index in the file is damaged"),
    // Groups and links.
    ("too many links", "soft or external links lead to each other"),
    ("invalid link name", "a link has an invalid name"),
    ("external link information length", "an external link is damaged"),
    ("bad heap free list", "the names of its links are damaged"),
    ("bad datablock address", "the names of its links are damaged"),
    ("local heap", "the names of its links are damaged"),
    ("heap block address overflow", "a heap in the file is damaged"),
    ("global heap", "the heap of its variable-length values is damaged"),
    ("bad local symbol table", "the list of its links is damaged"),
    ("symbol table", "the list of its links is damaged"),
    // Datatypes and dataspaces.
    ("invalid datatype size", "its datatype has an invalid size"),
    ("invalid datatype precision/offset", "its datatype has more bits than its size allows"),
    (
        "unusually large # of unused bits",
        "its datatype uses so few bits of each number that HDF5 assumes damage",
    ),
    ("mantissa range out of bounds", "its floating-point datatype is damaged"),
    ("sign bit position out of bounds", "its floating-point datatype is damaged"),
    ("zero-sized dimension specified", "its array datatype has a dimension of 0"),
    ("too many dimensions for array datatype", "its array datatype has too many dimensions"),
    ("invalid number of members", "its compound or enum datatype has no members"),
    ("member offset overflowed", "a field of its compound datatype lies outside of the compound"),
    ("member overlaps", "fields of its compound datatype overlap"),
    ("dimensionality is out of range", "its dataspace has too many dimensions"),
    ("fill value size doesn't match", "its fill value has another size than its datatype"),
    ("no appropriate function for conversion path", "HDF5 cannot convert its datatype"),
    // Storage and filters.
    ("filter pipeline message has too many filters", "its list of filters is damaged"),
    ("filter returned failure", "a chunk cannot be decompressed: it is damaged"),
    ("filter not found", "it is compressed with a filter that is not available"),
    ("required filter", "it is compressed with a filter that is not available"),
    ("incorrect chunk size returned from index", "the index of its chunks has a wrong size"),
    ("data error detected by Fletcher32", "the checksum of a chunk is wrong"),
    ("inflate() failed", "a chunk cannot be decompressed: it is damaged"),
    ("unable to open external raw data file", "an external raw file cannot be opened"),
    ("unable to seek in external raw data file", "an external raw file cannot be read"),
    ("read error in external raw data file", "an external raw file cannot be read"),
    ("can't retrieve stat info for file", "the state of the file cannot be read (stat)"),
    ("can't retrieve real path for file", "the path of the file cannot be resolved (realpath)"),
    ("read past logical end of file", "an external raw file is too short"),
    ("addr overflow", "its data lies beyond the end of the file"),
    ("out of range", "its metadata is damaged"),
    ("memory allocation failed", "not enough memory for the HDF5 library"),
];

/// Messages about failed system calls that do not give the error number.
const WITHOUT_NUMBER: [&str; 5] = [
    "unable to open external raw data file",
    "unable to seek in external raw data file",
    "read error in external raw data file",
    "can't retrieve stat info for file",
    "can't retrieve real path for file",
];

/// The meaning of a message of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The reason in plain English.
    pub(crate) reason: String,
    /// The error of the system call that failed, if one did; `UnknownErrno` if the message does not give it.
    pub(crate) errno: Option<Errno>,
    /// The action of the user that can help, if the message implies one.
    pub(crate) advice: Option<Advice>,
}

/// The error of the system call in a message; `None` for 0, which the library reports where a file is too short.
fn system_error(original: &str) -> Option<Errno> {
    if WITHOUT_NUMBER.iter().any(|part| original.contains(part)) {
        return Some(Errno::UnknownErrno);
    }
    let (_, number) = original.split_once("errno = ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|&errno| errno != 0).map(Errno::from_raw)
}

/// Returns the meaning of a message of the library. A message that is not known is quoted.
pub(crate) fn interpret(original: &str) -> Meaning {
    let truncated = truncated(original);
    let errno = if truncated.is_some() { None } else { system_error(original) };
    let known = || MEANINGS.iter().find(|(part, _)| original.contains(part));
    let reason = match (truncated, errno) {
        (Some(text), _) => text,
        (None, Some(errno)) if errno != Errno::UnknownErrno => {
            format!("a system call failed: {}", errno.desc())
        }
        (None, _) => known().map_or_else(
            || format!("the HDF5 library reports \"{original}\""),
            |(_, meaning)| (*meaning).to_owned(),
        ),
    };
    Meaning { reason, errno, advice: advice(original) }
}

fn advice(original: &str) -> Option<Advice> {
    const ADVICE: [(&str, Advice); 4] = [
        ("already open for", Advice::CloseWriter),
        ("family driver", Advice::JoinParts),
        ("truncated file", Advice::CopyAgain),
        ("beyond the end", Advice::CopyAgain),
    ];
    ADVICE.iter().find(|(part, _)| original.contains(part)).map(|(_, advice)| *advice)
}

/// `truncated file: eof = 96, sblock->base_addr = 0, stored_eof = 2048`.
fn truncated(original: &str) -> Option<String> {
    let numbers = original.strip_prefix("truncated file: ")?;
    let number = |name: &str| {
        let text = numbers.split(", ").find_map(|part| part.strip_prefix(name))?;
        text.strip_prefix(" = ")?.parse::<u64>().ok()
    };
    let (size, base) = (number("eof")?, number("sblock->base_addr")?);
    let whole = number("stored_eof")?.saturating_add(base);
    Some(format!("the file is truncated: it has {size} of {whole} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_library_become_plain_english() {
        let reason = |original: &str| interpret(original).reason;
        let truncated = "truncated file: eof = 96, sblock->base_addr = 512, stored_eof = 2048";
        assert_eq!(reason(truncated), "the file is truncated: it has 96 of 2560 bytes");
        let bits = "datatype has unusually large # of unused bits (prec = 3 bits, size = 4 bytes), possibly \
                    corrupted file. See documentation for H5Pset_relax_file_integrity_checks for details.";
        assert!(!reason(bits).contains("H5P"));
        let writing = "file is already open for write (may use <h5clear file> to clear file consistency flags)";
        assert!(!reason(writing).contains("h5clear"));
        assert_eq!(interpret(writing).advice, Some(Advice::CloseWriter));
        let failed = interpret("file read failed: time = x, errno = 5, error message = 'y'");
        assert_eq!(
            (failed.errno, failed.reason.as_str()),
            (Some(Errno::EIO), "a system call failed: I/O error")
        );
        assert_eq!(interpret("file read failed: time = x, errno = 0").errno, None);
        let failed = interpret("can't retrieve stat info for file");
        assert_eq!(failed.errno, Some(Errno::UnknownErrno));
        assert_eq!(failed.reason, "the state of the file cannot be read (stat)");
        assert_eq!(reason("odd"), "the HDF5 library reports \"odd\"");
    }
}
