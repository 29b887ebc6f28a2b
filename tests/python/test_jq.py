"""Every recipe of docs/recipes-jq.md runs, and says what it promises."""

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


def wanted(title, project, root, tmp_path):
    """What the recipe prints for this node."""
    return {
        "Names of projects": "",
        "Bytes by project": f"8040\t{project}\n",
        "The ten largest": f"8000\t{project}\t/b\n40\t{project}\t/a\n",
        "All memory": "0\n",
        "Wait until": f"{root}/cute-shm.{project}.toml\n",
        "Projects that no": f"{project}\n",
        "Where a project": f"{tmp_path}/in.h5\n",
        "The mean": "2\n",
        "Why something": "not_found: there is no project 'no-such-project'\n",
    }[next(start for start in ("Names of projects", "Bytes by project", "The ten largest", "All memory",
                               "Wait until", "Projects that no", "Where a project", "The mean",
                               "Why something") if title.startswith(start))]


def test_there_are_recipes():
    assert len(RECIPES) == TEXT.count("```sh")


@pytest.mark.parametrize("title, script", RECIPES, ids=[title[:20] for title, _ in RECIPES])
def test_a_recipe_prints_what_it_promises(cli, loaded, root, tmp_path, title, script):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cute-shm").symlink_to(cli.binary)
    environment = dict(cli.environment, PATH=f"{folder}:{os.environ['PATH']}", CUTE_SHM_ROOT=str(root), PROJECT=loaded)
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout in (wanted(title, loaded, root, tmp_path), wanted(title, loaded, root, tmp_path).replace("2\n", "2.0\n"))
    assert done.returncode == 0, done.stderr
