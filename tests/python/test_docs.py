"""Runs the code blocks of README.md, docs/install.md, docs/recipes.md and docs/faq.md (pages.py has the rules).
Also checks the links of every page."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tomli
from conftest import in_shared_memory
from pages import KINDS, REPOSITORY, Page, all_pages

TESTED = [Page(REPOSITORY / name) for name in ("README.md", "docs/install.md", "docs/recipes.md", "docs/faq.md")]
SECTIONS = [(page.name, head, blocks) for page in TESTED for head, blocks in page.sections()]
ROOT_OF_PYTHON = "import os, pathlib, cute_shm\ncute_shm.Project2Toml.root = pathlib.Path(os.environ['CUTE_SHM_ROOT'])\n"


@pytest.fixture
def folder(tmp_path, cli):
    """Creates the directory of a user: a file to load, the examples, and a PATH with the command and Python."""
    with h5py.File(tmp_path / "data.h5", "w") as file:
        temperature = file.create_dataset("station/temperature", data=np.linspace(-5, 30, 1000))
        temperature.attrs["units"] = "degC"
        file["station/label"] = np.arange(1000) % 2
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cute-shm").symlink_to(cli.binary)
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    # The Python package ignores CUTE_SHM_ROOT.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ROOT_OF_PYTHON)
    return tmp_path


@pytest.fixture
def unique(tag):
    """Makes the project names of the pages unique: the segments are in the real shared memory."""
    return lambda text: re.sub(r"\b(weather|both)\b", rf"{tag}\1", text)


def run(folder, *command):
    environment = dict(os.environ, PATH=f"{folder / 'bin'}:{os.environ['PATH']}", CUTE_SHM_ROOT=str(folder / "root"))
    environment["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), *environment.get("PYTHONPATH", "").split(os.pathsep)])
    for name in ("CUTE_SHM_DIR", "CUTE_SHM_JOB", "HDF5_USE_FILE_LOCKING"):
        environment.pop(name, None)
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def missing(block):
    """Returns the requirements of the block that this machine lacks."""
    return [name for name in block.needs if not (shutil.which(name) or importlib.util.find_spec(name))]


def perform(block, folder, unique):
    """Tests the block according to its kind."""
    text = unique(block.text)
    if block.kind.startswith("sh"):
        done = run(folder, "bash", "-n", "-c", text)
        assert done.returncode == 0, f"line {block.line}: {done.stderr}"
    if block.kind == "sh run":
        done = run(folder, "bash", "-eo", "pipefail", "-c", text)
        assert done.returncode == block.status, f"line {block.line} ended with {done.returncode}: {done.stdout}{done.stderr}"
    elif block.kind == "python" and block.file:
        (folder / block.file).write_text(text)
    elif block.kind == "python":
        done = run(folder, sys.executable, "-c", text)
        assert done.returncode == 0, f"line {block.line}: {done.stderr}"


@pytest.mark.parametrize("page, head, blocks", SECTIONS, ids=[f"{page}: {head}" for page, head, _ in SECTIONS])
def test_blocks_of_a_section_run(folder, unique, tag, page, head, blocks):
    without = []
    try:
        for block in blocks:
            if block.kind == "python":
                compile(block.text, f"{page}:{block.line}", "exec")
            if lacking := missing(block):
                without.append(f"line {block.line} needs {', '.join(lacking)}")
                continue
            perform(block, folder, unique)
        listed = json.loads(run(folder, "cute-shm", "list", "--json").stdout)["projects"]
        # Other tests use the same shared memory. With this root their segments are orphans.
        left = [project["name"] for project in listed if project["metadata"] or project["name"].startswith(tag)]
        assert not left, f"the section leaves {left}"
    finally:
        for name in ("weather", "both"):
            run(folder, "cute-shm", "unlink", "--force", tag + name)
    assert not in_shared_memory(tag)
    if without:
        pytest.skip(f"not everything ran: {'; '.join(without)}")


def test_every_block_has_a_known_kind():
    for page in TESTED:
        blocks = page.blocks()
        assert page.text.count("```") == 2 * len(blocks), f"{page.name} has a fence that is not closed"
        for block in blocks:
            assert block.kind in KINDS, f"{page.name}:{block.line} has a block of kind '{block.kind}'"
    assert sum(block.kind == "sh run" for page in TESTED for block in page.blocks()) > 20


def test_python_file_is_run_by_a_later_block():
    for page, _, blocks in SECTIONS:
        for number, block in enumerate(blocks):
            if block.file:
                users = [later for later in blocks[number + 1:] if later.kind == "sh run" and block.file in later.text]
                assert users and all(set(block.needs) <= set(user.needs) for user in users), f"{page}:{block.line}"


def lost_links(page):
    """Returns the links of a page to missing files or headings."""
    lost = []
    for target in page.links():
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        if not re.match(r"[a-z]+:", target) and not (path.exists() and (not anchor or anchor in Page(path).anchors())):
            lost.append(target)
    return lost


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)
def test_links_and_syntax_of(page):
    assert not lost_links(page)
    for block in page.blocks():
        assert block.kind, f"{page.name}:{block.line} does not say what it is"
        if block.kind.startswith(("sh", "bash")):
            done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True)
            assert done.returncode == 0, f"{page.name}:{block.line}: {done.stderr}"
        elif block.kind == "python":
            compile(block.text, f"{page.name}:{block.line}", "exec")
        elif block.kind == "toml":
            tomli.loads(block.text)


def test_readme_links_to_every_page():
    linked = {(REPOSITORY / target.partition("#")[0]).resolve() for target in TESTED[0].links()}
    left_out = [page.name for page in all_pages() if page.path.parent == REPOSITORY / "docs" and page.path not in linked]
    assert not left_out, f"README.md links to none of {left_out}"


def test_figures_of_the_readme_are_those_of_the_performance_page():
    measured = Page(REPOSITORY / "docs/performance.md").text
    figures = re.findall(r"\| (\d+\.\d+) s ", TESTED[0].text)
    assert len(figures) >= 6
    assert not [figure for figure in figures if f"| {figure} s |" not in measured]


def test_architecture_names_existing_files():
    text = Page(REPOSITORY / "docs/architecture.md").text
    named = {name for name in re.findall(r"`((?:src|tests)[/\w.]*)`", text)}
    assert len(named) > 40
    lost = [name for name in sorted(named) if not (REPOSITORY / name).exists()]
    assert not lost, f"docs/architecture.md names {lost}, which do not exist"
    tree = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "src").iterdir()}
    assert tree <= named, f"docs/architecture.md does not name {sorted(tree - named)}"


def test_codes_of_warnings_are_documented():
    made = set()
    for path in (REPOSITORY / "src").rglob("*.rs"):
        made |= set(re.findall(r'Warning(?:::new\(| \{ code:)\s*"(\w+)"', path.read_text()))
    made |= {"skipped", "filled"}
    row = next(line for line in Page(REPOSITORY / "docs/json.md").text.splitlines() if line.startswith("| `code` | string |  | `skipped`"))
    documented = set(re.findall(r"`(\w+)`", row.split("|", 4)[4]))
    assert len(made) > 10 and documented == made


def test_broken_links_and_blocks_without_a_kind_are_found(tmp_path):
    page = Page(tmp_path / "page.md")
    page.path.write_text(
        "# One `of` two\n[a](page.md#one-of-two) [b](#two) [c](no.md) ![d](no.svg) `[e](none)` [f](https://x.y/z)\n"
        "## It's it\n```sh\n[g](h)\n```\n[i](#its-it)\n```sh run fails 3 needs=x\nls\n```\n", encoding="utf-8")
    assert lost_links(page) == ["#two", "no.md", "no.svg"]
    bare, run_block = page.blocks()
    assert (bare.kind, bare.line) == ("sh", 4) and bare.kind not in KINDS
    assert (run_block.kind, run_block.status, run_block.needs) == ("sh run", 3, ["x"])
    assert [head for head, _ in page.sections()] == ["It's it"]
