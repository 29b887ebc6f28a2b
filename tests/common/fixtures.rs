//! Small HDF5 files: a writer for each kind of object that a file may contain, and files of one value.
//! The derived types are unsafe implementations by the `hdf5` crate's macro.
#![allow(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::types::{FixedAscii, FloatSize, IntSize, TypeDescriptor, VarLenArray, VarLenUnicode};
use hdf5::{File, Group, H5Type, Location};

fn attribute<T: H5Type>(location: &Location, name: &str, value: &T) {
    location.new_attr::<T>().create(name).unwrap().write_scalar(value).unwrap();
}

fn text(value: &str) -> VarLenUnicode {
    VarLenUnicode::from_str(value).unwrap()
}

fn numbers(group: &Group, name: &str, values: &[f64]) {
    group.new_dataset_builder().with_data(values).create(name).unwrap();
}

/// `/x`: six float64 in two rows; `/y`: three int32.
pub fn plain(path: &Path) {
    let file = File::create(path).unwrap();
    let x = file.new_dataset::<f64>().shape((2, 3)).create("x").unwrap();
    x.write_raw(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("y").unwrap();
}

/// Groups in groups, one of them empty.
pub fn groups(path: &Path) {
    let file = File::create(path).unwrap();
    let train = file.create_group("train").unwrap();
    numbers(&train, "images", &[1.0, 2.0]);
    numbers(&train, "label", &[3.0]);
    numbers(&file.create_group("test").unwrap(), "images", &[4.0, 5.0, 6.0]);
    file.create_group("nothing").unwrap();
}

#[derive(H5Type, Clone, Copy)]
#[repr(C)]
struct Point {
    x: f32,
    label: FixedAscii<3>,
}

#[derive(H5Type, Clone, Copy)]
#[repr(C)]
struct Row {
    id: u16,
    point: Point,
}

/// `/table`: a compound with a compound in it, and an attribute.
pub fn compound(path: &Path) {
    let file = File::create(path).unwrap();
    let label = FixedAscii::from_ascii(b"abc").unwrap();
    let rows = [1, 2].map(|id| Row { id, point: Point { x: 0.5, label } });
    let table = file.new_dataset_builder().with_data(&rows).create("table").unwrap();
    attribute(&table, "origin", &text("survey"));
}

/// Fixed and variable strings.
pub fn strings(path: &Path) {
    let file = File::create(path).unwrap();
    let fixed = ["ab", "abcd"].map(|word| FixedAscii::<4>::from_ascii(word).unwrap());
    file.new_dataset_builder().with_data(&fixed).create("fixed").unwrap();
    let words = ["é", "", "three"].map(text);
    file.new_dataset_builder().with_data(&words).create("variable").unwrap();
}

/// Attributes of every sort that TOML holds, on the root, a group and a dataset, and one that it does not.
pub fn attributes(path: &Path) {
    let file = File::create(path).unwrap();
    attribute(&file, "title", &text("a file"));
    let group = file.create_group("group").unwrap();
    attribute(&group, "level", &1_i64);
    let data = group.new_dataset_builder().with_data(&[1.5_f32]).create("data").unwrap();
    attribute(&data, "count", &7_i64);
    attribute(&data, "negative", &-3_i8);
    attribute(&data, "largest", &i64::MAX);
    attribute(&data, "ratio", &0.25);
    attribute(&data, "not_a_number", &f64::NAN);
    attribute(&data, "endless", &f64::INFINITY);
    attribute(&data, "flag", &true);
    attribute(&data, "unit", &text("metres \"per\" second\n"));
    attribute(&data, "long", &text(&"long ".repeat(20)));
    let row = data.new_attr::<i32>().shape(3).create("row").unwrap();
    row.write_raw(&[1, 2, 3]).unwrap();
    attribute(&data, "too_large", &u64::MAX);
}

/// An empty array, a scalar, and an empty root.
pub fn empty_and_scalar(path: &Path) {
    let file = File::create(path).unwrap();
    file.new_dataset::<f64>().shape((0, 3)).create("empty").unwrap();
    file.new_dataset::<i64>().create("scalar").unwrap().write_scalar(&42).unwrap();
}

/// No dataset at all.
pub fn nothing(path: &Path) {
    File::create(path).unwrap();
}

/// One dataset under three names, and links that lead nowhere or back.
pub fn links(path: &Path) {
    let file = File::create(path).unwrap();
    numbers(&file, "data", &[1.0, 2.0]);
    file.link_hard("data", "hard").unwrap();
    file.link_soft("/data", "soft").unwrap();
    file.link_soft("/nowhere", "dangling").unwrap();
    let group = file.create_group("group").unwrap();
    group.link_hard("/", "back").unwrap();
    numbers(&group, "inner", &[3.0]);
}

/// One good array beside a ragged one.
pub fn unsupported(path: &Path) {
    let file = File::create(path).unwrap();
    numbers(&file, "good", &[1.0, 2.0]);
    let ragged = [VarLenArray::from_slice(&[1_i32, 2]), VarLenArray::from_slice(&[3])];
    file.new_dataset_builder().with_data(&ragged).create("ragged").unwrap();
    let reference = file.reference::<hdf5::ObjectReference1>("good").unwrap();
    file.new_dataset_builder().with_data(&[reference]).create("reference").unwrap();
}

/// A table of which one field is ragged.
pub fn ragged_field(path: &Path) {
    let ragged = TypeDescriptor::VarLenArray(Box::new(TypeDescriptor::Integer(IntSize::U4)));
    let field = |name: &str, ty: TypeDescriptor, offset: usize, index: usize| {
        hdf5::types::CompoundField::new(name, ty, offset, index)
    };
    let size = std::mem::size_of::<hdf5_sys::h5t::hvl_t>();
    let fields =
        vec![field("good", TypeDescriptor::Float(FloatSize::U8), 0, 0), field("bad", ragged, 8, 1)];
    let table = TypeDescriptor::Compound(hdf5::types::CompoundType { fields, size: 8 + size });
    let file = File::create(path).unwrap();
    file.new_dataset_builder().empty_as(&table).shape(2).create("table").unwrap();
}

/// `/first` and `/second`, compressed in chunks; the bytes of a chunk of `/second` are damaged.
pub fn damaged(path: &Path) {
    let file = File::create(path).unwrap();
    for name in ["first", "second"] {
        let values: Vec<i64> = (0..1000).collect();
        let data = file.new_dataset_builder().deflate(6).chunk(1000).with_data(&values);
        data.create(name).unwrap();
    }
    let chunk = file.dataset("second").unwrap().chunk_info(0).unwrap();
    drop(file);
    let mut bytes = fs::read(path).unwrap();
    let begin = usize::try_from(chunk.addr).unwrap();
    for byte in &mut bytes[begin..begin + usize::try_from(chunk.size).unwrap()] {
        *byte ^= 0x5a;
    }
    fs::write(path, bytes).unwrap();
}

/// `/x`: so many bytes of float64.
pub fn large(path: &Path, bytes: usize) {
    let file = File::create(path).unwrap();
    numbers(&file, "x", &vec![1.0; bytes / 8]);
}

/// `/x`: so many bytes in chunks that were never written.
pub fn unwritten(path: &Path, bytes: usize) {
    let file = File::create(path).unwrap();
    file.new_dataset::<u8>().chunk(1 << 20).shape(bytes).create("x").unwrap();
}

/// `/a0` and so on: many small arrays.
pub fn many(path: &Path, count: usize) {
    let file = File::create(path).unwrap();
    for number in 0..count {
        file.new_dataset_builder().with_data(&[1_u8]).create(&*format!("a{number}")).unwrap();
    }
}

/// The first half of a file.
pub fn truncated(path: &Path) {
    large(path, 1 << 16);
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

// Files whose every element is one number, so that a mixture of two loads shows.

/// Writes a small file, every element of which is `value`, in different layouts: contiguous, chunked, compressed, scalar, empty, grouped.
pub fn uniform(path: &Path, value: i64) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let group = file.create_group("g").expect("a group");
    let data = vec![value; 1500];
    group.new_dataset::<i64>().shape(1500).create("a").unwrap().write_raw(&data).unwrap();
    group
        .new_dataset::<i64>()
        .shape(1500)
        .chunk(100)
        .create("b")
        .unwrap()
        .write_raw(&data)
        .unwrap();
    let packed = file.new_dataset::<i64>().shape(1500).chunk(500).deflate(4);
    packed.create("packed").unwrap().write_raw(&data).unwrap();
    file.new_dataset::<i64>().create("scalar").unwrap().write_scalar(&value).unwrap();
    file.new_dataset::<i64>().shape(0).create("empty").unwrap();
    let note = group.new_attr::<i64>().create("note").unwrap();
    note.write_scalar(&value).unwrap();
    path.to_owned()
}

/// Writes `count` datasets of one page each, every element of which is `value`.
pub fn uniform_pages(path: &Path, value: i64, count: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let data = vec![value; 512];
    for number in 0..count {
        let dataset = file.new_dataset::<i64>().shape(512).create(format!("d{number:04}").as_str());
        dataset.unwrap().write_raw(&data).unwrap();
    }
    path.to_owned()
}

/// A contiguous dataset of this many bytes that takes no room on the disk: it reads as zeros.
pub fn sparse(path: &Path, bytes: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let dataset = file.new_dataset::<i64>().shape(bytes / 8);
    let dataset = dataset.alloc_time(Some(AllocTime::Early)).fill_time(FillTime::Never);
    dataset.create("zeros").unwrap();
    path.to_owned()
}

/// `mib` MiB in two datasets, one contiguous, one in chunks, every element of which is `value`.
pub fn uniform_large(path: &Path, value: i64, mib: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let data = vec![value; (mib << 20) / 16];
    let contiguous = file.new_dataset::<i64>().shape(data.len()).create("contiguous");
    contiguous.unwrap().write_raw(&data).unwrap();
    let chunked = file.new_dataset::<i64>().shape(data.len()).chunk(1 << 17).create("chunked");
    chunked.unwrap().write_raw(&data).unwrap();
    path.to_owned()
}
