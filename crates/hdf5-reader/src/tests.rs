//! Odd files that the corpus lacks, written here and read back.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::path::PathBuf;
use std::sync::Arc;

use hdf5_sys::h5d::{H5Dcreate2, H5Dflush, H5Dopen2, H5Dwrite, H5Dwrite_chunk};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5F_libver_t, H5Fcreate};
use hdf5_sys::h5g::H5Gcreate2;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::{H5Lcreate_external, H5Lcreate_hard, H5Lcreate_soft};
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5Pcreate, H5Pset_chunk,
    H5Pset_deflate, H5Pset_external, H5Pset_fletcher32, H5Pset_libver_bounds, H5Pset_nbit,
    H5Pset_scaleoffset, H5Pset_userblock,
};
use hdf5_sys::h5s::{H5S_ALL, H5S_class_t, H5Screate, H5Screate_simple};
#[allow(clippy::wildcard_imports)]
use hdf5_sys::h5t::*;
use hdf5_sys::h5z::H5Z_SO_scale_type_t;
use nix::errno::Errno;

use super::external_files::Files;
use super::ffi::dataspace::Dataspace;
use super::ffi::datatype::Datatype;
use super::ffi::ids::{Id, lock};
use super::ffi::links::LinkAccess;
use super::ffi::{dataset, links, object};
use super::object_header::Headers;
use super::{
    Cause, Child, Dataset, External, FieldLayout, Inventory, Options, Result, SelectRows, inventory,
};

/// A file that a test writes with the library itself.
struct Fixture {
    folder: tempfile::TempDir,
    file: Option<Id>,
}

impl Fixture {
    fn new() -> Self {
        Self::made(0, H5F_libver_t::H5F_LIBVER_V18)
    }

    /// A file with a user block of so many bytes, that libraries from such a version on can read.
    fn made(block: u64, version: H5F_libver_t) -> Self {
        let _lock = lock();
        let folder = tempfile::tempdir().unwrap();
        let name = c_path(&folder.path().join("x.h5"));
        // SAFETY: the lists are of the classes that the calls want, the name ends with NUL.
        let file = unsafe {
            let create = Id::own(H5Pcreate(*H5P_CLS_FILE_CREATE)).unwrap();
            assert!(H5Pset_userblock(create.raw(), block) >= 0);
            let access = Id::own(H5Pcreate(*H5P_CLS_FILE_ACCESS)).unwrap();
            let newest = H5F_libver_t::H5F_LIBVER_V110;
            assert!(H5Pset_libver_bounds(access.raw(), version, newest) >= 0);
            Id::own(H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, create.raw(), access.raw())).unwrap()
        };
        Self { folder, file: Some(file) }
    }

    fn id(&self) -> hid_t {
        self.file.as_ref().unwrap().raw()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x.h5")
    }

    fn group(&self, name: &CStr) -> &Self {
        let _lock = lock();
        // SAFETY: the file is open, the name ends with NUL.
        drop(Id::own(unsafe { H5Gcreate2(self.id(), name.as_ptr(), 0, 0, 0) }).unwrap());
        self
    }

    /// Writes `data` as a dataset of `kind`; no shape is a scalar.
    fn dataset<T>(&self, name: &CStr, kind: hid_t, shape: &[u64], data: &[T]) -> &Self {
        self.stored(name, kind, shape, data, 0)
    }

    fn stored<T>(&self, name: &CStr, kind: hid_t, shape: &[u64], data: &[T], dcpl: hid_t) -> &Self {
        let _lock = lock();
        // SAFETY: every id is open, and the tests pass data of the type and shape they name.
        unsafe {
            let space = match shape.len() {
                0 => H5Screate(H5S_class_t::H5S_SCALAR),
                rank => {
                    H5Screate_simple(i32::try_from(rank).unwrap(), shape.as_ptr(), std::ptr::null())
                }
            };
            let space = Id::own(space).unwrap();
            let (file, at) = (self.id(), name.as_ptr());
            let set = Id::own(H5Dcreate2(file, at, kind, space.raw(), 0, dcpl, 0)).unwrap();
            if !data.is_empty() {
                let from = data.as_ptr().cast::<c_void>();
                assert!(H5Dwrite(set.raw(), kind, H5S_ALL, H5S_ALL, 0, from) >= 0);
            }
        }
        self
    }

    /// Stores only the first bytes of the first chunk, as if it had been through all filters.
    fn cut_chunk(&self, name: &CStr, bytes: usize) -> &Self {
        let _lock = lock();
        let (start, mut stored, mut mask) = ([0_u64], vec![0_u8; 1 << 16], 0);
        // SAFETY: the file is open, the name ends with NUL, and the buffer is larger than the chunk.
        unsafe {
            let set = Id::own(H5Dopen2(self.id(), name.as_ptr(), 0)).unwrap();
            let buffer = stored.as_mut_ptr().cast();
            assert!(H5Dflush(set.raw()) >= 0);
            let mut size = stored.len();
            let (at, masks) = (start.as_ptr(), &raw mut mask);
            assert!(H5Dread_chunk2(set.raw(), 0, at, masks, buffer, &raw mut size) >= 0);
            assert!(H5Dwrite_chunk(set.raw(), 0, mask, at, bytes, buffer.cast_const()) >= 0);
        }
        self
    }

    fn close(&mut self) {
        self.file = None;
    }

    fn look(&mut self) -> Result<Inventory> {
        self.look_at(None)
    }

    fn look_at(&mut self, rows: Option<&SelectRows<'_>>) -> Result<Inventory> {
        self.close();
        let options = Options {
            select: &|_| true,
            seen: &mut |_| {},
            rows,
            keep_going: false,
            external: External::Allow,
        };
        inventory(&self.path(), options)
    }
}

fn c_path(path: &std::path::Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// The bytes of each leaf of a dataset.
fn bytes(found: &Inventory, dataset: usize) -> Vec<Vec<u8>> {
    let leaves = found.datasets[dataset].fields();
    let room = |leaf: &&super::Field| vec![0; usize::try_from(leaf.nbytes()).unwrap()];
    let mut buffers: Vec<Vec<u8>> = leaves.iter().map(room).collect();
    let (mut done, total) = (0, buffers.iter().map(Vec::len).sum::<usize>() as u64);
    let mut sinks: Vec<&mut [u8]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
    found.read(dataset, &mut sinks, &mut |bytes| done += bytes).unwrap();
    assert_eq!(done, total, "progress tells every byte");
    buffers
}

fn reasons(found: &Inventory) -> Vec<(&str, &str)> {
    found.skips.iter().map(|skip| (skip.path.as_str(), skip.reason.as_str())).collect()
}

fn int32() -> hid_t {
    let _lock = lock();
    *H5T_STD_I32LE
}

#[test]
fn unusual_names_are_kept_and_names_that_are_not_utf8_are_skipped() {
    let mut file = Fixture::new();
    for name in [c"a.b", c"new\nline", c"\xc3\xa9", c"true", c"#", c"\xff\xfe"] {
        file.dataset(name, int32(), &[1], &[7_i32]);
    }
    let found = file.look().unwrap();
    let names: Vec<&str> = found.root.children.keys().map(String::as_str).collect();
    assert_eq!(names, ["#", "a.b", "new\nline", "true", "é"]);
    assert_eq!(reasons(&found), [("/\u{fffd}\u{fffd}", "the name is not UTF-8")]);
}

#[test]
fn the_reserved_name_is_accepted_at_the_top_level_alone() {
    let mut file = Fixture::new();
    file.dataset(c"shm_name", int32(), &[1], &[7_i32]).group(c"g");
    file.dataset(c"g/shm_name", int32(), &[1], &[7_i32]);
    let found = file.look().unwrap();
    assert_eq!(found.datasets.len(), 1);
    assert_eq!(found.skips[0].path, "/g/shm_name");
}

#[test]
fn integers_of_three_bytes_are_widened() {
    let mut file = Fixture::new();
    {
        let _lock = lock();
        let kind = Datatype::predefined(*H5T_STD_I32BE).unwrap();
        // SAFETY: `kind` is an open, changeable integer type.
        assert!(unsafe {
            H5Tset_precision(kind.raw(), 24) >= 0 && H5Tset_size(kind.raw(), 3) >= 0
        });
        file.dataset(c"x", kind.raw(), &[2], &[0_u8, 1, 2, 255, 255, 254]);
    }
    let found = file.look().unwrap();
    assert_eq!(found.datasets[0].fields()[0].dtype.to_string(), "int32");
    assert_eq!(bytes(&found, 0)[0], [258_i32.to_le_bytes(), (-2_i32).to_le_bytes()].concat());
}

#[test]
fn a_hard_link_alias_is_planned_once() {
    let mut file = Fixture::new();
    file.dataset(c"x", int32(), &[2], &[1_i32, 2]);
    {
        let _lock = lock();
        let (id, old, new) = (file.id(), c"x".as_ptr(), c"y".as_ptr());
        // SAFETY: the file is open, the names end with NUL.
        assert!(unsafe { H5Lcreate_hard(id, old, id, new, 0, 0) } >= 0);
    }
    let found = file.look().unwrap();
    assert_eq!(found.datasets.len(), 1);
    for name in ["x", "y"] {
        assert!(matches!(found.root.children[name], Child::Dataset(0)));
    }
}

#[test]
fn dangling_links_and_links_to_ancestors_are_skipped() {
    let mut file = Fixture::new();
    file.group(c"g");
    {
        let _lock = lock();
        let id = file.id();
        // SAFETY: the file is open, the names end with NUL.
        unsafe {
            assert!(H5Lcreate_soft(c"/x".as_ptr(), id, c"dangling".as_ptr(), 0, 0) >= 0);
            assert!(H5Lcreate_soft(c"/self".as_ptr(), id, c"self".as_ptr(), 0, 0) >= 0);
            assert!(H5Lcreate_soft(c"/".as_ptr(), id, c"g/up".as_ptr(), 0, 0) >= 0);
            let (other, path) = (c"no.h5".as_ptr(), c"/y".as_ptr());
            assert!(H5Lcreate_external(other, path, id, c"outside".as_ptr(), 0, 0) >= 0);
        }
    }
    let found = file.look().unwrap();
    let reasons = reasons(&found);
    assert_eq!(reasons[0], ("/dangling", "dangling soft link to '/x'"));
    assert_eq!(reasons[1], ("/g/up", "link back to an ancestor group"));
    assert!(reasons[2].0 == "/outside" && reasons[2].1.contains("no.h5:/y"), "{reasons:?}");
    assert!(reasons[3].0 == "/self", "{reasons:?}");
    assert_eq!(found.root.children.len(), 1);
}

#[test]
fn scalars_and_empty_arrays_are_planned_and_null_dataspaces_are_not() {
    let mut file = Fixture::new();
    file.dataset(c"scalar", int32(), &[], &[9_i32]);
    file.dataset::<i32>(c"empty", int32(), &[3, 0], &[]);
    {
        let _lock = lock();
        // SAFETY: the ids are open, the name ends with NUL.
        unsafe {
            let null = Id::own(H5Screate(H5S_class_t::H5S_NULL)).unwrap();
            let (id, name) = (file.id(), c"null".as_ptr());
            drop(Id::own(H5Dcreate2(id, name, *H5T_STD_I32LE, null.raw(), 0, 0, 0)).unwrap());
        }
    }
    let found = file.look().unwrap();
    assert_eq!(found.datasets[0].shape, [3, 0]);
    assert_eq!(bytes(&found, 0)[0], [0_u8; 0]);
    assert_eq!(found.datasets[1].shape, [0_u64; 0]);
    assert_eq!(bytes(&found, 1)[0], 9_i32.to_le_bytes());
    assert_eq!(found.skips[0].path, "/null");
}

/// `{n: i32, in: {s: string, v: i16[2]}, shm_name: i32}`, as C lays it out.
#[repr(C)]
struct Record {
    n: i32,
    text: *const i8,
    values: [i16; 2],
    reserved: i32,
}

#[test]
fn nested_compounds_become_tables_with_arrays_and_strings() {
    let mut file = Fixture::new();
    {
        let _lock = lock();
        let text = Datatype::predefined(*H5T_C_S1).unwrap().variable_string().unwrap();
        let pair = Datatype::predefined(*H5T_STD_I16LE).unwrap().array(&[2]).unwrap();
        let int = Datatype::predefined(*H5T_STD_I32LE).unwrap();
        let inner = Datatype::compound(12).unwrap();
        inner.insert("s", 0, &text).unwrap();
        inner.insert("v", 8, &pair).unwrap();
        let outer = Datatype::compound(size_of::<Record>()).unwrap();
        outer.insert("n", 0, &int).unwrap();
        outer.insert("in", 8, &inner).unwrap();
        outer.insert("shm_name", 20, &int).unwrap();
        let record = |n, text: &'static CStr, values| Record {
            n,
            text: text.as_ptr().cast(),
            values,
            reserved: 0,
        };
        let rows = [record(1, c"a", [1, 2]), record(2, c"long", [3, 4]), record(3, c"", [5, 6])];
        file.dataset(c"x", outer.raw(), &[3], &rows);
    }
    let found = file.look().unwrap();
    let FieldLayout::Table(table) = &found.datasets[0].form else { panic!("a table") };
    assert_eq!(table.keys().collect::<Vec<_>>(), ["n", "in"]);
    let leaves = found.datasets[0].fields();
    let shown: Vec<_> = leaves.iter().map(|l| (l.dtype.to_string(), l.shape.clone())).collect();
    let expected = [("int32", vec![3]), ("|S4", vec![3]), ("int16", vec![3, 2])];
    assert_eq!(shown, expected.map(|(dtype, shape)| (dtype.to_owned(), shape)));
    let data = bytes(&found, 0);
    assert_eq!(data[1], b"a\0\0\0long\0\0\0\0");
    assert_eq!(data[2], [1_i16, 2, 3, 4, 5, 6].map(i16::to_le_bytes).concat());
    assert_eq!(found.skips[0].path, "/x/shm_name");
}

#[test]
fn chunks_at_the_edges_are_read_whole() {
    let mut file = Fixture::new();
    let values: Vec<i32> = (0..70 * 30).collect();
    {
        let _lock = lock();
        // SAFETY: the class is the library's own and the list open.
        let list = unsafe {
            let list = Id::own(H5Pcreate(*H5P_CLS_DATASET_CREATE)).unwrap();
            assert!(H5Pset_chunk(list.raw(), 2, [16, 8].as_ptr()) >= 0);
            assert!(H5Pset_deflate(list.raw(), 4) >= 0);
            list
        };
        file.stored(c"x", *H5T_STD_I32LE, &[70, 30], &values, list.raw());
        file.stored::<i32>(c"y", *H5T_STD_I32LE, &[70, 30], &[], list.raw());
    }
    let found = file.look().unwrap();
    let expected: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert!(bytes(&found, 0)[0] == expected);
    assert_eq!(bytes(&found, 1)[0], vec![0; expected.len()]);
    assert_eq!(found.datasets[0].storage.chunk.as_deref(), Some(&[16, 8][..]));
    assert_eq!(found.datasets[0].storage.filters[0].name, "deflate");
}

#[test]
fn datasets_that_are_not_selected_are_not_planned() {
    let mut file = Fixture::new();
    file.group(c"g").dataset(c"x", int32(), &[1], &[1_i32]);
    file.dataset(c"g/y", int32(), &[1], &[1_i32]);
    file.close();
    let mut seen = Vec::new();
    let mut note = |path: &str| seen.push(path.to_owned());
    let options = Options {
        select: &|path| path == "/g/y",
        seen: &mut note,
        rows: None,
        keep_going: false,
        external: External::Allow,
    };
    let found = inventory(&file.path(), options).unwrap();
    assert_eq!(found.datasets.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["/g/y"]);
    assert_eq!(seen, ["/", "/g", "/g/y", "/x"]);
    let sources: Vec<_> = found.sources.iter().map(|looked| looked.path.clone()).collect();
    assert_eq!(sources, [file.path()]);
}

#[test]
fn files_that_are_not_hdf5_and_missing_files_have_different_errors() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let options = Options {
            select: &|_| true,
            seen: &mut |_| {},
            rows: None,
            keep_going: false,
            external: External::Allow,
        };
        inventory(&folder.path().join(name), options).unwrap_err()
    };
    std::fs::write(folder.path().join("text"), "no HDF5").unwrap();
    let error = open("text");
    assert_eq!(error.cause(), Cause::Damage);
    assert!(error.to_string().ends_with("text' is not an HDF5 file"), "{error}");
    assert_eq!(open("missing").cause(), Cause::System(Errno::ENOENT));
    assert_eq!(open(".").cause(), Cause::Damage);
}

/// A creation list that stores a dataset of two integers in the raw file `name`.
fn outside(name: &CStr) -> Id {
    let _lock = lock();
    // SAFETY: the class is the library's own, the list open, the name ends with NUL.
    unsafe {
        let list = Id::own(H5Pcreate(*H5P_CLS_DATASET_CREATE)).unwrap();
        assert!(H5Pset_external(list.raw(), name.as_ptr(), 0, 8) >= 0);
        list
    }
}

#[test]
fn raw_files_are_found_beside_the_file_and_missing_ones_are_an_error() {
    let mut file = Fixture::new();
    file.stored::<i32>(c"here", int32(), &[2], &[], outside(c"values.raw").raw());
    file.stored::<i32>(c"gone", int32(), &[2], &[], outside(c"no.raw").raw());
    file.close();
    let raw = file.folder.path().join("values.raw");
    std::fs::write(&raw, [5_i32, 6].map(i32::to_le_bytes).concat()).unwrap();
    let look = |keep_going| {
        let external = External::Allow;
        let (select, seen) = (&|_: &str| true, &mut |_: &str| {});
        inventory(&file.path(), Options { select, seen, rows: None, keep_going, external })
    };
    let error = look(false).unwrap_err();
    assert_eq!((error.cause(), error.subject()), (Cause::Damage, Some("/gone")));
    let found = look(true).unwrap();
    assert_eq!(found.damaged[0].path, "/gone");
    assert_eq!(bytes(&found, 0)[0], [5_i32, 6].map(i32::to_le_bytes).concat());
    assert!(found.sources.iter().any(|looked| looked.path == raw));
}

#[test]
fn groups_nested_too_deep_are_skipped() {
    let mut file = Fixture::new();
    let mut name = String::new();
    for _ in 0..310 {
        name.push_str("/g");
        file.group(&CString::new(name.as_str()).unwrap());
    }
    let found = file.look().unwrap();
    assert_eq!(reasons(&found)[0].1, "groups nested deeper than 300");
}

#[test]
fn too_many_paths_are_refused_without_a_watchdog() {
    let mut file = Fixture::new();
    let mut name = String::new();
    for _ in 0..40 {
        let above = name.clone();
        name.push_str("/a");
        let group = CString::new(name.as_str()).unwrap();
        file.group(&group);
        let alias = CString::new(format!("{above}/b")).unwrap();
        let _lock = lock();
        let id = file.id();
        // SAFETY: the file is open, the names end with NUL.
        let made = unsafe { H5Lcreate_hard(id, group.as_ptr(), id, alias.as_ptr(), 0, 0) };
        assert!(made >= 0);
    }
    // 2^41 paths.
    let error = file.look().unwrap_err();
    assert_eq!(error.cause(), Cause::Damage);
    assert!(error.to_string().contains("more than 2000000 paths"), "{error}");
}

#[test]
fn buffers_of_another_size_are_refused() {
    let mut file = Fixture::new();
    file.dataset(c"x", int32(), &[2], &[1_i32, 2]);
    let found = file.look().unwrap();
    let mut short = [0_u8; 7];
    assert!(found.read(0, &mut [&mut short], &mut |_| {}).is_err());
    assert!(found.read(0, &mut [], &mut |_| {}).is_err());
    assert!(found.read(1, &mut [], &mut |_| {}).is_err());
}

/// A creation list with chunks of two rows.
fn in_chunks(columns: u64) -> Id {
    let _lock = lock();
    // SAFETY: the class is the library's own, the list open, there are two extents.
    unsafe {
        let list = Id::own(H5Pcreate(*H5P_CLS_DATASET_CREATE)).unwrap();
        assert!(H5Pset_chunk(list.raw(), 2, [2, columns].as_ptr()) >= 0);
        list
    }
}

#[test]
fn selected_rows_equal_the_rows_of_the_file() {
    let mut file = Fixture::new();
    let values: Vec<i32> = (0..35).collect();
    file.dataset(c"a", int32(), &[7, 5], &values);
    file.stored(c"b", int32(), &[7, 5], &values, in_chunks(3).raw());
    file.dataset(c"c", int32(), &[], &[9_i32]);
    file.dataset(c"d", int32(), &[2], &[1_i32, 2]);
    let found = file.look_at(Some(&|all| 3.min(all)..6.min(all))).unwrap();
    let wanted: Vec<u8> = values[15..30].iter().flat_map(|value| value.to_le_bytes()).collect();
    for dataset in 0..2 {
        assert_eq!(found.datasets[dataset].shape, [3, 5]);
        assert_eq!(found.datasets[dataset].part, Some(super::Part { first: 3, of: 7 }));
        assert_eq!(bytes(&found, dataset)[0], wanted);
    }
    assert_eq!(bytes(&found, 2)[0], 9_i32.to_le_bytes(), "a scalar is whole");
    assert_eq!(found.datasets[3].shape, [0], "a short array ends before the rows begin");
}

#[test]
fn elements_that_were_never_written_are_zero_also_with_a_user_block() {
    for block in [0, 512] {
        let mut file = Fixture::made(block, H5F_libver_t::H5F_LIBVER_EARLIEST);
        file.dataset(c"a", int32(), &[4], &[] as &[i32]);
        let found = file.look().unwrap();
        assert_eq!(found.datasets[0].raw_offset(), None);
        assert_eq!(bytes(&found, 0), [[0; 16]]);
    }
}

/// Files of the first have object headers of version 1, those of the others of version 2.
const VERSIONS: [H5F_libver_t; 3] = [
    H5F_libver_t::H5F_LIBVER_EARLIEST,
    H5F_libver_t::H5F_LIBVER_V18,
    H5F_libver_t::H5F_LIBVER_V110,
];

/// Datasets of which most have a header that tells all.
fn many(mut file: Fixture) -> Fixture {
    let (float, text, list) = {
        let _lock = lock();
        // SAFETY: a predefined type is copied and given a size.
        let text = unsafe {
            let text = H5Tcopy(*H5T_C_S1);
            assert!(H5Tset_size(text, 3) >= 0);
            text
        };
        (*H5T_IEEE_F64BE, text, in_chunks(2))
    };
    file.group(c"g");
    for number in 0..30_u8 {
        let name = |what: &str| CString::new(format!("{what}{number:02}")).unwrap();
        let n = u64::from(number % 5);
        let bytes: Vec<u8> = (0..8 * n * 2).map(|b| u8::try_from(b).unwrap() ^ number).collect();
        file.dataset(&name("i"), int32(), &[n, 2], &bytes);
        file.dataset(&name("g/f"), float, &[2 * n], &bytes);
        file.dataset(&name("g/s"), float, &[], &[number; 8]);
        file.dataset(&name("t"), text, &[2], b"ab\0cde");
        file.stored(&name("c"), int32(), &[2, 2], &[number; 16], list.raw());
    }
    let _lock = lock();
    // SAFETY: the file is open, the names end with NUL.
    let linked =
        unsafe { H5Lcreate_hard(file.id(), c"i00".as_ptr(), file.id(), c"z".as_ptr(), 0, 0) };
    assert!(linked >= 0);
    file.close();
    file
}

#[test]
fn a_plan_from_a_header_equals_the_plan_of_the_library() {
    for version in VERSIONS {
        same_behind_a_user_block(version);
    }
}

/// Addresses in a file with a user block are no plain offsets: there the library opens everything.
fn same_behind_a_user_block(version: H5F_libver_t) {
    let mut plain = many(Fixture::made(0, version));
    let mut behind = many(Fixture::made(512, version));
    let some: &SelectRows<'_> = &|all| 1.min(all)..3.min(all);
    for rows in [None, Some(some)] {
        let (here, there) = (plain.look_at(rows).unwrap(), behind.look_at(rows).unwrap());
        let told = |set: &Dataset| {
            let Dataset { path, shape, part, form, attrs, encoded_type, storage, .. } = set;
            let kind = (encoded_type.clone(), set.element_size, set.raw, set.verifiable);
            format!("{path} {shape:?} {part:?} {form:?} {attrs:?} {storage:?} {kind:?}")
        };
        assert_eq!(here.datasets.len(), 150);
        assert_eq!(format!("{:?}", here.root), format!("{:?}", there.root));
        for (number, (one, other)) in here.datasets.iter().zip(&there.datasets).enumerate() {
            assert_eq!(told(one), told(other));
            assert_eq!(one.raw_offset().map(|at| at + 512), other.raw_offset());
            assert_eq!(bytes(&here, number), bytes(&there, number));
        }
    }
}

#[test]
fn headers_of_plain_datasets_alone_are_read() {
    for version in VERSIONS {
        plain_headers(version);
    }
}

fn plain_headers(version: H5F_libver_t) {
    let file = many(Fixture::made(0, version));
    let _lock = lock();
    let id = super::file::open(&file.path()).unwrap();
    let root = object::root(&id).unwrap();
    let mut headers = Headers::open(&id, object::object(&root).unwrap().token).unwrap();
    let mut plain = Vec::new();
    for link in links::list(&root).unwrap() {
        let links::LinkKind::Hard(token) = link.kind else { panic!("{link:?}") };
        if headers.plain(token).is_some() {
            plain.push(link.name.into_string().unwrap());
        }
    }
    let expected = |what: &str, numbers: &mut dyn Iterator<Item = u8>| -> Vec<String> {
        numbers.map(|number| format!("{what}{number:02}")).collect()
    };
    // Chunks, groups, and what has no bytes in the file are the library's.
    let mut names = expected("i", &mut (0..30).filter(|number| number % 5 > 0));
    names.extend(expected("t", &mut (0..30)));
    assert_eq!(plain, names);
    let behind = many(Fixture::made(512, version));
    let id = super::file::open(&behind.path()).unwrap();
    let root = object::object(&object::root(&id).unwrap()).unwrap();
    assert!(Headers::open(&id, root.token).is_none());
}

unsafe extern "C" {
    fn H5Dread_chunk2(
        dataset: hid_t,
        transfer: hid_t,
        offset: *const u64,
        mask: *mut u32,
        buffer: *mut c_void,
        size: *mut usize,
    ) -> i32;
}

#[test]
#[cfg(feature = "bundled-hdf5")]
fn a_chunk_that_ends_early_is_an_error_of_the_library_too() {
    let mut fixture = Fixture::new();
    let data: Vec<i32> = (0..2000).map(|n| n * 1_000_003 % 100_000).collect();
    let set = |name: &CStr, list: hid_t| {
        // SAFETY: the caller passes an open list for the creation of datasets.
        unsafe {
            match name.to_bytes() {
                b"nbit" => H5Pset_nbit(list),
                b"scaleoffset" => H5Pset_scaleoffset(list, H5Z_SO_scale_type_t::H5Z_SO_INT, 0),
                _ => H5Pset_fletcher32(list),
            }
        }
    };
    for name in [c"nbit", c"scaleoffset", c"fletcher32"] {
        let _lock = lock();
        // SAFETY: the lists and types are open and of the classes that the calls want.
        let (list, kind) = unsafe {
            let list = Id::own(H5Pcreate(*H5P_CLS_DATASET_CREATE)).unwrap();
            assert!(H5Pset_chunk(list.raw(), 1, [2000].as_ptr()) >= 0);
            assert!(set(name, list.raw()) >= 0);
            let kind = Datatype::predefined(*H5T_STD_I32LE).unwrap();
            assert!(H5Tset_precision(kind.raw(), 20) >= 0);
            (list, kind)
        };
        for cut in [None, Some(100), Some(3)] {
            let name = CString::new(format!("{}{cut:?}", name.to_str().unwrap())).unwrap();
            fixture.stored(&name, kind.raw(), &[2000], &data, list.raw());
            if let Some(bytes) = cut {
                fixture.cut_chunk(&name, bytes);
            }
        }
    }
    let found = fixture.look().unwrap();
    assert_eq!(found.datasets.len(), 9);
    for (number, dataset) in found.datasets.iter().enumerate() {
        let mut values = vec![0_u8; 8000];
        let read = found.read(number, &mut [&mut values], &mut |_| {});
        if dataset.path.contains("None") {
            read.unwrap();
            assert_eq!(values, data.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>());
        } else {
            assert_eq!(read.unwrap_err().cause(), Cause::Damage, "{}", dataset.path);
        }
    }
}

#[test]
fn an_attribute_from_a_damaged_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = super::Writer::create(&folder.path().join("x.h5")).unwrap();
    let root = writer.root().unwrap();
    let _lock = lock();
    let numbers = Datatype::predefined(*H5T_STD_I32LE).unwrap();
    let rows = numbers.ragged().unwrap().encode().unwrap();
    // SAFETY: the base type is open.
    let region = Datatype::predefined(*H5T_STD_REF_DSETREG).unwrap().encode().unwrap();
    let texts =
        Datatype::predefined(*H5T_C_S1).unwrap().variable_string().unwrap().encode().unwrap();
    let record = |kind: &[u8], data: &[u8]| super::RawAttribute {
        name: "a".to_owned(),
        kind: kind.to_vec(),
        shape: Some(vec![2]),
        data: data.to_vec(),
        named_type: None,
    };
    let long = [&0x4000_0000_u32.to_le_bytes()[..], &vec![0; 64 << 20], &[0; 4]].concat();
    for (kind, data) in [
        // A sequence of more elements than there are bytes, and one that ends early.
        (&rows, &long[..]),
        (&rows, &[2, 0, 0, 0, 1, 0, 0, 0]),
        // References to regions, and a string longer than the record.
        (&region, &[0; 64]),
        (&texts, &[9, 0, 0, 0, b'x']),
    ] {
        let written = writer.attribute(&root, &record(kind, data), &str::to_owned, None);
        assert!(written.is_err(), "{} bytes", data.len());
    }
    assert!(
        writer
            .attribute(&root, &record(&numbers.encode().unwrap(), &[7; 8]), &str::to_owned, None)
            .is_ok()
    );
}

#[test]
fn a_chunk_and_elements_for_another_shape_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = super::Writer::create(&folder.path().join("x.h5")).unwrap();
    let root = writer.root().unwrap();
    let dtype = numpy_dtype::Dtype::parse("int32").unwrap();
    let recipe = |shape: &[u64]| super::DatasetSpec::of_dtype(&dtype, shape).unwrap();
    let packing =
        super::Packing { chunk: Some(vec![2, 2]), deflate: Some(1), ..Default::default() };
    let made = writer.dataset(&root, "x", &recipe(&[4, 4]), &packing, None).unwrap();
    assert!(writer.write_chunk(&made, &[0, 0], 3, &[0; 16]).is_ok());
    for start in [&[][..], &[0], &[0, 0, 0]] {
        assert!(writer.write_chunk(&made, start, 3, &[0; 16]).is_err());
    }
    assert!(writer.write_chunk(&root, &[0, 0], 3, &[0; 16]).is_err());
    for shape in [&[][..], &[4], &[4, 5], &[4, 4, 1]] {
        let wrong = writer.write(&made, "x", &recipe(shape), &mut |_, _, _| Result::Ok(()));
        assert!(wrong.is_err(), "{shape:?}");
    }
}

#[test]
fn ffi_read_refuses_wrong_buffers_wrong_blocks_and_types_with_pointers() {
    let file = Fixture::new();
    let _lock = lock();
    let text = Datatype::utf8().unwrap();
    let texts = [c"a".as_ptr(), c"long".as_ptr()];
    file.dataset(c"x", int32(), &[2], &[1_i32, 2]).dataset(c"t", text.raw(), &[2], &texts);
    let access = LinkAccess::new(Arc::new(Files::new(&file.path(), External::Allow))).unwrap();
    let root = object::root(file.file.as_ref().unwrap()).unwrap();
    let [numbers, strings] = [c"x", c"t"].map(|name| access.open(&root, name).unwrap());
    let kind = Datatype::predefined(int32()).unwrap();
    let (memory, space) = (Dataspace::simple(&[2]).unwrap(), dataset::space(&numbers).unwrap());
    let mut buffer = [0_u8; 16];
    let mut read = |bytes| {
        dataset::read(&numbers, &kind, (&memory, &space), &mut buffer[..bytes])
            .map(|()| buffer[..bytes].to_vec())
    };
    assert!(read(7).is_err() && read(9).is_err());
    assert_eq!(read(8).unwrap(), [1_i32, 2].map(i32::to_ne_bytes).concat());
    assert!(space.select(&[1], &[2]).is_err() && space.select(&[0, 0], &[1, 1]).is_err());
    let space = dataset::space(&strings).unwrap();
    assert!(dataset::read(&strings, &text, (&memory, &space), &mut buffer).is_err());
    let read = dataset::read_elements(&strings, &text, (&memory, &space)).unwrap();
    let elements = read.elements();
    let value = |range| elements.value(&elements.bytes()[range]);
    assert_eq!((value(0..8), value(8..16)), (Some(&b"a"[..]), Some(&b"long"[..])));
    assert!(dataset::write(&strings, &text, (&memory, &space), [0; 8][..].into()).is_err());
}
