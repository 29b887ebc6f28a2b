"""The measurements of scripts/bench-node: commands on nodes with many projects."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

BINARY = Path(sys.argv[1])
PROJECTS = int(os.environ.get("BENCH_PROJECTS", "1000"))
ARRAYS = int(os.environ.get("BENCH_ARRAYS", "100"))
LARGE = int(os.environ.get("BENCH_LARGE", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCRATCH = Path("/dev/shm")
ATTACH = "import sys, resource, cute_shm\n_, n = resource.getrlimit(resource.RLIMIT_NOFILE)\n" \
    "resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))\nkept = cute_shm.shm_to_arrays(sys.argv[1])"


def ours(*words):
    return [BINARY, *words]


def timed(command):
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{command}: exit {done.returncode}: {done.stderr[-500:]}")
    return seconds


def make_file(arrays):
    """Writes a file of small datasets, some with attributes. It is the same in every run."""
    path = SCRATCH / f"{arrays}.h5"
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for number in range(arrays):
            data = file.create_dataset(f"g{number % 10}/d{number}", data=rng.random(4))
            if number % 4 == 0:
                data.attrs["units"] = "m"
    return path


def load(name, path):
    subprocess.run(ours("load-hdf5", "-p", "-q", name, path), check=True)


def again(command, before=lambda: None):
    """Returns the median of several rounds, with a preparation before each, or the time of one slow round."""
    times = []
    while len(times) < ROUNDS and sum(times) < 5:
        before()
        times.append(timed(command))
    return statistics.median(times)


def row(work, mine, theirs=None):
    other = f"{theirs * 1000:,.0f} ms | {theirs / mine:.0f}" if theirs else "- | -"
    print(f"| {work} | {mine * 1000:,.1f} ms | {other} |", flush=True)


def look(there):
    shown = f"{there:,} projects, {there * ARRAYS:,} segments"
    row(f"`list -s`: {shown}", again(ours("list", "-s")), again(["cute-shm-list", "-short"]))
    row(f"`list`: {shown}", again(ours("list")), again(["cute-shm-list"]))
    row(f"`list p1`: {shown}", again(ours("list", "p1")))
    row(f"`show p1`: {shown}", again(ours("show", "p1")), again([sys.executable, "-c", ATTACH, "p1"]))
    row(f"`gc --dry-run`: {shown}", again(ours("gc", "--dry-run")))
    path = SCRATCH / f"{ARRAYS}.h5"
    row(f"`unlink` of one: {shown}", again(ours("unlink", "one"), lambda: load("one", path)),
        again(["cute-shm-unlink", "one"], lambda: load("one", path)))


def large():
    path = make_file(LARGE)
    for work, command in [("show", ours("show", "large")), ("unlink", ours("unlink", "large"))]:
        theirs = [sys.executable, "-c", ATTACH, "large"] if work == "show" else ["cute-shm-unlink", "large"]
        before = lambda: load("large", path) if not Path("/tmp/cute-shm/cute-shm.large.toml").exists() else None
        row(f"`{work}` of {LARGE:,} segments", again(command, before), again(theirs, before))


def main():
    path = make_file(ARRAYS)
    print(f"| work, {ROUNDS} rounds, medians | cute-shm | Python | times faster |\n|---|---|---|---|")
    large()
    there = 0
    for count in (PROJECTS // 4, PROJECTS):
        for number in range(there, count):
            load(f"p{number}", path)
        there = count
        look(there)
    half = [f"p{number}" for number in range(there // 2)]
    row(f"`unlink` of {there // 2:,} projects by name", timed(ours("unlink", *half)))
    row(f"`gc --older-than 0s` of {there - there // 2:,} projects", timed(ours("gc", "--older-than", "0s")))
    left = [name for name in os.listdir("/dev/shm") if name.startswith("cute-shm.")]
    if left:
        sys.exit(f"{len(left)} files are left: {left[:5]}")


main()
