"""The files of scripts/bench, created once with h5py from seeded numbers and kept between runs."""

import h5py
import numpy as np


def steps(rng, rows):
    """Returns numbers that compress like measurements: neighbors differ a little."""
    return np.cumsum(rng.integers(-50, 50, (rows, 1024, 1024), dtype="i4"), axis=2, dtype="i4")


def contiguous(file, rng, scale, count):
    rows = max(1, int(512 * scale)) // count
    for number in range(count):
        data = file.create_dataset(f"x{number}", (rows, 1024, 1024), "f4")
        for row in range(rows):
            data[row] = rng.random((1024, 1024), "f4")


def chunked(file, rng, scale, **options):
    rows = max(16, int(256 * scale))
    data = file.create_dataset("x", (rows, 1024, 1024), "i4", chunks=(1, 512, 1024), **options)
    for row in range(0, rows, 16):
        data[row : row + 16] = steps(rng, min(16, rows - row))


def small(file, rng, scale, count=10_000, values=1000):
    for number in range(max(10, int(count * scale))):
        file[f"g{number % 100}/d{number}"] = rng.random(values)


def compound(file, rng, scale):
    kinds = ["f8", "f4", "i4", "f8", "i8", "i2", "i2", "f4"]
    dtype = np.dtype([(f"f{number}", kind) for number, kind in enumerate(kinds)])
    rows = int((1 << 30) * scale) // dtype.itemsize
    data = file.create_dataset("t", (rows,), dtype)
    for row in range(0, rows, 1 << 20):
        count = min(1 << 20, rows - row)
        data[row : row + count] = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype)


def many_chunks(file, rng, chunks):
    """Writes chunks of 256 bytes."""
    file.create_dataset("x", (chunks * 64,), "i4", chunks=(64,))[...] = rng.integers(0, 100, chunks * 64, dtype="i4")


def plugin(name):
    """Returns the options of a filter that h5py lacks. The import also enables h5py to read it."""
    import hdf5plugin

    return {
        "zstd": lambda: hdf5plugin.Zstd(clevel=3),
        "lz4": hdf5plugin.LZ4,
        "blosc": lambda: hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE),
        "bitshuffle": lambda: hdf5plugin.Bitshuffle(cname="lz4"),
    }[name]()


MAKERS = {
    "contiguous": lambda f, r, s: contiguous(f, r, s, 1),
    "contiguous8": lambda f, r, s: contiguous(f, r, s, 8),
    "chunked": chunked,
    "gzip": lambda f, r, s: chunked(f, r, s, shuffle=True, compression=4),
    "lzf": lambda f, r, s: chunked(f, r, s, shuffle=True, compression="lzf"),
    "zstd": lambda f, r, s: chunked(f, r, s, shuffle=True, **plugin("zstd")),
    "lz4": lambda f, r, s: chunked(f, r, s, shuffle=True, **plugin("lz4")),
    "blosc": lambda f, r, s: chunked(f, r, s, **plugin("blosc")),
    "bitshuffle": lambda f, r, s: chunked(f, r, s, **plugin("bitshuffle")),
    "small": small,
    "list": lambda f, r, s: small(f, r, 1, 50, 16),
    "compound": compound,
    **{f"chunks-{n}": lambda f, r, s, n=n: many_chunks(f, r, n) for n in (1, 1000, 10_000, 100_000, 1_000_000)},
    **{f"datasets-{n}": lambda f, r, s, n=n: small(f, r, 1, n, 16) for n in (10, 1000, 10_000, 100_000)},
}


def make(folder, name, scale):
    """Returns the file of this name. Creates it if it does not exist."""
    path = folder / f"{name}-{scale:g}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(path.with_suffix(".new"), "w", libver="latest" if "-" in name else None) as file:
            MAKERS[name](file, np.random.default_rng(sum(name.encode())), scale)
        path.with_suffix(".new").rename(path)
    return path


def make_sources(folder, count):
    """Returns the file of a virtual dataset over this number of files of 1 MiB. Creates them if they do not exist."""
    path = folder / "v.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(count)
        layout = h5py.VirtualLayout((count, 512, 512), "f4")
        for number in range(count):
            name = f"s{number:04}.h5"
            with h5py.File(folder / name, "w") as file:
                file["x"] = rng.random((512, 512), "f4")
            layout[number] = h5py.VirtualSource(name, "x", (512, 512))
        with h5py.File(folder / "v.new", "w") as file:
            file.create_virtual_dataset("v", layout)
        (folder / "v.new").rename(path)
    return path
