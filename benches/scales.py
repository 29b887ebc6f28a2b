"""Compares loads of files with many variables that have dimension scales with h5py reads of the same file.

    PYTHONPATH=tests/python python benches/scales.py BINARY [COUNT...]

h5py reads all values and attributes. It does not look up names of scales, which takes quadratic time in h5py."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hdf5_files import write_scales

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


READ = """
import h5py, sys, time
start = time.perf_counter()
with h5py.File(sys.argv[1]) as f:
    for dataset in f.values():
        dataset[...], dict(dataset.attrs)
print(time.perf_counter() - start)
"""


def read(path):
    done = subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True, text=True)
    return float(done.stdout)


def load(binary, environment, path):
    start = time.perf_counter()
    command = [binary, "load-hdf5", "--persistent", "--quiet", "scales", path]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    elapsed = time.perf_counter() - start
    subprocess.run([binary, "unlink", "--quiet", "scales"], check=True, env=environment, stdout=subprocess.DEVNULL)
    return elapsed


def main():
    binary, counts = sys.argv[1], [int(count) for count in sys.argv[2:]] or [300, 1_000, 3_000, 10_000]
    print("| variables | load | per variable | h5py reads | load / h5py |\n|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        environment = {**os.environ, "CUTE_SHM_DIR": shm, "CUTE_SHM_ROOT": str(Path(folder, "root"))}
        for count in counts:
            file = str(Path(folder, f"{count}.h5"))
            write_scales(file, count)
            rounds = [(load(binary, environment, file), read(file)) for _ in range(ROUNDS)]
            ours, plain = (statistics.median(column) for column in zip(*rounds))
            ratio = statistics.median(row[0] / row[1] for row in rounds)
            print(f"| {count:,} | {ours:.3f} s | {ours / count * 1e6:.0f} µs | {plain:.3f} s | {ratio:.2f} |", flush=True)


main()
