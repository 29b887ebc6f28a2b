"""The HDF5 files of the Slurm tests, each with the raw bytes that its dataset must become."""

import sys
from pathlib import Path

import h5py
import numpy as np

folder = Path(sys.argv[1])
folder.mkdir()

# Compressed chunks that do not align with the borders of shards.
values = np.arange(1003 * 129, dtype="<i4").reshape(1003, 129)
with h5py.File(folder / "small.h5", "w") as file:
    file.create_dataset("x", data=values, chunks=(64, 50), compression="gzip")
    file["scalar"] = 5
(folder / "small.x").write_bytes(values.tobytes())

# Large enough to be stopped during its load. Noise takes the longest to inflate.
noise = np.random.default_rng(1).integers(0, 64, size=(1200, 65536), dtype="u1")
with h5py.File(folder / "large.h5", "w") as file:
    file.create_dataset("x", data=noise, chunks=(4, 65536), compression="gzip", compression_opts=1)
    file.create_dataset("y", data=noise, chunks=(4, 65536), compression="gzip", compression_opts=1)

with h5py.File(folder / "reference.h5", "w") as file:
    file["r"] = np.arange(10)
with h5py.File(folder / "secret.h5", "w") as file:
    file["s"] = np.arange(10)
(folder / "secret.h5").chmod(0o600)
