//! Files of another user with names of a victim's project, in directories that both can write. Needs root: the tests
//! create the users.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use cute_shm::internals::{Directory, Key, KeyFile, Ledger, ProjectName};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::process::Process;
use super::support::{is_root, wait_until};
use super::users::{Guest, Node};

const PRIME: u32 = 0x0100_0193;

fn fnv1a(from: u32, text: &str) -> u32 {
    text.bytes().fold(from, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME))
}

/// Runs FNV-1a backward: the state before `text`.
fn fnv1a_before(to: u32, text: &str) -> u32 {
    // Newton's iteration for the inverse modulo 2^32.
    let inverse =
        (0..5).fold(PRIME, |x, _| x.wrapping_mul(2_u32.wrapping_sub(PRIME.wrapping_mul(x))));
    text.bytes().rev().fold(to, |hash, byte| hash.wrapping_mul(inverse) ^ u32::from(byte))
}

/// Returns a root id that has the hash of `key` with `uid`. An attacker finds one in a second.
pub fn collide(key: &Key, uid: u32) -> String {
    let target = u32::from_str_radix(&key.hash, 16).expect("a hash");
    let middle = fnv1a_before(target, &format!(":{uid}"));
    let starts: HashMap<u32, u32> =
        (0..1 << 19).map(|n: u32| (fnv1a(0x811c_9dc5, &format!("{n:06x}")), n)).collect();
    let (start, end) = (0_u32..)
        .find_map(|n| Some((*starts.get(&fnv1a_before(middle, &format!("{n:06x}")))?, n)))
        .expect("a collision");
    format!("{start:06x}{end:06x}")
}

fn give(path: &Path, user: &Guest) {
    chown(path, Some(user.uid), Some(user.gid)).expect("to give away");
}

fn key(node: &Node, project: &str, user: &Guest) -> Key {
    let root = Directory::open(node.sandbox.root()).expect("the root");
    Key::new(&ProjectName::new(project.as_ref()).expect("a name"), root.id(), user.uid)
}

/// Writes a project like the Python package: no mark, no ledger, no lock file.
pub fn make_python_project(node: &Node, user: &Guest, project: &str) {
    let name = format!("cute-shm.{project}.pYtho00000");
    let text = format!(
        "[a]\nshm_name = \"{name}\"\nshm_private_name = \"/{name}\"\nshape = [1]\ndtype = \"int8\"\n"
    );
    for (path, bytes) in
        [(node.sandbox.metadata(project), text.as_str()), (node.sandbox.shm().join(&name), "x")]
    {
        fs::write(&path, bytes).expect("to write");
        give(&path, user);
    }
}

fn is_there(node: &Node, project: &str) -> bool {
    node.sandbox.segments(project).is_some_and(|segments| {
        segments.iter().all(|segment| node.sandbox.shm().join(segment).exists())
    })
}

fn hold(node: &Node, user: &Guest, project: &str) -> Process {
    let file = node.sandbox.uniform_file(1);
    let args = ["load-hdf5", project, file.to_str().expect("a path")];
    let mut keeper = node.start(user, &[], &node.bin, &args);
    wait_until("it is held", || {
        assert!(keeper.is_running(), "the keeper ended: {:?}", keeper.so_far());
        keeper.said().contains("loaded")
    });
    keeper
}

#[test]
fn ledger_of_another_user_with_colliding_hash_removes_nothing() {
    if !is_root("ledger_of_another_user_with_colliding_hash_removes_nothing") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    let shm = Directory::open(node.sandbox.shm()).unwrap();
    make_python_project(&node, &victim, "p");
    make_python_project(&node, &victim, "q");
    for project in ["p", "q"] {
        let key = key(&node, project, &victim);
        let root = Directory::open(node.sandbox.root()).unwrap();
        let mut ledger = Ledger::new(&root);
        ledger.root_id = collide(&key, mallory.uid);
        let segments = node.sandbox.segments(project).unwrap();
        if project == "p" {
            ledger.removing = Some(segments.into_iter().collect());
        } else {
            ledger.retiring = vec!["pYtho".to_owned().try_into().unwrap()];
        }
        ledger.write(&shm, &key).unwrap();
        give(&shm.join(&key.file(KeyFile::Ledger)), &mallory);
    }
    let greedy = ["gc", "--best-effort", "--broken", "--orphans", "--min-age", "0s"];
    for args in [&["gc"][..], &["list", "-s"], &greedy] {
        let done = node.run(&victim, args);
        assert!([0, 2].contains(&done.code), "{done:?}");
    }
    for args in [&["gc", "--all-users"][..], &[&greedy[..], &["--all-users"]].concat()] {
        node.sandbox.run(args);
    }
    assert!(is_there(&node, "p") && is_there(&node, "q"));
    // Root's gc removed the files of the attacker, and the project of the victim works again.
    node.run(&victim, &["unlink", "p", "q"]).expect(0);
    node.sandbox.assert_nothing();
}

#[test]
fn list_and_gc_continue_past_odd_names_and_leased_metadata_of_another_user() {
    if !is_root("list_and_gc_continue_past_odd_names_and_leased_metadata_of_another_user") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    let keeper = hold(&node, &victim, "dead");
    keeper.signal(Signal::SIGKILL);
    keeper.wait();
    let long = |count: usize| "x".repeat(count);
    let (shm, root) = (node.sandbox.shm(), node.sandbox.root());
    for path in [
        shm.join(format!("cute-shm.{}.01234567.lock", long(231))),
        shm.join(format!("cute-shm.{}.01234567.ledger", long(229))),
        root.join(format!("cute-shm.{}.toml", long(227))),
        root.join(format!("cute-shm.{}.toml", long(241))),
        root.join("cute-shm.leased.toml"),
    ] {
        fs::write(&path, "").unwrap();
        give(&path, &mallory);
    }
    let leased = fs::File::open(root.join("cute-shm.leased.toml")).unwrap();
    // SAFETY: ignoring a signal installs no handler; fcntl with F_SETLEASE touches no memory.
    let set = unsafe {
        signal(Signal::SIGIO, SigHandler::SigIgn).unwrap();
        libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    let listed = node.run(&victim, &["list", "-s", "--json"]).expect(0).json();
    let projects = listed["projects"].as_array().unwrap();
    let state = |name: &str| {
        let found = projects.iter().find(|project| project["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {listed}"))["state"].clone()
    };
    assert_eq!(state("leased"), "foreign");
    assert_eq!(state("dead"), "abandoned");
    node.run(&victim, &["gc", "--best-effort"]).expect(0);
    assert!(!node.sandbox.metadata("dead").exists(), "the dead project was not freed");
    node.sandbox.run(["list"]).expect(0);
    node.sandbox.run(["gc", "--best-effort", "--all-users"]).expect(0);
}

#[test]
fn files_of_another_user_under_temporary_names_block_nothing() {
    if !is_root("files_of_another_user_under_temporary_names_block_nothing") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    let hash = key(&node, "p", &victim).hash;
    let (shm, root) = (node.sandbox.shm(), node.sandbox.root());
    let planted = [
        root.join(format!(".cute-shm.p.{hash}.aside")),
        root.join(format!(".cute-shm.p.{hash}.aaaaa.aside")),
        root.join(format!(".cute-shm.p.{hash}.aaaaa.new")),
        shm.join(format!("cute-shm.p.{hash}.ledger.new")),
        shm.join(format!("cute-shm.p.{hash}.aaaaa.ledger.new")),
    ];
    for path in &planted {
        fs::write(path, "").unwrap();
        give(path, &mallory);
    }
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    node.load(&victim, &[], "p", &["--persistent", "--overwrite"]).expect(0);
    node.run(&victim, &["gc"]).expect(0);
    assert_eq!(node.sandbox.whole("p"), Some(1));
    node.run(&victim, &["unlink", "p"]).expect(0);
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    node.sandbox.run(["unlink", "--all-users", "p"]).expect(0);
    assert!(!node.sandbox.metadata("p").exists());
    // In the root, the files of the other user remain.
    for path in &planted[..3] {
        assert!(path.exists(), "{} is another user's", path.display());
    }
}

#[test]
fn lock_file_of_another_user_is_refused_and_root_clears_it() {
    if !is_root("lock_file_of_another_user_is_refused_and_root_clears_it") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    let lock = node.sandbox.shm().join(key(&node, "p", &victim).file(KeyFile::Lock));
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
    give(&lock, &mallory);
    let refused = node.load(&victim, &[], "p", &["--persistent"]).expect(6);
    assert!(refused.err.contains(&format!("belongs to user {}", mallory.uid)), "{refused:?}");
    assert!(refused.err.contains("hint:"), "{refused:?}");
    assert_eq!(fs::read(&lock).unwrap(), b"", "the victim wrote into the attacker's file");
    // The victim has no file and no process, so gc finds its id only with --user.
    node.sandbox.run(["gc", "--user", &victim.uid.to_string()]).expect(0);
    assert!(!lock.exists());
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    node.run(&victim, &["unlink", "p"]).expect(0);
    node.sandbox.assert_nothing();
}

#[test]
fn keeper_takes_its_lock_again_if_the_lock_file_is_removed() {
    if !is_root("keeper_takes_its_lock_again_if_the_lock_file_is_removed") {
        return;
    }
    let (node, victim) = (Node::new(), Guest::new());
    let lock = node.sandbox.shm().join(key(&node, "p", &victim).file(KeyFile::Lock));
    let mut keeper = hold(&node, &victim, "p");
    fs::remove_file(&lock).unwrap();
    wait_until("the lock file exists again", || lock.exists());
    wait_until("the project is live again", || node.sandbox.state("p").as_deref() == Some("live"));
    node.sandbox.run(["gc", "--all-users"]).expect(0);
    assert!(keeper.is_running());
    assert_eq!(node.sandbox.whole("p"), Some(1));
    keeper.signal(Signal::SIGTERM);
    keeper.wait().expect(143);
    node.sandbox.assert_nothing();
}

/// The ledger of an overwrite that was killed after it published its metadata and before it wrote its ledger.
fn unwrite_ledger(node: &Node, user: &Guest, project: &str) {
    let (shm, key) = (Directory::open(node.sandbox.shm()).unwrap(), key(node, project, user));
    let mut ledger = Ledger::read(&shm, &key, None).known().unwrap().expect("a ledger");
    ledger.next = ledger.current.take();
    ledger.write(&shm, &key).unwrap();
    give(&shm.join(&key.file(KeyFile::Ledger)), user);
}

#[test]
fn recovery_changes_nothing_while_the_metadata_cannot_be_read() {
    if !is_root("recovery_changes_nothing_while_the_metadata_cannot_be_read") {
        return;
    }
    let (node, victim) = (Node::new(), Guest::new());
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    unwrite_ledger(&node, &victim, "p");
    let metadata = node.sandbox.metadata("p");
    let set_mode = |mode| fs::set_permissions(&metadata, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o000);
    let before = node.contents();
    let listed = node.run(&victim, &["list", "-s", "--json"]).expect(0).json();
    assert_eq!(listed["projects"][0]["state"], "foreign");
    for args in [&["unlink", "p"][..], &["gc", "--broken"], &["gc", "--best-effort"]] {
        let done = node.run(&victim, args);
        assert!([0, 6].contains(&done.code), "{done:?}");
        assert_eq!(node.contents(), before, "{args:?}");
    }
    let done = node.load(&victim, &[], "p", &["--persistent", "--overwrite"]).expect(6);
    assert!(done.err.contains("Permission denied"), "{done:?}");
    assert_eq!(node.contents(), before);
    set_mode(0o600);
    node.run(&victim, &["gc"]).expect(0);
    assert_eq!(node.sandbox.whole("p"), Some(1));
    node.run(&victim, &["unlink", "p"]).expect(0);
    node.sandbox.assert_nothing();
}

#[test]
fn failed_unlink_leaves_the_project_live() {
    if !is_root("failed_unlink_leaves_the_project_live") {
        return;
    }
    let (node, victim) = (Node::new(), Guest::new());
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    let root = node.sandbox.root();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    node.run(&victim, &["unlink", "p"]).expect(6);
    let listed = node.run(&victim, &["list", "-s", "--json"]).expect(0).json();
    assert_eq!(listed["projects"][0]["state"], "live");
    node.run(&victim, &["gc"]).expect(0);
    assert_eq!(node.sandbox.whole("p"), Some(1));
    fs::set_permissions(root, fs::Permissions::from_mode(0o1777)).unwrap();
    node.run(&victim, &["unlink", "p"]).expect(0);
    node.sandbox.assert_nothing();
}

#[test]
fn metadata_of_another_user_does_not_keep_the_owner_from_unlinking() {
    if !is_root("metadata_of_another_user_does_not_keep_the_owner_from_unlinking") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    fs::remove_file(node.sandbox.metadata("p")).unwrap();
    fs::write(node.sandbox.metadata("p"), "").unwrap();
    give(&node.sandbox.metadata("p"), &mallory);
    node.run(&mallory, &["gc", "--broken"]).expect(0);
    node.run(&victim, &["unlink", "p"]).expect(0);
    assert_eq!(node.sandbox.files().into_iter().collect::<Vec<_>>(), ["cute-shm.p.toml"]);
}

#[test]
fn old_metadata_restored_by_the_owner_of_the_root_is_corrupt_and_frees_nothing() {
    if !is_root("old_metadata_restored_by_the_owner_of_the_root_is_corrupt_and_frees_nothing") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    give(node.sandbox.root(), &mallory);
    let loaded = node.load(&victim, &[], "p", &["--persistent"]).expect(0);
    let warning = format!("belongs to user {}", mallory.uid);
    assert!(loaded.err.contains(&warning), "{loaded:?}");
    let old = fs::read(node.sandbox.metadata("p")).unwrap();
    node.load(&victim, &[], "p", &["--persistent", "--overwrite"]).expect(0);
    let segments = node.sandbox.segments("p").unwrap();
    fs::write(node.sandbox.metadata("p"), old).unwrap();
    give(&node.sandbox.metadata("p"), &victim);
    let listed = node.run(&victim, &["list", "-s", "--json"]).expect(0).json();
    assert_eq!(listed["projects"][0]["state"], "corrupt", "{listed}");
    node.run(&victim, &["gc", "--broken"]).expect(0);
    node.sandbox.run(["gc", "--all-users", "--broken"]).expect(0);
    node.load(&victim, &[], "p", &["--persistent"]).expect(4);
    let exist = |segments: &std::collections::BTreeSet<String>| {
        segments.iter().all(|segment| node.sandbox.shm().join(segment).exists())
    };
    assert!(exist(&segments), "a live project was freed");
    // Without the foreign file the project can be restored.
    fs::remove_file(node.sandbox.metadata("p")).unwrap();
    node.run(&victim, &["gc", "--repair"]).expect(0);
    assert_eq!(node.sandbox.whole("p"), Some(1));
    node.run(&victim, &["unlink", "p"]).expect(0);
    node.sandbox.assert_nothing();
}

#[test]
fn readers_with_read_permission_list_show_export_and_wait() {
    if !is_root("readers_with_read_permission_list_show_export_and_wait") {
        return;
    }
    let (node, owner, friend, stranger) = (Node::new(), Guest::new(), Guest::new(), Guest::new());
    let group = owner.gid.to_string();
    node.load(&owner, &[], "g", &["--persistent", "--mode", "640", "--group", &group]).expect(0);
    node.load(&owner, &[], "w", &["--persistent", "--mode", "644"]).expect(0);
    let file = node.sandbox.uniform_file(1);
    let args = ["load-hdf5", "h", file.to_str().unwrap(), "--mode", "644"];
    let mut keeper = node.start(&owner, &[], &node.bin, &args);
    wait_until("it is held", || {
        assert!(keeper.is_running(), "{:?}", keeper.so_far());
        keeper.said().contains("loaded")
    });
    let run = |user: &Guest, args: &[&str]| node.start(user, &[owner.gid], &node.bin, args).wait();
    for project in ["g", "w", "h"] {
        let shown = run(&friend, &["show", project, "--json"]).expect(0).json();
        assert_eq!(shown["project"]["state"], "live", "{shown}");
        assert!(shown["project"]["lifetime"].is_null(), "{shown}");
        run(&friend, &["list", project]).expect(0);
        run(&friend, &["wait", project, "--timeout", "1"]).expect(0);
        run(&friend, &["export", project, "--format", "npz", "-o", "-"]).expect(0);
        run(&friend, &["unlink", project]).expect(6);
        let load = ["load-hdf5", project, file.to_str().unwrap(), "-p", "-o"];
        run(&friend, &load).expect(6);
    }
    let before = node.contents();
    run(&friend, &["gc", "--broken", "--orphans", "--min-age", "0s"]);
    assert_eq!(node.contents(), before);
    // Without the group the metadata cannot be read.
    let listed = node.run(&stranger, &["list", "-s", "--json"]).expect(0).json();
    let states: Vec<_> =
        listed["projects"].as_array().unwrap().iter().map(|p| p["state"].clone()).collect();
    assert_eq!(states, ["foreign", "live", "live"], "{listed}");
    node.run(&stranger, &["export", "g", "--format", "npz", "-o", "-"]).expect(6);
    keeper.signal(Signal::SIGTERM);
    keeper.wait().expect(143);
    node.run(&owner, &["unlink", "g", "w"]).expect(0);
    node.sandbox.assert_nothing();
}

/// Runs the command as `user` in a new user namespace, like a rootless container.
fn run_in_namespace(
    node: &Node,
    user: &Guest,
    depth: usize,
    args: &[&str],
) -> super::process::Done {
    let mut all = Vec::new();
    for _ in 1..depth {
        all.extend(["unshare", "--user", "--map-root-user"]);
    }
    all.push(node.bin.to_str().expect("a path"));
    all.extend(args);
    let all = [&["--user", "--map-root-user"], &all[..]].concat();
    node.start(user, &[], Path::new("/usr/bin/unshare"), &all).wait()
}

#[test]
fn held_project_is_never_replaced_or_removed_from_a_user_namespace() {
    if !is_root("held_project_is_never_replaced_or_removed_from_a_user_namespace") {
        return;
    }
    let (node, victim) = (Node::new(), Guest::new());
    if run_in_namespace(&node, &victim, 1, &["--version"]).code != 0 {
        println!("NOT RUN: the kernel forbids user namespaces to users");
        return;
    }
    let mut keeper = hold(&node, &victim, "p");
    let before = node.contents();
    let (file, gc) =
        (node.sandbox.uniform_file(2), ["gc", "--broken", "--orphans", "--min-age", "0s"]);
    for depth in [1, 2] {
        run_in_namespace(&node, &victim, depth, &["list"]).expect(0);
        run_in_namespace(&node, &victim, depth, &gc);
        let args = ["load-hdf5", "p", file.to_str().unwrap(), "-p", "--ensure"];
        let done = run_in_namespace(&node, &victim, depth, &args);
        assert_ne!(done.code, 0, "depth {depth}: {done:?}");
        assert_eq!(node.contents(), before, "depth {depth}");
    }
    // In the first namespace the owner is known: the same project is live.
    let listed = run_in_namespace(&node, &victim, 1, &["list", "-s", "--json"]).expect(0).json();
    assert_eq!(listed["projects"][0]["state"], "live", "{listed}");
    assert_eq!(listed["projects"][0]["lifetime"], "held", "{listed}");
    let listed = run_in_namespace(&node, &victim, 2, &["list", "-s", "--json"]).expect(0).json();
    assert_eq!(listed["projects"][0]["state"], "foreign", "{listed}");
    assert!(keeper.is_running());
    assert_eq!(node.sandbox.whole("p"), Some(1));
    keeper.signal(Signal::SIGTERM);
    keeper.wait().expect(143);
    node.sandbox.assert_nothing();
}

#[test]
fn root_with_another_device_number_is_the_same_root() {
    use super::commands::Mount;
    if !is_root("root_with_another_device_number_is_the_same_root") {
        return;
    }
    let (node, user) = (Node::new(), Guest::new());
    let root = node.sandbox.root().to_owned();
    let identity = || {
        use std::os::unix::fs::MetadataExt as _;
        let stat = fs::metadata(&root).unwrap();
        (stat.dev(), stat.ino())
    };
    let first = Mount::tmpfs(&root, "mode=1777");
    let before = identity();
    let keeper = hold(&node, &user, "h");
    node.load(&user, &[], "p", &["--persistent"]).expect(0);
    let files: Vec<_> =
        ["h", "p"].map(|name| (name, fs::read(node.sandbox.metadata(name)).unwrap())).into();
    // The second mount hides the first, like a remount: same path and inode, another device.
    let second = Mount::tmpfs(&root, "mode=1777");
    let after = identity();
    assert!(before.0 != after.0 && before.1 == after.1, "{before:?} {after:?}");
    for (name, bytes) in files {
        fs::write(node.sandbox.metadata(name), bytes).unwrap();
        give(&node.sandbox.metadata(name), &user);
    }
    let listed = node.run(&user, &["list", "-s", "--json"]).expect(0).json();
    let projects = listed["projects"].as_array().unwrap();
    let states: Vec<_> =
        projects.iter().map(|p| (p["state"].clone(), p["lifetime"].clone())).collect();
    assert_eq!(states, [("live".into(), "held".into()), ("live".into(), "persistent".into())]);
    let reaped = node.run(&user, &["gc", "--all-roots", "--dry-run", "--json"]).expect(0).json();
    assert_eq!(reaped["items"].as_array().unwrap().len(), 2, "{reaped}");
    node.load(&user, &[], "p", &["--persistent", "--overwrite"]).expect(0);
    node.run(&user, &["unlink", "p", "h"]).expect(0);
    keeper.wait().expect(0);
    node.sandbox.assert_nothing();
    drop((second, first));
}

#[test]
fn metadata_taken_aside_beside_a_squatter_is_kept_and_gets_its_name_back() {
    if !is_root("metadata_taken_aside_beside_a_squatter_is_kept_and_gets_its_name_back") {
        return;
    }
    let (node, victim, mallory) = (Node::new(), Guest::new(), Guest::new());
    make_python_project(&node, &victim, "p");
    // A killed or failed removal leaves this file. Then another user takes the name of the metadata.
    let hash = key(&node, "p", &victim).hash;
    let aside = node.sandbox.root().join(format!(".cute-shm.p.{hash}.aaaaa.aside"));
    let metadata = node.sandbox.metadata("p");
    fs::rename(&metadata, &aside).unwrap();
    fs::write(&metadata, "").unwrap();
    give(&metadata, &mallory);
    node.run(&victim, &["gc"]).expect(0);
    assert!(aside.exists(), "the metadata of the project is lost");
    fs::remove_file(&metadata).unwrap();
    node.run(&victim, &["gc"]).expect(0);
    assert!(is_there(&node, "p") && metadata.exists() && !aside.exists());
    assert_eq!(node.sandbox.state("p").as_deref(), Some("live"));
}
