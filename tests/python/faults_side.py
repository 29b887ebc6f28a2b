"""Runs the Python package for the tests of tests/faults: normally, or with an abnormal exit.

    faults_side.py ROOT share PROJECT VALUE [overwrite]   arrays_to_shm, persistent
    faults_side.py ROOT slow PROJECT COUNT SECONDS        the same with COUNT arrays, SECONDS apart
    faults_side.py ROOT unlink PROJECT
    faults_side.py ROOT read PROJECT VALUE                every element must be VALUE
    faults_side.py ROOT attach PROJECT HOW                reads, then exits: exit, tracked, crash, descriptors
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import cute_shm
import numpy as np


def arrays(value):
    return {"a": np.full(1000, value, np.int64), "g": {"b": np.full((3, 4), value, np.int64)}}


def share(project, value, *overwrite):
    cute_shm.arrays_to_shm(project, arrays(int(value)), persistent=True, overwrite=bool(overwrite))


def slow(project, count, seconds):
    class Slowly(dict):
        def items(self):
            for name, value in super().items():
                yield name, value
                print(name, flush=True)
                time.sleep(float(seconds))

    many = {f"a{n}": np.full(1000, 7, np.int64) for n in range(int(count))}
    cute_shm.arrays_to_shm(project, Slowly(many), persistent=True)


def leaves(tree):
    for node in tree.values():
        if isinstance(node.get("data"), np.ndarray):
            yield node["data"]
        else:
            yield from leaves(node)


def read(project, value):
    tree = cute_shm.shm_to_arrays(project)
    assert all((leaf == int(value)).all() for leaf in leaves(tree))
    # Arrays still use the mappings, so closing them fails: exit without cleanup.
    sys.stdout.flush()
    os._exit(0)


def attach(project, how):
    if how == "descriptors":
        # Allows a few segments and the pipe of the resource tracker, but not all segments.
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 6, free + 6))
    tree = cute_shm.shm_to_arrays(project, persistent=how == "exit")
    print(sum(int(leaf.sum()) for leaf in leaves(tree)), flush=True)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)


def main(root, what, *args):
    cute_shm.Project2Toml.root = Path(root)
    commands = {"share": share, "slow": slow, "unlink": cute_shm.unlink, "read": read, "attach": attach}
    commands[what](*args)


if __name__ == "__main__":
    main(*sys.argv[1:])
