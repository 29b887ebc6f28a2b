//! The npz format: a zip archive of uncompressed npy files, with 64-bit sizes.
//! Source: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

use libdeflater::Crc;
use numpy_dtype::Dtype;

use super::byte_writer::ByteWriter;
use super::content::Content;
use super::interrupt::CheckInterrupt;
use super::npy;
use crate::error::Result;
use crate::shm::format::tree::{self, Array};

/// The suffix of the name of each entry.
const SUFFIX: &str = ".npy";
/// The flag of a UTF-8 name.
const UTF8: u16 = 1 << 11;
/// The flag of a checksum after the data: a stream cannot be changed later.
const TRAILING_CRC: u16 = 1 << 3;
/// 1980-01-01. A constant date makes the file reproducible.
const DATE: u32 = 0x0021_0000;
/// The value of a 32-bit field if the 64-bit field is valid.
const USE_64_BITS: u32 = u32::MAX;

struct ZipEntry {
    name: String,
    offset: u64,
    size: u64,
    crc: u32,
    flags: u16,
}

/// Returns the reason why the format cannot represent an array, or `None` if it can.
pub(super) fn unsupported_reason(path: &str, _: &Array, _: &Dtype) -> Option<String> {
    let is_too_long = path.len() - 1 + SUFFIX.len() > usize::from(u16::MAX);
    is_too_long.then(|| "the path is too long for a zip file".to_owned())
}

/// Writes every array as `group/name.npy`. [`unsupported_reason`] must return `None` for each.
///
/// # Errors
/// Returns an I/O error if a read or a write fails, and the errors of `check_interrupt`.
pub(super) fn write(
    content: &Content,
    writer: &mut ByteWriter,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    let mut entries = Vec::new();
    for (path, array) in tree::arrays(&content.root) {
        let header = npy::header(&path, array)?;
        let source = content.open_array(&path, array)?;
        let name = format!("{}{SUFFIX}", &path[1..]);
        let flags = if writer.is_seekable() { UTF8 } else { UTF8 | TRAILING_CRC };
        let size = header.len() as u64 + source.bytes();
        let mut entry = ZipEntry { name, offset: writer.written(), size, crc: 0, flags };
        writer.write(&entry.local_header())?;
        writer.preallocate(size, check_interrupt)?;
        let mut crc = Crc::new();
        crc.update(&header);
        writer.write(&header)?;
        writer.append_blocks(&source, &mut |block| crc.update(block), check_interrupt)?;
        entry.crc = crc.sum();
        if writer.is_seekable() {
            writer.overwrite(entry.offset + 14, &entry.crc.to_le_bytes())?;
        } else {
            writer.write(&entry.data_descriptor())?;
        }
        entries.push(entry);
    }
    let start = writer.written();
    for entry in &entries {
        writer.write(&entry.central_header())?;
    }
    writer.write(&end_of_directory(entries.len() as u64, start, writer.written() - start))
}

impl ZipEntry {
    /// The header before the data, with 64-bit sizes.
    fn local_header(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04".to_vec();
        put16(&mut out, &[45, self.flags, 0]);
        put32(&mut out, &[DATE, self.crc, USE_64_BITS, USE_64_BITS]);
        put16(&mut out, &[saturate(self.name.len()), 20]);
        out.extend(self.name.as_bytes());
        put16(&mut out, &[1, 16]);
        put64(&mut out, &[self.size, self.size]);
        out
    }

    /// The checksum and sizes after the data.
    fn data_descriptor(&self) -> Vec<u8> {
        let mut out = b"PK\x07\x08".to_vec();
        put32(&mut out, &[self.crc]);
        put64(&mut out, &[self.size, self.size]);
        out
    }

    /// The header in the central directory.
    fn central_header(&self) -> Vec<u8> {
        let mut out = b"PK\x01\x02".to_vec();
        put16(&mut out, &[45, 45, self.flags, 0]);
        put32(&mut out, &[DATE, self.crc, USE_64_BITS, USE_64_BITS]);
        put16(&mut out, &[saturate(self.name.len()), 28, 0, 0, 0]);
        put32(&mut out, &[0, USE_64_BITS]);
        out.extend(self.name.as_bytes());
        put16(&mut out, &[1, 24]);
        put64(&mut out, &[self.size, self.size, self.offset]);
        out
    }
}

/// The end records of the central directory, with 64 and 32 bits. An empty archive has the 32-bit record only: numpy
/// identifies an empty archive by its first bytes.
fn end_of_directory(count: u64, start: u64, size: u64) -> Vec<u8> {
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
    put32(&mut out, &[USE_64_BITS, USE_64_BITS]);
    put16(&mut out, &[0]);
    out
}

fn saturate(length: usize) -> u16 {
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
