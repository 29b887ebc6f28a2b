"""A held project is removed when its keeper exits, however it exits. Python readers can use it until then."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import HERE, in_shared_memory
from expectation import differences, expected_leaves
from hdf5_files import write


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "f.h5", "compounds")


def is_removed(project, seconds=10):
    """Whether the files of the project are removed from shared memory in time."""
    deadline = time.monotonic() + seconds
    while in_shared_memory(project):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def held(cli, project, file):
    """Returns the foreground keeper of a project after it has reported readiness."""
    keeper = cli.start("load-hdf5", "--json", project, file)
    first = keeper.stdout.readline()
    assert first, keeper.stderr.read()
    yield keeper
    keeper.kill()
    keeper.communicate()


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_held_project_is_removed_on_a_signal(held, python, project, root, file, name, code):
    assert differences(expected_leaves(file), python.read(project)) == []
    held.send_signal(getattr(signal, name))
    held.communicate(timeout=20)
    assert held.returncode == code
    assert in_shared_memory(project) == []
    assert not (root / f"cute-shm.{project}.toml").exists()


def test_gc_removes_the_project_of_a_killed_keeper(cli, held, project, root):
    held.kill()
    held.communicate(timeout=20)
    cli.ok("gc")
    assert is_removed(project)
    assert not (root / f"cute-shm.{project}.toml").exists()


def test_keeper_exits_when_its_project_is_unlinked(cli, held, project):
    cli.ok("unlink", project)
    held.communicate(timeout=20)
    assert in_shared_memory(project) == []


def test_command_runs_with_the_project_and_leaves_no_files(cli, project, root, file, tmp_path):
    reader = [sys.executable, HERE / "python_side.py", root, "read", project, tmp_path / "out"]
    cli.ok("load-hdf5", project, file, "--", *reader)
    assert (tmp_path / "out").stat().st_size > 0
    assert in_shared_memory(project) == []


def test_command_gets_the_names_and_its_status_is_returned(cli, project, root, file):
    script = 'test "$CUTE_SHM_PROJECT" = "$0" && test "$CUTE_SHM_ROOT" = "$1" && exit 42'
    outcome = cli.run("load-hdf5", project, file, "--", "sh", "-c", script, project, root)
    assert outcome.code == 42
    assert cli.run("load-hdf5", project, file, "--", "/does/not/exist").code == 127
    assert cli.run("load-hdf5", project, file, "--", "/").code == 126
    assert cli.run("load-hdf5", project, "missing.h5", "--", "true").code == 125
    assert in_shared_memory(project) == []


def test_until_exit_cleans_up_after_the_process(cli, python, project, file):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        cli.ok("load-hdf5", "--until-exit", sleeper.pid, project, file)
        assert differences(expected_leaves(file), python.read(project)) == []
    finally:
        sleeper.kill()
        sleeper.wait()
    assert is_removed(project)


def test_until_exit_of_a_missing_process_is_not_found(cli, project, file):
    done = subprocess.Popen(["true"])
    done.wait()
    assert cli.run("load-hdf5", "--until-exit", done.pid, project, file).code == 3
    assert in_shared_memory(project) == []


def test_wait_returns_when_a_project_appears(cli, project, file):
    waiting = cli.start("wait", "--timeout", "30", project)
    time.sleep(0.3)
    assert waiting.poll() is None
    cli.load(project, file)
    waiting.communicate(timeout=20)
    assert waiting.returncode == 0


def test_wait_that_times_out_is_busy(cli, project):
    assert cli.run("wait", "--timeout", "0.2", project).code == 7


def test_reader_keeps_its_arrays_after_unlink(cli, project, root, file):
    script = (
        "import sys, pathlib, cute_shm\n"
        "cute_shm.Project2Toml.root = pathlib.Path(sys.argv[1])\n"
        "tree = cute_shm.shm_to_arrays(sys.argv[2])\n"
        "print('attached', flush=True); sys.stdin.readline()\n"
        "print(int(tree['deep']['table']['id']['data'].sum()), flush=True)\n"
        "import os; os._exit(0)\n"
    )
    cli.load(project, file)
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(root), project],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert reader.stdout.readline() == "attached\n"
    doc = json.loads(cli.ok("unlink", "--json", project).out)
    assert str(reader.pid) in json.dumps(doc) or os.geteuid() != 0
    answer, _ = reader.communicate("go\n", timeout=20)
    assert answer == f"{sum(range(8))}\n"
