"""The README's commands and its Python example do what it says, block by block."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^```sh run\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, cli):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        temperature = file.create_dataset("station/temperature", data=np.linspace(-5, 30, 1000))
        temperature.attrs["units"] = "degC"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cute-shm").symlink_to(cli.binary)
    return tmp_path


@pytest.fixture
def unique(tag):
    """Makes the README's project names this test's own: they lie in the real shared memory."""
    return lambda text: re.sub(r"\b(weather|both)\b", rf"{tag}\1", text)


def run(folder, script):
    environment = dict(os.environ, PATH=f"{folder / 'bin'}:{os.environ['PATH']}", CUTE_SHM_ROOT=str(folder / "root"))
    environment.pop("CUTE_SHM_DIR", None)
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_there_are_blocks_to_run():
    assert len(COMMANDS) == 5 and len(PYTHON) == 1


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_a_block_of_commands_succeeds(folder, unique, number):
    if "jq" in COMMANDS[number] and shutil.which("jq") is None:
        pytest.fail("jq is missing: scripts/setup installs it")
    outcome = run(folder, unique(COMMANDS[number]))
    assert outcome.returncode == 0, outcome.stderr


def test_the_python_example_reads_what_the_first_block_loads(folder, unique):
    assert run(folder, unique("cute-shm load-hdf5 weather data.h5 --persistent")).returncode == 0
    script = "from pathlib import Path\nimport cute_shm\ncute_shm.Project2Toml.root = Path('root')\n" + PYTHON[0]
    script += "\nprint(units, temperature.shape, float(temperature[0]))"
    outcome = subprocess.run(
        [sys.executable, "-c", unique(script)], cwd=folder, capture_output=True, text=True, timeout=60)
    assert outcome.stdout.split() == ["degC", "(1000,)", "-5.0"], outcome.stderr
    assert run(folder, unique("cute-shm unlink weather")).returncode == 0
