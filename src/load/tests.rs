//! The property that everything rests on: what workers read around libhdf5 is what libhdf5 reads, for
//! random shapes, chunks, filters, masks, fill values and types.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int, c_void};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hdf5_reader::External;
use hdf5_sys::h5d::{H5Dclose, H5Dcreate2, H5Dwrite, H5Dwrite_chunk};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5Fclose, H5Fcreate};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5P_DEFAULT, H5Pclose,
    H5Pcreate, H5Pset_chunk, H5Pset_deflate, H5Pset_file_locking, H5Pset_fill_value, H5Pset_filter,
    H5Pset_fletcher32, H5Pset_libver_bounds, H5Pset_nbit, H5Pset_scaleoffset, H5Pset_shuffle,
    H5Pset_userblock,
};
use hdf5_sys::h5s::{H5S_ALL, H5S_UNLIMITED, H5Sclose, H5Screate_simple};
use hdf5_sys::h5t::{
    H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_NATIVE_LDOUBLE, H5T_STD_I8LE, H5T_STD_I16BE, H5T_STD_I32LE,
    H5T_STD_I64LE, H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32BE, H5T_STD_U64BE, H5T_class_t, H5Tcopy,
    H5Tcreate, H5Tinsert, H5Tset_offset, H5Tset_precision,
};
use hdf5_sys::h5z::H5Z_SO_scale_type_t::{H5Z_SO_FLOAT_DSCALE, H5Z_SO_INT};

use crate::load::convert::Conversions;
use crate::load::plan::Plan;
use crate::load::protocol::SupervisorLink;
use crate::load::request::{Existing, Input, Request};
use crate::load::worker::chunked::{Chunked, Limits};
use crate::load::worker::endpoints::{DataSource, Endpoints};
use crate::load::worker::progress::ProgressSender;
use crate::load::worker::read::ItemReader;
use crate::load::worker::read_error::ReadError;
use crate::load::worker::read_library;
use crate::load::worker::transfer::Transfer;
use crate::load::worker::write;
use crate::os::directory::Directory;
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::{Lifetime, Selection};
use crate::shm::format::name::{ProjectName, SegmentName, Token};
use crate::shm::format::rows::Rows;
use crate::shm::segment::new_segment::NewSegment;
use crate::shm::segment::pages::Pages;
use crate::shm::segment::segment_writer::SegmentWriter;

/// Numbers that are the same in every run. DataSource: Marsaglia, "Xorshift RNGs" (2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let most = [2, 5, 256][usize::try_from(self.roll(3)).unwrap()];
        (0..count).map(|_| u8::try_from(self.roll(most)).unwrap()).collect()
    }

    #[allow(clippy::cast_precision_loss)] // any numbers will do
    #[allow(clippy::cast_possible_truncation)]
    /// Elements of a type: bytes, or decimal numbers where those would be no floats to speak of.
    fn elements(&mut self, kind: &Kind, count: usize) -> Vec<u8> {
        let range = 1 + self.roll(5_000_000);
        let mut decimal = || {
            (self.roll(range) as f64 - 1000.0)
                / [1.0, 8.0, 100.0][usize::try_from(self.roll(3)).unwrap()]
        };
        match (kind.class, kind.size) {
            (Class::Float, 4) => {
                (0..count).flat_map(|_| (decimal() as f32).to_le_bytes()).collect()
            }
            (Class::Float, 8) => (0..count).flat_map(|_| decimal().to_be_bytes()).collect(),
            _ => self.bytes(count * kind.size),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Integer,
    Float,
    /// Neither scaleoffset nor a conversion is for these.
    Other,
}

struct Kind {
    id: hid_t,
    size: usize,
    class: Class,
}

/// A number, sometimes an integer of odd precision, or a compound with gaps.
fn kind(dice: &mut Dice) -> Kind {
    let integers = [
        (*H5T_STD_U8LE, 1),
        (*H5T_STD_I8LE, 1),
        (*H5T_STD_I16BE, 2),
        (*H5T_STD_U16LE, 2),
        (*H5T_STD_I32LE, 4),
        (*H5T_STD_U32BE, 4),
        (*H5T_STD_I64LE, 8),
        (*H5T_STD_U64BE, 8),
    ];
    let other = |id, size| Kind { id, size, class: Class::Other };
    // SAFETY: the types are the library's own or changeable copies, the names end with NUL.
    unsafe {
        match dice.roll(8) {
            0 => Kind { id: *H5T_IEEE_F32LE, size: 4, class: Class::Float },
            1 => Kind { id: *H5T_IEEE_F64BE, size: 8, class: Class::Float },
            2 => other(*H5T_NATIVE_LDOUBLE, 16),
            3 => {
                let made = H5Tcreate(H5T_class_t::H5T_COMPOUND, 11);
                assert!(H5Tinsert(made, c"a".as_ptr(), 1, *H5T_STD_I32LE) >= 0);
                assert!(H5Tinsert(made, c"b".as_ptr(), 5, *H5T_STD_U8LE) >= 0);
                assert!(H5Tinsert(made, c"c".as_ptr(), 8, *H5T_STD_I16BE) >= 0);
                other(made, 11)
            }
            4 => {
                let made = H5Tcreate(H5T_class_t::H5T_COMPOUND, 23);
                assert!(H5Tinsert(made, c"a".as_ptr(), 1, *H5T_NATIVE_LDOUBLE) >= 0);
                assert!(H5Tinsert(made, c"b".as_ptr(), 19, *H5T_STD_I16BE) >= 0);
                other(made, 23)
            }
            odd => {
                let (id, size) = integers[usize::try_from(dice.roll(8)).unwrap()];
                if odd > 5 {
                    return Kind { id, size, class: Class::Integer };
                }
                let made = H5Tcopy(id);
                // HDF5 makes no types with more bits unused above than used.
                let (half, bits) = (size as u64 * 4, 1 + dice.roll(size as u64 * 8));
                let least = half.saturating_sub(bits);
                let below = least + dice.roll(size as u64 * 8 - bits - least + 1);
                assert!(H5Tset_precision(made, usize::try_from(bits).unwrap()) >= 0);
                assert!(H5Tset_offset(made, usize::try_from(below).unwrap()) >= 0);
                Kind { id: made, size, class: Class::Integer }
            }
        }
    }
}

/// Writes a file with one dataset `x` as the dice say.
fn write(path: &Path, dice: &mut Dice) {
    let rank = 1 + usize::try_from(dice.roll(4)).unwrap();
    let most = [400, 40, 12, 7][rank - 1];
    let shape: Vec<u64> = (0..rank).map(|_| 1 + dice.roll(most)).collect();
    let mut chunk: Vec<u64> = (0..rank).map(|_| 1 + dice.roll(most / 2 + 1)).collect();
    let mut limits = shape.clone();
    let grows = usize::try_from(dice.roll(rank as u64 + 1)).unwrap();
    if let Some(limit) = limits.get_mut(grows) {
        *limit = H5S_UNLIMITED;
    }
    // Only along an axis that can grow may a chunk be larger than the dataset.
    for (extent, &limit) in chunk.iter_mut().zip(&limits) {
        *extent = limit.min(*extent);
    }
    let kind = kind(dice);
    let (id, size) = (kind.id, kind.size);
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: every id is open until it is closed, and every buffer is as long as its space and type.
    unsafe {
        let create = H5Pcreate(*H5P_CLS_FILE_CREATE);
        if dice.roll(3) == 0 {
            assert!(H5Pset_userblock(create, 512) >= 0);
        }
        let access = H5Pcreate(*H5P_CLS_FILE_ACCESS);
        // A process that another test has forked at this moment would keep the lock of the previous file.
        assert!(H5Pset_file_locking(access, 0, 1) >= 0);
        if dice.roll(2) == 0 {
            use hdf5_sys::h5f::H5F_libver_t::H5F_LIBVER_V110 as NEW;
            assert!(H5Pset_libver_bounds(access, NEW, NEW) >= 0);
        }
        let file = H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, create, access);
        assert!(file >= 0);
        let list = H5Pcreate(*H5P_CLS_DATASET_CREATE);
        let chunked = dice.roll(6) > 0;
        let mut filters = 0_u32;
        if chunked {
            let rank = c_int::try_from(rank).unwrap();
            assert!(H5Pset_chunk(list, rank, chunk.as_ptr()) >= 0);
            let mut add = |wanted: bool, add: &dyn Fn() -> i32| {
                if wanted {
                    assert!(add() >= 0);
                    filters += 1;
                }
            };
            let early = dice.roll(8) == 0;
            add(early, &|| H5Pset_fletcher32(list));
            let packed = if early { 9 } else { dice.roll(3) };
            add(packed == 0, &|| H5Pset_nbit(list));
            if packed == 1 && kind.class != Class::Other {
                let (method, most) = match kind.class {
                    Class::Float => (H5Z_SO_FLOAT_DSCALE, 5),
                    _ => (H5Z_SO_INT, size as u64 * 8 + 1),
                };
                let factor = if dice.roll(2) == 0 { 0 } else { dice.roll(most) };
                let factor = c_int::try_from(factor).unwrap();
                add(true, &|| H5Pset_scaleoffset(list, method, factor));
            }
            add(dice.roll(2) == 0, &|| H5Pset_shuffle(list));
            let coder = dice.roll(3);
            add(coder == 1, &|| H5Pset_deflate(list, 3));
            add(coder == 2, &|| H5Pset_filter(list, 32000, 1, 0, std::ptr::null()));
            add(!early && dice.roll(3) == 0, &|| H5Pset_fletcher32(list));
        } else {
            limits.clone_from(&shape);
        }
        let filling = dice.roll(3);
        match filling {
            0 => {
                let filling = dice.elements(&kind, 1);
                assert!(H5Pset_fill_value(list, id, filling.as_ptr().cast()) >= 0);
            }
            1 => assert!(H5Pset_fill_value(list, id, std::ptr::null()) >= 0),
            _ => {}
        }
        let space = H5Screate_simple(i32::try_from(rank).unwrap(), shape.as_ptr(), limits.as_ptr());
        let set = H5Dcreate2(file, c"x".as_ptr(), id, space, H5P_DEFAULT, list, H5P_DEFAULT);
        assert!(set >= 0);
        let count = usize::try_from(shape.iter().product::<u64>()).unwrap();
        // The library reads nothing at all where there is neither data nor a fill value.
        if filling == 1 || dice.roll(3) > 0 {
            let data = dice.elements(&kind, count);
            let from = data.as_ptr().cast::<c_void>();
            assert!(H5Dwrite(set, id, H5S_ALL, H5S_ALL, H5P_DEFAULT, from) >= 0);
        }
        for _ in 0..if chunked { dice.roll(4) } else { 0 } {
            let at: Vec<u64> =
                shape.iter().zip(&chunk).map(|(&n, &c)| dice.roll(n.div_ceil(c)) * c).collect();
            let data = dice.bytes(usize::try_from(chunk.iter().product::<u64>()).unwrap() * size);
            let (mask, bytes) = ((1 << filters) - 1, data.len());
            let from = data.as_ptr().cast();
            assert!(H5Dwrite_chunk(set, H5P_DEFAULT, mask, at.as_ptr(), bytes, from) >= 0);
        }
        H5Dclose(set);
        H5Sclose(space);
        H5Pclose(list);
        H5Pclose(access);
        H5Pclose(create);
        H5Fclose(file);
    }
}

fn request(path: &Path, rows: Option<Rows>) -> Request {
    Request {
        project: ProjectName::new("p".as_ref()).unwrap(),
        inputs: vec![Input { path: path.to_owned(), group: None }],
        selection: Selection { rows, ..Selection::default() },
        lifetime: Lifetime::Persistent,
        existing: Existing::Refuse,
        strict: false,
        keep_going: false,
        wait: None,
        grace: Duration::ZERO,
        job: None,
        threads: None,
        numa: None,
        verify: false,
        external: External::Allow,
    }
}

/// Compares the two ways; says whether there was a faster one.
fn compare(
    path: &Path,
    shm: &Directory,
    (seed, limits): (u64, Limits),
    rows: Option<Rows>,
) -> bool {
    let filter = PathFilter::new(&[], &[]).unwrap();
    let request = request(path, rows);
    let token = Token::random().unwrap();
    let plan =
        Plan::new((&request, &token), &filter, &Conversions::default(), &mut |_| {}).unwrap();
    let (task, inventory) = (&plan.tasks[0], &plan.inventories[0]);
    let dataset = &inventory.datasets[task.dataset];
    let source = match dataset.raw_offset() {
        Some(offset) => Some(DataSource::contiguous(dataset, offset)),
        None => inventory
            .chunk_index(task.dataset)
            .unwrap()
            .and_then(|index| Chunked::new(&plan.segments, index, limits))
            .map(|chunked| DataSource::Chunked(Box::new(chunked))),
    };
    let Some(source) = source else { return false };
    let project = ProjectName::new("p".as_ref()).unwrap();
    let writer = |(number, segment): (usize, &crate::load::plan::SegmentPlan)| {
        let name = SegmentName::new(&project, &token, number as u64);
        SegmentWriter::new(
            NewSegment::create(shm, name, segment.bytes).unwrap(),
            segment.bytes,
            Pages::Small,
        )
        .unwrap()
    };
    let writers: Vec<_> = plan.segments.iter().enumerate().map(writer).collect();
    let file = Arc::new(File::open(path).unwrap());
    let ends = Endpoints { dataset, segments: &plan.segments, writers, file, source };
    let transfer = Transfer::new((0, task), ends);
    let mut link = SupervisorLink::in_process(|_| Ok(()));
    let progress = ProgressSender::new(&mut link.sender);
    let mut reader = ItemReader::default();
    while let Some(item) = transfer.claim() {
        match reader.item(&transfer.ends, &item, &progress) {
            Ok(()) => {}
            // What cannot be proved right is left to libhdf5.
            Err(ReadError::Refused(_)) => return false,
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
    let mut check = write::Destination::Compare(&transfer.ends.writers);
    let (segments, scratch) = (&plan.segments[..], &mut reader.scratch);
    read_library::read_with_libhdf5(
        inventory,
        task,
        segments,
        &mut check,
        scratch,
        &mut |_| Ok(()),
    )
    .unwrap_or_else(|e| panic!("seed {seed}: {e}: {dataset:?}"));
    true
}

#[test]
fn both_ways_read_the_same() {
    // The class ids below are the library's once it is initialised.
    hdf5_reader::library_version();
    let _lock = hdf5_sys::LOCK.lock();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let shm = Directory::open(folder.path()).unwrap();
    let path = folder.path().join("x.h5");
    let runs: u64 = 2_000;
    let faster = (1..=runs)
        .filter(|&seed| {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (0..10).for_each(|_| {
                dice.roll(2);
            });
            write(&path, &mut dice);
            let limits = Limits { short: 1 << dice.roll(14), block: 1 << dice.roll(20) };
            let (start, count) = (dice.roll(3), 1 + dice.roll(40));
            let rows =
                (dice.roll(2) == 0).then(|| format!("{start}:{}", start + count).parse().unwrap());
            compare(&path, &shm, (seed, limits), rows)
        })
        .count();
    assert!(faster as u64 > runs * 2 / 3, "only {faster} of {runs} were read in the faster way");
}
