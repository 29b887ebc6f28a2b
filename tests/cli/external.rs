//! Data in other files: virtual datasets, `--external` and `--no-external`.

use std::path::Path;

use hdf5::{File, Hyperslab};
use snapbox::str;

use crate::program::{Sandbox, is_root};

const LOAD: [&str; 4] = ["load-hdf5", "-p", "p", "v.h5"];

/// Writes `/v`: two rows of three elements, each from its own file.
fn write_virtual(path: &Path, sources: [&str; 2]) {
    let file = File::create(path).unwrap();
    let mut builder = file.new_dataset::<i32>().fill_value(-1).shape((2, 3));
    for (row, source) in sources.into_iter().enumerate() {
        let to: Hyperslab = (row..=row, ..).into();
        builder = builder.virtual_map(source, "x", 3, .., (2, 3), to);
    }
    builder.create("v").unwrap();
}

fn write_source(path: &Path, values: &[i32]) {
    let file = File::create(path).unwrap();
    file.new_dataset_builder().with_data(values).create("x").unwrap();
}

#[test]
fn absent_source_gives_the_fill_value_and_a_warning() {
    let mut sandbox = Sandbox::with_file("v.h5", |path| write_virtual(path, ["a.h5", "b.h5"]));
    write_source(&sandbox.file("a.h5"), &[1, 2, 3]);
    sandbox.load("p", &["v.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 1 array, 24 B in SECONDS s (RATE/s)
--- stderr
warning: '/v': source 'b.h5' or its dataset 'x' is absent; its elements have the fill value
--- exit 0

"#]]);
    let shown = sandbox.run(&["show", "p", "/v", "--json"]);
    assert!(shown.transcript().contains("-1"), "{}", shown.transcript());
}

#[test]
fn absent_source_with_strict_is_exit_9() {
    let sandbox = Sandbox::with_file("v.h5", |path| write_virtual(path, ["a.h5", "b.h5"]));
    let run = sandbox.run(&[&LOAD[..], &["--strict"]].concat());
    assert_eq!(run.code(), 9, "{}", run.transcript());
}

#[test]
fn source_that_is_not_hdf5_is_an_error_that_names_it() {
    let sandbox = Sandbox::with_file("v.h5", |path| write_virtual(path, ["a.h5", "b.h5"]));
    std::fs::write(sandbox.file("a.h5"), "no HDF5").unwrap();
    let run = sandbox.run(&LOAD);
    assert_eq!(run.code(), 8, "{}", run.transcript());
    assert!(run.transcript().contains("source 'a.h5:x'"), "{}", run.transcript());
}

#[test]
fn no_external_refuses_data_in_other_files() {
    let sandbox = Sandbox::with_file("v.h5", |path| write_virtual(path, ["a.h5", "b.h5"]));
    write_source(&sandbox.file("a.h5"), &[1, 2, 3]);
    let run = sandbox.run(&[&LOAD[..], &["--no-external"]].concat());
    assert_eq!(run.code(), 6, "{}", run.transcript());
}

#[test]
fn external_and_no_external_exclude_each_other() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "plain.h5", "--external", "--no-external"];
    assert_eq!(sandbox.run(&args).code(), 2);
}

#[test]
fn root_reads_files_elsewhere_only_on_request() {
    let elsewhere = tempfile::tempdir().unwrap();
    let source = elsewhere.path().join("a.h5");
    write_source(&source, &[1, 2, 3]);
    let name = source.to_str().unwrap();
    let mut sandbox = Sandbox::with_file("v.h5", |path| write_virtual(path, [name, name]));
    if is_root() {
        let run = sandbox.run(&LOAD);
        assert_eq!(run.code(), 6, "{}", run.transcript());
        assert!(run.transcript().contains("hint: --external"), "{}", run.transcript());
    }
    let run = sandbox.load("p", &["v.h5", "--external", "--mode", "666"]);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert!(run.transcript().contains("outside the directory"), "{}", run.transcript());
}
