//! Locks and guards: exclusion, and removal when a guard is dropped.

use std::time::Duration;

use cute_shm::{FileLock, Kind, Project, Source, State, Tree};

use crate::Scene;

fn share(scene: &Scene) -> cute_shm::Guard {
    let mut tree = Tree::new();
    tree.array("x", Source::slice(&[1_i32, 2, 3, 4], &[2, 2]).unwrap()).unwrap();
    tree.array("flags", &[false, true]).unwrap();
    scene.node.share("p").hold(&tree).unwrap()
}

fn lock(scene: &Scene, name: &str) -> FileLock {
    FileLock::new(scene.sandbox.file(name))
}

#[test]
fn readers_share_and_writers_exclude_with_any_lock_file_name() {
    let scene = Scene::new();
    let guard = share(&scene);
    let (one, two) = (guard.open().unwrap(), guard.open().unwrap());
    let (a, b) = (lock(&scene, "a"), lock(&scene, "b"));
    let reading = one.read_locked(&a, Duration::ZERO).unwrap();
    drop(two.read_locked(&b, Duration::ZERO).unwrap());
    for name in [&a, &b] {
        for project in [&one, &two] {
            let refused = project.write_locked(name, Duration::ZERO).unwrap_err();
            assert_eq!(refused.kind(), Kind::Busy);
        }
    }
    drop(reading);
    let mut writing = one.write_locked(&a, Duration::ZERO).unwrap();
    writing.slice_mut::<i32>("x").unwrap()[2] = 9;
    assert_eq!(two.read_locked(&b, Duration::ZERO).unwrap_err().kind(), Kind::Busy);
    assert_eq!(two.array("x").unwrap().to_vec::<i32>().unwrap(), [1, 2, 9, 4]);
    drop(writing);
    drop(two.read_locked(&b, Duration::ZERO).unwrap());
}

#[test]
fn waiter_gets_the_lock_when_it_is_free() {
    let scene = Scene::new();
    let guard = share(&scene);
    let (project, name) = (guard.open().unwrap(), lock(&scene, "a"));
    let writing = project.write_locked(&name, Duration::ZERO).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let other = scene.node.open("p").unwrap();
            other.read_locked(&name, Duration::from_secs(20)).map(drop)
        });
        std::thread::sleep(Duration::from_millis(120));
        drop(writing);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn error_of_a_wrong_type_names_both_types() {
    let scene = Scene::new();
    let guard = share(&scene);
    let project = guard.open().unwrap();
    let reading = project.read_locked(&lock(&scene, "a"), Duration::ZERO).unwrap();
    let error = reading.slice::<f32>("x").unwrap_err();
    assert_eq!(error.to_string(), "array '/x' is int32 of shape (2, 2), not float32");
    assert_eq!(reading.slice::<bool>("flags").unwrap(), [false, true]);
    assert_eq!(reading.slice::<i32>("y").unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn invalid_bool_bytes_are_refused() {
    let scene = Scene::new();
    let guard = share(&scene);
    let project = guard.open().unwrap();
    let mut writing = project.write_locked(&lock(&scene, "a"), Duration::ZERO).unwrap();
    writing.bytes_mut("flags").unwrap()[0] = 2;
    assert_eq!(writing.slice::<bool>("flags").unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(writing.slice_mut::<bool>("flags").unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(project.array("flags").unwrap().to_vec::<bool>().unwrap(), [true, true]);
}

#[test]
fn guard_removes_its_project_even_on_panic_but_no_later_project() {
    let scene = Scene::new();
    let caught = std::panic::catch_unwind(|| {
        let _guard = share(&scene);
        panic!("something else");
    });
    assert!(caught.is_err());
    assert_eq!(scene.files(), 0);
    let guard = share(&scene);
    let later = [1.5_f32];
    let mut tree = Tree::new();
    tree.array("later", &later).unwrap();
    scene.node.share("p").overwrite(true).persist(&tree).unwrap();
    guard.remove().unwrap();
    assert!(scene.node.open("p").unwrap().array("later").is_ok());
    scene.node.unlink("p").unwrap();
    assert_eq!(scene.files(), 0);
}

#[test]
fn held_project_can_be_made_persistent() {
    let scene = Scene::new();
    share(&scene).persist().unwrap();
    assert_eq!(scene.node.projects().unwrap()[0].state, State::Live);
    let guard_of_nothing = || {
        scene.node.unlink("p")?;
        let guard = share(&scene);
        scene.node.unlink("p")?;
        guard.persist()
    };
    assert_eq!(guard_of_nothing().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(scene.files(), 0);
}

#[test]
fn project_can_be_sent_between_threads() {
    fn sends<T: Send + Sync>() {}
    sends::<Project>();
    sends::<cute_shm::Guard>();
    sends::<cute_shm::Reading<'_>>();
}
