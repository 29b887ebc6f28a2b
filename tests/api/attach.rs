//! Attaching what others made, also what nobody should have made.

use std::fs;

use cute_shm::{Kind, Node};

use crate::Scene;

/// Metadata and one segment as another program may write them.
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
fn big_endian_is_copied_and_has_no_view() {
    let scene = Scene::new();
    let bytes: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|n| n.to_be_bytes()).collect();
    let project = make(&scene, ">f4", "cute-shm.p.abcdeABCDE", &bytes).open("p").unwrap();
    let array = project.array("a").unwrap();
    assert_eq!(array.to_vec::<f32>().unwrap(), [1.5, -2.0]);
    assert_eq!(array.to_bytes(), bytes);
    // SAFETY: nobody else knows of this project.
    #[allow(unsafe_code)]
    let reading = unsafe { project.assume_unchanged() };
    let error = reading.slice::<f32>("a").unwrap_err();
    assert_eq!(error.to_string(), "array '/a' is big-endian (>f4): it has no view");
    assert_eq!(reading.bytes("a").unwrap(), bytes);
}

#[test]
fn what_is_too_short_or_foreign_is_not_attached() {
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
