//! Attachment of projects of other programs, including invalid ones.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use cute_shm::{Entry, FileLock, Kind, Node, State, Tree};

use crate::Scene;

/// Writes metadata and one segment like another program.
fn make(scene: &Scene, dtype: &str, segment: &str, bytes: &[u8]) -> Node {
    fs::create_dir_all(scene.node.root()).unwrap();
    let length = bytes.len() / 4;
    let text = format!(
        "[a]\nshm_name = \"{segment}\"\nshm_private_name = \"/{segment}\"\nshape = [{length}]\n\
         dtype = \"{dtype}\"\n[a.attrs]\n"
    );
    fs::write(scene.node.root().join("cute-shm.p.toml"), text).unwrap();
    fs::write(scene.node.shm_dir().join("cute-shm.p.abcdeABCDE"), bytes).unwrap();
    scene.node.clone()
}

#[test]
fn big_endian_array_is_copied_and_has_no_view() {
    let scene = Scene::new();
    let bytes: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|n| n.to_be_bytes()).collect();
    let project = make(&scene, ">f4", "cute-shm.p.abcdeABCDE", &bytes).open("p").unwrap();
    let array = project.array("a").unwrap();
    assert_eq!(array.to_vec::<f32>().unwrap(), [1.5, -2.0]);
    assert_eq!(array.to_bytes(), bytes);
    // SAFETY: no other process uses this project.
    #[allow(unsafe_code)]
    let reading = unsafe { project.assume_unchanged() };
    let error = reading.slice::<f32>("a").unwrap_err();
    assert_eq!(error.to_string(), "array '/a' is big-endian (>f4): it has no view");
    assert_eq!(reading.bytes("a").unwrap(), bytes);
}

#[test]
fn short_or_foreign_segments_are_not_attached() {
    let scene = Scene::new();
    let node = make(&scene, "float64", "cute-shm.p.abcdeABCDE", &[0; 8]);
    assert_eq!(node.open("p").unwrap_err().kind(), Kind::Corrupt);
    let node = make(&scene, "float32", "../../etc/passwd", &[0; 8]);
    assert_eq!(node.open("p").unwrap_err().kind(), Kind::Corrupt);
    let node = make(&scene, "float32", "cute-shm.p.abcdeABCDF", &[0; 8]);
    let error = node.open("p").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(node.open("q").unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn name_that_is_not_utf8_is_listed_opened_and_removed() {
    let scene = Scene::new();
    let node = &scene.node;
    fs::create_dir_all(node.root()).unwrap();
    let name = OsStr::from_bytes(b"caf\xe9");
    let metadata = [b"cute-shm.", name.as_bytes(), b".toml"].concat();
    fs::write(node.root().join(OsStr::from_bytes(&metadata)), "[empty]\n").unwrap();
    let listed = &node.projects().unwrap()[0];
    assert_eq!((&*listed.name, &*listed.os_name), ("caf\u{fffd}", name));
    assert_eq!(node.open(name).unwrap().name(), "caf\u{fffd}");
    assert_eq!(node.open(&listed.name).unwrap_err().kind(), Kind::NotFound);
    node.unlink(&listed.os_name).unwrap();
    assert!(node.projects().unwrap().is_empty());
}

#[test]
fn array_paths_are_absolute() {
    let scene = Scene::new();
    let mut tree = Tree::new();
    tree.array("a/b/c", &[1_i32, 2]).unwrap();
    tree.group("a/empty").unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    assert_eq!((project.root().path(), project.root().len()), ("/", 1));
    let Some(Entry::Group(a)) = project.get("a") else { panic!("a group") };
    assert_eq!((a.path(), a.len()), ("/a", 2));
    let Some(Entry::Group(empty)) = a.get("empty") else { panic!("a group") };
    assert!(empty.is_empty() && empty.path() == "/a/empty");
    let Some(Entry::Array(c)) = a.get("b/c") else { panic!("an array") };
    assert_eq!((c.path(), c.len()), ("/a/b/c", 2));
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    writing.slice_mut::<i32>(&c).unwrap()[0] = 7;
    assert_eq!(writing.slice::<i32>(c.path()).unwrap(), [7, 2]);
    let other = guard.open().unwrap();
    let error = writing.slice_mut::<i32>(&other.array("a/b/c").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "array '/a/b/c' is of another attached project");
}

#[test]
fn empty_shapes_may_have_any_other_extents() {
    let scene = Scene::new();
    fs::create_dir_all(scene.node.root()).unwrap();
    let segment = "cute-shm.p.abcdeABCDE";
    let axis = 1_u64 << 40;
    let text = format!(
        "[a]\nshm_name = \"{segment}\"\nshm_private_name = \"/{segment}\"\ndtype = \"int8\"\n\
         shape = [{axis}, {axis}, 0]\n[a.attrs]\n"
    );
    fs::write(scene.node.root().join("cute-shm.p.toml"), text).unwrap();
    fs::write(scene.node.shm_dir().join(segment), [0]).unwrap();
    let project = scene.node.open("p").unwrap();
    let array = project.array("a").unwrap();
    assert_eq!((array.len(), array.nbytes(), array.is_empty()), (0, 0, true));
    assert!(array.to_vec::<i8>().unwrap().is_empty());
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    assert!(writing.slice_mut::<i8>("a").unwrap().is_empty());
    // More elements than addresses, although one extent is 0.
    #[cfg(feature = "ndarray")]
    assert_eq!(writing.view_mut::<i8, ndarray::Ix3>("a").unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn replaced_metadata_does_not_admit_a_second_writer() {
    let scene = Scene::new();
    let mut tree = Tree::new();
    tree.array("x", &[1_i32]).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let before = guard.open().unwrap();
    // As `gc --repair` does.
    let metadata = &guard.report().metadata;
    let text = fs::read(metadata).unwrap();
    fs::remove_file(metadata).unwrap();
    fs::write(metadata, text).unwrap();
    let after = guard.open().unwrap();
    assert!(before.is_current().unwrap());
    let [a, b] = ["a", "b"].map(|name| FileLock::new(scene.sandbox.file(name)));
    let writing = before.write_locked(&a, Duration::ZERO).unwrap();
    assert_eq!(after.write_locked(&b, Duration::ZERO).unwrap_err().kind(), Kind::Busy);
    drop(writing);
    after.write_locked(&b, Duration::ZERO).map(drop).unwrap();
    assert_eq!(scene.node.projects().unwrap()[0].state, State::Live);
}
