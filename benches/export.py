"""Measurements of scripts/bench-export: exports compared with `cp` of the same bytes on the same disk, `--gzip` with h5py.

export.py TARGET FOLDER [WORD]"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

TARGET, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
BINARY = TARGET / "release/cute-shm"
MIB = int(float(os.environ.get("BENCH_SCALE", "1")) * 1024)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PROJECT = f"bench-export-{os.getpid()}"
ROOT = FOLDER / "root"
FIELDS = ["f8", "f4", "i4", "f8", "i8", "i2", "i2", "f4"]
# A separate process with an inner timer: the start of Python does not count.
H5PY = """
import sys, time
import h5py
with h5py.File(sys.argv[1]) as f:
    x = f["x"][...]
    chunks = tuple(map(int, sys.argv[3].split(",")))
begun = time.perf_counter()
with h5py.File(sys.argv[2], "w") as f:
    f.create_dataset("x", data=x, chunks=chunks, shuffle=True, compression=4)
print(time.perf_counter() - begun)
"""


def floats(file, rng):
    data = file.create_dataset("x", (MIB, 512, 512), "f4")
    for row in range(MIB):
        data[row] = rng.random((512, 512), "f4")


def table(file, rng, mib=MIB):
    dtype = np.dtype([(f"f{number}", kind) for number, kind in enumerate(FIELDS)])
    rows = (mib << 20) // dtype.itemsize
    data = file.create_dataset("x", (rows,), dtype)
    for row in range(0, rows, 1 << 18):
        count = min(1 << 18, rows - row)
        piece = np.zeros(count, dtype)
        for name in dtype.names:
            piece[name] = rng.integers(-50, 50, count).cumsum()
        data[row : row + count] = piece


def steps(file, rng):
    mib = max(4, MIB // 4)
    data = file.create_dataset("x", (mib, 512, 512), "i4")
    for row in range(mib):
        data[row] = rng.integers(-50, 50, (512, 512)).cumsum(axis=1)


# The export and the name of its file. Exports with --gzip are compared with h5py, the others with cp.
RUNS = {
    "hdf5": (floats, "out.h5", []),
    "npy": (floats, "out.npy", ["/x"]),
    "npz": (floats, "out.npz", []),
    "safetensors": (floats, "out.safetensors", []),
    "hdf5, a compound of 8 fields": (table, "out.h5", []),
    "hdf5 --gzip 4": (steps, "out.h5", ["--gzip", "4"]),
    "hdf5 --gzip 4, a compound": (lambda f, r: table(f, r, max(4, MIB // 4)), "out.h5", ["--gzip", "4"]),
}


def timed(*command):
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, done.stdout


def sync(path):
    begun = time.perf_counter()
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - begun


def ours(out, more):
    out.unlink(missing_ok=True)
    subprocess.run(["sync", "-f", FOLDER], check=True)
    return timed(BINARY, "export", "-q", "--root", ROOT, PROJECT, *more, "-o", out)[0]


def against_cp(out, more):
    """Returns the seconds of the export and of cp, and of both with a sync."""
    mine = ours(out, more)
    mine_synced = mine + sync(out)
    copy = out.with_suffix(".copy")
    theirs = timed("cp", out, copy)[0]
    theirs_synced = theirs + sync(copy)
    copy.unlink()
    return mine, theirs, mine_synced, theirs_synced


def against_h5py(source, out, more):
    mine = ours(out, more)
    with h5py.File(out) as file:
        chunks = ",".join(map(str, file["x"].chunks))
    copy = out.with_suffix(".copy")
    theirs = float(timed(sys.executable, "-c", H5PY, source, copy, chunks)[1])
    copy.unlink()
    return mine, theirs


def run(name, make, out, more):
    source = FOLDER / "source.h5"
    with h5py.File(source, "w") as file:
        make(file, np.random.default_rng(1))
    load = ["load-hdf5", "-p", "-o", "-q", "--no-progress", "--root", ROOT, PROJECT, source]
    subprocess.run([BINARY, *load], check=True)
    by_gzip = "--gzip" in more
    one = (lambda: against_h5py(source, FOLDER / out, more)) if by_gzip else lambda: against_cp(FOLDER / out, more)
    one()
    rounds = [one() for _ in range(ROUNDS)]
    median = lambda value: statistics.median(map(value, rounds))
    row = f"| {name} | {median(lambda r: r[0]):.2f} s | {median(lambda r: r[1]):.2f} s "
    if by_gzip:
        return row + f"| {median(lambda r: r[1] / r[0]):.1f} times faster | |"
    with_disk = median(lambda r: r[2] / r[3])
    return row + f"| {median(lambda r: r[0] / r[1]):.2f} of the time | {with_disk:.2f} of the time |"


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    print("| export | cute-shm | cp, or h5py | | both with `sync` |\n|---|---|---|---|---|")
    for name, (make, out, more) in RUNS.items():
        if ONLY in name:
            print(run(name, make, out, more), flush=True)
            (FOLDER / out).unlink()


try:
    main()
finally:
    subprocess.run([BINARY, "unlink", "-fq", "--root", ROOT, PROJECT], stdout=subprocess.DEVNULL)
    (FOLDER / "source.h5").unlink(missing_ok=True)
