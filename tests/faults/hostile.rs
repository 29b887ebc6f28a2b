//! Root's `gc` of an epilog among thousands of files of a hostile user in both directories. Needs root.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use cute_shm::internals::{Directory, Key, KeyFile, ProjectName};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::process::Process;
use super::support::{figure, is_root, rounds, wait_until};
use super::users::{Guest, Node};

/// The number of kinds of files of [`Mallory::plant`].
const KINDS: usize = 16;

/// The hostile user.
struct Mallory<'a> {
    node: &'a Node,
    user: &'a Guest,
    victim: &'a Guest,
    root: Directory,
    /// The segments of a live project of the victim.
    wanted: Vec<String>,
    /// Lock files whose change locks this process holds.
    held: Vec<File>,
}

impl Mallory<'_> {
    fn key(&self, project: &str, uid: u32) -> Key {
        Key::new(&ProjectName::existing(project.as_ref()).expect("a name"), self.root.id(), uid)
    }

    fn shm(&self, project: &str, uid: u32, file: KeyFile) -> PathBuf {
        self.node.sandbox.shm().join(self.key(project, uid).file(file))
    }

    fn give(&self, path: &Path) {
        lchown(path, Some(self.user.uid), Some(self.user.gid)).expect("to give away");
    }

    fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("a file");
        self.give(path);
    }

    fn sparse(&self, path: &Path, bytes: u64) {
        File::create(path).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        self.give(path);
    }

    /// Creates a segment of one page.
    fn segment(&self, project: &str, id: &str) {
        let path = self.node.sandbox.shm().join(format!("cute-shm.{project}.{id}"));
        fs::write(&path, [1; 4096]).expect("a segment");
        self.give(&path);
    }

    fn metadata(segments: &[String]) -> String {
        let mut text = String::new();
        for (number, name) in segments.iter().enumerate() {
            let _ = write!(
                text,
                "[a{number}]\nshm_name = \"{name}\"\nshm_private_name = \"/{name}\"\nshape = [1]\n\
                 dtype = \"int8\"\n\n"
            );
        }
        text
    }

    /// Writes a ledger of this user with these first lines and an unfinished load.
    fn ledger(&self, head: &str) -> String {
        format!(
            "version = 1\nroot = \"{}\"\nroot_id = \"{}\"\n{head}\n[next]\ntoken = \"hhhhh\"\n\
             lifetime = \"held\"\ncreated = \"2026-01-01T00:00:00Z\"\ntool = \"x\"\n[next.keeper]\npid = 1\n\
             start_time = 1\nboot_id = \"b\"\nuid = {}\n[next.selection]\nmode = 384\n",
            self.root.path().display(),
            self.root.id(),
            self.user.uid
        )
    }

    /// Creates the `number`-th file.
    fn plant(&mut self, number: usize) {
        let (own, project) = (self.user.uid, format!("h{number:05}"));
        let toml = self.node.sandbox.metadata(&project);
        let ledger = self.shm(&project, own, KeyFile::Ledger);
        match number % KINDS {
            // Names that are too long for another suffix.
            0 => {
                let long = format!("{project}{}", "x".repeat(231 - project.len()));
                self.write(&self.shm(&long, own, KeyFile::Lock), "");
            }
            1 => {
                let long = format!("{project}{}", "x".repeat(240 - project.len()));
                self.write(&self.node.sandbox.root().join(format!("cute-shm.{long}.toml")), "");
            }
            // Sizes larger than any memory.
            2 => self.sparse(&ledger, 511 << 20),
            3 => self.sparse(&toml, 255 << 20),
            // Bytes that are not text.
            4 => self.write(&ledger, "version = [\n"),
            5 => self.write(&toml, "[a\n"),
            // Claims on the segments of another user.
            6 => self.write(&toml, &Self::metadata(&self.wanted)),
            7 => self.write(&ledger, &self.ledger(&format!("removing = {:?}", self.wanted))),
            // Unfinished loads.
            8 => {
                self.write(&ledger, &self.ledger(""));
                self.segment(&project, "hhhhh00000");
            }
            // A root that does not exist.
            9 => self.write(&ledger, &self.ledger("").replace("root = \"", "root = \"/none")),
            // Names that are not regular files.
            10 => {
                mkfifo(&toml, Mode::from_bits_truncate(0o666)).expect("a FIFO");
                self.give(&toml);
            }
            11 => {
                symlink("/etc/passwd", &toml).expect("a link");
                self.give(&toml);
            }
            12 => {
                let path = self.shm(&project, own, KeyFile::Lock);
                fs::create_dir(&path).expect("a directory");
                self.give(&path);
            }
            // Names of the files of the victim.
            13 => self.write(&self.shm(&project, self.victim.uid, KeyFile::Lock), ""),
            14 => {
                let path = self.shm(&project, self.victim.uid, KeyFile::Ledger);
                fs::create_dir_all(path.join("full")).expect("a directory");
                self.give(&path);
            }
            // Segments of unknown projects.
            _ => self.segment(&project, "zzzzz00000"),
        }
    }

    /// Creates locked lock files with ledgers, so that a change would wait for each.
    fn hold_locks(&mut self, count: usize) {
        for number in 0..count {
            let project = format!("l{number}");
            self.write(&self.shm(&project, self.user.uid, KeyFile::Ledger), &self.ledger(""));
            let path = self.shm(&project, self.user.uid, KeyFile::Lock);
            self.write(&path, "");
            let file = File::options().read(true).write(true).open(path).expect("a lock file");
            let lock = libc::flock {
                l_type: i16::try_from(libc::F_WRLCK).expect("a small number"),
                l_whence: 0,
                l_start: 0,
                l_len: 1,
                l_pid: 0,
            };
            fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).expect("to lock");
            self.held.push(file);
        }
    }
}

/// Starts a held project and waits until it is loaded.
pub fn hold(node: &Node, user: &Guest, project: &str, root: &Path) -> Process {
    let file = node.sandbox.uniform_file(1);
    let args = ["--root", root.to_str().unwrap(), "load-hdf5", project, file.to_str().unwrap()];
    let mut keeper = node.start(user, &[], &node.bin, &args);
    wait_until("it is held", || {
        assert!(keeper.is_running(), "{:?}", keeper.so_far());
        keeper.said().contains("loaded")
    });
    keeper
}

#[test]
fn gc_of_an_epilog_frees_every_dead_project_among_hostile_files() {
    if !is_root("gc_of_an_epilog_frees_every_dead_project_among_hostile_files") {
        return;
    }
    let files = rounds("HOSTILE", 600, 10_000);
    let (node, ours, mallory) = (Node::new(), Guest::new(), Guest::new());
    let root = node.sandbox.root();
    let other_root = node.sandbox.file("other");
    fs::create_dir(&other_root).unwrap();
    fs::set_permissions(&other_root, Permissions::from_mode(0o1777)).unwrap();
    // Alive: one held, one persistent.
    let live = hold(&node, &ours, "live", root);
    node.load(&ours, &[], "stays", &["--persistent"]).expect(0);
    let mut hostile = Mallory {
        node: &node,
        user: &mallory,
        victim: &ours,
        root: Directory::open(root).unwrap(),
        wanted: node.sandbox.segments("stays").expect("a project").into_iter().collect(),
        held: Vec::new(),
    };
    (0..files).for_each(|number| hostile.plant(number));
    hostile.hold_locks(20);
    // Dead: projects of killed keepers in two roots, one of them with the name of a hostile file.
    let names = ["dead0", "dead1", "dead2", "h00015"];
    let mut dead: Vec<_> = names.map(|name| hold(&node, &ours, name, root)).into();
    dead.push(hold(&node, &ours, "elsewhere", &other_root));
    for keeper in dead {
        keeper.signal(Signal::SIGKILL);
        keeper.wait();
    }
    // And one of a job that ended.
    let mut job = node.sandbox.program(&node.bin);
    job.args(["load-hdf5", "job", node.sandbox.uniform_file(1).to_str().unwrap(), "--persistent"]);
    super::process::as_user(&mut job, ours.uid, ours.gid, &[ours.gid]);
    Process::start(job.env("SLURM_JOB_ID", "77")).wait().expect(0);

    let begun = Instant::now();
    let args = ["gc", "--best-effort", "--all-users", "--all-roots", "--job", "77", "--json"];
    let done = node.sandbox.run(args).expect(0);
    let took = begun.elapsed();
    assert!(!done.err.contains("panicked"), "{done:?}");
    let items = done.json()["items"].as_array().expect("items").clone();
    let removed = |name: &str| {
        items.iter().any(|item| {
            item["project"] == name && item["uid"] == ours.uid && item["action"] == "reaped"
        })
    };
    for name in names.iter().chain(&["elsewhere", "job"]) {
        assert!(removed(name), "'{name}' was not removed");
    }
    let owned = |path: &Path| {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
        let ours = entries.filter(|entry| {
            use std::os::unix::fs::MetadataExt as _;
            entry.metadata().is_ok_and(|stat| stat.uid() == ours.uid)
        });
        ours.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    for folder in [root, node.sandbox.shm(), &other_root] {
        for name in owned(folder) {
            let is_live = ["live", "stays"].iter().any(|p| name.contains(&format!(".{p}.")));
            assert!(is_live, "'{name}' of a dead project is left");
        }
    }
    assert_eq!((node.sandbox.whole("live"), node.sandbox.whole("stays")), (Some(1), Some(1)));
    // No file blocks the names of the victim, and the commands of the victim work.
    for number in [13, 14] {
        let name = format!("h{number:05}");
        node.load(&ours, &[], &name, &["--persistent"]).expect(0);
        node.run(&ours, &["unlink", &name]).expect(0);
    }
    node.run(&ours, &["list"]).expect(0);
    let not_reached = items.iter().filter(|item| item["action"] == "not_reached").count();
    live.signal(Signal::SIGTERM);
    live.wait();
    node.run(&ours, &["unlink", "stays"]).expect(0);
    figure(
        "`gc --best-effort --all-users --all-roots --job ID` by root among hostile files of 16 kinds, 20 held locks",
        format!("{files} files in {:.1} s (`CUTE_SHM_TEST_HOSTILE={files}`)", took.as_secs_f64()),
        format!(
            "6 of 6 dead projects freed, live ones whole, {not_reached} hostile items not reached"
        ),
    );
}

#[test]
fn unlink_of_root_removes_the_files_that_block_a_name() {
    if !is_root("unlink_of_root_removes_the_files_that_block_a_name") {
        return;
    }
    let (node, ours, mallory) = (Node::new(), Guest::new(), Guest::new());
    let mut hostile = Mallory {
        node: &node,
        user: &mallory,
        victim: &ours,
        root: Directory::open(node.sandbox.root()).unwrap(),
        wanted: Vec::new(),
        held: Vec::new(),
    };
    // The victim runs a process and has no file: its ledger and lock file are blocked by files and directories.
    let mut shell = node.start(&ours, &[], Path::new("/bin/sleep"), &["100"]);
    let kinds = [10, 11, 13, 14];
    let name = |number: usize| format!("h{number:05}");
    for number in kinds {
        hostile.plant(number);
        node.load(&ours, &[], &name(number), &["--persistent"]).expect(6);
    }
    // The FIFO and the link are projects of the hostile user. Root must ask for that.
    node.sandbox.run(["unlink", &name(10)]).expect(6);
    let names = kinds.map(name);
    let mut args = vec!["unlink", "--all-users", "absent"];
    args.extend(names.iter().map(String::as_str));
    // One failure does not stop the others.
    let done = node.sandbox.run(args).expect(10);
    assert_eq!(done.out.lines().filter(|line| line.starts_with("removed ")).count(), kinds.len());
    for name in &names {
        node.load(&ours, &[], name, &["--persistent"]).expect(0);
        node.run(&ours, &["unlink", name]).expect(0);
    }
    shell.kill_group();
    assert!(fs::metadata("/etc/passwd").is_ok(), "the target of a link is not touched");
}
