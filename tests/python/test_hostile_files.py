"""Damaged and hostile files: chunks that end early, parameters that no writer sets. They are exit 8 with the
file and the dataset in the message, and no byte of the loader's memory is published."""

import ctypes
import struct
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from conftest import in_shared_memory
from test_codecs import CODERS

LIBRARY = ctypes.CDLL(next(str(path) for path in (Path(h5py.__file__).parents[1] / "h5py.libs").glob("libhdf5-*.so*")))


def dataset(file, name, data, kind=None, chunks=None, **setters):
    """Writes a dataset of one chunk. Calls each setter with the creation list and its arguments."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks or data.shape)
    for name_of, arguments in setters.items():
        assert getattr(LIBRARY, f"H5Pset_{name_of}")(ctypes.c_int64(plist.id), *map(ctypes.c_uint, arguments)) >= 0
    kind = kind or h5py.h5t.py_create(data.dtype)
    made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(data.shape), plist)
    return h5py.Dataset(made)


def cut(made, bytes_of):
    """Stores only the first bytes of the only chunk."""
    made.file.flush()
    start = (0,) * made.ndim
    mask, stored = made.id.read_direct_chunk(start)
    made.id.write_direct_chunk(start, bytes(stored)[: bytes_of(len(stored))], mask)


def refused(outcome, *words):
    assert outcome.code == 8, (outcome.code, outcome.err)
    assert all(word in outcome.err for word in words), outcome.err


def short_int(bits):
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(bits)
    return kind


@pytest.mark.parametrize("rows", [(), ("--rows", "1:1000")])
@pytest.mark.parametrize("name", ["nbit", "scaleoffset", "fletcher32"])
def test_chunk_that_ends_early_is_refused_by_every_decoder(cli, project, tmp_path, name, rows):
    """HDF5's own decoders read past the end of such a chunk."""
    data = np.arange(2000, dtype="i4") * 1000003 % 100000
    arguments = {"nbit": (), "scaleoffset": (2, 0), "fletcher32": ()}[name]
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = dataset(file, "x", data, short_int(20) if name == "nbit" else None, **{name: arguments})
        made[...] = data
        cut(made, lambda _: 3 if name == "fletcher32" else 100)
    refused(cli.run("load-hdf5", "-p", *rows, project, tmp_path / "f.h5"), "'/x'")
    assert in_shared_memory(project) == []


@pytest.mark.parametrize("coder", ["gzip", "lzf", *CODERS])
def test_half_a_chunk_is_refused_by_every_decoder(cli, project, tmp_path, coder):
    data = np.cumsum(np.random.default_rng(3).integers(-9, 9, 5000)).astype("i4")
    options = CODERS[coder]() if coder in CODERS else {"compression": coder}
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("x", data=data, chunks=data.shape, **options)
        cut(made, lambda size: size // 2)
    refused(cli.run("load-hdf5", "-p", project, tmp_path / "f.h5"), "'/x'", "f.h5")
    outcome = cli.run("load-hdf5", "-p", "--keep-going", project, tmp_path / "f.h5")
    assert outcome.code == 10 and "'/x'" in outcome.err, outcome.err


def with_parameters(path, old, new):
    old, new = (struct.pack(f"<{len(values)}I", *values) for values in (old, new))
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    "change",
    [{1: 3}, {1: 0}, {1: 34}, {1: 0x20000000, 3: 0x20000001}, {2: 0}, {2: 33}, {2: 65}, {3: 0}, {3: 4097}, {3: 2**32 - 1}],
)
@pytest.mark.parametrize("claim", [64, 0x60000000])
def test_szip_parameters_beyond_the_format_never_reach_the_decoder(cli, project, tmp_path, change, claim):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        made = dataset(file, "x", np.zeros(64, "u1"), szip=(4, 8))
        made.id.write_direct_chunk((0,), struct.pack("<I", claim) + bytes(20), 0)
        params = made.id.get_create_plist().get_filter(0)[2]
    with_parameters(path, params, [change.get(at, value) for at, value in enumerate(params)])
    refused(cli.run("load-hdf5", "-p", project, path), "'/x'", "szip")


def test_szip_chunk_that_claims_gigabytes_is_refused(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = dataset(file, "x", np.zeros(64, "u1"), szip=(4, 8))
        made.id.write_direct_chunk((0,), struct.pack("<I", 0x60000000) + bytes(2**16), 0)
    command = cli.command("load-hdf5", "-p", project, tmp_path / "f.h5")
    script = f"ulimit -v 1000000; exec {' '.join(map(str, command))}"
    import subprocess

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=cli.environment)
    assert done.returncode == 8 and "'/x'" in done.stderr, done.stderr


@pytest.mark.parametrize("order", ["LE", "BE"])
@pytest.mark.parametrize("signed", [0, 1])
def test_bytes_with_fewer_bits_equal_h5py(cli, python, project, tmp_path, order, signed):
    """HDF5 swaps a big-endian byte and then ignores the number of its bits."""
    raw = np.arange(256, dtype="u1")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for bits, below in [(7, 0), (7, 1), (3, 0), (5, 2)]:
            kind = getattr(h5py.h5t, f"STD_I8{order}").copy()
            kind.set_precision(bits)
            kind.set_offset(below)
            kind.set_sign(signed)
            for chunked in [False, True]:
                plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                if chunked:
                    plist.set_chunk((100,))
                space = h5py.h5s.create_simple((256,))
                made = h5py.h5d.create(file.id, f"{bits} {below} {chunked}".encode(), kind, space, plist)
                made.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, mtype=kind)
    with h5py.File(tmp_path / "f.h5") as file:
        expected = {name: made[...].tobytes() for name, made in file.items()}
    cli.load(project, tmp_path / "f.h5")
    found = {path[0]: leaf["bytes"] for path, leaf in python.read(project).items()}
    assert found == expected


def test_blosc_chunk_with_both_shuffles_is_refused(cli, project, tmp_path):
    data = np.arange(4000, dtype="i4")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("x", data=data, chunks=data.shape, **hdf5plugin.Blosc(cname="lz4", shuffle=1))
        mask, stored = made.id.read_direct_chunk((0,))
        stored = bytearray(stored)
        stored[2] |= 5
        made.id.write_direct_chunk((0,), bytes(stored), mask)
    refused(cli.run("load-hdf5", "-p", project, tmp_path / "f.h5"), "'/x'", "blosc")


def test_chunk_beyond_the_maximum_extents_is_refused(cli, project, tmp_path):
    """The library ignores such a chunk and returns the fill value in its place."""
    path = tmp_path / "f.h5"
    data = np.arange(64, dtype="u2")
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_dataset("x", data=data, chunks=(32,), maxshape=(64,))
    content = path.read_bytes()
    # The keys of the tree: bytes of the chunk, filters that it skipped, its offset.
    key = struct.pack("<IIQQ", 64, 0, 32, 0)
    assert content.count(key) == 1
    path.write_bytes(content.replace(key, struct.pack("<IIQQ", 64, 0, 32 * 9, 0)))
    refused(cli.run("load-hdf5", "-p", project, path), "'/x'", "maximum extents")


def test_chunk_between_the_extents_and_their_maximum_is_ignored(cli, python, project, tmp_path):
    path = tmp_path / "f.h5"
    data = np.arange(96, dtype="u2")
    with h5py.File(path, "w", libver="earliest") as file:
        made = file.create_dataset("x", data=data, chunks=(32,), maxshape=(96,))
        made.resize((40,))
        made.resize((96,))
        made.resize((40,))
    cli.load(project, path)
    assert python.read(project)[("x",)]["bytes"] == data[:40].tobytes()


@pytest.mark.parametrize("time", [1, 3, 130])
def test_undefined_fill_time_reads_absent_chunks_as_zero(cli, python, project, tmp_path, time):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        made = file.create_dataset("x", shape=(64,), dtype="u4", chunks=(16,), fillvalue=0x01020304)
        made[:16] = 7
    content = path.read_bytes()
    message = bytes([2, 3, 2, 1]) + struct.pack("<II", 4, 0x01020304)
    if content.count(message) != 1:
        message = bytes([2, 2, 2, 1]) + struct.pack("<II", 4, 0x01020304)
    if content.count(message) != 1:
        message = bytes([1, 3, 2, 1]) + struct.pack("<II", 4, 0x01020304)
    assert content.count(message) == 1
    path.write_bytes(content.replace(message, message[:2] + bytes([time]) + message[3:]))
    cli.load(project, path)
    assert python.read(project)[("x",)]["bytes"] == np.array([7] * 16 + [0] * 48, "u4").tobytes()


def test_library_searches_only_the_plugin_directories_of_the_environment(cli, project, tmp_path):
    """Filter 263 is not registered: libhdf5 searches for a plugin with it."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(263, h5py.h5z.FLAG_OPTIONAL, (1,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((4,)), plist)
        made.write_direct_chunk((0,), bytes(16), 0)
    command = cli.command("load-hdf5", "-p", project, tmp_path / "f.h5")
    import shutil
    import subprocess

    if not shutil.which("strace"):
        outcome = cli.run("load-hdf5", "-p", project, tmp_path / "f.h5")
        assert outcome.code == 0 and "filter 263" in outcome.err
        return
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-e", "trace=openat,open", "-o", trace, *command], capture_output=True,
                   timeout=60, env=cli.environment, check=True)
    assert "plugin" not in trace.read_text()


def test_root_uses_only_plugins_that_no_other_user_can_change(cli, project, tmp_path):
    import os

    if os.geteuid() != 0:
        pytest.skip("only root refuses directories")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(263, h5py.h5z.FLAG_OPTIONAL, (1,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((4,)), plist)
        made.write_direct_chunk((0,), bytes(16), 0)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    cli.environment["HDF5_PLUGIN_PATH"] = str(plugins)
    outcome = cli.run("load-hdf5", "-p", project, tmp_path / "f.h5")
    assert f"root does not use '{plugins}'" in outcome.err, outcome.err
