//! A few lines of Python that attach arrays, with nothing but numpy and the standard library.

use std::fmt::Write as _;
use std::path::Path;

use super::preview::text_literal;
use crate::shm::format::tree::Array;

/// Maps through the C library: Python's own mmap objects keep a descriptor open before 3.13, and its
/// `shared_memory` module removes segments that it did not make.
const HEAD: &str = r#"import ctypes, mmap, os
import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]

def attach(segment, shape, dtype):
    """A read-only array; its memory stays mapped until the process ends."""
    dtype = np.dtype(dtype)
    size = max(1, int(np.prod(shape, dtype=object)) * dtype.itemsize)
    fd = os.open(segment, os.O_RDONLY)
    try:
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    finally:
        os.close(fd)
    if at == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), segment)
    array = np.ndarray(shape, dtype, (ctypes.c_ubyte * size).from_address(at))
    array.flags.writeable = False
    return array

"#;

/// The snippet for these arrays, by path; `whole` makes a dictionary of them. `origin` says of which project
/// and load they are, `command` makes the snippet anew.
pub(crate) fn snippet(
    shm: &Path,
    arrays: &[(String, &Array)],
    whole: bool,
    origin: &str,
    command: &str,
) -> String {
    let mut out = format!(
        "# Attaches {origin}, read-only and without a copy.\n\
         # Each load gives its segments new names; then make this anew: {command}\n{HEAD}"
    );
    let call = |array: &Array| {
        let segment = text_literal(&shm.join(&array.segment).to_string_lossy());
        let shape = crate::text::shape(&array.shape);
        format!("attach({segment}, {shape}, {})", text_literal(&array.dtype))
    };
    if let ([(_, array)], false) = (arrays, whole) {
        let _ = writeln!(out, "array = {}", call(array));
        return out;
    }
    out.push_str("arrays = {\n");
    for (path, array) in arrays {
        let _ = writeln!(out, "    {}: {},", text_literal(path), call(array));
    }
    out.push_str("}\n");
    out
}
