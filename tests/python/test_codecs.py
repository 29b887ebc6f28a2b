"""Datasets in the filters that h5py lacks, written by their own libraries, and loaded without a plugin."""

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
}


def values(dtype):
    """Neighbours that differ a little, a run of zeros, and numbers that do not compress."""
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.integers(-9, 9, 30_000)).astype(dtype)
    return np.concatenate([walk, np.zeros(5_000, dtype), np.frombuffer(rng.bytes(5_003 * walk.itemsize), dtype)])


@pytest.mark.parametrize("coder", CODERS)
def test_what_its_own_library_wrote_comes_back(cli, python, project, tmp_path, coder):
    arrays = {dtype: values(dtype) for dtype in ["u1", "<i2", "<i4", ">i4", "<i8", "S3"]}
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for dtype, array in arrays.items():
            file.create_dataset(dtype, data=array, chunks=(7_001,), **CODERS[coder]())
    cli.load(project, tmp_path / "f.h5")
    found = python.read(project)
    assert {path[0]: leaf["bytes"] for path, leaf in found.items()} == {k: a.tobytes() for k, a in arrays.items()}
