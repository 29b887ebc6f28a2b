"""Creates a project with one array and updates it under a lock, so that readers never read a partial state.

    python writer.py PROJECT LOCK [ROUNDS]

All elements are equal after every round: a process that holds the lock never reads two different numbers.
"""

import os
import sys
from pathlib import Path

import cute_shm
import numpy as np
from filelock import FileLock


def main(project, lock, rounds=50):
    if "CUTE_SHM_ROOT" in os.environ:
        cute_shm.Project2Toml.root = Path(os.environ["CUTE_SHM_ROOT"])
    cute_shm.arrays_to_shm(project, {"state": np.zeros(200_000)}, persistent=True)
    # The tree must live as long as its arrays: it holds the mappings.
    tree = cute_shm.shm_to_arrays(project)
    state = tree["state"]["data"]
    print("ready", flush=True)
    for number in range(1, int(rounds) + 1):
        with FileLock(lock):
            for first in range(0, state.size, 1000):
                state[first : first + 1000] = number
    print("done", flush=True)
    # Python keeps the mapping while the arrays exist, so the process exits without cleaning it up.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
