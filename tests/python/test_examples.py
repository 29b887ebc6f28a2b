"""The Python examples: a writer and a reader run while the command lists, shows and exports their project."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"


def test_writer_and_reader_share_a_lock_with_export(cli, project, root, tmp_path):
    root.mkdir()
    environment = dict(os.environ, CUTE_SHM_ROOT=str(root))
    lock = tmp_path / "lock"

    def start(script, rounds):
        return subprocess.Popen([sys.executable, EXAMPLES / script, project, lock, str(rounds)], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    writer = start("writer.py", 200)
    assert writer.stdout.readline() == "ready\n", writer.stderr.read()
    reader = start("reader.py", 20)
    states = set()
    for number in range(6):
        file = tmp_path / f"{number}.npy"
        cli.ok("export", project, "state", "-o", file, "--lock", lock)
        state = np.load(file)
        assert state.min() == state.max(), "a partial state was exported"
        states.add(float(state[0]))
        assert project in cli.ok("list").out
        cli.ok("show", project, "state", "--stats")
    out, err = reader.communicate(timeout=60)
    assert reader.returncode == 0 and "complete states" in out, err
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == 0 and out == "done\n", err
    assert states
