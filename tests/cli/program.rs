//! Runs the program for a test: in a [`Sandbox`], with an empty environment. The result is one text to compare.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use regex_lite::Regex;

pub use crate::binary::BINARY;
use crate::common::fixtures;
pub use crate::common::sandbox::{Sandbox, names};

/// The time limit of every wait, long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// The uid of a user that owns no files.
pub const NOBODY: u32 = 65534;

impl Sandbox {
    /// Creates empty directories. Drop unlinks the projects of [`Sandbox::load`] and then fails if files remain, unless
    /// [`Sandbox::may_leave`] was called.
    pub fn new() -> Self {
        Self::in_memory(Some(check_end))
    }

    /// Creates a sandbox with one file, written by `write`.
    pub fn with_file(name: &str, write: impl FnOnce(&Path)) -> Self {
        let sandbox = Self::new();
        sandbox.write(name, write);
        sandbox
    }

    /// Creates a sandbox with `plain.h5`.
    pub fn with_plain() -> Self {
        Self::with_file("plain.h5", fixtures::plain)
    }

    /// Creates a sandbox in which `plain.h5` is loaded as the persistent project `p`.
    pub fn with_project() -> Self {
        let mut sandbox = Self::with_plain();
        sandbox.load("p", &["plain.h5"]);
        sandbox
    }

    /// Writes another file.
    pub fn write(&self, name: &str, write: impl FnOnce(&Path)) {
        write(&self.file(name));
    }

    /// Returns the names of the segments of a project, sorted.
    pub fn segments(&self, project: &str) -> Vec<String> {
        let prefix = format!("cute-shm.{project}.");
        let is_segment = |name: &String| {
            name.strip_prefix(&prefix).is_some_and(|id| id.len() == 10 && !id.contains('.'))
        };
        self.in_shm().into_iter().filter(is_segment).collect()
    }

    /// Returns the only file in the shm directory with this suffix.
    pub fn shm_file(&self, suffix: &str) -> PathBuf {
        let names = self.in_shm();
        let mut found = names.iter().filter(|name| name.ends_with(suffix));
        match (found.next(), found.next()) {
            (Some(one), None) => self.shm().join(one),
            _ => panic!("not one '*{suffix}' in {names:?}"),
        }
    }

    /// Permits files in the shm directory at the end of the test.
    pub fn may_leave(&mut self) {
        self.may_leave = true;
    }

    /// Prepares a run with these arguments.
    pub fn command(&self, args: &[&str]) -> Program<'_> {
        self.program(args.iter().map(OsString::from).collect())
    }

    /// Prepares a run with arguments that need not be UTF-8.
    pub fn program(&self, args: Vec<OsString>) -> Program<'_> {
        let (env, shell) = (Vec::new(), String::new());
        Program { sandbox: self, args, env, shell, unshared: Vec::new(), nobody: false }
    }

    /// Runs the program until it exits.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).run()
    }

    /// Loads a file as a persistent project, which is unlinked when the test ends.
    pub fn load(&mut self, project: &str, files: &[&str]) -> Run {
        let mut args = vec!["load-hdf5", "--persistent", project];
        args.extend(files);
        self.loads(project, &args)
    }

    /// Runs a command that loads `project`, which is unlinked when the test ends.
    pub fn loads(&mut self, project: &str, args: &[&str]) -> Run {
        let run = self.run(args);
        assert!([0, 10].contains(&run.code()), "{}", run.transcript());
        self.unlink_at_end(project);
        run
    }

    /// Unlinks this project at the end of the test.
    pub fn unlink_at_end(&mut self, project: impl AsRef<OsStr>) {
        let project = project.as_ref().to_owned();
        if !self.loaded.contains(&project) {
            self.loaded.push(project);
        }
    }

    /// Starts a load that holds its project, and waits until it reports readiness.
    pub fn hold(&self, args: &[&str]) -> RunningProgram {
        let mut held = self.command(args).start();
        held.wait_for("holding the project");
        held
    }

    /// Returns a path of the program where every user can run it.
    fn binary(&self) -> PathBuf {
        let built = PathBuf::from(BINARY);
        let open = |path: &Path| {
            fs::metadata(path).is_ok_and(|stat| stat.permissions().mode() & 0o001 != 0)
        };
        if built.ancestors().all(open) {
            return built;
        }
        let copy = self.work().with_file_name("cute-shm");
        if !copy.exists() {
            fs::copy(&built, &copy).unwrap();
        }
        copy
    }

    /// Replaces paths, tokens, times, processes and users by placeholders, so that the text is equal in every run.
    pub fn normalize(&self, text: &str) -> String {
        let mut text = text.replace('\u{1b}', "<ESC>");
        for (path, name) in [(self.root(), "$ROOT"), (self.shm(), "$SHM"), (self.work(), "$WORK")] {
            text = text.replace(&*path.to_string_lossy(), name);
        }
        for (pattern, placeholder) in [
            (r"(cute-shm\.[^\s'/]*\.)[0-9A-Za-z]{5}([0-9A-Za-z]{5})\b", "${1}TOKEN${2}"),
            (r"(cute-shm\.[^\s'/]*\.)[0-9a-f]{8}\.(ledger|lock)", "${1}KEYHASH.${2}"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
            (r"in \d+\.\d{3} s \([^()]*/s\)", "in SECONDS s (RATE/s)"),
            (r"(?m)^\[ *\d+\.\d{6}\]", "[SECONDS]"),
            (r"(held by|process|processes) \d+", "${1} PID"),
            (r"(?m)\b\d s$", "AGE"),
            (r"\(\d s ago\)", "(AGE ago)"),
            (r"\b(user) \d+\b", "${1} UID"),
            (r"needed, \S+ \S+ free \([^()]*\)", "needed, FREE free (LIMIT)"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, placeholder).into_owned();
        }
        text
    }
}

fn check_end(sandbox: &mut Sandbox) {
    for project in std::mem::take(&mut sandbox.loaded) {
        let run = sandbox.program(vec!["unlink".into(), "--force".into(), project]).run();
        assert!(run.code() == 0 && run.stderr().is_empty(), "{}", run.transcript());
    }
    if !sandbox.may_leave {
        let left = (sandbox.in_shm(), sandbox.in_root());
        assert!(
            left.0.is_empty() && left.1.is_empty(),
            "files remain in the directories: {left:?}"
        );
    }
}

/// Creates the symbolic link `link`.
pub fn link(target: &Path, link: &Path) {
    symlink(target, link).unwrap();
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Returns the arguments of unshare(1) for a new mount namespace.
fn unshare() -> &'static [&'static str] {
    if is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] }
}

/// Whether a test can mount a tmpfs in a new namespace. Many containers forbid it.
pub fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut unshared = Command::new("/usr/bin/unshare");
        unshared.args(unshare()).args(["/bin/mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        let can = unshared.output().is_ok_and(|output| output.status.success());
        if !can {
            eprintln!("skipped: tests that mount a file system, which this machine forbids");
        }
        can
    })
}

/// A run of the program under construction.
pub struct Program<'a> {
    sandbox: &'a Sandbox,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    shell: String,
    unshared: Vec<&'static str>,
    nobody: bool,
}

impl Program<'_> {
    /// Sets an environment variable.
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// Runs a shell command before the program in the same process: `ulimit`, `trap`.
    pub fn after(mut self, shell: &str) -> Self {
        self.shell = format!("{}{shell}; ", self.shell);
        self
    }

    /// Runs in a new mount namespace, after this shell command.
    pub fn unshared(mut self, shell: &str) -> Self {
        self.unshared = unshare().to_vec();
        self.after(shell)
    }

    /// Runs as process 1 of new mount and process namespaces, after this shell command.
    pub fn in_new_namespaces(mut self, shell: &str) -> Self {
        self.unshared = vec!["--mount", "--pid", "--fork", "--mount-proc"];
        self.after(shell)
    }

    /// Runs as a user that is not root: the user of the tests, else nobody.
    pub fn unprivileged(mut self) -> Self {
        self.nobody = is_root();
        self
    }

    /// Returns the prepared command.
    pub fn build(&self) -> Command {
        let binary = self.sandbox.binary();
        let mut command = Command::new(&binary);
        if !self.shell.is_empty() {
            command = Command::new("/bin/sh");
            if !self.unshared.is_empty() {
                command = Command::new("/usr/bin/unshare");
                command.args(&self.unshared).arg("/bin/sh");
            }
            command.args(["-c", &format!("{}exec \"$0\" \"$@\"", self.shell)]).arg(&binary);
        }
        command.args(&self.args).env_clear().current_dir(self.sandbox.work());
        command.env("CUTE_SHM_ROOT", self.sandbox.root()).env("CUTE_SHM_DIR", self.sandbox.shm());
        if !self.shell.is_empty() {
            command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        }
        if self.nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs the program until it exits.
    pub fn run(self) -> Run {
        let output = self.build().output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        self.outcome(stdout, stderr, output.status)
    }

    /// Runs the program with this standard output, which the result does not contain.
    pub fn run_into(self, stdout: impl Into<Stdio>) -> Run {
        let output = self.build().stdout(stdout).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        self.outcome(String::new(), stderr, output.status)
    }

    /// Runs the program with a terminal as standard output and standard error. Returns the exit code and the output.
    pub fn run_on_terminal(self, rows: u16, columns: u16) -> (Option<i32>, String) {
        let size = nix::pty::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = nix::pty::openpty(Some(&size), None).unwrap();
        let (stdout, stderr) = (terminal.slave.try_clone().unwrap(), terminal.slave);
        let mut command = self.build();
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        // The command has descriptors of the terminal; the read ends when the last one is closed.
        drop(command);
        let mut shown = Vec::new();
        // The read ends with EIO when all programs of the terminal have exited.
        let _ = fs::File::from(terminal.master).read_to_end(&mut shown);
        let status = child.wait().unwrap();
        (status.code(), String::from_utf8_lossy(&shown).into_owned())
    }

    /// Runs the program with a terminal of this size as standard output. Returns the output.
    pub fn run_in_terminal(self, rows: u16, columns: u16) -> String {
        let size = nix::pty::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = nix::pty::openpty(Some(&size), None).unwrap();
        let mut master = fs::File::from(terminal.master);
        let reading = std::thread::spawn(move || {
            let mut shown = Vec::new();
            // The read ends with EIO when all programs of the terminal have exited.
            let _ = master.read_to_end(&mut shown);
            String::from_utf8_lossy(&shown).into_owned()
        });
        let run = self.run_into(terminal.slave);
        assert_eq!(run.code(), 0, "{}", run.transcript());
        reading.join().unwrap()
    }

    fn outcome(&self, stdout: String, stderr: String, status: ExitStatus) -> Run {
        let text = self.sandbox.normalize(&render(&stdout, &stderr, status));
        Run { stdout, stderr, status, text }
    }

    /// Starts the program in the background.
    #[allow(unsafe_code)]
    pub fn start(self) -> RunningProgram {
        let mut command = self.build();
        // A shell that runs the tests in the background lets them ignore Ctrl-C.
        // SAFETY: signal(2) is safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                for number in [Signal::SIGINT, Signal::SIGQUIT] {
                    signal(number, SigHandler::SigDfl)?;
                }
                Ok(())
            });
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = StreamReader::start(child.stdout.take().unwrap());
        let stderr = StreamReader::start(child.stderr.take().unwrap());
        RunningProgram { child, stdout, stderr }
    }
}

fn render(stdout: &str, stderr: &str, status: ExitStatus) -> String {
    let mut text = String::new();
    for (name, stream) in [("stdout", stdout), ("stderr", stderr)] {
        if !stream.is_empty() {
            let _ = write!(text, "--- {name}\n{stream}");
            if !stream.ends_with('\n') {
                text.push_str("<no line end>\n");
            }
        }
    }
    let _ = match (status.code(), status.signal()) {
        (Some(code), _) => writeln!(text, "--- exit {code}"),
        (None, signal) => writeln!(text, "--- killed by signal {}", signal.unwrap_or(0)),
    };
    text
}

/// The result of a run.
pub struct Run {
    stdout: String,
    stderr: String,
    status: ExitStatus,
    text: String,
}

impl Run {
    /// Compares output and exit status with the expected text.
    #[track_caller]
    pub fn is(&self, expected: impl snapbox::IntoData) {
        snapbox::Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .normalize_paths(false)
            .eq(self.transcript(), expected);
    }

    /// Returns the standard output without replacements.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Returns the standard error without replacements.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Returns the exit code; -1 after a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Returns both streams and the exit status, with placeholders.
    pub fn transcript(&self) -> String {
        self.text.clone()
    }

    /// Parses the standard output, which must be one JSON object.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        let lines: Vec<&str> = self.stdout.lines().collect();
        let [line] = lines[..] else { panic!("not one line of JSON: {}", self.transcript()) };
        assert!(self.stdout.ends_with('\n'), "no line end: {}", self.transcript());
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

/// A thread that reads an output stream of a running program.
struct StreamReader {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl StreamReader {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

/// A program that runs in the background. Drop kills it.
pub struct RunningProgram {
    child: Child,
    stdout: StreamReader,
    stderr: StreamReader,
}

impl RunningProgram {
    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits until the program has written `words` to standard error.
    pub fn wait_for(&mut self, words: &str) {
        wait_until(&format!("'{words}'"), || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let (out, err) = (self.stdout.finish(), self.stderr.finish());
                assert!(err.contains(words), "ended early:\n{}", render(&out, &err, status));
            }
            self.stderr.text().contains(words)
        });
    }

    /// Returns the standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until the program exits.
    pub fn end(mut self, sandbox: &Sandbox) -> Run {
        let mut ended = None;
        wait_until("the exit of the program", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        let status = ended.unwrap();
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        let text = sandbox.normalize(&render(&stdout, &stderr, status));
        Run { stdout, stderr, status, text }
    }

    /// Whether the program is running.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until `reached` returns true, and fails after the time limit.
pub fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < DEADLINE, "time limit reached while waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
