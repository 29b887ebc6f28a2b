"""The old names of the commands accept the same arguments, and have the same output and exit codes as the stock
commands of the Python package on the same root."""

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import HERE, Outcome, clean_environment, segments_of

# The commands in the README of the stock package.
README = """\
cute-shm-hdf5 myproject file.hdf5
cute-shm-list
cute-shm-list -s
cute-shm-hdf5 myproject file.hdf5 -o
cute-shm-hdf5 myproject file.hdf5 -o -no-progress
cute-shm-hdf5 myproject file.hdf5 -o -v
cute-shm-unlink myproject
"""
NAMES = ("cute-shm-hdf5", "cute-shm-list", "cute-shm-unlink")


class Commands:
    """Both implementations of a command: links to the binary, and the entry points of the stock package."""

    def __init__(self, cli, root, folder):
        self.root, self.folder = root, folder
        self.environment = {**clean_environment(), "PYTHONUTF8": "1"}
        for name in NAMES:
            (folder / name).symlink_to(cli.binary)

    def run(self, command, environment):
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, env={**self.environment, **environment},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ours(self, name, *args, **environment):
        return self.run([self.folder / name, *args], {"CUTE_SHM_ROOT": str(self.root), **environment})

    def stock(self, name, *args, **environment):
        side = [sys.executable, HERE / "python_side.py", self.root, "command", name]
        return self.run([*side, *args], environment)

    def same(self, name, *args, **environment):
        """Runs both on an unchanged node. Their lines must be equal; the order depends on the directory."""
        ours, stock = self.ours(name, *args, **environment), self.stock(name, *args, **environment)
        assert (ours.code, blocks(ours.out)) == (stock.code, blocks(stock.out)), stock.err
        return ours


def blocks(text):
    """Returns the tables of projects, or the rows of one table, without their order, which differs."""
    return sorted(block.strip("\n") for block in text.split("\n\n")) if "Key Path" in text else sorted(text.splitlines())


@pytest.fixture
def commands(cli, root, tmp_path):
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file["x"] = np.arange(6).reshape(2, 3)
        file["g/temperature"] = np.zeros((100, 3), "f4")
        file["g/temperature"].attrs["units"] = "m"
        file["g/temperature"].attrs["a long name"] = "text"
        file["g/deeper/and deeper/big"] = np.zeros(1_310_720 // 8)
        file["h"] = np.zeros(3, ">i2")
        file.create_group("empty")
    return Commands(cli, root, tmp_path)


@pytest.fixture
def loaded(commands, project):
    """Loads the same file with each command, under names of the same length."""
    mine, theirs = f"{project}1", f"{project}2"
    assert commands.stock("cute-shm-hdf5", theirs, "file.hdf5", "-no-progress").code == 0
    assert commands.ours("cute-shm-hdf5", mine, "file.hdf5", "-no-progress").code == 0
    yield mine, theirs
    for name in (mine, theirs):
        commands.ours("cute-shm-unlink", name)


def test_load_prints_the_same_as_the_stock_command(commands, project):
    mine, theirs = f"{project}1", f"{project}2"
    ours = commands.ours("cute-shm-hdf5", mine, "file.hdf5", "-no-progress")
    stock = commands.stock("cute-shm-hdf5", theirs, "file.hdf5", "-no-progress")
    assert (ours.code, stock.code) == (0, 0)
    assert ours.out == stock.out.replace(theirs, mine)
    assert ours.out.splitlines()[1:] == ["Datasets transferred: 4", "Total memory size: 1.25 MB"]
    # Only the stock command prints the progress bar on standard output.
    again = commands.ours("cute-shm-hdf5", mine, "file.hdf5", "--over")
    assert (again.code, again.out, again.err) == (0, ours.out, "")
    stock = commands.stock("cute-shm-hdf5", theirs, "file.hdf5", "--over")
    assert stock.out.splitlines()[-3:] == ours.out.replace(mine, theirs).splitlines()
    for name in (mine, theirs):
        removed, text = commands.ours("cute-shm-unlink", name), f"Shared memory for project '{name}' has been cleaned up.\n"
        assert (removed.code, removed.out, segments_of(name)) == (0, text, [])


@pytest.mark.parametrize("columns", [None, "200", "120", "100", "70", "60"])
def test_both_lists_equal_the_stock_lists(commands, loaded, columns):
    environment = {"COLUMNS": columns} if columns else {}
    for project in loaded:
        assert project in commands.same("cute-shm-list", COLUMNS="300").out
    assert commands.same("cute-shm-list", **environment).out.count("┏") == 2
    assert commands.same("cute-shm-list", "-short", **environment).out.count("┏") == 1


def test_missing_segments_are_marked_like_in_the_stock_list(commands, loaded):
    for project in loaded:
        os.unlink(f"/dev/shm/{segments_of(project)[0]}")
    out = commands.ours("cute-shm-list", COLUMNS="200").out
    stock = commands.stock("cute-shm-list", COLUMNS="200").out
    # The order of the names in the last sentence varies.
    assert [line.strip() for line in sorted(out.splitlines()) if "Warning" not in line] == [
        line.strip() for line in sorted(stock.splitlines()) if "Warning" not in line]
    assert out.count("* MISSING *") == 2
    assert f"segment(s): {loaded[0]}, {loaded[1]}" in out and "| Warning ! some project(s)" in stock
    assert commands.same("cute-shm-list", "-s").out.count("✗") == 2
    for project in loaded:
        removed = commands.ours("cute-shm-unlink", project)
        assert (removed.code, segments_of(project)) == (0, [])


def test_empty_list_prints_the_same_message(commands):
    for option in ([], ["-short"]):
        assert "No cute-shm project found." in commands.same("cute-shm-list", *option).out


def test_names_with_wide_characters_are_in_the_same_columns(commands, python, project):
    python.share(project, {"長い名前の配列": {"a b c d": np.zeros((3, 4, 5), "i2")}})
    for columns in ("200", "80", "60"):
        assert "長い" in commands.same("cute-shm-list", COLUMNS=columns).out
        commands.same("cute-shm-list", "-s", COLUMNS=columns)


def test_table_in_a_narrow_terminal_is_still_a_table(commands, loaded):
    for columns in ("1", "20", "40"):
        lines = commands.ours("cute-shm-list", COLUMNS=columns).out.splitlines()
        tops = [line for line in lines if line.startswith("┏")]
        assert len(tops) == 2 and {len(line) for line in lines if line[:1] in "┃│└┏"} <= {0, len(tops[0])}


@pytest.mark.parametrize("args", [
    ("cute-shm-hdf5",), ("cute-shm-hdf5", "p"), ("cute-shm-hdf5", "p", "f", "g"),
    ("cute-shm-hdf5", "p", "f", "--verb=3"), ("cute-shm-list", "-x", "3"), ("cute-shm-list", "p"),
    ("cute-shm-unlink",), ("cute-shm-unlink", "a", "b"), ("cute-shm-unlink", "-x"),
])
def test_wrong_arguments_are_refused_with_the_same_message(commands, args):
    ours, stock = commands.ours(*args), commands.stock(*args)
    assert (ours.code, ours.out, ours.err) == (2, "", stock.err)
    assert stock.code == 2


def test_unknown_letter_in_joined_options_is_refused(commands):
    """The message of Python depends on its version: 3.13 reports the letter as an unrecognized argument."""
    ours, stock = (run("cute-shm-hdf5", "p", "f", "-ox") for run in (commands.ours, commands.stock))
    assert (ours.code, stock.code) == (2, 2)
    assert ours.err.splitlines()[0] == stock.err.splitlines()[0] and ours.err.startswith("usage: cute-shm-hdf5 ")


def test_help_names_the_same_options(commands):
    for name in NAMES:
        ours, stock = commands.ours(name, "-h"), commands.stock(name, "--help")
        assert (ours.code, ours.out.splitlines()[0]) == (stock.code, stock.out.splitlines()[0])
        assert re.findall(r"^  (-\S+(?:, --\S+)?)", ours.out, re.M) == re.findall(
            r"^  (-\S+(?:, --\S+)?)", stock.out, re.M)


def test_failures_exit_with_1_and_a_message(commands, loaded, project):
    mine, _ = loaded
    for args in (("cute-shm-hdf5", mine, "file.hdf5"), ("cute-shm-hdf5", project, "nothing.h5"),
                 ("cute-shm-unlink", project)):
        ours, stock = commands.ours(*args), commands.stock(*args)
        assert (ours.code, ours.out) == (stock.code, stock.out) == (1, "")
        assert ours.err.startswith("Error: ") and stock.err.startswith("Error: ")


def test_metadata_that_cannot_be_parsed_is_one_line_of_the_list(commands, loaded, root):
    (root / "cute-shm.broken.toml").write_text("[a\n")
    out = commands.ours("cute-shm-list").out
    assert "cute-shm project error, failed to parse TOML metadata file" in out
    assert loaded[0] in commands.ours("cute-shm-list", COLUMNS="200").out
    short, stock = (side("cute-shm-list", "-s").out for side in (commands.ours, commands.stock))
    row = [line for line in stock.splitlines() if "│ broken " in line]
    assert row and row[0] in short
    (root / "cute-shm.broken.toml").unlink()


def test_unreadable_metadata_is_one_line_of_the_list(commands, loaded, root):
    (root / "cute-shm.link.toml").symlink_to(root / f"cute-shm.{loaded[0]}.toml")
    outcome = commands.ours("cute-shm-list", COLUMNS="300")
    assert outcome.code == 0 and all(f"Project: {name} - " in outcome.out for name in loaded)
    assert "cute-shm.link.toml: " in outcome.out


def test_page_names_existing_items():
    page = (HERE.parents[1] / "docs" / "from-python.md").read_text()
    api = (HERE.parents[1] / "docs" / "api.md").read_text()
    rust = [line.split(" | ")[1] for line in page.split("## The API")[1].splitlines() if line.startswith("| `")]
    named = {name for cell in rust for name in re.findall(r"(?:\.|::)(\w+)\(", cell)}
    assert len(named) > 10 and [name for name in named if not re.search(rf"fn (\w+::)?{name}\b", api)] == []


def test_verbose_logs_segments_on_standard_error(commands, project):
    load = commands.ours("cute-shm-hdf5", project, "file.hdf5", "-v")
    assert load.code == 0 and len(load.out.splitlines()) == 3
    names = segments_of(project)
    assert len(names) == 4 and all(name in load.err for name in names), load.err
    removed = commands.ours("cute-shm-unlink", "-v", project)
    assert all(name in removed.err for name in names) and len(removed.out.splitlines()) == 1


def test_loaded_project_remains_and_the_stock_reader_reads_it(commands, python, project):
    assert commands.ours("cute-shm-hdf5", project, "file.hdf5").code == 0
    assert python.read(project)[("x",)]["bytes"] == np.arange(6).tobytes()
    assert commands.stock("cute-shm-unlink", project).code == 0


def test_lines_of_the_stock_readme_run(commands, project):
    script = "set -e\n" + README.replace("myproject", project)
    environment = {**commands.environment, "CUTE_SHM_ROOT": str(commands.root), "COLUMNS": "200"}
    environment["PATH"] = f"{commands.folder}:{environment['PATH']}"
    done = subprocess.run(["bash", "-c", script], cwd=commands.folder, env=environment, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Datasets transferred: 4") == 4 and done.stdout.count("┏") == 2
    assert done.stdout.splitlines()[-1] == f"Shared memory for project '{project}' has been cleaned up."
