//! Arrays and views of the crate ndarray, of every rank and memory order.

use std::num::NonZero;
use std::time::Duration;

use cute_shm::{FileLock, Kind, Tree};
use ndarray::{Array2, Array3, ArrayD, Ix1, Ix2, Ix3, IxDyn, s};

use crate::Scene;

#[test]
fn every_memory_order_is_stored_in_row_major_order() {
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
fn large_arrays_are_complete_with_any_number_of_threads() {
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
fn data_that_does_not_fit_is_an_error_before_any_write() {
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
fn size_beyond_the_address_space_is_an_error() {
    let scene = Scene::new();
    let one = ndarray::arr1(&[0_u64]);
    let mut tree = Tree::new();
    for name in ["a", "b"] {
        tree.array(name, one.broadcast(1 << 61).unwrap()).unwrap();
    }
    assert_eq!(tree.nbytes(), u64::MAX);
    assert_eq!(scene.node.share("p").hold(&tree).unwrap_err().kind(), Kind::NoMemory);
    assert_eq!(scene.files(), 0);
}

#[test]
fn scalars_and_empty_arrays_have_views() {
    let scene = Scene::new();
    let (scalar, nothing) = (ndarray::arr0(2.5_f64), ndarray::Array3::<u16>::zeros((2, 0, 3)));
    let mut tree = Tree::new();
    tree.array("scalar", &scalar).unwrap();
    tree.array("nothing", &nothing).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    *writing.view_mut::<f64, ndarray::Ix0>("scalar").unwrap().first_mut().unwrap() += 1.0;
    assert_eq!(writing.slice::<f64>("scalar").unwrap(), [3.5]);
    assert!(writing.view_mut::<u16, ndarray::Ix3>("nothing").unwrap() == nothing);
    assert!(writing.bytes_mut("nothing").unwrap().is_empty());
    drop(writing);
    let reading = project.read_locked(&lock, Duration::ZERO).unwrap();
    let view = reading.view::<f64, ndarray::IxDyn>("scalar").unwrap();
    assert_eq!((view.ndim(), view.first()), (0, Some(&3.5)));
    assert_eq!(reading.view::<u16, ndarray::IxDyn>("nothing").unwrap().shape(), [2, 0, 3]);
}

/// Features that are not on by default: `cargo test --test api --all-features`.
#[cfg(all(feature = "half", feature = "num-complex"))]
#[test]
fn half_floats_and_complex_numbers_are_elements() {
    use cute_shm::Source;
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
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    writing.slice_mut::<Complex<f64>>("double").unwrap()[0].im = 7.0;
    writing.view_mut::<f16, Ix2>("halves").unwrap().fill(f16::ONE);
    assert_eq!(writing.slice::<Complex<f64>>("double").unwrap()[0], Complex::new(0.25, 7.0));
}

#[test]
fn error_of_a_view_of_another_rank_names_shape_and_rank() {
    let scene = Scene::new();
    let numbers = ndarray::arr2(&[[1_i32, 2], [3, 4]]);
    let mut tree = Tree::new();
    tree.array("x", &numbers).unwrap();
    let guard = scene.node.share("p").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    let error = writing.view_mut::<i32, Ix1>("x").unwrap_err();
    assert_eq!(error.to_string(), "array '/x' has shape (2, 2), not 1 axes");
    writing.view_mut::<i32, Ix2>("x").unwrap()[[1, 0]] = 9;
    assert_eq!(writing.slice::<i32>("x").unwrap(), [1, 2, 9, 4]);
}
