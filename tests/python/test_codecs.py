"""Loads of datasets with filters that h5py lacks, written by their own libraries and loaded without a plugin, and with
HDF5 filters that are decoded outside the HDF5 library. A load must equal h5py."""

import os
import resource
import subprocess
import sys
import zlib

import h5py
import hdf5plugin
import numpy as np
import pytest
from expectation import differences, expected_leaves

CODERS = {
    "lz4": lambda: {"shuffle": True, **hdf5plugin.LZ4()},
    "lz4 in blocks": lambda: hdf5plugin.LZ4(nbytes=4096),
    "zstd": lambda: {"shuffle": True, **hdf5plugin.Zstd()},
    "bitshuffle": lambda: hdf5plugin.Bitshuffle(cname="none"),
    "bitshuffle lz4": lambda: hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle lz4 in blocks": lambda: hdf5plugin.Bitshuffle(nelems=1024, cname="lz4"),
    "bitshuffle zstd": lambda: hdf5plugin.Bitshuffle(cname="zstd"),
    **{
        f"blosc {coder} {shuffle}": lambda coder=coder, shuffle=shuffle: hdf5plugin.Blosc(cname=coder, shuffle=shuffle)
        for coder in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"]
        for shuffle in [0, 1, 2]
    },
    **{
        f"blosc2 {coder} {filters}": lambda coder=coder, filters=filters: hdf5plugin.Blosc2(cname=coder, filters=filters)
        for coder in ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]
        for filters in [0, 1, 2]
    },
    **{f"blosc2 level {level}": lambda level=level: hdf5plugin.Blosc2(clevel=level) for level in [0, 1, 9]},
    "bzip2": lambda: {"shuffle": True, **hdf5plugin.BZip2()},
    "blosc2 delta": lambda: hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.DELTA),
    "blosc2 with a checksum": lambda: {"fletcher32": True, **hdf5plugin.Blosc2()},
}


def values(dtype):
    """Returns similar neighbors, a run of zeros, and numbers that do not compress."""
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.integers(-9, 9, 30_000)).astype(dtype)
    return np.concatenate([walk, np.zeros(5_000, dtype), np.frombuffer(rng.bytes(5_003 * walk.itemsize), dtype)])


@pytest.fixture
def loads_what_h5py_reads(cli, python, project, tmp_path):
    """Checks every dataset of the file, which `write` fills."""

    def check(write):
        with h5py.File(tmp_path / "f.h5", "w") as file:
            write(file)
        with h5py.File(tmp_path / "f.h5") as file:
            expected = {name: dataset[...].tobytes() for name, dataset in file.items()}
        cli.load(project, tmp_path / "f.h5")
        found = {path[0]: leaf["bytes"] for path, leaf in python.read(project).items()}
        assert found.keys() == expected.keys()
        assert [name for name in expected if found[name] != expected[name]] == []

    return check


@pytest.mark.parametrize("coder", CODERS)
def test_chunks_written_by_the_codec_s_own_library_are_decoded(loads_what_h5py_reads, coder):
    def write(file):
        for dtype in ["u1", "<i2", "<i4", ">i4", "<i8", "S3"]:
            file.create_dataset(dtype, data=values(dtype), chunks=(7_001,), **CODERS[coder]())

    loads_what_h5py_reads(write)


SHAPES = {
    "2 axes": ((211, 90), (64, 32)),
    "2 axes, one chunk": ((37, 53), (37, 53)),
    "a row": ((1, 9_001), (1, 3_000)),
    "3 axes": ((40, 30, 21), (17, 13, 11)),
    "4 axes": ((9, 8, 7, 30), (5, 3, 7, 16)),
    "8 axes": ((3,) * 8, (2, 1, 3, 2, 1, 2, 3, 3)),
    "9 axes": ((2,) * 9, (1, 2, 1, 2, 1, 2, 1, 2, 2)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_blosc2_arrays_in_blocks_of_several_axes_are_decoded(loads_what_h5py_reads, shape):
    shape, chunks = SHAPES[shape]
    count = int(np.prod(shape))

    def write(file):
        for dtype in ["u1", "<u2", ">f4", "f8", "c16", "S3", "S200"]:
            data = np.resize(values("i8" if dtype == "S200" else dtype).astype(dtype), count).reshape(shape)
            for name, options in {
                "lz4": {"cname": "lz4"},
                "zstd": {"cname": "zstd", "filters": hdf5plugin.Blosc2.BITSHUFFLE},
                "delta": {"cname": "blosclz", "filters": hdf5plugin.Blosc2.DELTA},
                "stored": {"clevel": 0},
            }.items():
                file.create_dataset(f"{dtype} {name}", data=data, chunks=chunks, **hdf5plugin.Blosc2(**options))
        for dtype in ["f4", "f8"]:
            options = hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.TRUNC_PREC)
            file.create_dataset(f"{dtype} rounded", data=np.random.default_rng(1).random(shape, dtype), chunks=chunks, **options)
        file.create_dataset("zeros", shape, "i4", data=np.zeros(shape, "i4"), chunks=chunks, **hdf5plugin.Blosc2())
        file.create_dataset("absent", shape, "i4", chunks=chunks, fillvalue=7, **hdf5plugin.Blosc2())
        kind = np.dtype(("<i2", (3,)))
        file.create_dataset("arrays", shape, kind, chunks=chunks, **hdf5plugin.Blosc2())
        file["arrays"][...] = np.resize(values("<i2"), count * 3).reshape(*shape, 3)

    loads_what_h5py_reads(write)


ZFP = {
    "lossless": {"reversible": True},
    "of a fixed rate": {"rate": 11},
    "of a fixed precision": {"precision": 17},
    "of a fixed accuracy": {"accuracy": 0.25},
    "of its own parameters": {"minbits": 64, "maxbits": 512, "maxprec": 20, "minexp": -40},
}


@pytest.mark.parametrize("mode", ZFP)
def test_zfp_arrays_are_decoded(loads_what_h5py_reads, mode):
    def write(file):
        for dtype in ["<f4", "<f8", "<i4", "<i8"]:
            if mode == "of a fixed accuracy" and dtype[1] == "i":
                continue
            for shape in [(5_003,), (61, 70), (11, 12, 13), (5, 6, 7, 8), (1, 9, 1)]:
                data = np.resize(values(dtype) if dtype[1] == "i" else np.cumsum(np.ones(9_000)) / 7, shape).astype(dtype)
                chunks = tuple(max(1, n * 2 // 3) for n in shape)
                file.create_dataset(f"{dtype} {shape}", data=data, chunks=chunks, **hdf5plugin.Zfp(**ZFP[mode]))

    loads_what_h5py_reads(write)


AROUND = {
    "alone": {},
    "gzip": {"compression": "gzip"},
    "shuffle and gzip": {"compression": "gzip", "shuffle": True},
    "shuffle and lzf": {"compression": "lzf", "shuffle": True},
    "zstd": hdf5plugin.Zstd(),
}


@pytest.mark.parametrize("around", AROUND)
def test_scaleoffset_numbers_are_decoded(loads_what_h5py_reads, around):
    rng = np.random.default_rng(3)
    around = AROUND[around]

    def write(file):
        for dtype in ["i1", "u1", "<i2", ">u2", "<i4", ">i4", "<u4", "<i8", ">u8"]:
            info = np.iinfo(dtype)
            for most in [1, 3, 100, 9_999, 2**20, 2**33, 2**62]:
                low = max(info.min, -most // 2)
                data = rng.integers(low, min(low + most, info.max), (60, 70), endpoint=True, dtype=info.dtype.newbyteorder("="))
                name = f"{dtype} {most}"
                file.create_dataset(name, data=data.astype(dtype), chunks=(32, 32), scaleoffset=0, **around)
                file.create_dataset(f"{name} filled", data=data.astype(dtype), chunks=(32, 32), fillvalue=data[0, 0],
                                    scaleoffset=0, **around)
            for bits in {1, 5, info.bits - 1, info.bits}:
                data = np.arange(4200).reshape(60, 70).astype(dtype)
                file.create_dataset(f"{dtype} {bits} bits", data=data, chunks=(32, 32), scaleoffset=bits, **around)
        for dtype in ["<f4", ">f4", "<f8", ">f8"]:
            for digits in [0, 1, 2, 5, 9]:
                data = (rng.random((60, 70)) * 2000 - 1000).astype(dtype)
                name = f"{dtype} {digits} digits"
                file.create_dataset(name, data=data, chunks=(32, 32), scaleoffset=digits, **around)
                file.create_dataset(f"{name} filled", data=data, chunks=(32, 32), fillvalue=data[0, 0], scaleoffset=digits,
                                    **around)
        file.create_dataset("constant", data=np.full((60, 70), -5, "i4"), chunks=(32, 32), scaleoffset=0, **around)
        file.create_dataset("absent", (60, 70), "i4", fillvalue=-3, chunks=(32, 32), scaleoffset=0, **around)
        file["absent"][40:45, 3:9] = 17

    loads_what_h5py_reads(write)


def odd(kind, precision, offset):
    kind = kind.copy()
    kind.set_precision(precision)
    kind.set_offset(offset)
    return kind


def table_of(size, fields):
    kind = h5py.h5t.create(h5py.h5t.COMPOUND, size)
    for name, offset, field in fields:
        kind.insert(name, offset, field)
    return kind


def odd_types():
    h5t = h5py.h5t
    kinds = {
        f"{name} {bits} {offset}": odd(kind, bits, offset)
        for name, kind in {
            "i1": h5t.STD_I8LE, "u2": h5t.STD_U16LE, "i2 big": h5t.STD_I16BE, "i4": h5t.STD_I32LE,
            "u4 big": h5t.STD_U32BE, "i8": h5t.STD_I64LE, "i8 big": h5t.STD_I64BE,
        }.items()
        for bits, offset in [(1, 7), (5, 3), (8, 0), (12, 2), (16, 0), (17, 5), (31, 1), (33, 0), (57, 7), (63, 1)]
        # HDF5 creates no types with more unused bits above than used bits.
        if kind.get_size() * 4 <= bits + offset <= kind.get_size() * 8
    }
    kinds["f4"], kinds["text"] = h5t.IEEE_F32BE, h5t.py_create(np.dtype("S5"))
    kinds["long double"] = h5t.NATIVE_LDOUBLE
    fields = [(b"a", 1, h5t.STD_I16LE), (b"b", 5, h5t.NATIVE_LDOUBLE), (b"c", 24, h5t.py_create(np.dtype("S3")))]
    fields.append((b"d", 28, h5t.array_create(h5t.IEEE_F32BE, (3,))))
    kinds["table"] = table_of(41, fields)
    kinds["many fields"] = table_of(26 * 17, [(bytes([97 + n]), 17 * n, h5t.NATIVE_LDOUBLE) for n in range(26)])
    kinds["table of odd numbers"] = table_of(9, [(b"a", 0, odd(h5t.STD_I32LE, 20, 3)), (b"b", 5, odd(h5t.STD_U16BE, 9, 0))])
    return kinds


@pytest.mark.parametrize("compressed", [False, True])
def test_nbit_numbers_are_decoded(cli, python, project, tmp_path, compressed):
    rng = np.random.default_rng(5)
    path = tmp_path / "f.h5"
    kinds = odd_types()
    with h5py.File(path, "w") as file:
        for name, kind in kinds.items():
            for packed in [True, False]:
                plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                plist.set_chunk((16, 16))
                if packed:
                    plist.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL, ())
                if compressed:
                    plist.set_shuffle()
                    plist.set_deflate(3)
                    plist.set_fletcher32()
                space = h5py.h5s.create_simple((40, 30))
                full = f"{name} {'packed' if packed else 'plain'}".encode()
                dataset = h5py.h5d.create(file.id, full, kind, space, plist)
                data = np.frombuffer(rng.bytes(1200 * kind.get_size()), f"V{kind.get_size()}").reshape(40, 30)
                dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, kind)
    cli.load(project, path)
    assert differences(expected_leaves(path), python.read(project)) == []


def test_unknown_filter_is_named_with_its_plugin_directory(cli, python, project, tmp_path):
    data = np.cumsum(np.ones(5_000, "f4")) / 7
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", data=data, chunks=(2_000,), **hdf5plugin.SZ3(absolute=0.1))
        file["known"] = data
    with h5py.File(tmp_path / "f.h5") as file:
        expected = file["x"][...]
    outcome = cli.load(project, tmp_path / "f.h5")
    assert "'/x' is skipped: compressed with sz3 (filter 32024), which is not built in" in outcome.err
    cli.environment["VIRTUAL_ENV"] = sys.prefix
    outcome = cli.load(project, tmp_path / "f.h5", "--overwrite")
    assert f"hint: to load data with sz3 (filter 32024), set HDF5_PLUGIN_PATH={hdf5plugin.PLUGIN_PATH}" in outcome.err
    outcome = cli.load(project, tmp_path / "f.h5", "--overwrite", "--json")
    assert [warning["code"] for warning in outcome.json()["warnings"]] == ["skipped", "filters"]
    outcome = cli.run("load-hdf5", "--strict", "--overwrite", project, tmp_path / "f.h5")
    assert outcome.code == 9 and "HDF5_PLUGIN_PATH" in outcome.err
    cli.environment["HDF5_PLUGIN_PATH"] = hdf5plugin.PLUGIN_PATH
    assert cli.load(project, tmp_path / "f.h5", "--overwrite").err == ""
    assert python.read(project)[("x",)]["bytes"] == expected.tobytes()


def test_unknown_blosc2_filter_is_skipped(cli, python, project, tmp_path):
    """Only the chunks contain the filter: the description of the dataset is the usual one."""
    data = np.arange(4096, dtype="i4")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["known"] = data
        made = file.create_dataset("x", data=data, chunks=data.shape, **hdf5plugin.Blosc2())
        mask, frame = made.id.read_direct_chunk((0,))
        frame = bytearray(frame)
        # The header of the chunk within the frame: version, element size, decoded bytes; then its filters.
        starts = [at for at in range(len(frame) - 32) if frame[at] == 5 and frame[at + 3] == 4
                  and int.from_bytes(frame[at + 4 : at + 8], "little") == data.nbytes]
        assert len(starts) == 1
        filters = [at for at in range(starts[0] + 16, starts[0] + 22) if frame[at] == hdf5plugin.Blosc2.SHUFFLE]
        assert len(filters) == 1
        frame[filters[0]] = 35
        made.id.write_direct_chunk((0,), bytes(frame), mask)
    outcome = cli.load(project, tmp_path / "f.h5")
    assert "'/x'" in outcome.err and "not known here" in outcome.err, outcome.err
    assert [path for path in python.read(project)] == [("known",)]
    assert cli.run("load-hdf5", "-o", "--strict", project, tmp_path / "f.h5").code == 9


def test_edge_chunks_stored_without_rows_beyond_the_edge_are_read(cli, python, project, tmp_path):
    """Nanopore software writes such chunks. HDF5 2.2 refuses them."""
    data = np.arange(1993, dtype="<f8")
    table = np.arange(37 * 5, dtype="<i4").reshape(37, 5)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for name, options, encode in [
            ("gzip", {}, lambda part: part.tobytes()),
            ("shuffle", {"shuffle": True}, lambda part: np.frombuffer(part.tobytes(), "u1").reshape(-1, 8).T.tobytes()),
        ]:
            made = file.create_dataset(name, data.shape, "<f8", chunks=(1032,), compression="gzip", **options)
            for start in [0, 1032]:
                made.id.write_direct_chunk((start,), zlib.compress(encode(data[start : start + 1032]), 1))
        made = file.create_dataset("rows", table.shape, "<i4", chunks=(10, 5), compression="gzip")
        for start in range(0, 37, 10):
            made.id.write_direct_chunk((start, 0), zlib.compress(table[start : start + 10].tobytes(), 1))
    expected = {("gzip",): data, ("shuffle",): data, ("rows",): table}
    for rows in [slice(None), slice(5, 1992), slice(33, 35)]:
        options = [] if rows == slice(None) else ["--rows", f"{rows.start}:{rows.stop}"]
        cli.load(project, tmp_path / "f.h5", "--overwrite", *options)
        found = python.read(project)
        assert {path: leaf["bytes"] for path, leaf in found.items()} == {
            path: array[rows].tobytes() for path, array in expected.items()
        }


def test_short_chunk_within_the_dataset_is_damaged(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("x", (2064,), "<f8", chunks=(1032,), compression="gzip")
        for start in [0, 1032]:
            made.id.write_direct_chunk((start,), zlib.compress(bytes(8 * 1000), 1))
    outcome = cli.run("load-hdf5", "--persistent", project, tmp_path / "f.h5")
    assert outcome.code == 8 and "'/x'" in outcome.err, outcome.err


def large(path, **options):
    """Writes a dataset of one chunk of 96 MiB."""
    data = np.arange(12 << 20, dtype="<i8") // 1000
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=data, chunks=data.shape, **options)
    return data


LARGE = {
    "gzip": ({"compression": "gzip", "compression_opts": 1}, 2 << 20),
    "shuffle and gzip": ({"compression": "gzip", "compression_opts": 1, "shuffle": True}, 98 << 20),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_chunk_is_decoded_within_the_memory_of_the_plan(cli, python, project, tmp_path, name):
    options, most = LARGE[name]
    data = large(tmp_path / "f.h5", **options)
    plan = cli.ok("load-hdf5", "--dry-run", "--json", project, tmp_path / "f.h5").json()
    assert (plan["size_bytes"], plan["decoding_bytes"]) == (data.nbytes, most)
    used = """if True:
        import resource, subprocess, sys
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    command = cli.command("load-hdf5", "--persistent", project, tmp_path / "f.h5")
    done = subprocess.run([sys.executable, "-c", used, *command], env=cli.environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < most + (64 << 20)
    assert python.read(project)[("x",)]["bytes"] == data.tobytes()
    cli.load(project, tmp_path / "f.h5", "--overwrite", "--rows", "1000001:7000003")
    assert python.read(project)[("x",)]["bytes"] == data[1000001:7000003].tobytes()


def test_too_little_memory_to_decode_a_chunk_fails_before_the_load(cli, project, tmp_path):
    large(tmp_path / "f.h5", **hdf5plugin.LZ4())
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (100 << 20, 100 << 20))
    outcome = cli.run("load-hdf5", "--persistent", project, tmp_path / "f.h5", preexec_fn=limit)
    assert outcome.code == 5, outcome.err
    assert "to decode chunks" in outcome.err and "ulimit -v" in outcome.err
    outcome = cli.run("load-hdf5", "--dry-run", project, tmp_path / "f.h5", preexec_fn=limit)
    assert "does not fit" in outcome.out


def test_dataset_that_was_never_written_is_allocated_with_its_fill_value(cli, python, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("zeros", (3 << 20,), "<i8")
        file.create_dataset("sevens", (1 << 20,), ">i4", fillvalue=7)
        file.create_dataset("few", (3, 4), "<f4", fillvalue=np.nan)
        file.create_dataset("text", (9,), "S5", fillvalue=b"ab")
        kind = np.dtype([("a", "<i2"), ("b", ">f8")])
        file.create_dataset("table", (300_000,), kind, fillvalue=np.array((3, 0.5), kind))
    cli.load(project, tmp_path / "f.h5")
    found = python.read(project)
    assert differences(expected_leaves(tmp_path / "f.h5"), found) == []
    for leaf in found.values():
        stat = os.stat(f"/dev/shm/{leaf['shm_name']}")
        assert stat.st_blocks * 512 >= stat.st_size
    cli.load(project, tmp_path / "f.h5", "--overwrite", "--rows", "2:300", "--dtype", "sevens=float32")
    found = python.read(project)
    assert found[("sevens",)]["bytes"] == np.full(298, 7, "<f4").tobytes()
    assert found[("table", "b")]["bytes"] == np.full(298, 0.5, ">f8").tobytes()


@pytest.mark.parametrize("coder", ["blosc", "blosc2"])
def test_only_the_start_of_a_chunk_far_larger_than_its_dataset_is_decoded(cli, python, project, tmp_path, coder):
    """pandas writes tables of 1,000 rows in chunks of 314 MB with complib='blosc2'."""
    options = {"blosc": hdf5plugin.Blosc, "blosc2": hdf5plugin.Blosc2}[coder]()
    kind = np.dtype([("a", "<i8"), ("b", "S9"), ("c", "<f8")])
    data = np.zeros(1000, kind)
    data["a"], data["b"], data["c"] = np.arange(1000), [b"row %d" % row for row in range(1000)], np.arange(1000) / 7
    with h5py.File(tmp_path / "f.h5", "w") as file:
        made = file.create_dataset("t", data.shape, kind, maxshape=(None,), chunks=(2_000_000,), **options)
        made[...] = data
    plan = cli.ok("load-hdf5", "--dry-run", "--json", project, tmp_path / "f.h5").json()
    assert plan["decoding_bytes"] < 20 << 20
    for rows in [slice(None), slice(17, 801)]:
        options = [] if rows == slice(None) else ["--rows", f"{rows.start}:{rows.stop}"]
        cli.load(project, tmp_path / "f.h5", "--overwrite", *options)
        found = python.read(project)
        assert all(found[("t", name)]["bytes"] == data[name][rows].tobytes() for name in kind.names)


LIMITED = {
    "deflate": lambda: {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": lambda: {"compression": "lzf"},
    "scaleoffset": lambda: {"scaleoffset": 0},
    "szip": lambda: {"compression": "szip", "compression_opts": ("nn", 32)},
    "zfp": lambda: hdf5plugin.Zfp(reversible=True),
    **{name: CODERS[name] for name in ["lz4", "zstd", "bzip2", "bitshuffle lz4", "bitshuffle zstd"]},
    **{f"blosc {coder}": lambda coder=coder: hdf5plugin.Blosc(cname=coder, shuffle=2) for coder in ["zlib", "zstd", "snappy"]},
    "blosc2 delta": CODERS["blosc2 delta"],
    "large": lambda: {"compression": "gzip", "chunks": (5 << 20,)},
}


@pytest.mark.parametrize("name", LIMITED)
def test_codec_without_memory_is_exit_5_without_a_crash(cli, project, tmp_path, name):
    options = {"chunks": (32 << 10,), **LIMITED[name]()}
    values = (np.arange(5 << 20) % 1000).astype("<i4") if name == "large" else (np.arange(64 << 10) % 1000).astype("<i4")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", data=values, **options)

    def code(bytes):
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes, bytes))  # noqa: E731
        outcome = cli.run("load-hdf5", "--persistent", "--overwrite", "--jobs", "1", project, tmp_path / "f.h5", preexec_fn=limit)
        assert "damaged" not in outcome.err and "internal error" not in outcome.err, outcome.err
        return outcome.code

    # The least limit with which the load succeeds.
    low, high = 8 << 20, 512 << 20
    assert code(high) == 0
    while high - low > 64 << 10:
        middle = (low + high) // 2
        low, high = (low, middle) if code(middle) == 0 else (middle, high)
    codes = [code(high - (step * 96 << 10)) for step in range(24)]
    # With so little, the program itself may not start. What decodes is a process of its own, whose end the first reports.
    codes = {code for code in codes if code >= 0 and code != 127}
    assert codes <= {0, 5} and 5 in codes, codes
