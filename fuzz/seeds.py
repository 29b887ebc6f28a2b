"""Writes the first inputs of the fuzz targets, from small files that this script makes.

    python fuzz/seeds.py FOLDER      FOLDER/TARGET/NAME for each target
"""

import struct
import sys
import tempfile
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

# As in src/h5/fuzz.rs.
FILTERS = [1, 2, 3, 4, 5, 6, 307, 32000, 32001, 32004, 32008, 32013, 32015, 32020, 32026, 7]

METADATA = """# cute-shm load 7YOWY boot 2c0f6a0e host node1 shm 26:1
[train.images]
shm_name = "cute-shm.p.7YOWY00000"
shm_private_name = "/cute-shm.p.7YOWY00000"
shape = [60000, 28, 28]
dtype = "uint8"
[train.images.attrs]
units = "counts"
scale = [1.5, -2.0]
"name with.dots" = true
[empty]
"""

LEDGER = """version = 1
root = "/tmp/cute-shm"
root_id = "26:1"
retiring = ["aaaaa"]

[current]
token = "7YOWY"
lifetime = "persistent"
created = "2026-11-27T00:00:00Z"
tool = "2.0.0"

[current.keeper]
pid = 1
start = 2
boot = "b"
uid = 0
"""


def filter_bytes(number, params):
    out = bytes([FILTERS.index(number), len(params)])
    for value in params:
        out += bytes([value]) if value <= 0xF0 else b"\xff" + struct.pack("<I", value)
    return out


def chunk_seeds(folder):
    walk = np.cumsum(np.random.default_rng(1).integers(-5, 5, 256)).astype("i4")
    options = {
        "deflate": {"compression": "gzip"},
        "shuffled": {"compression": "gzip", "shuffle": True},
        "checked": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "scaleoffset": {"scaleoffset": 0},
        "zstd": hdf5plugin.Zstd(),
        "lz4": hdf5plugin.LZ4(),
        "bzip2": hdf5plugin.BZip2(),
        "bitshuffle": hdf5plugin.Bitshuffle(cname="lz4"),
        "bitshuffle-zstd": hdf5plugin.Bitshuffle(cname="zstd"),
        "zfp": hdf5plugin.Zfp(reversible=True),
        **{f"blosc-{c}": hdf5plugin.Blosc(cname=c) for c in ["blosclz", "lz4", "snappy", "zlib", "zstd"]},
        "blosc-bits": hdf5plugin.Blosc(cname="lz4", shuffle=2),
        **{f"blosc2-{c}": hdf5plugin.Blosc2(cname=c) for c in ["blosclz", "lz4", "zlib", "zstd"]},
        "blosc2-delta": hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.DELTA),
    }
    with tempfile.TemporaryDirectory() as scratch, h5py.File(Path(scratch) / "f.h5", "w") as file:
        for name, how in options.items():
            yield name, file.create_dataset(name, data=walk, chunks=walk.shape, **how)
        kind = h5py.h5t.STD_I32LE.copy()
        kind.set_precision(20)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(walk.shape)
        plist.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL, ())
        made = h5py.h5d.create(file.id, b"nbit", kind, h5py.h5s.create_simple(walk.shape), plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, walk)
        yield "nbit", h5py.Dataset(made)


def write(folder, target, name, content):
    place = folder / target
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(content)


def main(folder):
    for name, dataset in chunk_seeds(folder):
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        _, stored = dataset.id.read_direct_chunk((0,))
        if len(filters) > 3 or any(number not in FILTERS for number, *_ in filters):
            continue
        head = bytes([len(filters) - 1]) + b"".join(filter_bytes(number, params) for number, _, params, _ in filters)
        write(folder, "chunk", name, head + struct.pack("<I", dataset.nbytes) + b"\0\0" + bytes(stored))
    # szip has no encoder here: parameters, the decoded size, and code.
    write(folder, "chunk", "szip", b"\0" + filter_bytes(4, [141, 8, 8, 64]) + struct.pack("<I", 64) + b"\0\0" + struct.pack("<I", 64) + bytes(40))
    with tempfile.TemporaryDirectory() as scratch:
        for version in ["earliest", "latest"]:
            path = Path(scratch) / "f.h5"
            with h5py.File(path, "w", libver=version) as file:
                made = file.create_dataset("x", data=np.arange(6.0))
                address = h5py.h5o.get_info(made.id).addr
            content = path.read_bytes()
            write(folder, "object_header", f"superblock-{version}", content[:96])
            write(folder, "object_header", f"header-{version}", content[address : address + 512])
    for target in ["metadata", "toml"]:
        write(folder, target, "metadata", METADATA.encode())
    for target in ["ledger", "toml"]:
        write(folder, target, "ledger", LEDGER.encode())
    for number, text in enumerate(["0:10", "5:", ":", "0/4\0" "1000", "3/4\0" "18446744073709551615"]):
        write(folder, "rows", str(number), text.encode())
    for number, text in enumerate(["0:10,:,3", "...,::-1", "-1", "::2,1:-1:3"]):
        write(folder, "slices", str(number), bytes([3, 20, 30, 40]) + text.encode())
    for number, text in enumerate(["/a/*\0/a/b\0/a/c", "**/x\0\0/g/x", "{a,b}[0-9]\0*\0/a1"]):
        write(folder, "globs", str(number), text.encode())
    for number, text in enumerate(["cute-shm.p.7YOWY00000", "cute-shm.p.toml", "cute-shm.p.0123abcd.ledger", "cute-shm.a.b.0123abcd.lock"]):
        write(folder, "names", str(number), text.encode())
    write(folder, "mapping", "name", b"part-%b-%%.h5")
    for target in ["chunk_index", "chunk_items", "mapping"]:
        write(folder, target, "0", bytes([1, 19, 14, 6, 3, 0, *range(40)]))


main(Path(sys.argv[1]))
