//! Full memory: a file system or a cgroup that is too small is exit 5, never SIGBUS, and leaves no files.

use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::Process;
use super::support::{figure, is_root, skip, wait_until};

const PAGE: u64 = 4096;

/// Returns the free bytes of a file system.
fn free(shm: &Path) -> u64 {
    let fs = statvfs(shm).expect("a file system");
    fs.blocks_available() * fs.fragment_size()
}

/// Fills the file system except for this number of bytes.
fn fill(sandbox: &Sandbox, leave: u64) -> PathBuf {
    let path = sandbox.shm().join("filler");
    let bytes = free(sandbox.shm()).saturating_sub(leave);
    fs::write(&path, vec![0; usize::try_from(bytes).expect("a small file system")])
        .expect("to fill");
    path
}

/// Writes a file of 64 arrays of one page each.
fn file(sandbox: &Sandbox, value: i64) -> PathBuf {
    fixtures::uniform_pages(&sandbox.file(&format!("{value}.h5")), value, 64)
}

#[test]
fn load_near_the_size_limit_is_whole_or_refused() {
    if !is_root("load_near_the_size_limit_is_whole_or_refused") {
        return;
    }
    let (mut refused, mut loaded) = (0, 0);
    for pages in (0..8).map(|n| n * 8).chain(60..90) {
        for more in [&["--persistent"][..], &["--", "/bin/true"]] {
            let sandbox = Sandbox::on_tmpfs(&format!("size={}", (pages + 1) * PAGE));
            let before = free(sandbox.shm());
            let done = sandbox.run(load_args("p", &file(&sandbox, 1), more));
            let command = more.len() > 1;
            match done.code {
                0 => {
                    loaded += 1;
                    if !command {
                        assert_eq!(sandbox.whole("p"), Some(1), "{pages} pages");
                        sandbox.run(["unlink", "p"]).expect(0);
                    }
                }
                5 | 125 => {
                    refused += 1;
                    assert!(done.code == if command { 125 } else { 5 }, "{done:?}");
                    assert!(done.err.contains("hint"), "{done:?}");
                }
                code => panic!("{pages} pages: exit {code}: {done:?}"),
            }
            sandbox.assert_nothing();
            assert_eq!(free(sandbox.shm()), before, "{pages} pages");
        }
    }
    assert!(refused > 20 && loaded > 8, "{refused} refused, {loaded} loaded");
    figure(
        "load into a tmpfs of 1 to 90 pages (the arrays take 64), persistent and for a command",
        format!("{refused} refused, {loaded} loaded"),
        "exit 5 or a whole project; nothing remains, the same free space to the byte",
    );
}

#[test]
fn overwrite_without_space_for_both_keeps_the_old_project() {
    if !is_root("overwrite_without_space_for_both_keeps_the_old_project") {
        return;
    }
    let mut tried = 0;
    for pages in (70..130).step_by(6).chain(126..146) {
        let sandbox = Sandbox::on_tmpfs(&format!("size={}", pages * PAGE));
        sandbox.load("p", &file(&sandbox, 1), &[]).expect(0);
        let before = free(sandbox.shm());
        let done = sandbox.load("p", &file(&sandbox, 2), &["--overwrite"]);
        match done.code {
            0 => assert_eq!(sandbox.whole("p"), Some(2)),
            5 => {
                assert_eq!(sandbox.whole("p"), Some(1), "{pages} pages");
                // The lock file contains the error for waiting processes: one page until the next change.
                let lost = before - free(sandbox.shm());
                assert!(lost <= PAGE, "{pages} pages: {lost} bytes less");
            }
            _ => panic!("{pages} pages: {done:?}"),
        }
        sandbox.assert_only("p");
        sandbox.run(["unlink", "p"]).expect(0);
        sandbox.assert_nothing();
        tried += 1;
    }
    figure(
        "`--overwrite` in a tmpfs with space for one project up to space for both",
        format!("{tried} sizes"),
        "exit 5 and the old project, or the new project; nothing else remains",
    );
}

#[test]
fn projects_can_be_removed_from_full_memory() {
    if !is_root("projects_can_be_removed_from_full_memory") {
        return;
    }
    for what in ["unlink", "gc", "job"] {
        let sandbox = Sandbox::on_tmpfs("size=2m");
        let mut keeper = (what == "gc").then(|| sandbox.hold("p", &file(&sandbox, 1), &[]));
        if keeper.is_none() {
            let args = load_args("p", &file(&sandbox, 1), &["--persistent"]);
            let mut load = sandbox.command(args);
            Process::start(load.env("SLURM_JOB_ID", "7")).wait().expect(0);
        }
        let filler = fill(&sandbox, 0);
        assert_eq!(free(sandbox.shm()), 0);
        if let Some(keeper) = &mut keeper {
            keeper.kill_group();
        }
        match what {
            "unlink" => sandbox.run(["unlink", "p"]).expect(0),
            "gc" => sandbox.run(["gc"]).expect(0),
            _ => sandbox.run(["gc", "--job", "7"]).expect(0),
        };
        fs::remove_file(filler).unwrap();
        sandbox.assert_nothing();
    }
    figure("`unlink`, `gc`, `gc --job` with zero bytes free", "3", "all removed");
}

#[test]
fn load_without_enough_inodes_is_refused_or_whole() {
    if !is_root("load_without_enough_inodes_is_refused_or_whole") {
        return;
    }
    let (mut refused, mut loaded) = (0, 0);
    for inodes in (2..60).step_by(9).chain(62..76) {
        let sandbox = Sandbox::on_tmpfs(&format!("nr_inodes={inodes}"));
        let done = sandbox.load("p", &file(&sandbox, 1), &[]);
        match done.code {
            0 => {
                loaded += 1;
                assert_eq!(sandbox.whole("p"), Some(1));
                sandbox.run(["unlink", "p"]).expect(0);
            }
            5 => refused += 1,
            _ => panic!("{inodes} inodes: {done:?}"),
        }
        sandbox.assert_nothing();
    }
    assert!(refused > 6 && loaded > 3, "{refused} refused, {loaded} loaded");
    figure(
        "load of 64 arrays into a tmpfs of 2 to 75 inodes",
        format!("{refused} refused, {loaded} loaded"),
        "exit 5 or a whole project, nothing remains",
    );
}

/// Takes all free memory once a segment exists.
fn fill_during_load(shm: &Path) -> fs::File {
    let filler = fs::File::create(shm.join("filler")).expect("a file");
    let others = || fs::read_dir(shm).expect("to list").count() > 1;
    wait_until("a segment", others);
    let (mut at, mut step) = (0, 8 << 20);
    while step >= i64::try_from(PAGE).expect("a page") {
        match fallocate(&filler, FallocateFlags::empty(), at, step) {
            Ok(()) => at += step,
            Err(_) => step /= 2,
        }
    }
    filler
}

#[test]
fn memory_taken_by_another_process_during_a_load_is_an_error() {
    if !is_root("memory_taken_by_another_process_during_a_load_is_an_error") {
        return;
    }
    let (mut refused, mut loaded) = (0, 0);
    for huge in ["never", "advise", "within_size", "always"] {
        let sandbox = Sandbox::on_tmpfs(&format!("size=80m,huge={huge}"));
        let file = fixtures::uniform_large(&sandbox.file("large.h5"), 1, 64);
        let before = free(sandbox.shm());
        sandbox.load("p", &file, &["--jobs", "4"]).expect(0);
        assert_eq!(sandbox.whole("p"), Some(1));
        sandbox.run(["unlink", "p"]).expect(0);
        let was_refused = (0..50).any(|_| {
            let load = sandbox.start(load_args("p", &file, &["--persistent", "--jobs", "4"]));
            fill_during_load(sandbox.shm());
            let done = load.wait();
            fs::remove_file(sandbox.shm().join("filler")).unwrap();
            if done.code == 0 {
                loaded += 1;
                assert_eq!(sandbox.whole("p"), Some(1), "{huge}");
                sandbox.run(["unlink", "p"]).expect(0);
            } else {
                refused += 1;
                assert!(done.code == 5 && done.err.contains("hint"), "{huge}: {done:?}");
            }
            sandbox.assert_nothing();
            // A process that another test has just started may have inherited the file.
            wait_until("all memory is back", || free(sandbox.shm()) == before);
            done.code == 5
        });
        assert!(was_refused, "{huge}: memory was never full in time");
    }
    figure(
        "load of 64 MiB, four jobs, while another process takes all memory; small and huge pages",
        format!("{refused} refused, {loaded} loaded"),
        "exit 5 or a whole project; nothing remains, the same free space to the byte",
    );
}

/// A memory cgroup of version 1 or 2. Dropping it removes the cgroup.
struct Group(PathBuf);

impl Group {
    fn make(limit: u64) -> Option<Self> {
        let name = format!("faults-{}", std::process::id());
        let first = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes");
        for (mount, file) in [first, ("/sys/fs/cgroup", "memory.max")] {
            let group = Self(Path::new(mount).join(&name));
            let made = fs::create_dir(&group.0)
                .and_then(|()| fs::write(group.0.join(file), limit.to_string()));
            if made.is_ok() {
                return Some(group);
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn load_above_the_limit_of_its_cgroup_is_refused() {
    if !is_root("load_above_the_limit_of_its_cgroup_is_refused") {
        return;
    }
    let Some(group) = Group::make(48 << 20) else {
        return skip(
            "load_above_the_limit_of_its_cgroup_is_refused",
            "no memory cgroup can be made here",
        );
    };
    let sandbox = Sandbox::new();
    let file = fixtures::sparse(&sandbox.file("big.h5"), 64 << 20);
    let script = "echo $$ > \"$0\"/cgroup.procs && exec \"$@\"";
    let run = |file: &Path| {
        let mut command = sandbox.program("/bin/sh");
        command.args(["-c", script]).arg(&group.0).arg(super::commands::BINARY);
        command.args(load_args("p", file, &["--persistent"]));
        Process::start(&mut command).wait()
    };
    let done = run(&file).expect(5);
    assert!(done.err.contains("cgroup"), "{done:?}");
    sandbox.assert_nothing();
    run(&sandbox.uniform_file(1)).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    sandbox.run(["unlink", "p"]).expect(0);
    sandbox.assert_nothing();
    figure(
        "load of 64 MiB in a cgroup of 48 MiB",
        "1",
        "exit 5 with the name of the cgroup, nothing remains",
    );
}
