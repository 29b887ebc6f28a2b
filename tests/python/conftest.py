"""Runs the command in a sandbox with its own metadata root and unique names. After every test, checks that no file of
the test remains in shared memory.

The Python package uses /dev/shm only, so these tests use the real one.
"""

import json
import os
import pickle
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from expectation import differences, expected_leaves
from python_side import packed

HERE = Path(__file__).resolve().parent
SHM = Path("/dev/shm")
DEFAULT_BIN = HERE.parents[1] / "target" / "debug" / "cute-shm"
KEPT_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE")


def clean_environment():
    return {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}


@dataclass
class Outcome:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str

    def json(self):
        """Parses the one object on stdout and checks its envelope."""
        doc = json.loads(self.out)
        assert doc["schema"] == "cute-shm/1"
        assert doc["ok"] is (not doc["errors"])
        assert isinstance(doc["warnings"], list) and isinstance(doc["errors"], list)
        return doc


class Cli:
    """`cute-shm` with its own root."""

    def __init__(self, binary, root):
        self.binary, self.root = str(binary), root
        self.environment = clean_environment()

    def command(self, *args):
        """Returns the arguments, with `--root` after the subcommand (before a `--`)."""
        first, *rest = map(str, args)
        return [self.binary, first, "--root", str(self.root), *rest]

    def run(self, *args, timeout=60, **options):
        """Runs the command and captures its output."""
        done = subprocess.run(
            self.command(*args), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, env=self.environment, **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ok(self, *args, **options):
        """Runs a command that must succeed."""
        outcome = self.run(*args, **options)
        assert outcome.code == 0, f"{args} ended with {outcome.code}:\n{outcome.err}"
        return outcome

    def load(self, project, file, *options):
        """Loads a persistent project. The fixture unlinks it at the end."""
        return self.ok("load-hdf5", "--persistent", *options, project, file)

    def start(self, *args):
        """Starts a command that runs in the background."""
        return subprocess.Popen(
            self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.environment,
        )


class Python:
    """The stock Python package on the same root. Each call runs in its own process."""

    def __init__(self, root, scratch):
        self.root, self.scratch = root, scratch

    def run(self, *args):
        done = subprocess.run(
            [sys.executable, str(HERE / "python_side.py"), str(self.root), *map(str, args)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env={**clean_environment(), "COLUMNS": "240", "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, f"Python {args} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout

    def read(self, project):
        """Returns {path: entry} of every array, from cute_shm.shm_to_arrays."""
        out = self.scratch / "read.pickle"
        self.run("read", project, out)
        return pickle.loads(out.read_bytes())

    def share(self, project, arrays):
        """Calls cute_shm.arrays_to_shm with persistent=True."""
        source = self.scratch / "share.pickle"
        source.write_bytes(pickle.dumps(packed(arrays)))
        self.run("share", project, source)

    def unlink(self, project):
        self.run("unlink", project)

    def list(self, *options):
        return self.run("list", *options)


def pytest_configure():
    if not cute_shm_binary().is_file():
        pytest.exit(f"no binary at {cute_shm_binary()}: run 'cargo build', or set CUTE_SHM_BIN", 4)


def pytest_collection_modifyitems(items):
    """Moves the tests that change the HDF5 library of this process to the end."""
    items.sort(key=lambda item: item.module.__name__ == "test_readers_of_exports")


def cute_shm_binary():
    return Path(os.environ.get("CUTE_SHM_BIN") or DEFAULT_BIN).resolve()


@pytest.fixture(autouse=True)
def tag():
    """Part of every name of this test. A file with this part after the test is a leak."""
    tag = "pytest" + uuid.uuid4().hex[:12]
    yield tag
    left = in_shared_memory(tag)
    for name in left:
        (SHM / name).unlink(missing_ok=True)
    assert not left, f"leaked in shared memory: {left}"


def in_shared_memory(part):
    """Lists the files in shared memory whose names contain this part."""
    return sorted(name for name in os.listdir(SHM) if part in name)


def segments_of(project):
    """Lists the segments of the project, without its ledger and lock file."""
    names = in_shared_memory(f"cute-shm.{project}.")
    return [name for name in names if not name.endswith((".ledger", ".lock"))]


@pytest.fixture
def project(tag):
    return f"{tag}-a"


@pytest.fixture
def other_project(tag):
    return f"{tag}-b"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def cli(tag, project, other_project, root):
    """Gives the command, and unlinks the projects of the test with it afterwards."""
    cli = Cli(cute_shm_binary(), root)
    yield cli
    cli.run("unlink", "--force", project, other_project)


@pytest.fixture
def python(cli, root, tmp_path):
    return Python(root, tmp_path)


@pytest.fixture
def load_and_compare(cli, python, project):
    """Loads the file and returns the differences between the Python package and h5py."""

    def check(file, *options):
        cli.load(project, file, *options)
        return differences(expected_leaves(file), python.read(project))

    return check
