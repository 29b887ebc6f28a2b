"""Reads files with h5py in a separate process, because a damaged file may crash it.

Each line on stdin is the path of a file. The answer is the length of a pickled dict, then the dict. For each dataset,
the dict contains its path and either (dtype, shape, bytes) for each array, or None if h5py cannot read it.
"""

import os
import pickle
import resource
import struct
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers its filters)
import numpy as np
from expectation import _split

LIMIT = 64 << 20


def datasets(group, path, ancestors, found):
    try:
        names = list(group)
    except Exception:
        return
    for name in names:
        try:
            item = group[name]
            info = h5py.h5o.get_info(item.id)
            key = info.fileno, info.addr
        except Exception:
            continue
        here = (*path, name)
        if isinstance(item, h5py.Group):
            if key not in ancestors and len(here) < 20:
                datasets(item, here, ancestors | {key}, found)
        elif isinstance(item, h5py.Dataset):
            found[here] = read(item, here)


def is_consistent(item):
    """Whether HDF5 finds each chunk that it lists: a damaged key can hide a chunk from the search only."""
    if item.chunks is None:
        return True
    try:
        for number in range(item.id.get_num_chunks()):
            listed = item.id.get_chunk_info(number)
            mask, stored = item.id.read_direct_chunk(listed.chunk_offset)
            if (mask, len(stored)) != (listed.filter_mask, listed.size):
                return False
    except Exception:
        return False
    return True


def read(item, path):
    try:
        if not is_consistent(item):
            return None
        if item.shape is None or item.size * max(item.dtype.itemsize, 1) > LIMIT:
            return None
        leaves = {}
        _split(np.asarray(item[()]), item.dtype, path, None, leaves)
        return {where: (leaf.dtype, leaf.shape, leaf.bytes) for where, leaf in leaves.items()}
    except Exception:
        return None


def main():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    # Output of a library must not get into the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        found = {}
        try:
            with h5py.File(line.rstrip("\n"), "r") as file:
                datasets(file, (), frozenset(), found)
        except Exception:
            pass
        answer = pickle.dumps(found)
        out.write(struct.pack("<Q", len(answer)) + answer)
        out.flush()


main()
