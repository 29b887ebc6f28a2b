//! numpy's archive: a zip file of npy files, stored as they are, with 64-bit sizes where needed.
//! Source: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

use libdeflater::Crc;
use numpy_dtype::Dtype;

use super::{Advance, Content, Sink, npy};
use crate::error::Result;
use crate::shm::format::tree::Array;

/// The end of each entry's name.
const SUFFIX: &str = ".npy";
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// The checksum stands behind the data: in a stream it is not known before.
const TRAILING: u16 = 1 << 3;
/// 1980-01-01: the same arrays give the same file.
const DATE: u32 = 0x0021_0000;
/// What a 32-bit field says when the 64-bit one counts.
const LARGE: u32 = u32::MAX;

struct Entry {
    name: String,
    offset: u64,
    size: u64,
    crc: u32,
    flags: u16,
}

/// Returns the reason why the format cannot represent an array, or `None` if it can.
pub(super) fn reason(path: &str, _: &Array, _: &Dtype) -> Option<String> {
    let is_long = path.len() + SUFFIX.len() > usize::from(u16::MAX);
    is_long.then(|| "the path is too long for a zip file".to_owned())
}

/// Writes every array as `group/name.npy`; [`reason`] returns `None` for each.
pub(super) fn write(content: &Content, sink: &mut Sink, advance: Advance) -> Result<()> {
    let mut entries = Vec::new();
    for (path, array) in content.arrays() {
        let header = npy::header(&path, array)?;
        let source = content.source(&path, array)?;
        let name = format!("{path}{SUFFIX}");
        let flags = if sink.is_seekable() { UTF8 } else { UTF8 | TRAILING };
        let size = header.len() as u64 + source.bytes();
        let mut entry = Entry { name, offset: sink.written(), size, crc: 0, flags };
        sink.write(&entry.local())?;
        sink.make_room(size, advance)?;
        let mut crc = Crc::new();
        crc.update(&header);
        sink.write(&header)?;
        sink.stream_pieces(&source, &mut |piece| crc.update(piece), advance)?;
        entry.crc = crc.sum();
        if sink.is_seekable() {
            sink.patch(entry.offset + 14, &entry.crc.to_le_bytes())?;
        } else {
            sink.write(&entry.descriptor())?;
        }
        entries.push(entry);
    }
    let start = sink.written();
    for entry in &entries {
        sink.write(&entry.central())?;
    }
    sink.write(&end(entries.len() as u64, start, sink.written() - start))
}

impl Entry {
    /// What stands before the data. The sizes are known already, and always 64 bits wide.
    fn local(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04".to_vec();
        put16(&mut out, &[45, self.flags, 0]);
        put32(&mut out, &[DATE, self.crc, LARGE, LARGE]);
        put16(&mut out, &[short(self.name.len()), 20]);
        out.extend(self.name.as_bytes());
        put16(&mut out, &[1, 16]);
        put64(&mut out, &[self.size, self.size]);
        out
    }

    fn descriptor(&self) -> Vec<u8> {
        let mut out = b"PK\x07\x08".to_vec();
        put32(&mut out, &[self.crc]);
        put64(&mut out, &[self.size, self.size]);
        out
    }

    /// The entry of the directory at the end.
    fn central(&self) -> Vec<u8> {
        let mut out = b"PK\x01\x02".to_vec();
        put16(&mut out, &[45, 45, self.flags, 0]);
        put32(&mut out, &[DATE, self.crc, LARGE, LARGE]);
        put16(&mut out, &[short(self.name.len()), 28, 0, 0, 0]);
        put32(&mut out, &[0, LARGE]);
        out.extend(self.name.as_bytes());
        put16(&mut out, &[1, 24]);
        put64(&mut out, &[self.size, self.size, self.offset]);
        out
    }
}

/// The end of the directory, twice: with 64 bits, and for readers that look for the short one. Of an archive
/// without entries only the short one: numpy recognizes an empty archive by its first bytes.
fn end(count: u64, start: u64, size: u64) -> Vec<u8> {
    if count == 0 {
        let mut out = b"PK\x05\x06".to_vec();
        out.resize(22, 0);
        return out;
    }
    let mut out = b"PK\x06\x06".to_vec();
    put64(&mut out, &[44]);
    put16(&mut out, &[45, 45]);
    put32(&mut out, &[0, 0]);
    put64(&mut out, &[count, count, size, start]);
    out.extend(b"PK\x06\x07");
    put32(&mut out, &[0]);
    put64(&mut out, &[start + size]);
    put32(&mut out, &[1]);
    out.extend(b"PK\x05\x06");
    put16(&mut out, &[0, 0, u16::MAX, u16::MAX]);
    put32(&mut out, &[LARGE, LARGE]);
    put16(&mut out, &[0]);
    out
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put64(out: &mut Vec<u8>, values: &[u64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
