"""Runs the stock Python package in a separate process.

The process that attaches or shares must not have the resource tracker of the tests:

    python_side.py ROOT read PROJECT OUT      writes the result of cute_shm.shm_to_arrays to OUT, pickled
    python_side.py ROOT share PROJECT IN      cute_shm.arrays_to_shm of the arrays in IN
    python_side.py ROOT unlink PROJECT        cute_shm.unlink
    python_side.py ROOT list [-short]         runs the command cute-shm-list
    python_side.py ROOT command NAME ARG...   runs a command of the package, with its exit code
"""

import os
import pickle
import sys
from pathlib import Path

import cute_shm
import numpy as np


def read(project, out):
    """Writes {path: {dtype, shape, bytes, attrs, shm_name}} for every array of the project."""
    found = {}

    def walk(tree, path):
        for name, node in tree.items():
            if isinstance(node.get("data"), np.ndarray):
                found[(*path, name)] = {
                    "dtype": node["meta"]["dtype"],
                    "shape": node["data"].shape,
                    "bytes": node["data"].tobytes(),
                    "attrs": node["meta"]["attrs"],
                    "shm_name": node["meta"]["shm_name"],
                    "shm_private_name": node["meta"]["shm_private_name"],
                }
            else:
                walk(node, (*path, name))

    tree = cute_shm.shm_to_arrays(project)
    walk(tree, ())
    Path(out).write_bytes(pickle.dumps(found))


def packed(arrays):
    """Converts a nested dict of arrays to plain values: a pickled array would lose its byte order."""
    if isinstance(arrays, dict):
        return {name: packed(value) for name, value in arrays.items()}
    return arrays.dtype.str, arrays.shape, arrays.tobytes()


def unpacked(values):
    """Reverses `packed`."""
    if isinstance(values, dict):
        return {name: unpacked(value) for name, value in values.items()}
    dtype, shape, data = values
    return np.frombuffer(data, dtype=dtype).reshape(shape)


def share(project, source):
    """Shares a packed nested dict of arrays, persistently."""
    arrays = unpacked(pickle.loads(Path(source).read_bytes()))
    cute_shm.arrays_to_shm(project, arrays, persistent=True)


def list_projects(*options):
    """Runs the list command of the Python package."""
    command("cute-shm-list", *options)


def command(name, *args):
    """Runs the command of the package with this name."""
    from cute_shm import main as entries

    sys.argv = [name, *args]
    known = {"hdf5": entries.hdf5, "list": entries.display_projects, "unlink": entries.unlink_shm}
    known[name.removeprefix("cute-shm-")]()


def main(root, what, *args):
    cute_shm.Project2Toml.root = Path(root)
    commands = {"read": read, "share": share, "unlink": cute_shm.unlink, "list": list_projects, "command": command}
    commands[what](*args)
    sys.stdout.flush()
    # Arrays still use the mappings, so closing them fails: exit without cleanup.
    if what in ("read", "share"):
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
