"""Completion in real shells on a pseudo-terminal. Each test types a line with tabs and compares the arguments that the
command gets."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import clean_environment

SCRIPTS = Path(__file__).parents[2] / "completions"
SHELLS = ("bash", "zsh", "fish")
PROMPT = "READY>"

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
# The command is a function that writes its arguments to a file. The program is in PATH.
SETUP = {
    "bash": f"""PS1='{PROMPT}'; HISTFILE=; bind 'set bell-style none'; bind 'set completion-query-items 0'
bind 'set page-completions off'; bind 'set enable-bracketed-paste off'
source {SCRIPTS}/cute-shm.bash
cute-shm() {{ printf '%s\\0' "$@" >got.part; mv got.part got; }}""",
    "zsh": f"""PS1='{PROMPT}'; unset RPS1; unsetopt beep zle_bracketed_paste prompt_sp; LISTMAX=100000; HISTFILE=
fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D
cute-shm() {{ printf '%s\\0' "$@" >got.part; mv got.part got; }}""",
    "fish": f"""function fish_prompt; echo -n '{PROMPT}'; end; function fish_greeting; end
source {SCRIPTS}/cute-shm.fish
function cute-shm; printf '%s\\0' $argv >got.part; mv got.part got; end""",
}


class Shell:
    """An interactive shell in a directory."""

    def __init__(self, name, folder, environment):
        self.name, self.folder, self.seen = name, folder, ""
        setup = folder / f"setup.{name}"
        setup.write_text(SETUP[name] + "\n")
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(START[name][0], START[name], environment)
        self.pid = pid
        self.send(f"source ./setup.{name}\r")
        self.wait_until(lambda: self.seen.count(PROMPT) > 0)

    def send(self, text):
        os.write(self.terminal, text.encode())

    def wait_until(self, done, limit=30.0):
        end = time.monotonic() + limit
        while not done():
            assert time.monotonic() < end, f"{self.name} said:\n{self.seen}"
            if select.select([self.terminal], [], [], 0.05)[0]:
                data = os.read(self.terminal, 65536).decode(errors="replace")
                self.seen += data
                if "\x1b[c" in data:  # fish queries the type of the terminal
                    self.send("\x1b[?6c")

    def completed(self, line, command=""):
        """Returns the arguments of the command after `line`, in which \\t completes; of the one that begins with `command`
        if the line has several."""
        got = self.folder / "got"
        got.unlink(missing_ok=True)
        self.seen = ""
        # The end of the line runs the command, after all completions.
        self.send(line + "\r")
        self.wait_until(lambda: got.exists() and got.read_text().startswith(command))
        return got.read_text().split("\0")[:-1]

    def end(self):
        os.close(self.terminal)
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)


@pytest.fixture
def folder(tmp_path, cli):
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cute-shm").symlink_to(cli.binary)
    with h5py.File(folder / "data.h5", "w") as file:
        file["station/temperature"] = np.arange(3.0)
        file["station/wind [m]"] = np.arange(3.0)
        file["other"] = np.arange(3)
    (folder / "data.txt").write_text("no HDF5\n")
    (folder / "notes.md").write_text("no HDF5\n")
    (folder / "dossier").mkdir()
    (folder / "dossier" / "inner.nc").write_text("")
    return folder


@pytest.fixture
def environment(tmp_path, cli):
    return {**clean_environment(), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TERM": "xterm",
            "HOME": str(tmp_path), "CUTE_SHM_ROOT": str(cli.root), "LC_ALL": "C.UTF-8"}


@pytest.fixture(params=SHELLS)
def shell(request, folder, environment):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is missing: scripts/setup installs it")
    shell = Shell(request.param, folder, environment)
    yield shell
    shell.end()


@pytest.fixture
def loaded(cli, project, folder):
    cli.load(project, folder / "data.h5")
    return project


def test_commands_options_and_their_values(shell):
    assert shell.completed("cute-shm doc\t") == ["doctor"]
    assert shell.completed("cute-shm help exp\t") == ["help", "export"]
    assert shell.completed("cute-shm list --sho\t") == ["list", "--short"]
    assert shell.completed("cute-shm completions el\t") == ["completions", "elvish"]
    assert shell.completed("cute-shm list --color nev\t") == ["list", "--color", "never"]
    assert shell.completed("cute-shm list --color=nev\t") == ["list", "--color=never"]


def test_projects_and_keys(shell, loaded):
    part = loaded[:-3]
    assert shell.completed(f"cute-shm unlink {part}\t") == ["unlink", loaded]
    assert shell.completed(f"cute-shm show {part}\t/sta\t/te\t") == ["show", loaded, "/station/temperature"]
    assert shell.completed(f"cute-shm export {part}\toth\t-o x.npy") == ["export", loaded, "other", "-o", "x.npy"]
    assert shell.completed(f"cute-shm show {loaded} station.t\t") == ["show", loaded, "station.temperature"]
    assert shell.completed(f"cute-shm show {loaded} '/station/w\t") == ["show", loaded, "/station/wind [m]"]
    assert shell.completed(f"cute-shm show {loaded} /station/w\t") == ["show", loaded, "/station/wind [m]"]


def test_files_and_the_paths_in_them(shell, project):
    assert shell.completed("cute-shm load-hdf5 p da\t") == ["load-hdf5", "p", "data.h5"]
    assert shell.completed("cute-shm load-hdf5 p n=da\t") == ["load-hdf5", "p", "n=data.h5"]
    assert shell.completed("cute-shm load-hdf5 p not\t") == ["load-hdf5", "p", "notes.md"]
    assert shell.completed("cute-shm load-hdf5 p doss\t")[2].rstrip("/") == "dossier"
    assert shell.completed("cute-shm load-hdf5 p dossier/in\t")[2] == "dossier/inner.nc"
    line = "cute-shm load-hdf5 p data.h5 "
    assert shell.completed(line + "--include /o\t")[3:] == ["--include", "/other"]
    assert shell.completed(line + "--exclude=/station/t\t")[3:] == ["--exclude=/station/temperature"]
    assert shell.completed(line + "--include '/station/w\t")[3:] == ["--include", "/station/wind [[]m[]]"]
    assert shell.completed("cute-shm load-hdf5 p a=data.h5 --include /a/o\t")[3:] == ["--include", "/a/other"]
    assert shell.completed(line + "--json-to not\t-- x")[3:] == ["--json-to", "notes.md", "--", "x"]


def test_command_after_two_dashes_is_completed(shell):
    line = "cute-shm load-hdf5 p data.h5 -- cat "
    assert shell.completed(line + "note\t")[3:] == ["--", "cat", "notes.md"]


def test_bash_completes_an_alias(folder, environment, loaded):
    shell = Shell("bash", folder, environment)
    try:
        shell.send("alias cs=cute-shm; complete -F _cute_shm cs\r")
        assert shell.completed(f"cs show {loaded[:-3]}\t") == ["show", loaded]
        line = f"FOO=1 cute-shm list; true && cute-shm show {loaded[:-3]}\t"
        assert shell.completed(line, "show") == ["show", loaded]
    finally:
        shell.end()


def test_fish_shows_the_description_of_a_word(folder, environment, loaded, cli):
    if shutil.which("fish") is None:
        pytest.skip("fish is missing: scripts/setup installs it")
    script = f"source {SCRIPTS}/cute-shm.fish; complete -C 'cute-shm show {loaded} /station/t'; complete -C 'cute-shm lis'"
    done = subprocess.run(["fish", "--no-config", "-c", script], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["/station/temperature\t(3,) float64", "list\tList the projects of this node"]


def test_completion_honors_the_root_option(shell, loaded, root, tmp_path):
    shell.send(("set -e CUTE_SHM_ROOT" if shell.name == "fish" else "unset CUTE_SHM_ROOT") + "\r")
    assert shell.completed(f"cute-shm --root {root} show {loaded[:-3]}\t")[-1] == loaded
    assert shell.completed(f"cute-shm show --root={root} {loaded[:-3]}\t")[-1] == loaded
    assert shell.completed("cute-shm list --root dos\t")[2].rstrip("/") == "dossier"


@pytest.mark.parametrize("name", ["a b", "a:b:c", "a'b", 'a"b', "a$b`c", "a=b", "a&b;c|d", "a*[b]?", "a~b#c!d", "aéb"])
def test_odd_names_reach_the_command_unchanged(shell, root, name):
    root.mkdir()
    (root / f"cute-shm.{name}.toml").write_text("")
    assert shell.completed("cute-shm show a\t") == ["show", name]
    if ":" in name:
        assert shell.completed("cute-shm show a:b\t") == ["show", name]
    if "é" in name:
        assert shell.completed("cute-shm show aé\t") == ["show", name]
    if " " in name:
        assert shell.completed("cute-shm show a\\ \t") == ["show", name]
        assert shell.completed("cute-shm show 'a \t") == ["show", name]
        assert shell.completed('cute-shm show "a \t') == ["show", name]


def test_damaged_registry_gives_no_completions(shell, root):
    root.mkdir()
    (root / "cute-shm.bad.toml").write_text("[a\n")
    (root / "cute-shm.with\ncontrol\x1b[31m.toml").write_text("")
    assert shell.completed("cute-shm show ba\tx\t")[:2] == ["show", "bad"]
    assert shell.completed("cute-shm show wi\t") == ["show", "wi"]
    assert not re.search("rror|cannot|panic", shell.seen), shell.seen
    root.chmod(0o777)
    assert shell.completed("cute-shm show ba\t") == ["show", "ba"]
    assert not re.search("rror|cannot|panic", shell.seen), shell.seen


def ask(cli, environment, *words, limit=20):
    command = [cli.binary, "__complete", "zsh", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[1:]


def test_files_that_are_not_hdf5_or_never_end_give_no_completions(cli, environment, folder):
    os.mkfifo(folder / "pipe.h5")
    (folder / "broken.h5").write_bytes((folder / "data.h5").read_bytes()[:700])
    for name in ("pipe.h5", "broken.h5", "data.txt", "nothing.h5", "dossier"):
        assert ask(cli, environment, "load-hdf5", "p", folder / name, "--include", "") == []


def test_names_are_bounded(cli, environment, folder):
    with h5py.File(folder / "many.h5", "w") as file:
        for number in range(10_500):
            file.create_group(f"g{number:05}")
    assert len(ask(cli, environment, "load-hdf5", "p", folder / "many.h5", "--include", "")) == 10_000
    assert ask(cli, environment, "load-hdf5", "p", folder / "many.h5", "--include", "/g0000") == [
        f"/g0000{number}" for number in range(10)]


def test_unknown_completion_requests_are_refused(cli, environment):
    for words in ([], ["tcsh", "x"], ["bash"], ["bash", "cute-shm", "x"], ["bash", "other", "x", "cute-shm x"]):
        done = subprocess.run([cli.binary, "__complete", *words], capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
