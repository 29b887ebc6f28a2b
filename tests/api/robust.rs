//! Panics, forks, threads, and concurrent loads of one name.

use std::sync::Barrier;
use std::time::Duration;

use cute_shm::{FileLock, Guard, Kind, State, Tree};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::Scene;

fn share(scene: &Scene, numbers: &[i64]) -> cute_shm::Result<Guard> {
    let mut tree = Tree::new();
    tree.array("x", numbers)?;
    scene.node.share("p").hold(&tree)
}

/// Runs `child` in a forked process. Returns whether it exited without a panic.
#[allow(unsafe_code)]
fn forked(child: impl FnOnce()) -> bool {
    // SAFETY: the child only does what these tests ask for, and the C library's allocator may be used
    // after a fork.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        ForkResult::Parent { child } => {
            matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0)))
        }
    }
}

#[test]
fn forked_process_neither_removes_nor_keeps_the_project_of_its_parent() {
    let scene = Scene::new();
    let mut guard = Some(share(&scene, &[1, 2]).unwrap());
    assert!(forked(|| drop(guard.take())));
    assert_eq!(scene.node.projects().unwrap()[0].state, State::Live);
    // The child inherits the liveness lock of the guard, which must not keep the project.
    let (begin, end) = (nix::unistd::pipe().unwrap(), nix::unistd::pipe().unwrap());
    std::thread::scope(|scope| {
        let child = scope.spawn(|| {
            forked(|| {
                nix::unistd::write(&begin.1, b"b").unwrap();
                nix::unistd::read(&end.0, &mut [0]).unwrap();
            })
        });
        nix::unistd::read(&begin.0, &mut [0]).unwrap();
        drop(guard.take());
        let left = scene.files();
        // Let the child exit before any assertion fails.
        nix::unistd::write(&end.1, b"e").unwrap();
        assert!(child.join().unwrap());
        assert_eq!(left, 0);
    });
}

#[test]
fn forked_process_does_not_release_the_lock_of_its_parent() {
    let scene = Scene::new();
    let guard = share(&scene, &[1, 2]).unwrap();
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let (project, other) = (guard.open().unwrap(), guard.open().unwrap());
    let mut writing = Some(project.write_locked(&lock, Duration::ZERO).unwrap());
    assert!(forked(|| drop(writing.take())));
    let refused = other.read_locked(&lock, Duration::ZERO).unwrap_err();
    assert_eq!(refused.kind(), Kind::Busy);
    drop(writing);
    other.read_locked(&lock, Duration::ZERO).map(drop).unwrap();
}

#[test]
fn concurrent_shares_of_one_name_succeed_once() {
    let scene = Scene::new();
    let barrier = Barrier::new(4);
    let shared: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            barrier.wait();
            share(&scene, &[7; 1000])
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let refused: Vec<_> = shared.iter().filter_map(|one| one.as_ref().err()).collect();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|error| matches!(error.kind(), Kind::Exists | Kind::Busy)));
    assert_eq!(scene.node.projects().unwrap().len(), 1);
    drop(shared);
    assert_eq!(scene.files(), 0);
}

#[test]
fn many_threads_read_one_project_while_it_is_replaced_and_removed() {
    let scene = Scene::new();
    let guard = share(&scene, &[1; 500]).unwrap();
    let project = guard.open().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(project.array("x").unwrap().to_vec::<i64>().unwrap(), [1; 500]);
                }
            });
        }
        for _ in 0..10 {
            let numbers = [2_i64];
            let mut tree = Tree::new();
            tree.array("x", &numbers).unwrap();
            scene.node.share("p").overwrite(true).persist(&tree).unwrap();
            assert!(!project.is_current().unwrap());
        }
        scene.node.unlink("p").unwrap();
    });
    let lock = FileLock::new(scene.sandbox.file("lock"));
    let mut writing = project.write_locked(&lock, Duration::ZERO).unwrap();
    assert_eq!(writing.slice::<i64>("x").unwrap(), [1; 500]);
    assert_eq!(writing.slice_mut::<i64>("x").unwrap_err().kind(), Kind::NotFound);
    drop(writing);
    drop(guard);
    assert_eq!(scene.files(), 0);
}
