"""Reads an array that writer.py updates, under the same lock, and counts the different states.

    python reader.py PROJECT LOCK [ROUNDS]
"""

import os
import sys
from pathlib import Path

import cute_shm
from filelock import FileLock


def main(project, lock, rounds=50):
    if "CUTE_SHM_ROOT" in os.environ:
        cute_shm.Project2Toml.root = Path(os.environ["CUTE_SHM_ROOT"])
    # The tree must live as long as its arrays: it holds the mappings.
    tree = cute_shm.shm_to_arrays(project)
    state = tree["state"]["data"]
    seen = set()
    for _ in range(int(rounds)):
        with FileLock(lock):
            if state.min() != state.max():
                sys.exit("read a partial state")
            seen.add(float(state[0]))
    print(f"{len(seen)} complete states", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
