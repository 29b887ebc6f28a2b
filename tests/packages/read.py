"""The Python half of tests/packages:

    read.py write FILE     writes an HDF5 file
    read.py read PROJECT   fails unless the Python package cute-shm reads from it what was written
"""

import os
import sys
from pathlib import Path

import cute_shm
import h5py
import numpy as np

VALUES = np.linspace(-5, 30, 1000)


def write(file):
    with h5py.File(file, "w") as f:
        f.create_dataset("station/temperature", data=VALUES, chunks=(100,), compression="gzip")


def read(project):
    cute_shm.Project2Toml.root = Path(os.environ["CUTE_SHM_ROOT"])
    # The tree owns the mappings, so it must live as long as the array.
    tree = cute_shm.shm_to_arrays(project)
    if tree["station"]["temperature"]["data"].tobytes() != VALUES.tobytes():
        sys.exit(f"{project} holds other values than were written")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
    sys.stdout.flush()
    # Arrays still use the mappings, so closing them fails: exit without cleanup.
    os._exit(0)
