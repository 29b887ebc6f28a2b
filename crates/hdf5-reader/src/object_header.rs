//! The object headers of plain datasets, read without the library, which takes ten microseconds to open a dataset.
//! Files with 100,000 datasets are common.
//!
//! A header is accepted here if it contains a simple dataspace, a type that is not committed, and contiguous
//! elements, with neither attributes nor filters. The library reads all others. Source: the HDF5 File Format
//! Specification, version 3.0, sections II.A (superblock), IV.A.1 (object headers of both versions) and IV.A.2
//! (messages).

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::ffi::file::plain_path;
use crate::ffi::ids::Id;
use crate::ffi::object::{self, Token};

/// Headers of plain datasets are some 300 bytes long, and often lie beside each other.
const WINDOW: usize = 4096;

/// HDF5's limit.
const MOST_DIMENSIONS: usize = 32;

/// The undefined address.
const NOWHERE: u64 = u64::MAX;

/// Bytes before the messages of a header of version 1.
const PREFIX: usize = 16;

/// The most blocks of a header, and bytes of each, that are searched for one message.
const MOST_BLOCKS: usize = 64;
const MOST_BLOCK_BYTES: u64 = 1 << 20;

/// The first bytes of a header of version 2, and the flags for the fields before its messages: times, limits for
/// attributes, and the number of each message.
const SIGNATURE: &[u8] = b"OHDR";
const TIMES: u8 = 0x20;
const PHASES: u8 = 0x10;
const ORDERED: u8 = 0x04;
/// Bytes of its checksum.
const CHECKSUM: usize = 4;

/// More bytes than there are before the first message.
const PREFIX_ROOM: u64 = 64;

/// The flag of a message that lies elsewhere.
const SHARED: u8 = 2;

/// A file whose object headers can be read.
#[derive(Debug)]
pub(crate) struct Headers {
    file: File,
    size: u64,
    window: Vec<u8>,
    /// Where the window begins.
    at: u64,
}

/// The content of the header of a plain dataset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain<'h> {
    /// The datatype message of the header, with its padding.
    pub(crate) kind: &'h [u8],
    /// The extents; none for a scalar.
    pub(crate) shape: Vec<u64>,
    /// Where the elements begin in the file, in bytes.
    pub(crate) offset: u64,
    /// How many bytes they are.
    pub(crate) bytes: u64,
}

/// The address in a native token.
fn address(token: Token) -> u64 {
    number(&token, 0, 8).unwrap_or(NOWHERE)
}

impl Headers {
    /// [`Self::open`] for a file of which only one object is wanted.
    pub(crate) fn of(file: &Id) -> Option<Self> {
        let root = object::root(file).and_then(|root| object::object(&root)).ok()?;
        Self::open(file, root.token)
    }

    /// For an open file, whose root group has this token; `None` where addresses are not plain offsets into
    /// one file, or where a superblock extension may replace metadata (a cache image).
    pub(crate) fn open(file: &Id, root: Token) -> Option<Self> {
        let file = File::open(plain_path(file)?).ok()?;
        let size = file.metadata().ok()?.len();
        let mut superblock = [0_u8; 96];
        file.read_exact_at(&mut superblock, 0).ok()?;
        (root_of(&superblock)? == address(root)).then_some(())?;
        Some(Self { file, size, window: Vec::new(), at: 0 })
    }

    /// The plain dataset that a hard link's token leads to, if it is one.
    pub(crate) fn plain(&mut self, token: Token) -> Option<Plain<'_>> {
        let address = address(token);
        let start = match address.checked_sub(self.at).and_then(|start| usize::try_from(start).ok())
        {
            Some(start) if is_whole(&self.window, start) => start,
            _ => {
                self.fill(address)?;
                0
            }
        };
        let plain = parse(self.window.get(start..)?)?;
        let end = plain.offset.checked_add(plain.bytes)?;
        (plain.offset > 0 && end <= self.size).then_some(plain)
    }

    /// The number of elements that the header of a chunk index claims to have: of a fixed or an extensible
    /// array, which the library visits one by one. `None` for other indexes, and for an unknown
    /// format.
    pub(crate) fn claimed_elements(&self, token: Token) -> Option<u64> {
        let layout = self.layout(address(token))?;
        // Version, class (chunked), flags, rank, and the width of the extents that follow.
        let [4 | 5, 2, _, rank, width, ..] = layout[..] else { return None };
        let at = 5 + usize::from(rank) * usize::from(width);
        let (parameters, signature, field) = match layout.get(at)? {
            3 => (1, b"FAHD", 8),
            4 => (5, b"EAHD", 44),
            _ => return None,
        };
        let header = self.read(number(&layout, at + 1 + parameters, 8)?, field as u64 + 8)?;
        header.starts_with(signature).then(|| number(&header, field, 8))?
    }

    /// The layout message of an object, in any block of its header.
    fn layout(&self, address: u64) -> Option<Vec<u8>> {
        let prefix = self.read(address, (self.size.checked_sub(address)?).min(PREFIX_ROOM))?;
        let second = prefix.starts_with(SIGNATURE);
        let (head, first) = if second {
            let (flags, place) = frame(&prefix)?;
            (if flags & ORDERED == 0 { 4 } else { 6 }, (place.start as u64, place.len() as u64))
        } else {
            (8, (PREFIX as u64, number(&prefix, 8, 4)?))
        };
        let mut blocks = vec![(address.checked_add(first.0)?, first.1)];
        let mut next = 0;
        while let Some(&(at, length)) = blocks.get(next) {
            next += 1;
            (next <= MOST_BLOCKS && length <= MOST_BLOCK_BYTES).then_some(())?;
            let block = self.read(at, length)?;
            let mut at = 0;
            while at + head <= block.len() {
                let (sort, size, flags) = match second {
                    true => (number(&block, at, 1)?, number(&block, at + 1, 2)?, block[at + 3]),
                    false => (number(&block, at, 2)?, number(&block, at + 2, 2)?, block[at + 4]),
                };
                let to = at + head + usize::try_from(size).ok()?;
                let message = block.get(at + head..to)?;
                match sort {
                    0x08 if flags & SHARED == 0 => return Some(message.to_vec()),
                    0x10 => {
                        let (at, length) = (number(message, 0, 8)?, number(message, 8, 8)?);
                        // A block of version 2 begins with a signature and ends with a checksum.
                        blocks.push(match second {
                            true => (at.checked_add(4)?, length.checked_sub(8)?),
                            false => (at, length),
                        });
                    }
                    _ => {}
                }
                at = to;
            }
        }
        None
    }

    fn read(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        (at.checked_add(length)? <= self.size).then_some(())?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    fn fill(&mut self, address: u64) -> Option<()> {
        let room = usize::try_from(self.size.checked_sub(address)?).unwrap_or(WINDOW).min(WINDOW);
        self.window.resize(room, 0);
        self.at = address;
        let read = self.file.read_exact_at(&mut self.window, address);
        if read.is_err() {
            // Do not keep bytes of another place.
            self.window.clear();
        }
        read.ok()
    }
}

/// Whether the whole of the header that begins there is in the window.
fn is_whole(window: &[u8], start: usize) -> bool {
    let header = window.get(start..).unwrap_or_default();
    let length = match header.starts_with(SIGNATURE) {
        true => frame(header).and_then(|(_, messages)| messages.end.checked_add(CHECKSUM)),
        false => number(header, 8, 4).and_then(|n| usize::try_from(n).ok()?.checked_add(PREFIX)),
    };
    length.is_some_and(|length| header.len() >= length)
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// The address of the root group's header, where addresses count from the file's beginning.
fn root_of(superblock: &[u8]) -> Option<u64> {
    superblock.starts_with(b"\x89HDF\r\n\x1a\n").then_some(())?;
    let at = |at| number(superblock, at, 8);
    // Version 1 has four bytes more than version 0.
    let (widths, base, root) = match superblock.get(8)? {
        version @ (0 | 1) => {
            let base = 24 + 4 * usize::from(*version);
            // No driver information block.
            (at(base + 24)? == NOWHERE).then_some(())?;
            (number(superblock, 13, 2)?, base, base + 40)
        }
        2 | 3 => {
            // No superblock extension.
            (at(20)? == NOWHERE).then_some(())?;
            (number(superblock, 9, 2)?, 12, 36)
        }
        _ => return None,
    };
    // Offsets and lengths of eight bytes.
    (widths == 0x0808 && at(base)? == 0).then_some(())?;
    at(root)
}

/// Reads an object header without continuation.
fn parse(header: &[u8]) -> Option<Plain<'_>> {
    if header.starts_with(SIGNATURE) { second(header) } else { first(header) }
}

/// Reads an object header of version 1: every message is a multiple of eight bytes.
fn first(header: &[u8]) -> Option<Plain<'_>> {
    (number(header, 0, 2)? == 1).then_some(())?;
    let (mut left, length) = (number(header, 2, 2)?, number(header, 8, 4)?);
    let messages = header.get(PREFIX..usize::try_from(length).ok()?.checked_add(PREFIX)?)?;
    let (mut at, mut content) = (0, Content::default());
    while left > 0 {
        let (sort, size) = (number(messages, at, 2)?, number(messages, at + 2, 2)?);
        size.is_multiple_of(8).then_some(())?;
        let flags = *messages.get(at + 4)?;
        let to = at + 8 + usize::try_from(size).ok()?;
        content.add(sort, flags, messages.get(at + 8..to)?)?;
        (at, left) = (to, left - 1);
    }
    (at == messages.len()).then_some(())?;
    content.plain()
}

/// The flags and the place of the messages of an object header of version 2.
fn frame(header: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let flags = *header.get(5)?;
    (*header.get(4)? == 2 && flags & !0x3f == 0).then_some(())?;
    let at = 6 + if flags & TIMES == 0 { 0 } else { 16 } + if flags & PHASES == 0 { 0 } else { 4 };
    let width = 1 << (flags & 3);
    let length = usize::try_from(number(header, at, width)?).ok()?;
    Some((flags, at + width..(at + width).checked_add(length)?))
}

/// Reads an object header of version 2, whose checksum follows the messages.
fn second(header: &[u8]) -> Option<Plain<'_>> {
    let (flags, place) = frame(header)?;
    let sum = number(header, place.end, CHECKSUM)?;
    (u64::from(lookup3(header.get(..place.end)?)) == sum).then_some(())?;
    if flags & PHASES != 0 {
        // At most so many attributes are compact, and at least so many dense.
        let at = place.start - (1 << (flags & 3)) - 4;
        (number(header, at, 2)? >= number(header, at + 2, 2)?).then_some(())?;
    }
    let messages = header.get(place)?;
    let head = if flags & ORDERED == 0 { 4 } else { 6 };
    let (mut at, mut content, mut empty) = (0, Content::default(), false);
    // Bytes shorter than the head of a message are a gap.
    while messages.len() - at >= head {
        let (sort, size) = (number(messages, at, 1)?, number(messages, at + 1, 2)?);
        let flags = *messages.get(at + 3)?;
        let to = at + head + usize::try_from(size).ok()?;
        content.add(sort, flags, messages.get(at + head..to)?)?;
        (at, empty) = (to, empty || sort == 0);
    }
    // A gap beside an empty message contradicts the format.
    (at == messages.len() || !empty).then_some(())?;
    content.plain()
}

/// The content of the messages that were read.
#[derive(Default)]
struct Content<'h> {
    kind: Option<&'h [u8]>,
    shape: Option<Vec<u64>>,
    place: Option<(u64, u64)>,
    /// Bytes of fill values.
    fills: Vec<u64>,
}

impl<'h> Content<'h> {
    /// Takes one message; `None` for one that is not known here, or is repeated.
    fn add(&mut self, sort: u64, flags: u8, message: &'h [u8]) -> Option<()> {
        // "Constant" and "not to be shared" change nothing; a shared message lies elsewhere.
        (flags & !0b101 == 0).then_some(())?;
        let twice = match sort {
            // None of these matters here, but the library refuses objects where they are damaged: an empty
            // message, an old and a new fill value, and the time of the last change.
            0x00 => false,
            0x04 => {
                self.fills.push(value_size(message, 0)?);
                false
            }
            0x05 => {
                self.fills.push(fill(message)?);
                false
            }
            0x12 => {
                (message.len() >= 8 && message[0] == 1).then_some(())?;
                false
            }
            0x01 => self.shape.replace(extents(message)?).is_some(),
            0x03 => self.kind.replace(message).is_some(),
            0x08 => self.place.replace(contiguous(message)?).is_some(),
            _ => return None,
        };
        (!twice).then_some(())
    }

    fn plain(self) -> Option<Plain<'h>> {
        let (offset, bytes) = self.place?;
        let kind = self.kind?;
        // A fill value is kept for an export: the library reads it.
        let fits = self.fills.iter().all(|&fill| fill == 0);
        fits.then_some(Plain { kind, shape: self.shape?, offset, bytes })
    }
}

/// The checksum of HDF5's metadata. Source: Bob Jenkins, lookup3 (2006), `hashlittle`, from zero.
fn lookup3(bytes: &[u8]) -> u32 {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |n, &byte| n << 8 | u32::from(byte));
    let seed = 0xdead_beef_u32.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let [mut a, mut b, mut c] = [seed; 3];
    // The last twelve bytes, or fewer, are mixed in another way.
    let body = bytes.len().saturating_sub(1) / 12 * 12;
    for words in bytes[..body].chunks_exact(12) {
        a = a.wrapping_add(word(&words[..4]));
        b = b.wrapping_add(word(&words[4..8]));
        c = c.wrapping_add(word(&words[8..]));
        for turns in [[4, 6, 8], [16, 19, 4]] {
            a = a.wrapping_sub(c) ^ c.rotate_left(turns[0]);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(turns[1]);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(turns[2]);
            b = b.wrapping_add(a);
        }
    }
    let mut rest = [0; 12];
    let tail = &bytes[body..];
    if tail.is_empty() {
        return c;
    }
    rest[..tail.len()].copy_from_slice(tail);
    a = a.wrapping_add(word(&rest[..4]));
    b = b.wrapping_add(word(&rest[4..8]));
    c = c.wrapping_add(word(&rest[8..]));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// A fill value message: the bytes of the value, 0 if there is none; `None` if it is not written at the usual
/// time, or explicitly undefined.
fn fill(message: &[u8]) -> Option<u64> {
    match *message {
        // When space is allocated, when the value is written, whether there is one.
        [1 | 2, 0..=3, 2, 1, ..] => value_size(message, 4),
        // The same in bits; the two above show whether there is a value, or none at all.
        [3, flags, ..] if flags & 0xc0 == 0 && flags >> 2 & 3 == 2 => match flags & 0x30 {
            0x20 => value_size(message, 2),
            0x10 | 0x30 => None,
            _ => Some(0),
        },
        _ => None,
    }
}

/// The size of a value that follows its size, both within the message.
fn value_size(message: &[u8], at: usize) -> Option<u64> {
    let size = number(message, at, 4)?;
    let end = usize::try_from(size).ok()?.checked_add(at + 4)?;
    (end <= message.len()).then_some(size)
}

/// A dataspace message of version 1 or 2: a scalar, or extents.
fn extents(message: &[u8]) -> Option<Vec<u64>> {
    let (rank, flags) = (usize::from(*message.get(1)?), *message.get(2)?);
    let sort = *message.get(3)?;
    let first = match message[0] {
        1 => 8,
        2 if sort == u8::from(rank > 0) => 4,
        _ => return None,
    };
    (rank <= MOST_DIMENSIONS && flags <= 1).then_some(())?;
    let shape: Option<Vec<u64>> =
        (0..rank).map(|axis| number(message, first + 8 * axis, 8)).collect();
    let shape = shape?;
    if flags == 1 {
        for (axis, &extent) in shape.iter().enumerate() {
            (number(message, first + 8 * (rank + axis), 8)? >= extent).then_some(())?;
        }
    }
    Some(shape)
}

/// A layout message of version 3 or 4 for elements in one piece: where, and how many bytes.
fn contiguous(message: &[u8]) -> Option<(u64, u64)> {
    matches!(message, [3 | 4, 1, ..]).then_some(())?;
    let (offset, bytes) = (number(message, 2, 8)?, number(message, 10, 8)?);
    (offset != NOWHERE).then_some((offset, bytes))
}

/// Reads arbitrary bytes as a superblock and as object headers, for a fuzz target.
#[cfg(any(test, fuzzing, feature = "fuzzing"))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let _address = root_of(bytes);
    let whole = is_whole(bytes, 0);
    if let Some(plain) = parse(bytes) {
        assert!(plain.shape.len() <= MOST_DIMENSIONS && (whole || bytes.len() < PREFIX));
    }
    // A wrong checksum ends the parse early: with the right one, the rest is parsed too.
    let mut bytes = bytes.to_vec();
    if let Some((_, place)) = frame(&bytes).filter(|_| bytes.starts_with(SIGNATURE)) {
        let end = place.end;
        if let Some(sum) = bytes.get(..end).map(|head| lookup3(head).to_le_bytes())
            && let Some(stored) = end.checked_add(CHECKSUM).and_then(|to| bytes.get_mut(end..to))
        {
            stored.copy_from_slice(&sum);
            let _plain = parse(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sort: u16, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(body.len()).unwrap();
        let head = [&sort.to_le_bytes()[..], &size.to_le_bytes(), &[0; 4]].concat();
        [&head, body].concat()
    }

    fn header(messages: &[Vec<u8>]) -> Vec<u8> {
        let body = messages.concat();
        let count = u16::try_from(messages.len()).unwrap();
        let length = u32::try_from(body.len()).unwrap();
        let head = [&[1, 0][..], &count.to_le_bytes(), &1_u32.to_le_bytes()].concat();
        [&head, &length.to_le_bytes()[..], &[0; 4], &body].concat()
    }

    fn plain_messages() -> Vec<Vec<u8>> {
        let space = [&[1, 1, 0, 0, 0, 0, 0, 0][..], &6_u64.to_le_bytes()].concat();
        let layout =
            [&[3, 1][..], &2048_u64.to_le_bytes(), &48_u64.to_le_bytes(), &[0; 6]].concat();
        vec![
            message(1, &space),
            message(3, &[7; 8]),
            message(5, &[2, 2, 2, 1, 0, 0, 0, 0]),
            message(8, &layout),
        ]
    }

    #[test]
    fn a_plain_header_has_type_shape_and_place() {
        let bytes = header(&plain_messages());
        let plain = Plain { kind: &[7; 8], shape: vec![6], offset: 2048, bytes: 48 };
        assert_eq!(parse(&bytes), Some(plain));
    }

    #[test]
    fn checksums_equal_the_published_values() {
        // Source: the values that lookup3.c gives in its comments.
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }

    /// As `header`, of version 2 with times.
    fn second_header(messages: &[Vec<u8>]) -> Vec<u8> {
        let shorter = |message: &Vec<u8>| {
            let (sort, size, flags) = (message[0], &message[2..4], message[4]);
            [&[sort][..], size, &[flags], &message[8..]].concat()
        };
        let body: Vec<u8> = messages.iter().flat_map(shorter).chain([0; 2]).collect();
        let length = u16::try_from(body.len()).unwrap().to_le_bytes();
        let mut header = [b"OHDR\x02\x21", &[9; 16][..], &length, &body].concat();
        let sum = lookup3(&header).to_le_bytes();
        header.extend(sum);
        header
    }

    #[test]
    fn a_header_of_version_2_has_the_same_content() {
        let mut bytes = second_header(&plain_messages());
        let plain = Plain { kind: &[7; 8], shape: vec![6], offset: 2048, bytes: 48 };
        assert_eq!(parse(&bytes), Some(plain));
        assert!(is_whole(&bytes, 0) && !is_whole(&bytes[..bytes.len() - 1], 0));
        // The checksum detects any change, also of itself.
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            assert_eq!(parse(&bytes), None, "byte {at}");
            bytes[at] ^= 0x10;
            assert_eq!(parse(&bytes[..at]), None);
        }
    }

    #[test]
    fn headers_with_other_messages_are_refused() {
        // Attributes, filters, external files, a continuation, and whatever is not known.
        for sort in (0..0x20).filter(|sort| ![0x00, 0x04, 0x05, 0x12].contains(sort)) {
            let mut messages = plain_messages();
            messages.push(message(sort, &[0; 16]));
            assert_eq!(parse(&header(&messages)), None, "{sort:#x}");
            assert_eq!(parse(&second_header(&messages)), None, "{sort:#x}");
        }
        for number in 0..4 {
            let mut messages = plain_messages();
            // Shared: it lies elsewhere.
            messages[number][4] = 2;
            assert_eq!(parse(&header(&messages)), None);
        }
        for missing in [0, 1, 3] {
            let mut messages = plain_messages();
            messages.remove(missing);
            assert_eq!(parse(&header(&messages)), None);
        }
    }

    #[test]
    fn parse_refuses_messages_that_the_library_refuses() {
        let size = 0x0707_0707_u32.to_le_bytes();
        let value = |head: &[u8], size: [u8; 4], bytes: usize| {
            [head, &size, &vec![0; bytes]].concat().into_boxed_slice()
        };
        let old = |sort, body: &[u8]| {
            let mut messages = plain_messages();
            messages.push(message(sort, body));
            let first = parse(&header(&messages)).is_some();
            assert_eq!(parse(&second_header(&messages)).is_some(), first, "{sort:#x} {body:?}");
            first
        };
        // Old fill values: none; longer than the message; of another size than the type.
        assert!(old(4, &[0; 8]));
        assert!(!old(4, &value(&[], size, 4)) && !old(4, &value(&[], [4, 0, 0, 0], 8)));
        // Values that the library reads for exports, and unusual times of writing.
        assert!(!old(5, &[2, 2, 2, 0, 0, 0, 0, 0]) && !old(5, &[3, 0x1a, 0, 0, 0, 0, 0, 0]));
        assert!(!old(5, &[2, 2, 1, 1, 0, 0, 0, 0]) && !old(5, &[3, 0x06, 0, 0, 0, 0, 0, 0]));
        // Times and flags that HDF5 does not define, values longer than the message, a value and none.
        assert!(old(5, &[2, 2, 2, 1, 0, 0, 0, 0]) && old(5, &[3, 0x0a, 0, 0, 0, 0, 0, 0]));
        for bad in [
            &[0, 2, 2, 0][..],
            &[2, 4, 2, 0],
            &[2, 2, 130, 0],
            &[2, 2, 2, 2],
            &[2, 2, 2, 1, 9, 0, 0, 0],
            &[3, 0x4a, 0, 0],
            &[3, 0x3a, 0, 0],
            &[3, 0x0e, 0, 0],
            &[3, 0x2a, 9, 0, 0, 0],
            &[4, 0, 0, 0],
        ] {
            let mut padded = bad.to_vec();
            padded.resize(8, 0);
            assert!(!old(5, &padded), "{bad:?}");
        }
        // Times of change, of which the older form is left to the library.
        assert!(old(0x12, &[1, 0, 0, 0, 0, 0, 0, 0]) && !old(0x12, &[2, 0, 0, 0, 0, 0, 0, 0]));
        // An empty message and a gap.
        let with_empty = [plain_messages(), vec![message(0, &[0; 8])]].concat();
        assert!(parse(&header(&with_empty)).is_some());
        assert!(parse(&second_header(&with_empty)).is_none());
    }

    #[test]
    fn damaged_headers_do_not_panic() {
        let whole = header(&plain_messages());
        for at in 0..whole.len() {
            let _refused_or_other = parse(&whole[..at]);
            for bits in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= bits;
                if let Some(plain) = parse(&bytes) {
                    assert!(plain.shape.len() <= MOST_DIMENSIONS);
                }
            }
            assert!(root_of(&whole[..at]).is_none());
        }
    }
}
