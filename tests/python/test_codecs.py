"""Datasets in the filters that h5py lacks, written by their own libraries, and loaded without a plugin; and in
those of HDF5 that are decoded outside it. What h5py reads is what a load must give."""

import h5py
import hdf5plugin
import numpy as np
import pytest

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
    "blosc2 delta": lambda: hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.DELTA),
    "blosc2 with a checksum": lambda: {"fletcher32": True, **hdf5plugin.Blosc2()},
}


def values(dtype):
    """Neighbours that differ a little, a run of zeros, and numbers that do not compress."""
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
def test_what_its_own_library_wrote_comes_back(loads_what_h5py_reads, coder):
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
def test_blosc2_arrays_in_blocks_of_several_axes_come_back(loads_what_h5py_reads, shape):
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


AROUND = {
    "alone": {},
    "gzip": {"compression": "gzip"},
    "shuffle and gzip": {"compression": "gzip", "shuffle": True},
    "shuffle and lzf": {"compression": "lzf", "shuffle": True},
    "zstd": hdf5plugin.Zstd(),
}


@pytest.mark.parametrize("around", AROUND)
def test_scaled_numbers_come_back(loads_what_h5py_reads, around):
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
