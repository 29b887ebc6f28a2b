//! Shared arrays are read back unchanged, for every type, shape and memory order.

use cute_shm::{Kind, Source, Tree};

use crate::Scene;

#[test]
fn existing_project_is_kept_without_overwrite() {
    let scene = Scene::new();
    let share = |value: i32, overwrite: bool| {
        let numbers = [value];
        let mut tree = Tree::new();
        tree.array("x", &numbers)?;
        scene.node.share("p").overwrite(overwrite).persist(&tree)
    };
    share(1, false).unwrap();
    assert_eq!(share(2, false).unwrap_err().kind(), Kind::Exists);
    let before = scene.node.open("p").unwrap();
    share(3, true).unwrap();
    assert!(!before.is_current().unwrap());
    assert_eq!(before.array("x").unwrap().to_vec::<i32>().unwrap(), [1], "it is still attached");
    let after = scene.node.open("p").unwrap();
    assert_eq!(after.array("x").unwrap().to_vec::<i32>().unwrap(), [3]);
    assert_eq!(scene.node.unlink("p").unwrap().segments, 1);
    assert_eq!(scene.files(), 0);
}

#[test]
fn bytes_are_shared_with_any_numpy_dtype_name() {
    let scene = Scene::new();
    let (big, days) = (258_u16.to_be_bytes(), 1_i64.to_ne_bytes());
    let mut tree = Tree::new();
    tree.array("names", Source::raw(b"ada\0bob\0", "S4", &[2]).unwrap()).unwrap();
    tree.array("big", Source::raw(&big, ">u2", &[]).unwrap()).unwrap();
    tree.array("days", Source::raw(&days, "M8[D]", &[1]).unwrap()).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let dtypes: Vec<_> = project.arrays().iter().map(cute_shm::Array::dtype).collect();
    assert_eq!(dtypes, ["|S4", ">u2", "datetime64[D]"]);
    assert_eq!(project.array("names").unwrap().to_bytes(), b"ada\0bob\0");
    assert_eq!(project.array("big").unwrap().to_vec::<u16>().unwrap(), [258]);
    for (dtype, shape) in [("object", &[1][..]), ("|S4", &[3]), ("f4", &[usize::MAX, 4])] {
        let error = Source::raw(&[0; 8], dtype, shape).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
}

#[test]
fn attributes_and_access_are_stored() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new();
    let numbers = [true; 2];
    let mut tree = Tree::new();
    let added = tree.array("group/x", &numbers).unwrap();
    added.attr("units", "m").attr("scale", 0.5).attr("n", 3);
    tree.array("s", Source::slice(&[1_u16], &[]).unwrap()).unwrap();
    let report = scene.node.share("p").mode(0o640).persist(&tree).unwrap();
    let project = scene.node.open("p").unwrap();
    let array = project.array("group.x").unwrap();
    assert_eq!(array.attrs()["scale"].as_float(), Some(0.5));
    assert_eq!((array.dtype(), array.shape(), array.path()), ("bool", &[2][..], "/group/x"));
    for file in [report.metadata, scene.node.shm_dir().join(array.segment())] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
    let names: Vec<_> = project.root().entries().map(|(name, _)| name).collect();
    assert_eq!(names, ["group", "s"]);
}
