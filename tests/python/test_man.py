"""The usual programs render the manual pages without a warning."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "man").glob("*.1"))
JUDGES = {
    "groff": ["groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8"],
    "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
    "man": ["man", "-l", "--warnings=w"],
}


def judge(name, page):
    if shutil.which(JUDGES[name][0]) is None:
        pytest.skip(f"{name} is missing: scripts/setup installs it")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    done = subprocess.run([*JUDGES[name], page], capture_output=True, text=True, env=environment, timeout=60)
    return done.returncode, done.stderr + (done.stdout if name == "mandoc" else "")


def test_there_are_pages():
    assert len(PAGES) == 12


@pytest.mark.parametrize("name", JUDGES)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_rendered_without_a_warning(name, page):
    assert judge(name, page) == (0, "")


@pytest.mark.parametrize("name", ["groff", "mandoc"])
def test_checkers_detect_faulty_pages(name, tmp_path):
    (tmp_path / "bad.1").write_text('.TH bad 1 2026-01-01 "x" "y"\n.SH NAME\nbad \\- page\n.nosuchmacro\n')
    assert judge(name, tmp_path / "bad.1")[1] != ""
