//! Roots on a file system that never answers. Needs root: the test is a FUSE server that reads every request and
//! answers none. Not even SIGKILL ends a process that waits for it.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use super::hostile::hold;
use super::process::Process;
use super::support::{figure, is_root};
use super::users::{Guest, Node};

/// A mounted file system that does not answer until it is dropped.
pub struct Hung {
    at: PathBuf,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Hung {
    pub fn mount(at: &Path) -> Self {
        let mut device = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/fuse")
            .expect("the FUSE device");
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other");
        let none = MsFlags::empty();
        mount(Some("hung"), at, Some("fuse"), none, Some(options.as_str())).expect("to mount");
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = is_over.clone();
        let server = std::thread::spawn(move || {
            let mut request = vec![0; 1 << 20];
            while !ended.load(Ordering::Relaxed) {
                match device.read(&mut request) {
                    // FUSE_INIT is the first request.
                    Ok(count) if count >= 40 && request[4..8] == 26_u32.to_ne_bytes() => {
                        device.write_all(&init_reply(&request[8..16])).expect("to answer");
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { at: at.to_owned(), is_over, server: Some(server) }
    }
}

/// `fuse_out_header` and `fuse_init_out` of protocol 7.31.
fn init_reply(unique: &[u8]) -> Vec<u8> {
    let mut reply = [80_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat();
    reply.extend_from_slice(unique);
    for word in [7_u32, 31, 4096, 0] {
        reply.extend_from_slice(&word.to_ne_bytes());
    }
    // max_background and congestion_threshold, max_write, time_gran.
    reply.extend_from_slice(&[16_u16.to_ne_bytes(), 16_u16.to_ne_bytes()].concat());
    reply.extend_from_slice(&[4096_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat());
    reply.resize(80, 0);
    reply
}

impl Drop for Hung {
    fn drop(&mut self) {
        // MNT_FORCE aborts the connection: every process that waits gets an error.
        let _ = umount2(&self.at, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.server.take().map(JoinHandle::join);
    }
}

/// Creates a directory of mode 1777.
fn shared(path: PathBuf) -> PathBuf {
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, Permissions::from_mode(0o1777)).expect("a mode");
    path
}

/// Loads a held project and kills its keeper.
fn leave_dead(node: &Node, user: &Guest, project: &str, root: &Path) {
    let keeper = hold(node, user, project, root);
    keeper.signal(Signal::SIGKILL);
    keeper.wait();
}

/// Runs `gc` like an epilog: reads its output from a pipe until the end.
fn gc(node: &Node, root: &Path, more: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let mut command = node.sandbox.command(["gc", "--all-roots", "--all-users", "--json"]);
    let done = command.args(more).env("CUTE_SHM_ROOT", root).output().expect("gc");
    let json = serde_json::from_slice(&done.stdout).expect("JSON");
    (done.status.code(), json, String::from_utf8_lossy(&done.stderr).into_owned())
}

fn item<'a>(report: &'a serde_json::Value, project: &str) -> &'a serde_json::Value {
    let items = report["items"].as_array().expect("items");
    let mut found = items.iter().filter(|item| item["project"] == project);
    let item = found.next().unwrap_or_else(|| panic!("'{project}' is not in {report}"));
    assert!(found.next().is_none(), "'{project}' is reported twice: {report}");
    item
}

#[test]
fn gc_of_an_epilog_frees_all_but_the_projects_of_roots_that_do_not_answer() {
    if !is_root("gc_of_an_epilog_frees_all_but_the_projects_of_roots_that_do_not_answer") {
        return;
    }
    let (node, ours, mallory) = (Node::new(), Guest::new(), Guest::new());
    let root = node.sandbox.root();
    let (honest, hung) = (shared(node.sandbox.file("honest")), shared(node.sandbox.file("hung")));
    leave_dead(&node, &ours, "here", root);
    leave_dead(&node, &ours, "there", &honest);
    let hostile: Vec<_> = (0..5).map(|n| (format!("m{n}"), hung.join(n.to_string()))).collect();
    for (project, root) in &hostile {
        leave_dead(&node, &mallory, project, &shared(root.clone()));
    }
    let hung = Hung::mount(&hung);
    let (code, report, _) = gc(&node, root, &["--best-effort"]);
    assert_eq!(code, Some(0), "{report}");
    for project in ["here", "there"] {
        assert_eq!(item(&report, project)["action"], "reaped", "{report}");
    }
    for (project, root) in &hostile {
        let item = item(&report, project);
        assert_eq!((&item["action"], &item["state"]), (&"skipped".into(), &"foreign".into()));
        let reason = format!("its root '{}' does not answer", root.display());
        assert_eq!(item["reason"], reason.as_str());
    }
    // The owner of the projects has the same protection.
    let own = node.run(&mallory, &["gc", "--all-roots", "--json"]).expect(0).json();
    assert_eq!(item(&own, "m0")["state"], "foreign");
    node.sandbox.run(["list"]).expect(0);
    node.sandbox.run(["doctor"]).expect(0);
    // After the file system is unmounted, the same command frees the projects.
    drop(hung);
    let (_, report, _) = gc(&node, root, &["--best-effort"]);
    for (project, _) in &hostile {
        assert_eq!(item(&report, project)["action"], "reaped", "{report}");
    }
    node.sandbox.assert_nothing();
    figure(
        "root's `gc --all-roots --all-users --best-effort`, 5 roots of a hostile user on a file system that never answers",
        "5 roots",
        "all other dead projects freed, the 5 kept as `foreign`; freed after the unmount",
    );
}

#[test]
fn gc_of_all_roots_handles_the_others_if_the_root_in_force_does_not_answer() {
    if !is_root("gc_of_all_roots_handles_the_others_if_the_root_in_force_does_not_answer") {
        return;
    }
    let (node, ours) = (Node::new(), Guest::new());
    let hung = shared(node.sandbox.file("hung"));
    leave_dead(&node, &ours, "there", node.sandbox.root());
    leave_dead(&node, &ours, "here", &hung);
    let mounted = Hung::mount(&hung);
    let (code, report, said) = gc(&node, &hung, &[]);
    assert_eq!(code, Some(1), "{report}");
    assert!(said.contains(&format!("the root '{}' does not answer", hung.display())), "{said}");
    assert_eq!(item(&report, "there")["action"], "reaped", "{report}");
    assert_eq!(item(&report, "here")["state"], "foreign", "{report}");
    drop(mounted);
    let (_, report, _) = gc(&node, &hung, &[]);
    assert_eq!(item(&report, "here")["action"], "reaped", "{report}");
    node.sandbox.assert_nothing();
}

#[test]
fn gc_keeps_orphans_if_the_root_of_python_does_not_answer() {
    if !is_root("gc_keeps_orphans_if_the_root_of_python_does_not_answer") {
        return;
    }
    let node = Node::new();
    let (tmp, shm) = (shared(node.sandbox.file("tmp")), shared(node.sandbox.file("shm")));
    let segment = shm.join("cute-shm.p.aaaaa00000");
    fs::write(&segment, [1; 4096]).unwrap();
    let _hung = Hung::mount(&shared(tmp.join("cute-shm")));
    let mut gc = node.sandbox.command(["gc", "--orphans", "--min-age", "0s", "--json"]);
    // Python's directories, in a mount namespace.
    super::process::with_mounts(
        gc.env_remove("CUTE_SHM_DIR"),
        vec![(shm, "/dev/shm".into()), (tmp, "/tmp".into())],
    );
    let report = Process::start(&mut gc).wait().expect(0).json();
    let item = item(&report, "p");
    assert_eq!((&item["action"], &item["state"]), (&"skipped".into(), &"foreign".into()));
    assert_eq!(item["reason"], "its root '/tmp/cute-shm' does not answer");
    assert!(segment.exists());
}
