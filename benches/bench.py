"""The contenders of scripts/bench: makes the files, runs everything in turn, prints a table."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

TARGET = Path(sys.argv[1])
BINARY = TARGET / "release/cute-shm"
DATA = TARGET / "bench-data"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PROJECT = f"bench-{os.getpid()}"
COPY = Path(f"/dev/shm/{PROJECT}.copy")


def steps(rng, rows):
    return np.cumsum(rng.integers(-50, 50, (rows, 1024, 1024), dtype="i4"), axis=2, dtype="i4")


def contiguous(file, rng, count):
    rows = max(1, int(512 * SCALE)) // count
    for number in range(count):
        data = file.create_dataset(f"x{number}", (rows, 1024, 1024), "f4")
        for row in range(rows):
            data[row] = rng.random((1024, 1024), "f4")


def chunked(file, rng, **options):
    rows = max(16, int(256 * SCALE))
    data = file.create_dataset("x", (rows, 1024, 1024), "i4", chunks=(1, 512, 1024), **options)
    for row in range(0, rows, 16):
        data[row : row + 16] = steps(rng, min(16, rows - row))


def small(file, rng):
    for number in range(max(10, int(10000 * SCALE))):
        file[f"g{number % 100}/d{number}"] = rng.random(1000)


def compound(file, rng):
    kinds = ["f8", "f4", "i4", "f8", "i8", "i2", "i2", "f4"]
    dtype = np.dtype([(f"f{number}", kind) for number, kind in enumerate(kinds)])
    rows = int((1 << 30) * SCALE) // dtype.itemsize
    data = file.create_dataset("t", (rows,), dtype)
    for row in range(0, rows, 1 << 20):
        count = min(1 << 20, rows - row)
        data[row : row + count] = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype)


FILES = {
    "contiguous 2 GiB, one dataset": lambda f, r: contiguous(f, r, 1),
    "contiguous 2 GiB, eight datasets": lambda f, r: contiguous(f, r, 8),
    "chunked 1 GiB, no filter": chunked,
    "shuffle + gzip 1 GiB": lambda f, r: chunked(f, r, shuffle=True, compression=4),
    "shuffle + lzf 1 GiB": lambda f, r: chunked(f, r, shuffle=True, compression="lzf"),
    "10,000 small datasets": small,
    "compound 1 GiB, 8 fields": compound,
}


def timed(*command, after):
    """Seconds and peak memory in MiB of the command and what it starts."""
    begun = time.perf_counter()
    subprocess.run(["/usr/bin/time", "-f", "%M", "-o", DATA / "peak", *command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    after()
    return seconds, int((DATA / "peak").read_text().split()[-1]) / 1024


def rounds(path):
    root = DATA / "root"
    unlink = lambda: subprocess.run([BINARY, "unlink", "-fq", "--root", root, PROJECT], check=True)
    load = [BINARY, "load-hdf5", "-p", "-o", "-q", "--no-progress", "--root", root, PROJECT, path]
    contenders = {
        "cp": lambda: timed("cp", path, COPY, after=COPY.unlink),
        "cute-shm": lambda: timed(*load, after=unlink),
        "Python": lambda: timed("cute-shm-hdf5", PROJECT, path, "-o", "-no-progress",
                                after=lambda: subprocess.run(["cute-shm-unlink", PROJECT], stdout=subprocess.DEVNULL)),
    }
    path.read_bytes()  # a warm page cache
    return [{name: run() for name, run in contenders.items()} for _ in range(ROUNDS)]


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    lines = ["| work | cute-shm | cp | Python | of cp | faster than Python | peak MiB |", "|---|---|---|---|---|---|---|"]
    for number, (name, make) in enumerate(FILES.items()):
        path = DATA / f"{number}-{SCALE}.h5"
        if not path.exists():
            with h5py.File(path.with_suffix(".new"), "w") as file:
                make(file, np.random.default_rng(number))
            path.with_suffix(".new").rename(path)
        done = rounds(path)
        median = lambda value: statistics.median(map(value, done))
        lines.append(
            f"| {name} | {median(lambda r: r['cute-shm'][0]):.2f} s | {median(lambda r: r['cp'][0]):.2f} s "
            f"| {median(lambda r: r['Python'][0]):.2f} s | {median(lambda r: r['cute-shm'][0] / r['cp'][0]):.2f} "
            f"| {median(lambda r: r['Python'][0] / r['cute-shm'][0]):.1f} | {median(lambda r: r['cute-shm'][1]):.0f} |")
        print(lines[-1], flush=True)
    print("\n".join(lines))


try:
    main()
finally:
    COPY.unlink(missing_ok=True)
    subprocess.run([BINARY, "unlink", "-fq", "--root", DATA / "root", PROJECT])
