//! The scheduler hooks and job scripts of contrib/: POSIX sh, run under dash and under bash in POSIX mode with stubs
//! for the programs that they call.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex_lite::Regex;

use crate::program::{Sandbox, is_root};

/// Directories of scripts below contrib/.
const SCHEDULERS: [&str; 3] = ["lsf", "pbs", "slurm"];

/// The shells that every hook must run in. RHEL 8 has bash 4.4 as sh, Debian has dash.
const SHELLS: [&[&str]; 2] = [&["/bin/dash"], &["/bin/bash", "--posix"]];

fn scripts() -> Vec<PathBuf> {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
    let entries = SCHEDULERS.iter().flat_map(|name| fs::read_dir(contrib.join(name)).unwrap());
    let mut scripts: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() > 10, "{scripts:?}");
    scripts
}

/// Programs that record their arguments, instead of those of a node.
struct Stubs<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
}

impl<'a> Stubs<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let stubs = Self { sandbox, folder: sandbox.file("stubs") };
        fs::create_dir(&stubs.folder).unwrap();
        // One line for each call: the name, then the arguments in brackets.
        for name in ["cute-shm", "mkdir", "hostname", "srun", "mpiexec", "blaunch", "pbs_tmrsh"] {
            stubs.write(name, &stubs.recording(name));
        }
        stubs.write("timeout", "shift; exec \"$@\"");
        stubs.write("squeue", "echo 7; echo 8");
        stubs.write("id", "echo 0");
        for real in ["date", "env", "sort", "wc", "tr", "cat"] {
            symlink(Path::new("/usr/bin").join(real), stubs.folder.join(real)).unwrap();
        }
        stubs
    }

    fn recording(&self, name: &str) -> String {
        format!(
            "line={name}; for word in \"$@\"; do line=\"$line [$word]\"; done\n\
             echo \"$line root=${{CUTE_SHM_ROOT-none}}\" >>'{}'",
            self.log().display()
        )
    }

    fn log(&self) -> PathBuf {
        self.sandbox.file("calls")
    }

    fn write(&self, name: &str, body: &str) {
        let path = self.folder.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the hook with every absolute path of a program replaced by that of the stub. Returns its output and the
    /// recorded calls.
    fn run(
        &self,
        shell: &[&str],
        hook: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> (Output, Vec<String>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(hook);
        let text = fs::read_to_string(path).unwrap();
        let stubs = format!("{}/", self.folder.display());
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "#!/bin/sh");
        let rest = Regex::new("/(usr/)?bin/").unwrap().replace_all(rest, stubs);
        let rest = rest.replace("/etc/cute-shm", &self.sandbox.work().to_string_lossy());
        let copy = self.sandbox.file("hook");
        fs::write(&copy, rest).unwrap();
        let _ = fs::remove_file(self.log());
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(&copy).args(args);
        command.env_clear().env("PATH", &self.folder).envs(env.iter().copied());
        let output = command.current_dir(self.sandbox.work()).output().unwrap();
        let calls = fs::read_to_string(self.log()).unwrap_or_default();
        let hidden = Regex::new(r"\[\d+\.\d{9}\]").unwrap();
        let calls = calls.lines().map(|line| hidden.replace_all(line, "[TIME]").into_owned());
        (output, calls.collect())
    }

    /// The calls of a hook that succeeds and prints nothing, in each shell.
    fn calls(&self, hook: &str, args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
        let [dash, bash] = SHELLS.map(|shell| {
            let (output, calls) = self.run(shell, hook, args, env);
            assert!(output.status.success(), "{shell:?} {hook}: {output:?}");
            assert!(output.stderr.is_empty(), "{shell:?} {hook}: {output:?}");
            calls
        });
        assert_eq!(dash, bash, "{hook}");
        dash
    }
}

/// Whether a line of a script uses an extension of bash: a small version of Debian's checkbashisms.
fn is_bashism(line: &str) -> bool {
    let patterns = [
        r"\[\[",
        r"\$\{?(EPOCH|RANDOM|SECONDS|BASH|HOSTNAME|UID\b|EUID|PIPESTATUS)",
        r"\bpipefail\b",
        r"(^|\s)(function|source|declare|typeset|local|let|select|shopt|mapfile|readarray)\s",
        r"<<<|<\(|>\(|&>|\|&",
        r"\$'|\$\(\(.*(\+\+|--|\*\*)",
        r"\$\{!|\$\{[A-Za-z_]+[,^:/@]{1,2}[^-=+?}]|\$\{[A-Za-z_]+\[",
        r"\w+\+?=\(",
        r"\[ .* == ",
        r"\becho\s+-[en]",
        r"%\(",
    ];
    patterns.iter().any(|pattern| Regex::new(pattern).unwrap().is_match(line))
}

#[test]
fn check_for_bashisms_finds_bashisms() {
    for line in [
        "now=$EPOCHREALTIME",
        "if [[ -n $x ]]; then",
        "set -eo pipefail",
        "hosts=(a b)",
        "cat <<<\"$x\"",
        "x=${y,,}",
        "[ \"$x\" == y ]",
        "  source lib.sh",
        "a &>/dev/null",
    ] {
        assert!(is_bashism(line), "{line}");
    }
    assert!(!is_bashism("now=$(/bin/date +%s.%N); x=${now:+--before \"$now\"}; y=${1:-2} 2>&1"));
}

#[test]
fn every_script_parses_in_posix_shells_and_has_no_extension_of_bash() {
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        let shown = script.display();
        assert!(text.starts_with("#!/bin/sh\n"), "{shown} does not begin with #!/bin/sh");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            assert!(!is_bashism(line), "{shown}: '{line}' is not POSIX sh");
        }
        for shell in SHELLS {
            let run = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(&script).output();
            let output = run.unwrap_or_else(|e| panic!("{}: {e}", shell[0]));
            assert!(output.status.success(), "{shell:?} {shown}: {output:?}");
        }
    }
}

#[test]
fn slurm_epilog_passes_its_start_time_to_gc() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    let env = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_UID", "1000")];
    let calls = stubs.calls("slurm/epilog", &[], &env);
    let expected = "cute-shm [gc] [--all-roots] [--all-users] [--job] [7] [--before] [TIME] \
                    [--best-effort] [--quiet] root=none";
    assert_eq!(calls, [expected]);
    let calls = stubs.calls("pbs/epilogue", &["7", "user"], &[]);
    assert_eq!(calls, [expected]);
}

#[test]
fn epilog_without_a_usable_time_still_calls_gc() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    let expected =
        "cute-shm [gc] [--all-roots] [--all-users] [--job] [7] [--best-effort] [--quiet] root=none";
    // No date, one that fails, one without fractions (busybox).
    for date in ["exit 127", "echo", "echo 1700000000.%N"] {
        stubs.write("date", date);
        let calls = stubs.calls("slurm/epilog", &[], &[("SLURM_JOB_ID", "7")]);
        assert_eq!(calls, [expected], "{date}");
        assert_eq!(stubs.calls("pbs/epilogue", &["7", "user"], &[]), [expected], "{date}");
        let calls = stubs.calls("lsf/post-exec", &[], &[("LSB_JOBID", "7")]);
        assert_eq!(calls, [expected], "{date}");
    }
}

#[test]
fn epilog_exits_0_if_gc_fails() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    stubs.write("cute-shm", "exit 2");
    stubs.write("timeout", "exit 124");
    for hook in
        ["slurm/epilog", "slurm/node-check", "slurm/prolog", "pbs/epilogue", "lsf/post-exec"]
    {
        stubs.calls(hook, &["7", "user"], &[]);
    }
}

#[test]
fn lsf_hook_names_array_elements_and_ignores_user_directories_as_root() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    let env = [("LSB_JOBID", "7"), ("LSB_JOBINDEX", "3"), ("CUTE_SHM_ROOT", "/of/the/user")];
    let calls = stubs.calls("lsf/post-exec", &[], &env);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].contains("[--job] [7[3]] [--before] [TIME]"), "{calls:?}");
    assert!(calls[0].ends_with("root=none"), "{calls:?}");
    stubs.write("id", "echo 1000");
    let calls = stubs.calls("lsf/post-exec", &[], &env);
    assert!(calls[0].ends_with("root=/of/the/user"), "{calls:?}");
}

#[test]
fn node_check_does_nothing_without_a_time_or_a_list_of_jobs() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    let env = [("SLURMD_NODENAME", "n1")];
    let calls = stubs.calls("slurm/node-check", &[], &env);
    // The list has one job on each line.
    let lines = [
        "cute-shm [gc] [--all-roots] [--all-users] [--live-jobs] [7",
        "8] [--before] [TIME] [--best-effort] [--quiet] root=none",
    ];
    assert_eq!(calls, lines);
    stubs.write("squeue", "exit 1");
    assert_eq!(stubs.calls("slurm/node-check", &[], &env), [""; 0]);
    stubs.write("squeue", "echo 7");
    stubs.write("date", "echo");
    assert_eq!(stubs.calls("slurm/node-check", &[], &env), [""; 0]);
}

#[test]
fn prolog_loads_the_configured_reference_data() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    let calls = stubs.calls("slurm/prolog", &[], &[("SLURM_JOB_ID", "7")]);
    assert_eq!(calls, ["mkdir [-m] [1777] [/tmp/cute-shm] root=none"]);
    fs::write(sandbox.file("reference.h5"), "").unwrap();
    let calls = stubs.calls("slurm/prolog", &[], &[("SLURM_JOB_ID", "7")]);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].starts_with("cute-shm [load-hdf5] [reference]"), "{calls:?}");
}

#[test]
fn task_prolog_exports_the_project_and_fails_only_the_task() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    assert_eq!(stubs.calls("slurm/task-prolog", &[], &[]), [""; 0]);
    let env = [("CUTE_SHM_FILE", "/data/x.h5"), ("SLURM_JOB_ID", "7"), ("SLURMD_NODENAME", "n1")];
    for shell in SHELLS {
        let (output, calls) = stubs.run(shell, "slurm/task-prolog", &[], &env);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "export CUTE_SHM_PROJECT=job-7\n");
        assert!(calls[0].starts_with("cute-shm [load-hdf5] [job-7] [/data/x.h5]"), "{calls:?}");
    }
    stubs.write("cute-shm", "exit 5");
    for shell in SHELLS {
        let (output, _) = stubs.run(shell, "slurm/task-prolog", &[], &env);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.starts_with(b"print cute-shm: cannot load /data/x.h5"), "{output:?}");
    }
}

#[test]
fn job_script_exits_when_its_load_fails() {
    let sandbox = Sandbox::new();
    let stubs = Stubs::new(&sandbox);
    stubs.write("jq", "exec cat");
    for script in ["slurm/job-shards.sh", "slurm/job-one-load.sh"] {
        stubs.write("srun", &stubs.recording("srun"));
        let calls = stubs.calls(script, &[], &[]);
        assert!(calls.len() == 2 && calls[1].starts_with("srun [python3] [train.py]"), "{calls:?}");
        stubs.write("srun", &format!("{}\nexit 5", stubs.recording("srun")));
        for shell in SHELLS {
            let (output, calls) = stubs.run(shell, script, &[], &[]);
            assert_eq!((output.status.code(), calls.len()), (Some(5), 1), "{script} {calls:?}");
        }
    }
}

#[test]
fn epilog_frees_the_memory_of_its_job() {
    if !is_root() {
        return; // The epilog runs as root: without it, --all-users is refused or has no effect.
    }
    let mut sandbox = Sandbox::with_plain();
    for shell in SHELLS {
        let args = ["load-hdf5", "-p", "p", "plain.h5"];
        let run = sandbox.command(&args).env("SLURM_JOB_ID", "7").run();
        assert_eq!(run.code(), 0, "{}", run.transcript());
        sandbox.unlink_at_end("p");
        let stubs = sandbox.file("stubs");
        let _ = fs::remove_dir_all(&stubs);
        let stubs = Stubs::new(&sandbox);
        let binary = env!("CARGO_BIN_EXE_cute-shm");
        stubs.write("cute-shm", &format!("exec '{binary}' \"$@\""));
        let (root, shm) = (sandbox.root(), sandbox.shm());
        let env = [
            ("SLURM_JOB_ID", "7"),
            ("CUTE_SHM_ROOT", root.to_str().unwrap()),
            ("CUTE_SHM_DIR", shm.to_str().unwrap()),
        ];
        let (output, _) = stubs.run(shell, "slurm/epilog", &[], &env);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(sandbox.in_shm(), [""; 0], "{output:?}");
    }
}
