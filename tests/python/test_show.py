"""show KEY: previews, slices, statistics, plots and Python code equal those of numpy."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "matrix": RANDOM.normal(size=(100, 200)),
    "integers": RANDOM.integers(-1000, 1000, (5, 7)),
    "flags": np.array([True, False, True]),
    "single": RANDOM.random(17).astype("f4"),
    "half": RANDOM.random(9).astype("f2"),
    "complex": RANDOM.normal(size=4) + 1j * RANDOM.normal(size=4),
    "big_complex": (np.arange(3) + 1j * np.arange(3)).astype(">c8"),
    "large": np.arange(5) * 1e12,
    "mixed": np.array([1, np.nan, -np.inf, 1e-7]),
    "text": np.array([b"ab", b"c'\0x"]),
    "cube": np.arange(4 * 5 * 6).reshape(4, 5, 6),
    "corners": np.arange(2 * 20 * 20 * 20).reshape(2, 20, 20, 20) / 7,
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
    "long": np.arange(2000),
    "unsigned": np.array([2**63, 1], "u8"),
    "big": np.arange(1000, 1020, dtype=">i2"),
    "void": np.frombuffer(bytes(range(10)), "V5"),
    "tiny": np.array([0.0, 1e-10]),
    "bytes": np.arange(-128, 128).astype("i1"),
}


@pytest.fixture
def loaded(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for name, value in ARRAYS.items():
            f[name] = value
    cli.load(project, tmp_path / "in.h5")
    return project


def test_previews_equal_the_output_of_numpy(cli, loaded):
    for name, value in ARRAYS.items():
        found = cli.ok("show", loaded, name, "--json").json()["preview"]
        assert found == (str(value) if value.ndim else str(value[()])), name


@pytest.mark.parametrize("part", ["0:10,:", "::2,3", "-1", "...,::-1", "5:2,0", ":, 3:50:7", "1,2"])
def test_slices_equal_numpy_slices(cli, loaded, part):
    doc = cli.ok("show", loaded, "matrix", "--slice", part, "--json").json()
    wanted = np.asarray(eval(f"ARRAYS['matrix'][{part}]"))
    assert doc["preview"] == str(wanted if wanted.ndim else wanted[()])
    assert tuple(doc["view_shape"]) == wanted.shape


@pytest.mark.parametrize("part", ["100", "1,2,3", "a", "::0"])
def test_bad_slice_is_a_usage_error(cli, loaded, part):
    assert cli.run("show", loaded, "matrix", "--slice", part).code == 2


@pytest.mark.parametrize("name", ["matrix", "integers", "single", "half", "bytes", "big", "flags", "large", "unsigned"])
def test_statistics_equal_those_of_numpy(cli, loaded, name):
    stats = cli.ok("show", loaded, name, "--stats", "--json").json()["stats"]
    value = ARRAYS[name]
    assert stats["count"] == value.size
    assert stats["min"] == value.min() and stats["max"] == value.max()
    wide = value.astype("f8")
    np.testing.assert_allclose([stats["mean"], stats["std"]], [wide.mean(), wide.std()], rtol=1e-12)
    assert sum(stats["histogram"]["counts"]) == value.size
    if value.dtype.kind != "f" and value.itemsize < 4:
        assert stats["distinct_count"] == len(np.unique(value))


@pytest.mark.parametrize("name", ["complex", "big_complex"])
def test_statistics_of_complex_numbers_use_their_magnitudes(cli, loaded, name):
    stats = cli.ok("show", loaded, name, "--stats", "--json").json()["stats"]
    value = np.abs(ARRAYS[name]).astype("f8")
    assert (stats["count"], stats["is_magnitude"]) == (value.size, True)
    found = [stats[key] for key in ["min", "max", "mean", "std"]]
    np.testing.assert_allclose(found, [value.min(), value.max(), value.mean(), value.std()], rtol=1e-12)
    assert sum(stats["histogram"]["counts"]) == value.size
    assert "magnitudes of complex numbers" in cli.ok("show", loaded, name, "--stats").out


def test_nan_and_infinity_are_counted(cli, loaded):
    stats = cli.ok("show", loaded, "mixed", "--stats", "--json").json()["stats"]
    assert (stats["nan_count"], stats["inf_count"], stats["min"], stats["max"]) == (1, 1, "-inf", 1.0)


def test_plot_of_a_scalar_suggests_no_slice(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["s"] = 1.5
    cli.load(project, tmp_path / "f.h5")
    done = cli.run("show", project, "s", "--plot")
    assert done.code == 2 and "scalar" in done.err and "--slice" not in done.err


def test_values_without_an_order_have_no_statistics(cli, loaded):
    assert cli.run("show", loaded, "text", "--stats").code == 9


def test_plots_are_plain_in_a_pipe(cli, loaded):
    assert "*" in cli.ok("show", loaded, "long", "--plot").out
    assert cli.ok("show", loaded, "matrix", "--plot").out.isascii()
    assert "\x1b[" in cli.ok("show", loaded, "matrix", "--plot", "--color", "always").out
    assert cli.run("show", loaded, "cube", "--plot").code == 2
    cli.ok("show", loaded, "cube", "--slice", "0", "--plot")


VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def interpreter(version):
    """Returns a Python of this version, from pyenv or the path, or None."""
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [*sorted(home.glob(f"{version}.*/bin/python3")), shutil.which(f"python{version}")]
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}" == version
    return next((str(path) for path in ([sys.executable] if ours else []) + candidates if path), None)


@pytest.fixture(scope="module")
def with_numpy(tmp_path_factory):
    """Returns a Python of a version with numpy: the running one, or one in a new venv."""

    def make(version):
        python = interpreter(version)
        if python is None or python == sys.executable:
            return python
        venv = tmp_path_factory.mktemp("venv") / version
        subprocess.run([python, "-m", "venv", venv], check=True, capture_output=True)
        python = venv / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy"], check=True, capture_output=True)
        return str(python)

    return make


CHECK = """
import hashlib, os
before = len(os.listdir("/proc/self/fd"))
exec(compile(open({file!r}).read(), "snippet", "exec"))
assert len(os.listdir("/proc/self/fd")) == before, "a descriptor is left open"
import sys
assert "multiprocessing.resource_tracker" not in sys.modules
x = arrays["/matrix"]
assert x.shape == (100, 200) and not x.flags.writeable
import gc; gc.collect()
print(hashlib.sha256(x.tobytes()).hexdigest(), arrays["/big"].sum(), arrays["/empty"].shape, arrays["/scalar"][()])
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_python_code_attaches_everything(cli, loaded, tmp_path, with_numpy, version):
    python = with_numpy(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    file = tmp_path / "snippet.py"
    code = cli.ok("show", loaded, "--python").out
    assert f"project {loaded} of 20" in code and f": cute-shm show {loaded} --python\n" in code
    file.write_text(code)
    done = subprocess.run([python, "-c", CHECK.format(file=str(file))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = (hashlib.sha256(ARRAYS["matrix"].tobytes()).hexdigest(), "20190", "(0,", "3)", "2.5")
    assert tuple(done.stdout.split()) == wanted
    cli.ok("show", loaded)


def test_at_least_one_python_is_installed():
    assert any(interpreter(version) for version in VERSIONS)


def test_tree_shows_chunks_filters_and_enums(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f.create_dataset("d", data=np.zeros((100, 10)), chunks=(10, 10), compression="gzip", shuffle=True)
        colors = h5py.enum_dtype({"RED": 0, "BLUE": 42}, basetype="i2")
        f.create_dataset("e", data=np.array([0, 42]), dtype=colors)
        f.attrs["long"] = "x" * 1000
        f["d"].attrs["units"] = "m"
    cli.load(project, tmp_path / "f.h5")
    text = cli.ok("show", project).out
    assert "chunks (10, 10), shuffle, deflate" in text
    assert "BLUE=42 RED=0" in text and "units" in text
    assert "x" * 1000 not in text and "x" * 1000 in cli.ok("show", "--all-attrs", project).out
    storage = cli.ok("show", "--json", project).json()["project"]["arrays"][0]["storage"]
    assert storage["chunk"] == [10, 10] and storage["filters"] == ["shuffle", "deflate"]


NAMES = ["quo\"te'", "new\nline", "esc\x1b[31m", "rtl\u202eabc", "x" * 10_000, "dots.in.name", "\u4e2d"]


def test_odd_names_are_safe_in_tables_and_exact_in_json(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        for number, name in enumerate(NAMES):
            f[name] = np.arange(number + 1)
    cli.load(project, tmp_path / "f.h5")
    doc = cli.ok("show", "--json", project).json()
    assert {array["key"][1:] for array in doc["project"]["arrays"]} == set(NAMES)
    lines = cli.ok("list").out.splitlines()
    assert len([line for line in lines if "int64" in line]) == len(NAMES)
    cli.ok("export", project, "-o", tmp_path / "back.h5")
    cli.ok("export", project, "-o", tmp_path / "back.npz")
    with h5py.File(tmp_path / "back.h5") as f:
        assert set(f) == set(NAMES)
    assert set(np.load(tmp_path / "back.npz").files) == set(NAMES)
    for number, name in enumerate(NAMES):
        text = cli.ok("show", project, "/" + name, "--json").json()["preview"]
        assert text == str(np.arange(number + 1))
    exec(cli.ok("show", "--python", project).out, found := {})
    assert {path[1:] for path in found["arrays"]} == set(NAMES)
    del found


@pytest.mark.parametrize("odd", [[np.inf], [-np.inf, np.nan], [np.inf, -np.inf]])
def test_histogram_of_finite_values_has_bars_despite_infinite_ones(cli, python, project, odd):
    values = np.concatenate([np.linspace(0, 1, 3200), odd])
    python.share(project, {"x": values, "same": np.full(9, 2.5)})
    drawn = cli.ok("show", project, "x", "--stats", "--json").json()["stats"]["histogram"]
    assert (drawn["low"], drawn["high"], sum(drawn["counts"])) == (0, 1, 3200)
    np.testing.assert_allclose(drawn["counts"], 100, atol=1)
    same = cli.ok("show", project, "same", "--stats", "--json").json()["stats"]["histogram"]
    assert same["counts"] == [9]
