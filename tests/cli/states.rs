//! The states of projects that Python, another host or another boot created, or that are incomplete: their state in
//! `list`, and the result of a `load-hdf5` of the same name.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use snapbox::str;

use crate::program::{NOBODY, Sandbox, can_mount, is_root};

/// Creates a root directory like the program.
pub fn make_root(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o1777)).unwrap();
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes metadata after a first line, with one array of eight bytes for each id.
pub fn write_metadata(sandbox: &Sandbox, project: &str, first: &str, ids: &[&str]) {
    make_root(sandbox);
    let mut text = first.to_owned();
    for (number, id) in ids.iter().enumerate() {
        let name = format!("cute-shm.{project}.{id}");
        let private = format!("/{name}");
        let _ = write!(
            text,
            "[a{number}]\nshm_name = {name:?}\nshm_private_name = {private:?}\nshape = [1,]\n\
             dtype = \"float64\"\n\n[a{number}.attrs]\n\n"
        );
    }
    write_private(&sandbox.metadata(project), &text);
}

/// Writes a segment of eight bytes.
pub fn write_segment(sandbox: &Sandbox, project: &str, id: &str) {
    fs::write(sandbox.shm().join(format!("cute-shm.{project}.{id}")), [0; 8]).unwrap();
}

/// Writes a complete project like Python: without the first line of this program, and without a ledger.
pub fn python_project(sandbox: &Sandbox, project: &str, ids: &[&str]) {
    write_metadata(sandbox, project, "", ids);
    for id in ids {
        write_segment(sandbox, project, id);
    }
}

/// Returns the first line of the metadata of this program.
pub fn first_line(boot: &str, host: &str, shm: &str) -> String {
    format!("# cute-shm load aaaaa boot {boot} host {host} shm {shm}\n")
}

/// The id of another boot.
pub const OTHER_BOOT: &str = "00000000-0000-0000-0000-000000000000";

/// Returns the id of this boot.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

/// Returns the name of this host.
pub fn host() -> String {
    nix::unistd::gethostname().unwrap().to_string_lossy().into_owned()
}

/// Returns the identity of the shm directory.
pub fn shm_id(sandbox: &Sandbox) -> String {
    let stat = fs::metadata(sandbox.shm()).unwrap();
    format!("{}:{}", stat.dev(), stat.ino())
}

/// Writes the metadata of a project that was loaded before the last reboot.
pub fn stale_project(sandbox: &Sandbox, project: &str) {
    let line = first_line(OTHER_BOOT, &host(), "1:2");
    write_metadata(sandbox, project, &line, &["aaaaa00000"]);
}

/// The change lock of the only project in a sandbox, held like by another process.
pub struct ChangeLock(File);

impl ChangeLock {
    /// Takes the lock.
    pub fn take(sandbox: &Sandbox) -> Self {
        let path = sandbox.shm_file(".lock");
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        fcntl(&file, FcntlArg::F_OFD_SETLK(&byte_0(libc::F_WRLCK))).unwrap();
        Self(file)
    }
}

impl Drop for ChangeLock {
    fn drop(&mut self) {
        // A child process of a concurrent test may have inherited the descriptor.
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&byte_0(libc::F_UNLCK))).unwrap();
    }
}

fn byte_0(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    }
}

/// Adds a line at the start of the ledger.
pub fn amend_ledger(sandbox: &Sandbox, line: &str) {
    let path = sandbox.shm_file(".ledger");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{line}\n{text}")).unwrap();
}

/// Returns state and reason of the only listed project of this user.
fn state(sandbox: &Sandbox) -> (String, String) {
    let run = sandbox.run(&["list", "--json"]);
    let listed: serde_json::Value = run.json();
    let uid = nix::unistd::Uid::effective().as_raw();
    let projects = listed["projects"].as_array().unwrap().iter();
    let projects: Vec<_> = projects.filter(|project| project["uid"] == uid).collect();
    let [project] = projects[..] else { panic!("not one project: {}", run.transcript()) };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&project["state"]), sandbox.normalize(&text(&project["reason"])))
}

#[track_caller]
fn judged(sandbox: &Sandbox, expected: &str, reason: &str) {
    assert_eq!(state(sandbox), (expected.to_owned(), reason.to_owned()));
}

#[test]
fn python_project_is_live() {
    let mut sandbox = Sandbox::new();
    python_project(&sandbox, "p", &["aaaaaaaaaa", "bbbbbbbbbb"]);
    sandbox.unlink_at_end("p");
    judged(&sandbox, "live", "");
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime  attached  age
p             2  16 B     8 KiB  live   -         0         AGE
--- exit 0

"#]]);
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  live
 lifetime  -
     size  16 B in 2 arrays, 8 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
 attached  no process

a0  (1,) float64  8 B
a1  (1,) float64  8 B
--- exit 0

"#]]);
}

#[test]
fn project_without_one_of_its_segments_is_broken() {
    let mut sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", "", &["aaaaaaaaaa", "bbbbbbbbbb"]);
    write_segment(&sandbox, "p", "bbbbbbbbbb");
    sandbox.unlink_at_end("p");
    judged(&sandbox, "broken", "1 of 2 segments are missing");
}

#[test]
fn segment_that_is_too_short_counts_as_missing() {
    let mut sandbox = Sandbox::new();
    python_project(&sandbox, "p", &["aaaaaaaaaa", "bbbbbbbbbb"]);
    fs::write(sandbox.shm().join("cute-shm.p.aaaaaaaaaa"), [0; 7]).unwrap();
    sandbox.unlink_at_end("p");
    judged(&sandbox, "broken", "1 of 2 segments are missing");
}

#[test]
fn missing_segments_without_a_recorded_node_may_be_elsewhere() {
    let mut sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", "", &["aaaaaaaaaa"]);
    sandbox.unlink_at_end("p");
    judged(&sandbox, "broken", "1 of 1 segments are missing, or in another directory");
}

#[test]
fn missing_segments_without_a_recorded_node_are_stale_in_the_node_s_own_dev_shm() {
    if !is_root() || !can_mount() {
        return; // Only root can make a node of its own: a /dev/shm that process 1 sees.
    }
    let sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", "", &["aaaaaaaaaa"]);
    // The new /dev/shm hides the sandbox, but not the root, which is also mounted at /mnt.
    let mounts = format!(
        "mount --bind '{}' /mnt && mount -t tmpfs -o mode=1777 tmpfs /dev/shm || exit 99",
        sandbox.root().display()
    );
    let gc = sandbox.command(&["gc"]).env("CUTE_SHM_ROOT", "/mnt").env("CUTE_SHM_DIR", "/dev/shm");
    let run = gc.in_new_namespaces(&mounts).run();
    run.is(str![[r#"
--- stdout
removed p in '/mnt' (stale): all segments are missing, and they can only have been here; 0 segments, 0 B freed
--- exit 0

"#]]);
    assert!(!sandbox.metadata("p").exists());
}

#[test]
fn project_of_an_earlier_boot_is_stale() {
    let mut sandbox = Sandbox::new();
    stale_project(&sandbox, "p");
    sandbox.unlink_at_end("p");
    judged(&sandbox, "stale", "all segments are missing, loaded before this boot");
    sandbox.run(&["list", "-s", "--check"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state  lifetime  attached  age
p             1   0 B       0 B  stale  -         0         AGE
--- stderr
warning: 'p': stale: all segments are missing, loaded before this boot
error: 1 project not live
hint: run 'cute-shm gc --dry-run' to list the projects that can be removed
--- exit 11

"#]]);
}

#[test]
fn project_without_segments_is_stale() {
    let mut sandbox = Sandbox::new();
    write_metadata(
        &sandbox,
        "p",
        &first_line(&boot(), &host(), &shm_id(&sandbox)),
        &["aaaaa00000"],
    );
    sandbox.unlink_at_end("p");
    judged(&sandbox, "stale", "all segments are missing, removed by another process");
}

#[test]
fn project_of_another_host_is_elsewhere() {
    let mut sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", &first_line(OTHER_BOOT, "other", "1:2"), &["aaaaa00000"]);
    sandbox.may_leave();
    judged(&sandbox, "elsewhere", "loaded on host 'other'");
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0, "elsewhere is no finding");
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stderr
error: project 'p' does not belong to this node: loaded on host 'other'
hint: run 'cute-shm unlink' where the project was loaded
--- exit 6

"#]]);
    sandbox.run(&["gc", "--broken", "-v"]).is(str![[r#"
--- stderr
skipped p in '$ROOT' (elsewhere): loaded on host 'other'
nothing to remove
--- exit 0

"#]]);
}

#[test]
fn project_of_another_shm_directory_is_elsewhere() {
    let mut sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", &first_line(&boot(), &host(), "1:2"), &["aaaaa00000"]);
    sandbox.may_leave();
    judged(&sandbox, "elsewhere", "loaded with another shm directory (a container?)");
    sandbox.write("plain.h5", crate::common::fixtures::plain);
    let run = sandbox.run(&["load-hdf5", "-po", "p", "plain.h5"]);
    assert_eq!(run.code(), 4, "{}", run.transcript());
    assert!(run.stderr().contains("(a container?)"), "{}", run.transcript());
    assert!(!run.stderr().contains("unlink"), "it cannot be unlinked here: {}", run.transcript());
}

#[test]
fn metadata_that_is_not_toml_is_corrupt() {
    let mut sandbox = Sandbox::new();
    make_root(&sandbox);
    write_private(&sandbox.metadata("p"), "[a\n");
    sandbox.unlink_at_end("p");
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state    lifetime  attached  age
p             0   0 B       0 B  corrupt  -         0         AGE
--- stderr
warning: 'p': corrupt: its metadata is invalid: line 1: unclosed table, expected `]`
--- exit 0

"#]]);
}

#[test]
fn metadata_entry_that_is_neither_group_nor_array_is_corrupt() {
    let mut sandbox = Sandbox::new();
    make_root(&sandbox);
    sandbox.unlink_at_end("p");
    for (text, reason) in [
        ("x = 1\n", "its metadata is invalid: '/x' is neither a group nor an array"),
        ("[a]\nshm_name = 1\n", "its metadata is invalid: array '/a' has no 'shm_name'"),
        (
            "[a]\nshm_name = 'x'\ndtype = 'u1'\nshape = [-1]\n",
            "its metadata is invalid: array '/a' has a 'shape' that is not a list of sizes",
        ),
    ] {
        write_private(&sandbox.metadata("p"), text);
        judged(&sandbox, "corrupt", reason);
    }
}

#[test]
fn metadata_that_names_segments_of_another_project_is_corrupt_and_removes_nothing() {
    let mut sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", "", &["aaaaaaaaaa"]);
    let text = fs::read_to_string(sandbox.metadata("p")).unwrap();
    write_private(&sandbox.metadata("p"), &text.replace("cute-shm.p.", "cute-shm.q."));
    write_segment(&sandbox, "q", "aaaaaaaaaa");
    sandbox.may_leave();
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state    lifetime  attached  age
p             1   0 B       0 B  corrupt  -         0         AGE
q             0   0 B     4 KiB  orphan   -         0           -
--- stderr
warning: 'p': corrupt: its metadata names 'cute-shm.q.TOKENaaaaa' for '/a0', which is not a segment of this project
warning: 'q': orphan: no metadata and no ledger claims these segments
--- exit 0

"#]]);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 0 segments, 0 B freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), ["cute-shm.q.aaaaaaaaaa"]);
}

#[test]
fn metadata_that_is_a_link_is_corrupt_and_not_followed() {
    let mut sandbox = Sandbox::new();
    sandbox.may_leave();
    make_root(&sandbox);
    fs::write(sandbox.file("target"), "[a]\n").unwrap();
    crate::program::link(&sandbox.file("target"), &sandbox.metadata("p"));
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p corrupt 0 B $ROOT/cute-shm.p.toml
  no arrays

--- stderr
warning: 'p': corrupt: cannot open '$ROOT/cute-shm.p.toml': Too many symbolic links encountered
--- exit 0

"#]]);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 0 segments, 0 B freed
--- exit 0

"#]]);
    assert!(sandbox.file("target").exists());
}

#[test]
fn damaged_ledger_makes_a_project_corrupt() {
    let sandbox = Sandbox::with_project();
    let ledger = fs::read_to_string(sandbox.shm_file(".ledger")).unwrap();
    fs::write(sandbox.shm_file(".ledger"), "version = 1\n").unwrap();
    let why = "the ledger '$SHM/cute-shm.p.KEYHASH.ledger' cannot be parsed: missing field `root`";
    judged(&sandbox, "corrupt", why);
    fs::write(sandbox.shm_file(".ledger"), ledger).unwrap();
}

#[test]
fn project_with_a_held_lock_is_live_and_changing() {
    let sandbox = Sandbox::with_project();
    let lock = ChangeLock::take(&sandbox);
    sandbox.run(&["list", "-s"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state            lifetime    attached  age
p             2  60 B     8 KiB  live (changing)  persistent  0         AGE
--- exit 0

"#]]);
    sandbox.run(&["load-hdf5", "-po", "p", "plain.h5"]).is(str![[r#"
--- stderr
error: project 'p' is being changed by another process
hint: try again, or let load-hdf5 wait for it with --wait SECONDS or --ensure
--- exit 7

"#]]);
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
kept p in '$ROOT' (live): another process is changing the project
nothing to remove
--- exit 0

"#]]);
    drop(lock);
}

#[test]
fn commands_wait_for_a_short_change_of_another_process() {
    let mut sandbox = Sandbox::with_project();
    let load = ["load-hdf5", "-po", "p", "plain.h5"];
    sandbox.unlink_at_end("p");
    for command in [&["gc", "--job", "7"][..], &load, &["unlink", "p"]] {
        let loaded = sandbox.command(&load).env("CUTE_SHM_JOB", "7").run();
        assert_eq!(loaded.code(), 0, "{}", loaded.transcript());
        let lock = ChangeLock::take(&sandbox);
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| sandbox.run(command));
            std::thread::sleep(std::time::Duration::from_millis(200));
            drop(lock);
            run.join().unwrap()
        });
        assert_eq!(run.code(), 0, "{command:?} {}", run.transcript());
        if command[0] == "gc" {
            let removed =
                format!("removed p in '{}' (live): job 7 has ended", sandbox.root().display());
            assert!(run.stdout().starts_with(&removed), "{}", run.transcript());
        }
    }
}

#[test]
fn locked_project_without_metadata_is_loading() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.metadata("p")).unwrap();
    let lock = ChangeLock::take(&sandbox);
    judged(&sandbox, "loading", "");
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0, "loading is no finding");
    drop(lock);
}

#[test]
fn interrupted_removal_is_removing_then_abandoned() {
    let sandbox = Sandbox::with_project();
    let segments = sandbox.segments("p");
    amend_ledger(&sandbox, &format!("removing = {segments:?}"));
    fs::remove_file(sandbox.metadata("p")).unwrap();
    let lock = ChangeLock::take(&sandbox);
    judged(&sandbox, "removing", "");
    drop(lock);
    judged(&sandbox, "abandoned", "its removal was interrupted");
    sandbox.run(&["gc"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (abandoned): its removal was interrupted; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn project_without_metadata_is_detached() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.metadata("p")).unwrap();
    judged(&sandbox, "detached", "its metadata file is missing");
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  detached
  because  its metadata file is missing
       do  run 'cute-shm gc --repair' to restore its metadata
 lifetime  persistent
     size  60 B in 2 arrays, 8 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
   loaded  TIME (AGE ago)
     from  $WORK/plain.h5 (2.06 KiB)
 attached  no process

x  (2, 3) float64  48 B
y  (3,) int32  12 B
--- exit 0

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5"]).is(str![[r#"
--- stderr
error: project 'p' exists already
hint: it is detached: its metadata file is missing; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 4

"#]]);
}

#[test]
fn unclaimed_segments_are_an_orphan() {
    let mut sandbox = Sandbox::new();
    sandbox.may_leave();
    make_root(&sandbox);
    write_segment(&sandbox, "p", "aaaaaaaaaa");
    judged(&sandbox, "orphan", "no metadata and no ledger claims these segments");
    sandbox.run(&["list"]).is(str![[r#"
--- stdout
p orphan 0 B -
  no arrays

--- stderr
warning: 'p': orphan: no metadata and no ledger claims these segments
--- exit 0

"#]]);
    sandbox.run(&["list", "-s", "--check"]).is(str![[r#"
--- stdout
project  arrays  size  resident  state   lifetime  attached  age
p             0   0 B     4 KiB  orphan  -         0           -
--- stderr
warning: 'p': orphan: no metadata and no ledger claims these segments
error: 1 project not live
hint: run 'cute-shm gc --dry-run' to list the projects that can be removed
--- exit 11

"#]]);
}

#[test]
fn unreadable_project_is_foreign() {
    if !is_root() {
        return; // Only root can make a file of another user.
    }
    let sandbox = Sandbox::with_project();
    sandbox.command(&["list", "-s"]).unprivileged().run().is(str![[r#"
--- stdout
project  arrays  size  resident  state    lifetime  attached  age
p             0   0 B       0 B  foreign  -         unknown     -
--- exit 0

"#]]);
    sandbox.command(&["list", "-s", "--check"]).unprivileged().run().is(str![[r#"
--- stdout
project  arrays  size  resident  state    lifetime  attached  age
p             0   0 B       0 B  foreign  -         unknown     -
--- exit 0

"#]]);
    sandbox.command(&["gc", "-v", "--broken"]).unprivileged().run().is(str![[r#"
--- stderr
kept p in '$ROOT': owned by user UID
nothing to remove
--- exit 0

"#]]);
    sandbox.command(&["unlink", "p"]).unprivileged().run().is(str![[r#"
--- stderr
error: project 'p' belongs to user UID
hint: remove it as its owner, or as root with --all-users
--- exit 6

"#]]);
    let load = ["load-hdf5", "-po", "p", "plain.h5"];
    let run = sandbox.command(&load).unprivileged().run();
    assert_eq!(run.code(), 6, "another user's project is in the way: {}", run.transcript());
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn segments_of_another_user_make_a_project_corrupt() {
    if !is_root() {
        return; // Only root can give files away.
    }
    let mut sandbox = Sandbox::new();
    sandbox.may_leave();
    python_project(&sandbox, "p", &["aaaaaaaaaa"]);
    let segment = sandbox.shm().join("cute-shm.p.aaaaaaaaaa");
    std::os::unix::fs::chown(&segment, Some(NOBODY), None).unwrap();
    // The metadata of one user does not claim the segment of another: it is listed as that user's orphan.
    let listed: serde_json::Value = sandbox.run(&["list", "--json"]).json();
    let projects = listed["projects"].as_array().unwrap();
    let states: Vec<_> = projects.iter().map(|p| (&p["state"], &p["uid"])).collect();
    assert_eq!(states, [(&"orphan".into(), &NOBODY.into()), (&"corrupt".into(), &0.into())]);
    let reason = projects[1]["reason"].as_str().unwrap();
    assert!(reason.contains("belongs to user"), "{reason}");
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 0 segments, 0 B freed
--- exit 0

"#]]);
    assert!(segment.exists());
}

#[test]
fn load_replaces_a_stale_project() {
    let mut sandbox = Sandbox::with_plain();
    stale_project(&sandbox, "p");
    sandbox.load("p", &["plain.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
}

#[test]
fn load_refuses_a_broken_project_without_overwrite() {
    let sandbox = Sandbox::with_project();
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5"]).is(str![[r#"
--- stderr
error: project 'p' exists already
hint: it is broken: 1 of 2 segments are missing; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 4

"#]]);
    sandbox.run(&["load-hdf5", "-po", "p", "plain.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}
