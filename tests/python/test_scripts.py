"""The index of the scripts: every script is in it, and it names no other."""

import os
import re
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_every_script_is_in_the_index_and_every_entry_exists():
    index = (REPO / "scripts/README.md").read_text()
    listed = re.findall(r"^\| `(?:scripts/)([\w.-]+)", index, re.M)
    programs = [path.name for path in (REPO / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK)]
    assert sorted(listed) == sorted(programs)


def test_help_prints_every_entry_of_the_index():
    index = (REPO / "scripts/README.md").read_text()
    entries = re.findall(r"^\| `([^`]+)`", index, re.M)
    printed = subprocess.run([REPO / "scripts/help"], capture_output=True, text=True, check=True).stdout
    assert len(printed.splitlines()) == len(entries)
    assert all(entry in printed for entry in entries)


def test_suites_of_the_workflow_are_suites_of_the_test_script():
    suites = re.search(r"^suites=\((.*)\)$", (REPO / "scripts/test").read_text(), re.M).group(1).split()
    workflow = (REPO / ".github/workflows/ci.yml").read_text()
    named = re.findall(r"suites: ([\w -]+)", workflow)
    called = [suite for line in named for suite in line.split()]
    # What needs this machine's corpus or root's daemons is skipped there, and is named all the same.
    assert sorted(called) == sorted(set(suites) - {"build"})
