//! HDF5 files that are loaded in the process of the test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use cute_shm::{Kind, Observer, Planned, hdf5_size};

use crate::Scene;

fn file(scene: &Scene) -> PathBuf {
    let path = scene.sandbox.file("x.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset_builder().with_data(&numbers()).create("numbers").unwrap();
    let group = file.create_group("group").unwrap();
    group.new_dataset_builder().with_data(&[1_i16, 2, 3]).create("small").unwrap();
    path
}

fn numbers() -> Vec<f64> {
    (0..2000).map(f64::from).collect()
}

/// Cancels the load after the first bytes.
struct Canceller<'a> {
    cancel: &'a AtomicBool,
    moved: u64,
}

impl Observer for Canceller<'_> {
    fn advanced(&mut self, bytes: u64) {
        self.moved += bytes;
        self.cancel.store(true, Ordering::Relaxed);
    }
}

#[test]
fn load_is_cancelled_within_a_large_dataset() {
    let scene = Scene::new();
    let path = scene.sandbox.file("large.h5");
    let numbers = vec![1_u8; 160 << 20];
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset_builder().with_data(&numbers).create("large").unwrap();
    file.close().unwrap();
    let cancel = AtomicBool::new(false);
    let mut canceller = Canceller { cancel: &cancel, moved: 0 };
    let load = scene.node.load_hdf5("p", &path).cancel(&cancel).observer(&mut canceller);
    let error = load.persist().unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (Kind::Busy, "the load was cancelled"));
    assert!((1..64 << 20).contains(&canceller.moved), "{} bytes were read", canceller.moved);
    assert_eq!(scene.files(), 0);
}

#[derive(Default)]
struct Seen {
    planned: u64,
    moved: u64,
}

impl Observer for Seen {
    fn planned(&mut self, plan: &Planned) {
        self.planned = plan.bytes();
    }
    fn advanced(&mut self, bytes: u64) {
        self.moved += bytes;
    }
}

#[test]
fn file_is_loaded_selected_and_removed_with_its_guard() {
    let scene = Scene::new();
    let path = file(&scene);
    assert_eq!(hdf5_size(&path).unwrap(), 2000 * 8 + 6);
    let mut seen = Seen::default();
    let load = scene.node.load_hdf5("p", &path).observer(&mut seen);
    let guard = load.exclude("/group").hold().unwrap();
    assert_eq!((guard.report().arrays, guard.report().bytes), (1, 16000));
    let project = guard.open().unwrap();
    assert_eq!(project.array("numbers").unwrap().to_vec::<f64>().unwrap(), numbers());
    assert!(project.get("group/small").is_none());
    assert_eq!(seen.planned, 16000);
    assert!(seen.moved <= 16000);
    drop(guard);
    assert_eq!(scene.files(), 0);
}

#[test]
fn progress_reaches_the_total_and_the_observer_still_gets_events() {
    let scene = Scene::new();
    let path = scene.sandbox.file("large.h5");
    let file = hdf5::File::create(&path).unwrap();
    let zeros = vec![0_u8; 40 << 20];
    file.new_dataset_builder().with_data(&zeros).create("zeros").unwrap();
    file.close().unwrap();
    let (mut calls, mut seen) = (Vec::new(), Seen::default());
    let load = scene.node.load_hdf5("p", &path).progress(|done, total| calls.push((done, total)));
    drop(load.observer(&mut seen).hold().unwrap());
    assert!(calls.len() > 1 && calls.is_sorted(), "{calls:?}");
    assert!(calls.iter().all(|&(_, total)| total == 40 << 20), "{calls:?}");
    assert_eq!(calls.last(), Some(&(40 << 20, 40 << 20)));
    assert!(seen.planned == 40 << 20 && seen.moved > 0);
}

#[test]
fn failed_or_cancelled_load_leaves_no_files() {
    let scene = Scene::new();
    let path = file(&scene);
    let cancel = AtomicBool::new(true);
    let error = scene.node.load_hdf5("p", &path).cancel(&cancel).persist().unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    let text = scene.sandbox.file("text");
    std::fs::write(&text, "no HDF5").unwrap();
    assert_eq!(scene.node.load_hdf5("p", text).persist().unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(scene.node.load_hdf5("p", "/no/where").hold().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(scene.files(), 0);
    scene.node.load_hdf5("p", &path).persist().unwrap();
    assert_eq!(scene.node.load_hdf5("p", &path).persist().unwrap_err().kind(), Kind::Exists);
    scene.node.load_hdf5("p", &path).overwrite(true).persist().unwrap();
    scene.node.unlink("p").unwrap();
    assert_eq!(scene.files(), 0);
}

/// Panics in the method of this name.
struct PanickingObserver(&'static str);

impl PanickingObserver {
    fn panic_in(&self, method: &'static str) {
        if self.0 == method {
            std::panic::panic_any(method);
        }
    }
}

impl Observer for PanickingObserver {
    fn at(&mut self, _: &str) {
        self.panic_in("at");
    }
    fn planned(&mut self, _: &Planned) {
        self.panic_in("planned");
    }
    fn advanced(&mut self, _: u64) {
        self.panic_in("advanced");
    }
}

#[test]
fn observer_that_panics_leaves_no_files_of_an_hdf5_load() {
    let scene = Scene::new();
    let path = scene.sandbox.file("x.h5");
    let file = hdf5::File::create(&path).unwrap();
    let zeros = vec![0_u8; 40 << 20];
    file.new_dataset_builder().with_data(&zeros).create("zeros").unwrap();
    file.close().unwrap();
    for when in ["at", "planned", "advanced"] {
        let load = || {
            let mut observer = PanickingObserver(when);
            scene.node.load_hdf5("p", &path).observer(&mut observer).hold().map(drop)
        };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&when));
        assert_eq!(scene.files(), 0, "{when}");
    }
    scene.node.load_hdf5("p", &path).hold().unwrap().remove().unwrap();
}
