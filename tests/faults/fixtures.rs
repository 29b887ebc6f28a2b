//! HDF5 files whose every element is one number, so that a mixture of two loads shows.

use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::{AllocTime, FillTime};

/// Writes a small file of different layouts: contiguous, chunked, compressed, scalar, empty, grouped.
pub fn small(path: &Path, value: i64) -> PathBuf {
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

/// Writes `count` datasets of one page each.
pub fn many(path: &Path, value: i64, count: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let data = vec![value; 512];
    for number in 0..count {
        let dataset = file.new_dataset::<i64>().shape(512).create(format!("d{number:04}").as_str());
        dataset.unwrap().write_raw(&data).unwrap();
    }
    path.to_owned()
}

/// A contiguous dataset of this many bytes that takes no room on the disk: zeros to whoever reads it.
pub fn sparse(path: &Path, bytes: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let dataset = file.new_dataset::<i64>().shape(bytes / 8);
    let dataset = dataset.alloc_time(Some(AllocTime::Early)).fill_time(FillTime::Never);
    dataset.create("zeros").unwrap();
    path.to_owned()
}

/// `mib` MiB in two datasets, one contiguous, one in chunks.
pub fn large(path: &Path, value: i64, mib: usize) -> PathBuf {
    let file = hdf5::File::create(path).expect("an HDF5 file");
    let data = vec![value; (mib << 20) / 16];
    let contiguous = file.new_dataset::<i64>().shape(data.len()).create("contiguous");
    contiguous.unwrap().write_raw(&data).unwrap();
    let chunked = file.new_dataset::<i64>().shape(data.len()).chunk(1 << 17).create("chunked");
    chunked.unwrap().write_raw(&data).unwrap();
    path.to_owned()
}
