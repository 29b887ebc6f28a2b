//! An attacker with its own uid acts between the steps of a victim's command. It creates, locks, leases, truncates,
//! renames and removes every name that the kernel permits, in the root and in the shm directory. Needs root: the test
//! creates the users.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use cute_shm::internals::{Directory, Key, Ledger, ProjectName, Token};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::authority::{collide, make_python_project};
use super::commands::{Sandbox, load_args};
use super::process::{Done, Process, as_user};
use super::support::{Rng, figure, is_root, rounds, wait_until};
use super::tracer::{Calls, Then, observe};
use super::users::{Guest, Node};

/// Live projects that no command of a run changes: a persistent one, a held one, and one of the Python package.
const KEPT: [&str; 3] = ["keep", "held", "python"];

const GC: [&str; 5] = ["gc", "--broken", "--orphans", "--min-age", "0s"];
const ROOT_GC: [&str; 8] = [
    "gc",
    "--broken",
    "--orphans",
    "--min-age",
    "0s",
    "--all-users",
    "--all-roots",
    "--best-effort",
];

/// A thread with the ids of the attacker, and without capabilities.
struct Attacker {
    orders: mpsc::Sender<Order>,
    done: mpsc::Receiver<usize>,
}

type Order = Box<dyn FnOnce(&mut Vec<File>) -> usize + Send>;

impl Attacker {
    fn start(user: &Guest) -> Self {
        let (orders, received) = mpsc::channel::<Order>();
        let (finished, done) = mpsc::channel();
        let (uid, gid) = (user.uid, user.gid);
        std::thread::spawn(move || {
            // The system calls change only this thread; the functions of the C library change all threads.
            // SAFETY: the arguments are numbers and an empty list of groups.
            let became = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) == 0
                    && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                    && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
            };
            assert!(became, "the attacker has the wrong ids");
            let mut open = Vec::new();
            for order in received {
                if finished.send(order(&mut open)).is_err() {
                    break;
                }
            }
        });
        Self { orders, done }
    }

    /// Runs `order` on the files that the attacker keeps open, locked and leased.
    fn run(&mut self, order: impl FnOnce(&mut Vec<File>) -> usize + Send + 'static) -> usize {
        self.orders.send(Box::new(order)).expect("the attacker's thread");
        self.done.recv().expect("the attacker's thread")
    }
}

/// The knowledge of the attacker, observed or guessed.
#[derive(Clone)]
struct Knowledge {
    root: PathBuf,
    shm: PathBuf,
    /// The hashes in names of ledgers and locks: of the victim, the attacker and root.
    hashes: Vec<String>,
    /// Ledgers that claim the victim's segments, with a root id whose hash is the victim's.
    forged_ledgers: Vec<String>,
    /// Metadata that names the victim's segments.
    forged_metadata: Vec<String>,
}

impl Knowledge {
    /// Performs a random action. Returns whether the kernel permitted it.
    fn act(&self, rng: &mut Rng, open: &mut Vec<File>) -> bool {
        let directory = if rng.below(2) == 0 { &self.root } else { &self.shm };
        let path = directory.join(self.name(directory, rng));
        let other = directory.join(self.name(directory, rng));
        match rng.below(14) {
            0..4 => self.create(&path, rng, open),
            4 => lock(&path, rng, open),
            5 => lease(&path, open),
            6 => OpenOptions::new()
                .write(true)
                .truncate(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&path)
                .is_ok(),
            7 => fs::rename(&path, &other).is_ok(),
            8 => fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).is_ok(),
            9 => symlink(&path, &other).is_ok(),
            10 => fs::hard_link(&path, &other).is_ok(),
            11 => {
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o666)).is_ok()
            }
            12 => fs::DirBuilder::new().mode(0o777).create(&path).is_ok(),
            _ => {
                let mode = Permissions::from_mode(*rng.pick(&[0, 0o666]));
                fs::set_permissions(&path, mode).is_ok()
            }
        }
    }

    /// Returns a name that exists, or one that a command may use next.
    fn name(&self, directory: &Path, rng: &mut Rng) -> String {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let existing: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        if rng.below(2) == 0 && !existing.is_empty() {
            return rng.pick(&existing).clone();
        }
        let project = *rng.pick(&["p", "p", "p", "keep", "held", "python"]);
        let (hash, token) = (rng.pick(&self.hashes).clone(), token(&existing, project, rng));
        match rng.below(10) {
            0 => format!("cute-shm.{project}.toml"),
            1 => format!(".cute-shm.{project}.{hash}.{token}.aside"),
            2 => format!(".cute-shm.{project}.{hash}.{token}.new"),
            3 => format!("cute-shm.{project}.{hash}.ledger"),
            4 => format!("cute-shm.{project}.{hash}.{token}.ledger.new"),
            5 | 6 => format!("cute-shm.{project}.{hash}.lock"),
            7 | 8 => format!("cute-shm.{project}.{token}{:05}", rng.below(7)),
            _ => format!("cute-shm.{}.{}", "x".repeat(rng.below(236)), rng.pick(&["toml", "lock"])),
        }
    }

    fn create(&self, path: &Path, rng: &mut Rng, open: &mut Vec<File>) -> bool {
        let mode = *rng.pick(&[0, 0o600, 0o666]);
        let mut options = OpenOptions::new();
        let created = options.read(true).write(true).create_new(true).mode(mode).open(path);
        let Ok(mut file) = created else { return false };
        let _ = file.set_permissions(Permissions::from_mode(mode));
        let written = match rng.below(6) {
            0 => file.set_len(1 << 30),
            1 => file.write_all(b"= garbage \xff"),
            2 => file.write_all(rng.pick(&self.forged_metadata).as_bytes()),
            3 | 4 => file.write_all(rng.pick(&self.forged_ledgers).as_bytes()),
            _ => Ok(()),
        };
        drop(written);
        if rng.below(4) == 0 {
            open.push(file);
        }
        true
    }
}

/// Returns the token in the name of a segment of this project, or another token.
fn token(existing: &[String], project: &str, rng: &mut Rng) -> String {
    let prefix = format!("cute-shm.{project}.");
    let ids = existing.iter().filter_map(|name| name.strip_prefix(&prefix));
    let ids: Vec<&str> = ids.filter(|id| id.len() == 10 && !id.contains('.')).collect();
    if ids.is_empty() { "aaaaa".to_owned() } else { rng.pick(&ids)[..5].to_owned() }
}

/// Opens a file, for writing if permitted.
fn open_any(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options.clone().write(true).open(path).or_else(|_| options.open(path))
}

fn lock(path: &Path, rng: &mut Rng, open: &mut Vec<File>) -> bool {
    let Ok(file) = open_any(path) else { return false };
    let length = i64::from(rng.below(2) == 0);
    let is_locked = [libc::F_WRLCK, libc::F_RDLCK].into_iter().any(|kind| {
        let bytes = libc::flock {
            l_type: i16::try_from(kind).expect("a small number"),
            l_whence: 0,
            l_start: 0,
            l_len: length,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&bytes)).is_ok()
    });
    open.push(file);
    is_locked
}

fn lease(path: &Path, open: &mut Vec<File>) -> bool {
    let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) else {
        return false;
    };
    // SAFETY: a descriptor and two numbers.
    let is_leased = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) } == 0;
    open.push(file);
    is_leased
}

/// The node, its victim, and the projects that must survive.
struct Stage {
    node: Node,
    victim: Guest,
    keeper: Process,
    /// Files of the projects that no command changes: owner, inode and bytes.
    kept: BTreeMap<PathBuf, (u32, u64, Vec<u8>)>,
}

impl Stage {
    fn new(victim: Guest) -> Self {
        let node = Node::on(Sandbox::on_tmpfs("size=256m,mode=1777"));
        node.load(&victim, &[], "keep", &["--persistent"]).expect(0);
        make_python_project(&node, &victim, "python");
        let args = load_args("held", &node.sandbox.uniform_file(1), &[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut keeper = node.start(&victim, &[], &node.bin, &args);
        wait_until("it is held", || {
            assert!(keeper.is_running(), "the keeper ended: {:?}", keeper.so_far());
            keeper.said().contains("loaded")
        });
        let mut stage = Self { node, victim, keeper, kept: BTreeMap::new() };
        stage.kept = stage.files();
        stage
    }

    fn directories(&self) -> [&Path; 2] {
        [self.node.sandbox.root(), self.node.sandbox.shm()]
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries =
            self.directories().into_iter().flat_map(|dir| fs::read_dir(dir).expect("a folder"));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The victim's regular files.
    fn files(&self) -> BTreeMap<PathBuf, (u32, u64, Vec<u8>)> {
        let of_victim = |path: PathBuf| {
            let stat = path.symlink_metadata().ok()?;
            (stat.is_file() && stat.uid() == self.victim.uid).then(|| {
                let bytes = fs::read(&path).expect("a file of the victim");
                (path, (stat.uid(), stat.ino(), bytes))
            })
        };
        self.paths().into_iter().filter_map(of_victim).collect()
    }

    /// Returns the value of all elements of the victim's project `p`, or `None` if the victim has none.
    #[track_caller]
    fn project(&self) -> Option<i64> {
        let path = self.node.sandbox.metadata("p");
        let stat = path.symlink_metadata().ok()?;
        if stat.uid() != self.victim.uid {
            return None;
        }
        let whole = self.node.sandbox.whole("p");
        for segment in self.node.sandbox.segments("p").expect("metadata") {
            let stat =
                self.node.sandbox.shm().join(&segment).symlink_metadata().expect("a segment");
            assert_eq!(stat.uid(), self.victim.uid, "{segment} is another user's");
        }
        whole
    }

    /// Asserts that the projects that no command changes are unchanged.
    #[track_caller]
    fn assert_kept(&mut self, when: &str) {
        assert!(self.keeper.is_running(), "{when}: {:?}", self.keeper.so_far());
        let now = self.files();
        for (path, before) in &self.kept {
            let same = now.get(path) == Some(before);
            assert!(same, "{when}: '{}' was altered or removed", path.display());
        }
        assert_eq!(self.node.sandbox.whole("keep"), Some(1), "{when}");
        assert_eq!(self.node.sandbox.whole("held"), Some(1), "{when}");
    }

    /// The victim's files that belong to no live project of the victim.
    fn leftovers(&self) -> BTreeSet<PathBuf> {
        let is_live = self.project().is_some();
        let is_of_p = |path: &PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy();
            is_live && name.trim_start_matches('.').starts_with("cute-shm.p.")
        };
        self.files()
            .into_keys()
            .filter(|path| !self.kept.contains_key(path) && !is_of_p(path))
            .collect()
    }

    /// Removes everything but the projects that no command changes.
    fn clear(&self) {
        for path in self.paths() {
            if !self.kept.contains_key(&path) {
                let removed = match path.symlink_metadata().is_ok_and(|stat| stat.is_dir()) {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                removed.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            }
        }
    }

    fn knowledge(&self, attacker: &Guest) -> Knowledge {
        let (root, shm) = (self.node.sandbox.root(), self.node.sandbox.shm());
        let directory = Directory::open(root).expect("the root");
        let key = |project: &str, uid| {
            let name = ProjectName::new(project.as_ref()).expect("a name");
            Key::new(&name, directory.id(), uid)
        };
        let (ours, theirs) = (self.victim.uid, attacker.uid);
        let hashes = [ours, ours, ours, theirs, 0].map(|uid| key("p", uid).hash).to_vec();
        let claim = collide(&key("p", self.victim.uid), attacker.uid);
        let mut forged_ledgers = Vec::new();
        let mut forged_metadata = Vec::new();
        for project in KEPT.into_iter().chain(["p"]) {
            let segments = self.node.sandbox.segments(project).unwrap_or_default();
            for root_id in [claim.clone(), directory.id().to_string()] {
                let mut ledger = Ledger::new(&directory);
                ledger.root_id = root_id;
                let tokens = segments.iter().filter_map(|name| {
                    Token::try_from(name[name.len() - 10..name.len() - 5].to_owned()).ok()
                });
                ledger.retiring = tokens.collect();
                forged_ledgers.push(toml::to_string(&ledger).expect("a ledger"));
                ledger.removing = Some(segments.iter().cloned().collect());
                forged_ledgers.push(toml::to_string(&ledger).expect("a ledger"));
            }
            let array = |name: &String| {
                format!(
                    "[\"{name}\"]\nshm_name = \"{name}\"\nshm_private_name = \"/{name}\"\nshape = [1]\n\
                     dtype = \"int8\"\n"
                )
            };
            forged_metadata.push(segments.iter().map(array).collect());
        }
        Knowledge {
            root: root.to_owned(),
            shm: shm.to_owned(),
            hashes,
            forged_ledgers,
            forged_metadata,
        }
    }

    fn traced(&self, scene: &Scene) -> Command {
        let mut command = self.node.sandbox.program(&self.node.bin);
        command.args(&scene.args);
        if !scene.by_root {
            as_user(&mut command, self.victim.uid, self.victim.gid, &[self.victim.gid]);
        }
        command
    }
}

/// The project before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Absent,
    Live,
    Abandoned,
}

/// The command of a run, and the permitted projects after it.
struct Scene {
    before: Before,
    args: Vec<String>,
    by_root: bool,
    /// After success.
    done: Option<i64>,
    /// After a failure or a kill.
    failed: Vec<Option<i64>>,
}

impl Scene {
    fn new(stage: &Stage, rng: &mut Rng) -> Self {
        let load = |more: &[&str]| load_args("p", &stage.node.sandbox.uniform_file(2), more);
        let plain = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        let (two, one) = (Some(2), Some(1));
        let scene = |before, args: Vec<String>, done, failed: &[Option<i64>]| Self {
            before,
            by_root: args.iter().any(|arg| arg == "--all-users"),
            args,
            done,
            failed: failed.to_vec(),
        };
        match rng.below(11) {
            0 | 1 => scene(Before::Absent, load(&["-p"]), two, &[None, two]),
            2 => scene(Before::Abandoned, load(&["-p"]), two, &[None, one, two]),
            3 | 4 => scene(Before::Live, load(&["-p", "-o"]), two, &[one, two]),
            5 => scene(Before::Absent, load(&["-p", "--ensure"]), two, &[None, two]),
            6 => scene(Before::Absent, load(&["--", "/bin/true"]), None, &[None, two]),
            7 => scene(Before::Live, plain(&["unlink", "p"]), None, &[None, one]),
            8 => scene(Before::Abandoned, plain(&["gc"]), None, &[None, one]),
            9 => scene(Before::Live, plain(&["unlink", "p", "--all-users"]), None, &[None, one]),
            _ => scene(Before::Abandoned, plain(&ROOT_GC), None, &[None, one]),
        }
    }

    fn prepare(&self, stage: &Stage) {
        match self.before {
            Before::Absent => {}
            Before::Live => {
                stage.node.load(&stage.victim, &[], "p", &["--persistent"]).expect(0);
            }
            Before::Abandoned => {
                let args = load_args("p", &stage.node.sandbox.uniform_file(1), &[]);
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let mut keeper = stage.node.start(&stage.victim, &[], &stage.node.bin, &args);
                wait_until("it is held", || keeper.said().contains("loaded"));
                keeper.kill_group();
            }
        }
    }
}

/// Counts of all runs.
#[derive(Default)]
struct Figures {
    runs: usize,
    steps: usize,
    actions: usize,
    kills: usize,
    refused: usize,
    cleared_by_root: usize,
}

fn run(stage: &mut Stage, attacker: &mut Attacker, user: &Guest, rng: &mut Rng, all: &mut Figures) {
    let scene = Scene::new(stage, rng);
    scene.prepare(stage);
    let knowledge = stage.knowledge(user);
    let mut attack = |rng: &mut Rng, most: usize| {
        let (mut rng, knowledge) = (rng.fork(), knowledge.clone());
        let count = rng.below(most + 1);
        attacker.run(move |open| (0..count).filter(|_| knowledge.act(&mut rng, open)).count())
    };
    let most = *rng.pick(&[2, 4, 40]);
    all.actions += attack(rng, most);
    let kill_at = (rng.below(3) == 0).then(|| rng.below(120));
    let mut command = stage.traced(&scene);
    let mut steps = 0;
    // In a separate thread, because the tracer waits for every child of its thread.
    let traced = std::thread::scope(|scope| {
        let tracing = scope.spawn(|| {
            observe(&mut command, Calls::Changing, &mut || {
                steps += 1;
                if kill_at == Some(steps) {
                    return Then::Kill;
                }
                if rng.below(4) == 0 {
                    all.actions += attack(rng, 3);
                }
                Then::GoOn
            })
        });
        tracing.join().expect("no failure")
    });
    let what = format!("{:?} {:?}: {traced:?}", scene.before, scene.args);
    println!("{what}");
    all.steps += steps;
    all.kills += usize::from(traced.is_killed);
    all.runs += 1;
    stage.assert_kept(&what);
    let found = stage.project();
    if traced.code == 0 {
        assert_eq!(found, scene.done, "{what}");
    } else {
        assert!(scene.failed.contains(&found), "{what}: {found:?}");
        all.refused += usize::from(!traced.is_killed);
    }
    assert!(!traced.err.contains("panicked"), "{what}");
    all.actions += attack(rng, 4);
    check_after(stage, found, &what, all);
    // The attacker held its locks and leases during all of the above.
    attacker.run(|open| {
        open.clear();
        0
    });
    stage.clear();
}

/// `list` and `gc` work for the victim, and everything dead can be removed.
fn check_after(stage: &mut Stage, found: Option<i64>, what: &str, all: &mut Figures) {
    let ends = |done: Done, allowed: &[i32]| {
        assert!(allowed.contains(&done.code) && !done.err.contains("panicked"), "{what}: {done:?}");
        done
    };
    let listed = ends(stage.node.run(&stage.victim, &["list", "-s", "--json"]), &[0]).json();
    for project in listed["projects"].as_array().expect("projects") {
        if KEPT.contains(&project["name"].as_str().expect("a name"))
            && project["uid"] == stage.victim.uid
        {
            assert_eq!(project["state"], "live", "{what}: {project}");
        }
    }
    let done = ends(stage.node.run(&stage.victim, &GC), &[0, 10]);
    stage.assert_kept(what);
    let after = stage.project();
    let is_removed = found.is_some() && after.is_none() && done.out.contains("(abandoned)");
    assert!(after == found || is_removed, "{what}: {found:?} became {after:?}: {done:?}");
    let left = stage.leftovers();
    // Another user's file under the name of the ledger keeps the lock file, which takes no memory.
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "lock");
    assert!(left.iter().all(is_lock), "{what}: left after the owner's gc: {left:?}: {done:?}");
    if !left.is_empty() {
        all.cleared_by_root += 1;
        println!("left to root: {left:?}: {done:?}");
    }
    let done = ends(stage.node.sandbox.run(ROOT_GC), &[0]);
    stage.assert_kept(what);
    assert_eq!(stage.project(), after, "{what}: {done:?}");
    let left = stage.leftovers();
    assert!(left.is_empty(), "{what}: left after root's gc: {left:?}: {done:?}");
    ends(stage.node.sandbox.run(["list", "-s"]), &[0]);
}

#[test]
fn attacker_at_every_step_destroys_no_live_project_and_keeps_no_dead_one() {
    if !is_root("attacker_at_every_step_destroys_no_live_project_and_keeps_no_dead_one") {
        return;
    }
    // SIGIO arrives when another process breaks a lease.
    // SAFETY: ignoring a signal installs no handler.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }.expect("to ignore SIGIO");
    let mut rng = Rng::new("adversary");
    let (victim, user) = (Guest::new(), Guest::new());
    let mut stage = Stage::new(victim);
    let mut attacker = Attacker::start(&user);
    let mut all = Figures::default();
    for _ in 0..rounds("ADVERSARY", 100, 5000) {
        run(&mut stage, &mut attacker, &user, &mut rng, &mut all);
    }
    stage.keeper.signal(Signal::SIGTERM);
    let Figures { runs, steps, actions, kills, refused, cleared_by_root } = all;
    figure(
        "another user's random actions (create, lock, lease, truncate, rename, remove, links) between the system \
         calls of a victim's load, `--overwrite`, `--ensure`, `unlink`, `gc` and `-- CMD`, and of root's `gc` and `unlink`",
        format!(
            "{runs} commands, {steps} stops, {actions} actions that the kernel allowed, {kills} kills, {refused} commands refused, \
             {cleared_by_root} times root had to remove a file"
        ),
        "no live project of another user removed or altered; every dead one removed; `list` and `gc` always end",
    );
}
