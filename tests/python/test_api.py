"""The examples of the Rust library and the stock Python package share projects in both directions."""

import os
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from conftest import clean_environment, cute_shm_binary, in_shared_memory
from expectation import differences, expected_leaves

CLIENT = """
    import sys, time, cute_shm, filelock
    from pathlib import Path
    root, project, lock, rounds = sys.argv[1:]
    cute_shm.Project2Toml.root = Path(root)
    data = cute_shm.shm_to_arrays(project)["data"]
    lock, seen = filelock.FileLock(lock), set()
    for _ in range(int(rounds)):
        with lock:
            values = set(data["data"].tolist())
        assert len(values) == 1, values
        seen |= values
        time.sleep(0.001)
    print(len(seen))
"""

SERVER = """
    import sys, time, cute_shm, filelock, numpy as np
    from pathlib import Path
    root, project, lock, rounds = sys.argv[1:]
    cute_shm.Project2Toml.root = Path(root)
    with cute_shm.unlinked_arrays_to_shm(project, {"data": np.zeros(10_000, dtype=np.int64)}):
        data = cute_shm.shm_to_arrays(project, persistent=False)["data"]
        print("ready", flush=True)
        for n in range(int(rounds)):
            with filelock.FileLock(lock):
                data["data"][:] = n
            time.sleep(0.001)
        sys.stdin.read()
"""


@pytest.fixture
def start(cli, root):
    """Starts an example of the Rust library, or Python code, with the root of this test."""
    started = []
    environment = {**clean_environment(), "CUTE_SHM_ROOT": str(root)}

    def start(*command):
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def example(start):
    folder = cute_shm_binary().parent / "examples"
    if not (folder / "transfer").is_file():
        pytest.fail(f"no examples in {folder}: run 'cargo build --examples'")
    return lambda name, *args: start(folder / name, *args)


@pytest.fixture
def script(start, root):
    return lambda code, *args: start(sys.executable, "-c", textwrap.dedent(code), root, *args)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_python_reads_arrays_shared_by_rust(example, python, project):
    finish(example("transfer", project, "--persist"))
    found = python.read(project)
    expected = {
        ("a",): np.array([[12, 0, 0], [0, 10, 0], [0, 0, 0]]),
        ("b", "b1"): np.linspace(0, 1, 100, dtype=np.float32),
        ("b", "b2"): np.zeros(300, dtype=bool),
        ("names",): np.array([b"ada", b"bob"], dtype="S4"),
    }
    assert set(found) == set(expected)
    for path, array in expected.items():
        assert found[path]["dtype"] == str(array.dtype) and found[path]["shape"] == array.shape
        there = np.frombuffer(found[path]["bytes"], dtype=array.dtype).reshape(array.shape)
        if array.dtype.kind == "S":
            np.testing.assert_array_equal(there, array)
        else:
            np.testing.assert_allclose(there, array, rtol=1e-6)
    assert found[("a",)]["attrs"] == {"units": "m"}
    assert "4 segments" in finish(example("clean", project))
    assert in_shared_memory(project) == []


def test_rust_reads_arrays_shared_by_python(example, python, project):
    python.share(project, {
        "x": np.arange(10, dtype=np.float64),
        "deep": {"big": np.arange(4, dtype=">f8"), "flags": np.array([True, False, True])},
        "text": np.array([b"one"]),
    })
    lines = [line.split("\t") for line in finish(example("read", project)).splitlines()]
    sums = {line[0]: line[3] for line in lines}
    assert sums == {"/x": "45", "/deep/big": "6", "/deep/flags": "2", "/text": "-"}
    assert project in finish(example("clean"))


def test_python_client_never_reads_a_partial_update_of_a_rust_server(
    example, script, project, tmp_path
):
    server = example("server", project, tmp_path / "lock", 100_000)
    assert server.stdout.readline() == "ready\n"
    assert int(finish(script(CLIENT, project, tmp_path / "lock", 200))) > 1


def test_rust_client_never_reads_a_partial_update_of_a_python_server(
    example, script, project, tmp_path
):
    server = script(SERVER, project, tmp_path / "lock", 2000)
    assert server.stdout.readline() == "ready\n"
    assert "no partial update" in finish(example("client", project, tmp_path / "lock", 200))
    server.communicate("", timeout=60)


def test_gc_removes_the_held_project_of_a_killed_rust_program(cli, example, project, tmp_path):
    server = example("server", project, tmp_path / "lock", 100_000)
    assert server.stdout.readline() == "ready\n"
    assert "live" in cli.ok("list", "-s").out
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()
    assert "abandoned" in cli.ok("list", "-s").out
    cli.ok("gc")
    assert in_shared_memory(project) == []


def test_dropping_the_guard_removes_a_held_project(example, python, project):
    holder = example("transfer", project)
    holder.stdout.readline()
    assert len(python.read(project)) == 4
    finish(holder)
    assert in_shared_memory(project) == []


def test_python_unlinks_a_project_held_by_rust_and_the_guard_accepts_it(example, python, project):
    holder = example("transfer", project)
    holder.stdout.readline()
    python.unlink(project)
    finish(holder)
    assert in_shared_memory(project) == []


def test_file_loaded_by_rust_equals_h5py(example, python, project, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(12).reshape(3, 4)
        file["group/texts"] = np.array([b"a", b"bcd"])
        file["other/left"] = np.zeros(3)
        file["numbers"].attrs["units"] = "m"
    out = finish(example("hdf5", project, path, "--include", "/numbers"))
    assert "1 arrays, 96 bytes" in out and "126 bytes in the file" in out
    found = python.read(project)
    assert list(found) == [("numbers",)] and found[("numbers",)]["attrs"] == {"units": "m"}
    finish(example("hdf5", project, path))
    assert differences(expected_leaves(path), python.read(project)) == []
