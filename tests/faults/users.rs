//! Other users on the same node, friendly and hostile. Needs root: the tests create the users.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cute_shm::internals::{Directory, Key, KeyFile, Ledger, ProjectName};
use nix::sys::signal::Signal;
use nix::unistd::{Group, Uid, User};

use super::commands::{BINARY, Sandbox, load_args};
use super::process::{Done, Process, as_user};
use super::support::{eventually, figure, is_root, wait_until};

/// A user account that exists during a test.
pub struct Guest {
    name: String,
    pub uid: u32,
    pub gid: u32,
}

fn system(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

impl Guest {
    pub fn new() -> Self {
        let name = format!("flt{:08x}", getrandom::u32().expect("random numbers"));
        // Concurrent tests add users: each waits for the lock of the password file.
        eventually("a user", Duration::from_secs(20), || {
            system("useradd", &["--no-create-home", "--user-group", &name]).then_some(())
        });
        let user = User::from_name(&name).expect("users").expect("the user");
        Self { name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for _ in 0..200 {
            if system("userdel", &["--force", &self.name])
                || User::from_uid(Uid::from_raw(self.uid)).is_ok_and(|u| u.is_none())
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if Group::from_name(&self.name).is_ok_and(|group| group.is_some()) {
            system("groupdel", &[&self.name]);
        }
    }
}

/// A sandbox that every user can use, with a copy of the command that every user can run.
pub struct Node {
    pub sandbox: Sandbox,
    pub bin: PathBuf,
}

impl Node {
    pub fn new() -> Self {
        Self::on(Sandbox::new())
    }

    /// Like [`Self::new`], in these directories.
    pub fn on(sandbox: Sandbox) -> Self {
        let bin = sandbox.file("cute-shm");
        fs::copy(BINARY, &bin).expect("a copy of the command");
        fs::create_dir(sandbox.root()).expect("the root");
        for (path, mode) in [
            (sandbox.file(""), 0o755),
            (sandbox.root().to_owned(), 0o1777),
            (sandbox.shm().to_owned(), 0o1777),
            (sandbox.uniform_file(1), 0o644),
            (sandbox.uniform_file(2), 0o644),
        ] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        Self { sandbox, bin }
    }

    pub fn start(&self, user: &Guest, groups: &[u32], program: &Path, args: &[&str]) -> Process {
        let mut command = self.sandbox.program(program);
        as_user(command.args(args), user.uid, user.gid, &[&[user.gid], groups].concat());
        Process::start(&mut command)
    }

    pub fn run(&self, user: &Guest, args: &[&str]) -> Done {
        self.start(user, &[], &self.bin, args).wait()
    }

    pub fn load(&self, user: &Guest, groups: &[u32], project: &str, more: &[&str]) -> Done {
        let args = load_args(project, &self.sandbox.uniform_file(1), more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.start(user, groups, &self.bin, &args).wait()
    }

    /// Everything in both directories, with its contents.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = [self.sandbox.shm(), self.sandbox.root()];
        let entries =
            folders.into_iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let plain = |path: &PathBuf| {
            path.symlink_metadata().is_ok_and(|s| s.is_file() && s.len() < 1 << 20)
        };
        paths.filter(plain).map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
    }
}

#[test]
fn group_members_share_a_project_and_other_users_are_denied() {
    if !is_root("group_members_share_a_project_and_other_users_are_denied") {
        return;
    }
    let (node, ours, friend, stranger) = (Node::new(), Guest::new(), Guest::new(), Guest::new());
    let shared = Guest::new();
    let group = shared.gid.to_string();
    node.load(&ours, &[shared.gid], "p", &["--persistent", "--mode", "0660", "--group", &group])
        .expect(0);
    node.load(&ours, &[], "q", &["--persistent"]).expect(0);
    let segments = |name| node.sandbox.segments(name).expect("a project");
    for (project, user, groups, allowed) in [
        ("p", &friend, &[shared.gid][..], true),
        ("p", &stranger, &[], false),
        ("q", &friend, &[shared.gid], false),
    ] {
        let mut paths: Vec<_> =
            segments(project).iter().map(|segment| node.sandbox.shm().join(segment)).collect();
        paths.push(node.sandbox.metadata(project));
        for path in paths {
            // Python opens segments for reading and writing.
            let script = format!("exec 3<>'{}'", path.display());
            let done = node.start(user, groups, Path::new("/bin/sh"), &["-c", &script]).wait();
            assert_eq!(done.code == 0, allowed, "{project} {done:?}");
        }
    }
    let before = node.contents();
    for user in [&friend, &stranger] {
        let listed = node.run(user, &["list", "-s", "--json"]).expect(0).json();
        for project in listed["projects"].as_array().expect("projects") {
            assert_eq!(project["state"], "foreign", "{project}");
        }
        let options = ["gc", "--json", "--broken", "--orphans", "--min-age", "0s", "--repair"];
        let items = node.run(user, &options).expect(0).json();
        for item in items["items"].as_array().expect("items") {
            assert_eq!(item["action"], "skipped");
            let reason = item["reason"].as_str().expect("a reason");
            assert_eq!(reason, format!("owned by user {}", ours.uid));
        }
        node.run(user, &["unlink", "p"]).expect(6);
        let over = node.load(user, &[], "p", &["--persistent", "--overwrite"]);
        over.expect(6);
    }
    assert_eq!(node.contents(), before);
    // Root skips them too, unless an option requests it.
    node.sandbox.run(["gc", "--broken", "--orphans", "--min-age", "0s"]).expect(0);
    assert_eq!(node.contents(), before);
    node.run(&ours, &["unlink", "p", "q"]).expect(0);
    node.sandbox.assert_nothing();
    figure(
        "`--mode 0660 --group`: list, gc, unlink, `--overwrite` by a group member, another user, root",
        "3 users",
        "the group reads and writes, other users are denied, every skip has a reason",
    );
}

#[test]
fn root_removes_dead_projects_of_all_users_on_request() {
    if !is_root("root_removes_dead_projects_of_all_users_on_request") {
        return;
    }
    let (node, ours) = (Node::new(), Guest::new());
    let file = node.sandbox.uniform_file(1);
    let mut keeper = node.start(&ours, &[], &node.bin, &["load-hdf5", "p", file.to_str().unwrap()]);
    wait_until("it is held", || {
        assert!(keeper.is_running());
        keeper.said().contains("loaded")
    });
    node.load(&ours, &[], "q", &["--persistent"]).expect(0);
    node.sandbox.run(["gc", "--all-users"]).expect(0);
    assert_eq!(node.sandbox.whole("p"), Some(1));
    keeper.signal(Signal::SIGKILL);
    keeper.wait();
    node.sandbox.run(["gc"]).expect(0);
    assert!(node.sandbox.metadata("p").exists());
    node.sandbox.run(["gc", "--all-users"]).expect(0);
    assert!(!node.sandbox.metadata("p").exists());
    assert_eq!(node.sandbox.whole("q"), Some(1));
    node.sandbox.run(["unlink", "q"]).expect(6);
    node.sandbox.run(["unlink", "--all-users", "q"]).expect(0);
    node.sandbox.assert_nothing();
    figure(
        "root's `gc` and `gc --all-users` of a user's killed keeper",
        "1",
        "skipped, then reaped",
    );
}

/// Creates the traps of a hostile user, with names that root's gc inspects.
fn plant(node: &Node, mallory: &Guest, victim: &Path) {
    let own =
        |path: &Path| chown(path, Some(mallory.uid), Some(mallory.gid)).expect("to give away");
    let root = |name: &str| node.sandbox.root().join(format!("cute-shm.{name}.toml"));
    let shm = |name: &str| node.sandbox.shm().join(name);
    let array = |name: &str| {
        format!(
            "[a]\nshm_name = \"{name}\"\nshm_private_name = \"/{name}\"\nshape = [1]\ndtype = \"int8\"\n"
        )
    };
    let stolen =
        node.sandbox.segments("p").expect("a project").into_iter().next().expect("a segment");
    fs::write(root("up"), array("../x")).unwrap();
    fs::write(root("abs"), array("/etc/passwd")).unwrap();
    fs::write(root("other"), array(&stolen)).unwrap();
    fs::write(root("p.x"), array(&stolen)).unwrap();
    symlink(victim, root("link")).unwrap();
    fs::hard_link(victim, root("hard")).unwrap();
    for path in [root("fifo"), shm("cute-shm.orph.aaaaa00000"), shm("cute-shm.p.01234567.ledger")] {
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
        own(&path);
    }
    symlink(victim, shm("cute-shm.linked.aaaaa00000")).unwrap();
    symlink(victim, shm("cute-shm.linked.89abcdef.lock")).unwrap();
    fs::create_dir(root("folder")).unwrap();
    let huge = fs::File::create(root("huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    // A ledger that lists the segments of the victim as being removed.
    let directory = Directory::open(node.sandbox.root()).unwrap();
    let key = Key::new(&ProjectName::new("p".as_ref()).unwrap(), directory.id(), mallory.uid);
    let mut ledger = Ledger::new(&directory);
    let all = node.sandbox.segments("p").expect("a project");
    ledger.removing = Some(all.into_iter().chain(["../x".to_owned(), "x".to_owned()]).collect());
    let place = Directory::open(node.sandbox.shm()).unwrap();
    ledger.write(&place, &key).unwrap();
    own(&place.join(&key.file(KeyFile::Ledger)));
    for name in ["up", "abs", "other", "p.x", "huge", "folder"] {
        own(&root(name));
    }
}

#[test]
fn root_touches_only_the_traps_of_a_hostile_user() {
    if !is_root("root_touches_only_the_traps_of_a_hostile_user") {
        return;
    }
    let (node, ours, mallory) = (Node::new(), Guest::new(), Guest::new());
    node.load(&ours, &[], "p", &["--persistent"]).expect(0);
    let victim = node.sandbox.file("victim");
    fs::write(&victim, "[precious]\n").unwrap();
    fs::write(node.sandbox.file("x"), "precious").unwrap();
    fs::write(node.sandbox.shm().join("x"), "precious").unwrap();
    let before = node.contents();
    plant(&node, &mallory, &victim);
    let begun = Instant::now();
    let greedy = ["--broken", "--orphans", "--min-age", "0s", "--repair", "--all-users"];
    let mut runs = 0;
    for args in [&["list"][..], &["list", "-s"], &["gc"], &["gc", "--all-users"]] {
        node.sandbox.run(args).expect(0);
        runs += 1;
    }
    for _ in 0..2 {
        let done = node.sandbox.run([&["gc", "--best-effort"][..], &greedy].concat()).expect(0);
        assert!(!done.err.contains("panicked"), "{done:?}");
        runs += 1;
    }
    for name in
        ["up", "abs", "other", "p.x", "link", "hard", "fifo", "folder", "huge", "linked", "orph"]
    {
        for args in [&["show", name][..], &["unlink", name], &["unlink", "--all-users", name]] {
            let done = node.sandbox.run(args);
            assert!([0, 3, 6, 8].contains(&done.code), "{name} {args:?}: {done:?}");
            runs += 1;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let after = node.contents();
    for (path, bytes) in &before {
        assert_eq!(after.get(path), Some(bytes), "{} was touched", path.display());
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "[precious]\n");
    assert_eq!(fs::read_to_string(node.sandbox.file("x")).unwrap(), "precious");
    assert_eq!(node.sandbox.whole("p"), Some(1));
    // The owner can still use the project.
    node.run(&ours, &["gc"]).expect(0);
    node.load(&ours, &[], "p", &["--persistent", "--overwrite"]).expect(0);
    node.run(&ours, &["unlink", "p"]).expect(0);
    figure(
        "14 traps of a hostile user (links, FIFOs, ../x, another's segments, 1 GiB of metadata, a ledger \
         that claims another's segments) against root's list, show, gc, unlink",
        format!("{runs} commands"),
        "only the trap itself changed, no hang",
    );
}
