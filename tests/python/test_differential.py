"""Mutated files that both h5py and the command read give the same bytes, or the command reports why not.

`CUTE_SHM_TEST_MUTATIONS` is the number of files (120), `CUTE_SHM_TEST_SEED` the first seed (1).
"""

import json
import os
import pickle
import random
import select
import struct
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from conftest import SHM, segments_of
from hdf5_files import CASES

HERE = Path(__file__).resolve().parent
COUNT = int(os.environ.get("CUTE_SHM_TEST_MUTATIONS", "120"))
FIRST = int(os.environ.get("CUTE_SHM_TEST_SEED", "1"))
# Loaded; not found (a link); no memory; corrupt; unsupported; a part loaded.
ALLOWED = {0, 3, 5, 8, 9, 10}


def everything(file):
    """Writes small datasets of many layouts, filters and types."""
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.integers(-5, 5, 300)).astype("i4")
    for name, options in {
        "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "scaleoffset": {"scaleoffset": 0},
        "zstd": hdf5plugin.Zstd(),
        "lz4": hdf5plugin.LZ4(),
        "blosc": hdf5plugin.Blosc(),
        "blosc2": hdf5plugin.Blosc2(),
        "bitshuffle": hdf5plugin.Bitshuffle(),
        "plain": {},
    }.items():
        file.create_dataset(name, data=walk, chunks=(100,), **options)
    file.create_dataset("grid", data=walk.reshape(20, 15).astype(">i2"), chunks=(7, 4), maxshape=(40, 15))
    file.create_dataset("growing", data=walk.reshape(20, 15), chunks=(7, 4), maxshape=(None, None))
    file.create_dataset("sparse", shape=(100,), dtype="f4", chunks=(10,), fillvalue=1.5)[20:30] = 7
    file["contiguous"] = walk.astype(">f8")
    file["scalar"] = 3.5
    file["text"] = np.array([b"a", b"bcd", b""], "S4")
    file["words"] = ["one", "", "three"]
    file.create_dataset("table", data=np.zeros(30, [("a", "i2"), ("b", "S3"), ("c", ">f4", (2,))]), chunks=(8,), compression="gzip")
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(20)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((100,))
    plist.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL, ())
    made = h5py.h5d.create(file.id, b"nbit", kind, h5py.h5s.create_simple((300,)), plist)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, walk)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Returns the files to mutate, as bytes."""
    folder = tmp_path_factory.mktemp("originals")
    found = []
    for version in ["earliest", "latest"]:
        path = folder / f"everything-{version}.h5"
        with h5py.File(path, "w", libver=version) as file:
            everything(file)
        found += [path] * 6
    for name, write in CASES.items():
        path = folder / f"{name}.h5"
        try:
            with h5py.File(path, "w") as file:
                write(file)
        except TypeError:
            continue
        if path.stat().st_size < 1 << 17:
            found.append(path)
    return [(path.stem, path.read_bytes()) for path in found]


def mutated(content, rng):
    """Makes one to four changes, mostly close together, within one structure."""
    content = bytearray(content)
    near = rng.randrange(len(content))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content)) if rng.random() < 0.3 else min(len(content) - 1, near + rng.randrange(64))
        match rng.randrange(8):
            case 0 | 1:
                content[at] ^= 1 << rng.randrange(8)
            case 2:
                content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 3:
                content[at] = (content[at] + rng.choice([1, -1, 2, 4, 8])) % 256
            case 4:
                content[at] = rng.randrange(256)
            case 5:
                size = rng.choice([2, 4, 8])
                value = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1, len(content)])
                content[at : at + size] = (value % 256**size).to_bytes(size, "little")
                del content[len(content) :]
            case 6:
                other, size = rng.randrange(len(content)), rng.choice([4, 8, 16])
                part = content[other : other + size]
                content[at : at + len(part)] = part
            case _:
                if rng.random() < 0.1:
                    del content[rng.randrange(len(content) // 2, len(content)) :]
                    return bytes(content)
    return bytes(content)


class Reader:
    """h5py in a process that is restarted after a crash."""

    def __init__(self):
        self.process = None
        self.crashes = 0

    def read(self, path):
        """Returns the arrays that h5py reads, or None if it crashes or takes too long."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "differential_reader.py")], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
        try:
            self.process.stdin.write(f"{path}\n".encode())
            self.process.stdin.flush()
            size = struct.unpack("<Q", self.exactly(8))[0]
            return pickle.loads(self.exactly(size))
        except (OSError, EOFError, struct.error):
            self.stop()
            self.crashes += 1
            return None

    def exactly(self, size):
        parts = b""
        while len(parts) < size:
            if not select.select([self.process.stdout], [], [], 60)[0]:
                raise EOFError
            part = os.read(self.process.stdout.fileno(), min(size - len(parts), 1 << 20))
            if not part:
                raise EOFError
            parts += part
        return parts

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    reader.stop()


def loaded(root, project):
    """Returns {path: (dtype, shape, bytes)} of every array of the project."""
    found = {}

    def walk(table, path):
        for name, node in table.items():
            if isinstance(node, dict) and "shm_name" in node and isinstance(node["shm_name"], str):
                shape = tuple(node["shape"])
                size = int(np.prod(shape, dtype=object)) * np.dtype(node["dtype"]).itemsize
                found[*path, name] = node["dtype"], shape, (SHM / node["shm_name"]).read_bytes()[:size]
            elif isinstance(node, dict):
                walk(node, (*path, name))

    walk(tomllib.loads((root / f"cute-shm.{project}.toml").read_text()), ())
    return found


def same(one, other):
    """Whether arrays are equal, without the padding of long doubles."""
    if one[:2] != other[:2]:
        return False
    if one[0] in ("float128", "complex256"):
        rows = [np.frombuffer(data, "u1").reshape(-1, 16)[:, :10] for data in (one[2], other[2])]
        return np.array_equal(*rows)
    return one[2] == other[2]


def contradictions(expected, found, said):
    """Returns the arrays that differ from h5py's, or are missing without a report."""
    for dataset, arrays in expected.items():
        # A name that is not UTF-8 is unsupported, and is shown in another way.
        if arrays is None or any(isinstance(name, bytes) or not name.isprintable() for name in dataset):
            continue
        for path, array in arrays.items():
            if path in found:
                if not same(array, found[path]):
                    yield f"{path} is {found[path][:2]} with other bytes or of another type than {array[:2]}"
            elif not any(json.dumps("/" + "/".join(path[:end]))[1:-1] in said for end in range(1, len(path) + 1)):
                yield f"{path} is missing, and nothing is said of it"


def test_mutated_files_are_read_as_h5py_reads_them_or_reported(cli, reader, project, root, tmp_path, originals):
    outcomes, failures = Counter(), []
    path = tmp_path / "f.h5"
    keep = os.environ.get("CUTE_SHM_TEST_KEEP")
    for seed in range(FIRST, FIRST + COUNT):
        rng = random.Random(seed)
        name, content = rng.choice(originals)
        path.write_bytes(mutated(content, rng))
        outcome = cli.run("load-hdf5", "-p", "-o", "--keep-going", "--json", project, path)
        outcomes[outcome.code] += 1
        problems = []
        if outcome.code not in ALLOWED or "panicked" in outcome.err:
            problems.append(f"exit {outcome.code}: {outcome.err[-500:]}")
        elif outcome.code in (0, 10):
            expected = reader.read(path)
            if expected is None:
                outcomes["h5py crashed"] += 1
            else:
                problems += contradictions(expected, loaded(root, project), outcome.out)
        elif segments_of(project) and seed == FIRST:
            problems.append("segments of a failed load remain")
        if problems:
            failures.append(f"seed {seed} ({name}): {problems}")
            if keep:
                (Path(keep) / f"{seed}-{name}.h5").write_bytes(path.read_bytes())
    print(f"{COUNT} files: {dict(outcomes)}")
    assert not failures, "\n".join(failures)
