//! What goes in comes out, whatever its type, shape and layout.

use std::num::NonZero;

use cute_shm::{Kind, Source, Tree};
use ndarray::{Array, Array2, Array3, ArrayD, Ix2, Ix3, IxDyn, s};

use crate::Scene;

#[test]
fn every_layout_arrives_in_row_major_order() {
    let scene = Scene::new();
    let base = Array3::from_shape_vec((4, 5, 6), (0..120_u32).collect()).unwrap();
    let scalar = ndarray::arr0(7_i64);
    let empty = Array2::<f32>::zeros((0, 3));
    let mut tree = Tree::new();
    tree.array("plain", &base).unwrap();
    tree.array("transposed", base.t()).unwrap();
    let reference: &ndarray::ArrayRef<_, _> = &base;
    tree.array("reference", reference).unwrap();
    tree.array("reversed", base.slice(s![..;-1, ..;2, 1..])).unwrap();
    tree.array("scalar", &scalar).unwrap();
    tree.array("empty", &empty).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let get = |path: &str| project.array(path).unwrap().to_array::<u32, Ix3>().unwrap();
    assert_eq!(get("plain"), base);
    assert_eq!(get("reference"), base);
    assert_eq!(get("transposed"), base.t());
    assert_eq!(get("reversed"), base.slice(s![..;-1, ..;2, 1..]));
    assert_eq!(
        project.array("scalar").unwrap().to_array::<i64, IxDyn>().unwrap(),
        scalar.clone().into_dyn()
    );
    assert_eq!(project.array("empty").unwrap().to_array::<f32, Ix2>().unwrap(), empty);
}

#[test]
fn large_arrays_are_whole_with_any_number_of_threads() {
    let scene = Scene::new();
    let numbers = (0..3000 * 1501).map(f64::from).collect();
    let rows = Array2::from_shape_vec((3000, 1501), numbers).unwrap();
    let flat: Vec<u8> = (0..20_000_001_u32).map(|n| (n % 251) as u8).collect();
    let mut tree = Tree::new();
    tree.array("rows", &rows).unwrap();
    tree.array("columns", rows.t()).unwrap();
    tree.array("flat", &flat).unwrap();
    for threads in [1, 2, 7] {
        let share = scene.node.share("p").threads(NonZero::new(threads).unwrap());
        let guard = share.hold(&tree).unwrap();
        let project = guard.open().unwrap();
        assert!(project.array("rows").unwrap().to_array::<f64, Ix2>().unwrap() == rows);
        assert!(project.array("columns").unwrap().to_array::<f64, Ix2>().unwrap() == rows.t());
        assert!(project.array("flat").unwrap().to_vec::<u8>().unwrap() == flat);
    }
    assert_eq!(scene.files(), 0);
}

#[test]
fn an_existing_project_is_kept_unless_it_is_to_be_overwritten() {
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
fn what_does_not_fit_is_an_error_before_anything_is_written() {
    let scene = Scene::new();
    let one = [0_u8];
    let huge = ArrayD::from_shape_vec(IxDyn(&[1]), one.to_vec()).unwrap();
    let huge = huge.broadcast(IxDyn(&[1 << 50])).unwrap();
    let mut tree = Tree::new();
    tree.array("huge", huge).unwrap();
    let error = scene.node.share("p").hold(&tree).unwrap_err();
    assert_eq!(error.kind(), Kind::NoMemory, "{error}");
    assert_eq!(scene.files(), 0);
}

#[test]
fn bytes_of_any_dtype_are_shared_as_numpy_names_it() {
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
fn attributes_and_access_arrive() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new();
    let numbers = Array::from_elem(2, true);
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

/// Features that are not on by default: `cargo test --test api --all-features`.
#[cfg(all(feature = "half", feature = "num-complex"))]
#[test]
fn half_floats_and_complex_numbers_are_elements() {
    use half::f16;
    use num_complex::Complex;
    let scene = Scene::new();
    let halves = ndarray::arr2(&[[1.5, -2.0], [0.0, 65504.0]]).mapv(f16::from_f64);
    let single = [Complex::new(1.0_f32, -1.0), Complex::new(f32::MAX, 0.5)];
    let double = ndarray::arr1(&[Complex::new(0.25_f64, 3.0); 3]);
    let big: Vec<u8> = [1.5_f32, -2.5].iter().flat_map(|part| part.to_be_bytes()).collect();
    let mut tree = Tree::new();
    tree.array("halves", halves.t()).unwrap();
    tree.array("single", &single).unwrap();
    tree.array("double", double.slice(s![..;2])).unwrap();
    tree.array("big", Source::raw(&big, ">c8", &[1]).unwrap()).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let dtypes: Vec<_> = project.arrays().iter().map(cute_shm::Array::dtype).collect();
    assert_eq!(dtypes, ["float16", "complex64", "complex128", ">c8"]);
    assert_eq!(project.array("halves").unwrap().to_array::<f16, Ix2>().unwrap(), halves.t());
    assert_eq!(project.array("single").unwrap().to_vec::<Complex<f32>>().unwrap(), single);
    assert_eq!(project.array("double").unwrap().len(), 2);
    let swapped = project.array("big").unwrap().to_vec::<Complex<f32>>().unwrap();
    assert_eq!(swapped, [Complex::new(1.5, -2.5)], "each part is turned, not the whole");
    let lock = cute_shm::FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, std::time::Duration::ZERO).unwrap();
    writing.slice_mut::<Complex<f64>>("double").unwrap()[0].im = 7.0;
    writing.view_mut::<f16, Ix2>("halves").unwrap().fill(f16::ONE);
    assert_eq!(writing.slice::<Complex<f64>>("double").unwrap()[0], Complex::new(0.25, 7.0));
}
