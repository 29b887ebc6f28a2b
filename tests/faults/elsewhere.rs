//! Projects that this process cannot see: with another shm directory, a private /tmp, or on another host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::commands::{BINARY, Mount, Sandbox, load_args};
use super::process::Process;
use super::support::{figure, is_root};

/// Every variant of gc that removes more than the default.
const GREEDY: &[&str] = &["gc", "--broken", "--orphans", "--min-age", "0s", "--repair"];

#[test]
fn changes_through_one_shm_directory_keep_projects_of_the_other() {
    let (here, mut there) = (Sandbox::new(), Sandbox::new());
    there.share_root(&here);
    here.load("h", &here.uniform_file(1), &[]).expect(0);
    there.load("t", &there.uniform_file(2), &[]).expect(0);
    let (ours, theirs) = (here.files(), there.files());
    assert_eq!(here.state("t").as_deref(), Some("elsewhere"));
    for sandbox in [&here, &there] {
        sandbox.run(["gc"]).expect(0);
        sandbox.run(["gc", "--broken", "--repair"]).expect(0);
    }
    here.run(["unlink", "t"]).expect(6);
    here.load("t", &here.uniform_file(1), &["--overwrite"]).expect(4);
    assert_eq!((here.whole("h"), there.whole("t")), (Some(1), Some(2)));
    assert_eq!((here.files(), there.files()), (ours, theirs));
    here.run(["unlink", "h"]).expect(0);
    there.run(["unlink", "t"]).expect(0);
    here.assert_nothing();
    there.assert_nothing();
    figure(
        "a root shared by two shm directories: gc, unlink, overwrite",
        "1",
        "no file of the other directory changed",
    );
}

#[test]
fn bind_mounted_root_is_the_same_root() {
    if !is_root("bind_mounted_root_is_the_same_root") {
        return;
    }
    let sandbox = Sandbox::new();
    let keeper = sandbox.hold("p", &sandbox.uniform_file(1), &[]);
    let other = sandbox.file("bound");
    let _bound = Mount::bind(sandbox.root(), &other);
    let through = |args: &[&str]| {
        let mut command = sandbox.command(args);
        Process::start(command.env("CUTE_SHM_ROOT", &other)).wait()
    };
    through(GREEDY).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    through(&["load-hdf5", "p", sandbox.uniform_file(1).to_str().unwrap(), "--persistent"])
        .expect(4);
    through(&["unlink", "p"]).expect(0);
    keeper.wait().expect(0);
    sandbox.assert_nothing();
    figure("a held project seen through a bind-mounted root", "1", "live; unlink works there too");
}

#[test]
fn private_tmp_is_another_root() {
    if !is_root("private_tmp_is_another_root") {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o1777)).unwrap();
    // A job with its own tmpfs at the path of the root holds one project and loads a persistent one.
    let script = "mount -t tmpfs -o mode=1777 tmpfs \"$CUTE_SHM_ROOT\" && \"$0\" load-hdf5 -q --persistent q \
                  \"$1\" && exec \"$0\" load-hdf5 p \"$1\"";
    let mut job = sandbox.program("/usr/bin/unshare");
    job.args(["-m", "--propagation", "private", "/bin/sh", "-c", script, BINARY])
        .arg(sandbox.uniform_file(1));
    let mut job = Process::start(&mut job);
    super::support::wait_until("the job holds its project", || {
        assert!(job.is_running(), "the job ended");
        job.said().contains("loaded")
    });
    let before = sandbox.files();
    assert!(before.iter().any(|name| name.contains("cute-shm.p.")), "{before:?}");
    let outside = load_args("p", &sandbox.uniform_file(2), &["--persistent"]);
    sandbox.run(&outside).expect(0);
    for args in [&["gc", "--all-roots"][..], &[GREEDY, &["--all-roots"]].concat()] {
        sandbox.run(args).expect(0);
    }
    assert_eq!(sandbox.whole("p"), Some(2));
    sandbox.run(["unlink", "p"]).expect(0);
    assert_eq!(sandbox.files(), before, "the job's own segments");
    // The job is killed, and its /tmp disappears: the held project is dead, the persistent one is detached.
    job.kill_group();
    sandbox.run(["gc"]).expect(0);
    assert!(sandbox.files().iter().any(|name| name.contains("cute-shm.p.")), "another root");
    sandbox.run(["gc", "--all-roots"]).expect(0);
    let left = sandbox.files();
    assert!(!left.iter().any(|name| name.contains("cute-shm.p.")), "{left:?}");
    assert!(left.iter().any(|name| name.contains("cute-shm.q.")), "{left:?}");
    figure(
        "a private /tmp (mount namespace) with held and persistent projects, gc outside",
        "1",
        "no live project removed; after the job, its held project is removed and its persistent one remains",
    );
}

#[test]
fn metadata_of_another_host_is_kept_and_of_another_boot_is_stale() {
    let sandbox = Sandbox::new();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned();
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let path = sandbox.metadata("p");
    let text = fs::read_to_string(&path).unwrap();
    // A live project of another host with an NFS root: its segments are not on this node, and it is kept.
    let other = text.replace(&boot, "b").replace(&format!(" host {host} "), " host other ");
    fs::write(sandbox.metadata("o"), other.replace("cute-shm.p.", "cute-shm.o.")).unwrap();
    assert_eq!(sandbox.state("o").as_deref(), Some("elsewhere"));
    sandbox.run(GREEDY).expect(0);
    assert!(sandbox.metadata("o").exists());
    sandbox.run(["unlink", "o"]).expect(6);
    // The same project of this host before its last boot is stale.
    let stale = text.replace(&boot, "b").replace("cute-shm.p.", "cute-shm.s.");
    fs::write(sandbox.metadata("s"), &stale).unwrap();
    assert_eq!(sandbox.state("s").as_deref(), Some("stale"));
    sandbox.run(["gc"]).expect(0);
    assert!(!sandbox.metadata("s").exists());
    // A prolog can load over it.
    fs::write(sandbox.metadata("s"), &stale).unwrap();
    sandbox.load("s", &sandbox.uniform_file(2), &[]).expect(0);
    assert_eq!((sandbox.whole("p"), sandbox.whole("s")), (Some(1), Some(2)));
    sandbox.run(["unlink", "p", "s"]).expect(0);
    fs::remove_file(sandbox.metadata("o")).unwrap();
    sandbox.assert_nothing();
    figure(
        "metadata marked by another host, by another boot",
        "2",
        "other host: unchanged; other boot: `stale`",
    );
}
