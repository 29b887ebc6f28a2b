"""Every recipe of docs/recipes-jq.md runs and prints the expected output."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "recipes-jq.md").read_text()
RECIPES = re.findall(r"^([A-Z][^\n]*):\n\n```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


@pytest.fixture
def loaded(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["a"] = np.arange(5.0)
        f["b"] = np.zeros(1000)
    cli.load(project, tmp_path / "in.h5")
    return project


def expected(title, project, root, tmp_path):
    """Returns the possible outputs of the recipe for this node."""
    return {
        "Projects that are not live, with the reason": [""],
        "Size of each project in bytes, largest first": [f"8040\t{project}\n"],
        "The ten largest arrays of the node": [f"8000\t{project}\t/b\n40\t{project}\t/a\n"],
        "Memory of all projects in MiB": ["0\n"],
        "Wait until a project is live, and print its metadata file": [f"{root}/cute-shm.{project}.toml\n"],
        "Projects without attached processes": [f"{project}\n"],
        "Source files of a project": [f"{tmp_path}/in.h5\n"],
        "Mean of an array": ["2\n", "2.0\n"],
        "Code and message of each error": ["not_found: there is no project 'no-such-project'\n"],
    }[title]


def test_there_are_recipes():
    assert len(RECIPES) == TEXT.count("```sh")


@pytest.mark.parametrize("title, script", RECIPES, ids=[title[:20] for title, _ in RECIPES])
def test_recipe_prints_the_expected_output(cli, loaded, root, tmp_path, title, script):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cute-shm").symlink_to(cli.binary)
    environment = dict(cli.environment, PATH=f"{folder}:{os.environ['PATH']}", CUTE_SHM_ROOT=str(root), PROJECT=loaded)
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout in expected(title, loaded, root, tmp_path)
    assert done.returncode == 0, done.stderr
