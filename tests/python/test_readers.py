"""Readers in other languages that follow docs/format.md: examples/reader.c and examples/reader.jl."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LINE = re.compile(r"^(/.*) (\S+) \((.*?)\) (sum|first|\d+ bytes)(.*)$")
ODD = 'of "two" words = [x] # \u03b2'


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for kind in ("i1", "<i2", ">i4", "i8", "u1", ">u2", "u4", "<u8", "f4", ">f8", "?"):
            f[f"numbers/{kind.strip('<>')}"] = (np.arange(24) % 2).reshape(2, 3, 4).astype(kind)
        f["scalar"], f["empty"], f["names"] = 2.5, np.zeros((0, 3)), np.array([b"Ada", b"Zo\xc3\xab"])
        f[f"{ODD}/x.y"] = np.arange(5.0)
        attributes = f[f"{ODD}/x.y"].attrs
        attributes["shm_name"], attributes["shape"], attributes["lines"] = "no segment", [1, 2], 'a\n"b" = \\'
        attributes["table"] = "[not.a.table]\nshm_name = 'x'"
    return tmp_path / "in.h5"


def leaves(file):
    """Returns {path: (dtype, shape, sum)} from h5py and numpy."""
    found = {}

    def look(path, item):
        if isinstance(item, h5py.Dataset):
            value = item[()]
            total = float(np.sum(value, dtype="f8")) if item.dtype.kind != "S" else None
            found["/" + path] = (str(item.dtype), ", ".join(map(str, item.shape)), total)

    with h5py.File(file) as f:
        f.visititems(look)
    return found


def said(command, cli):
    done = subprocess.run(command, env=cli.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [LINE.match(line) for line in done.stdout.splitlines()]
    return {line[1]: (line[2], line[3], float(line[5]) if line[4] == "sum" else None) for line in lines}


def compiled(tmp_path):
    binary = tmp_path / "reader"
    options = ["-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsanitize=address,undefined"]
    subprocess.run(["cc", *options, "-o", binary, EXAMPLES / "reader.c"], check=True)
    return binary


def test_c_reader_reads_the_same_as_h5py(cli, project, root, file, tmp_path):
    cli.load(project, file)
    assert said([compiled(tmp_path), root / f"cute-shm.{project}.toml"], cli) == leaves(file)


def test_c_reader_reads_a_python_project(cli, python, project, root, tmp_path):
    python.share(project, {"a": np.arange(12.0).reshape(3, 4), "g.h": {"b c": np.ones((2, 2), ">i2")}})
    wanted = {"/a": ("float64", "3, 4", 66.0), "/g.h/b c": (">i2", "2, 2", 4.0)}
    assert said([compiled(tmp_path), root / f"cute-shm.{project}.toml"], cli) == wanted


def test_c_reader_survives_metadata_cut_anywhere(cli, project, root, file, tmp_path):
    cli.load(project, file)
    whole = (root / f"cute-shm.{project}.toml").read_text()
    reader, cut = compiled(tmp_path), tmp_path / "cut.toml"
    start = whole.index(f"[\"{ODD.split()[0]}")
    for end in range(start, start + 400, 7):
        cut.write_text(whole[:end])
        done = subprocess.run([reader, cut], env=cli.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1) and "Sanitizer" not in done.stderr, (end, done.stderr)


@pytest.mark.skipif(not shutil.which("julia"), reason="julia is not installed: reader.jl did not run")
def test_julia_reader_reads_the_same_as_h5py(cli, project, root, file):
    cli.load(project, file)
    cli.environment["HOME"] = os.environ.get("HOME", "/")
    assert said(["julia", "--startup-file=no", EXAMPLES / "reader.jl", root / f"cute-shm.{project}.toml"], cli) == leaves(file)
