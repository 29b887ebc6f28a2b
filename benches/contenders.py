"""The contenders of scripts/bench: this program, cp, the Python package and h5py, each in its own process."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py

PROJECT = f"bench-{os.getpid()}"
COPY = Path(f"/dev/shm/{PROJECT}.copy")
H5PY = """
import sys, time
import h5py
try:
    import hdf5plugin
except ImportError:
    pass
with h5py.File(sys.argv[1]) as file:
    begun = time.perf_counter()
    file["x"][...]
    print(time.perf_counter() - begun)
"""
GATHER = """
import sys, time
import numpy as np
values = np.memmap(sys.argv[1], "f4", "r")
values[::1024].sum()
where = np.random.default_rng(1).integers(0, len(values), 20_000_000)
begun = time.perf_counter()
values[where].sum()
print(time.perf_counter() - begun)
"""


def options(rounds):
    """Returns a parser with the options of every benchmark that loads files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--only", help="files whose name contains this word")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE", "1")))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", str(rounds))))
    return parser


class Contenders:
    """Each method takes a file, and returns seconds and peak memory in MiB without pages of shared memory."""

    def __init__(self, target):
        self.binary = target / "release/cute-shm"
        self.data = target / "bench-data"
        self.limit = target / "tools/limit"
        self.root = self.data / "root"

    def timed(self, *command):
        peak = self.data / "peak"
        begun = time.perf_counter()
        subprocess.run(["/usr/bin/time", "-f", "%M", "-o", peak, *command], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        return seconds, int(peak.read_text().split()[-1]) / 1024

    def unlink(self):
        subprocess.run([self.binary, "unlink", "-f", "--root", self.root, PROJECT], check=True,
                       stdout=subprocess.DEVNULL)

    def load(self, path, *more):
        arguments = ["load-hdf5", "-p", "-o", "-q", "--no-progress", "--root", self.root, *more, PROJECT, path]
        try:
            return self.timed(self.binary, *arguments)
        finally:
            self.unlink()

    def one_job(self, path):
        return self.load(path, "--jobs", "1")

    def cp(self, path):
        try:
            return self.timed("cp", path, COPY)
        finally:
            COPY.unlink(missing_ok=True)

    def python(self, path):
        try:
            return self.timed("cute-shm-hdf5", PROJECT, path, "-o", "-no-progress")
        finally:
            subprocess.run(["cute-shm-unlink", PROJECT], stdout=subprocess.DEVNULL)

    def h5py(self, path):
        """Reads the file, without the start of Python."""
        done = subprocess.run([sys.executable, "-c", H5PY, path], check=True, capture_output=True, text=True)
        return float(done.stdout), 0.0

    def gather(self, path):
        """Reads 20 million random elements of the loaded array with numpy, after mapping every page."""
        subprocess.run([self.binary, "load-hdf5", "-pq", "--root", self.root, PROJECT, path], check=True)
        try:
            segment = max(Path("/dev/shm").glob(f"cute-shm.{PROJECT}.*"), key=lambda file: file.stat().st_size)
            done = subprocess.run([sys.executable, "-c", GATHER, segment], check=True, capture_output=True, text=True)
            return float(done.stdout), 0.0
        finally:
            self.unlink()

    def least(self, path):
        """Runs benches/limit.c: allocates and fills the pages of a load. Also reads uncompressed data."""
        with h5py.File(path) as file:
            size = sum(data.nbytes for data in file.values())
        stored = [path] if path.stat().st_size >= size else []
        done = subprocess.run([self.limit, str(size), *stored], check=True, capture_output=True, text=True)
        return float(done.stdout), 0.0

    def spawned(self, *command):
        """Like `timed`, without a wrapper program that takes as long as the command."""
        quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        begun = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - begun
        if status != 0:
            raise RuntimeError(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
        return seconds, 0.0

    def listed(self, path, *command):
        """Times a list of twenty projects, in the directories of the Python package."""
        names = [f"{PROJECT}-{number}" for number in range(20)]
        try:
            for name in names:
                subprocess.run([self.binary, "load-hdf5", "-pq", name, path], check=True)
            return self.spawned(*command)
        finally:
            subprocess.run([self.binary, "unlink", "-f", *names], check=True, stdout=subprocess.DEVNULL)

    def list_short(self, path):
        return self.listed(path, str(self.binary), "list", "-s")

    def python_list(self, path):
        return self.listed(path, "cute-shm-list", "-short")

    def cat(self, path):
        with path.open() as file:
            begun = time.perf_counter()
            subprocess.run(["cat"], stdin=file, stdout=subprocess.DEVNULL, check=True)
            return time.perf_counter() - begun, 0.0

    def cold(self, contender, path):
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("1")
        return contender(path)
