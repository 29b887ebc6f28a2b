"""Failures have a code and a hint, and leave no files."""

import json

import h5py
import numpy as np
import pytest
from conftest import in_shared_memory, segments_of
from hdf5_files import write

COMMANDS = {"list": (), "gc": ("--dry-run",)}


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "f.h5", "chunks_and_filters")


def failure(outcome, code):
    """Returns the errors of an outcome that must have failed with this code."""
    assert outcome.code == code, outcome.err
    doc = outcome.json()
    assert doc["ok"] is False
    assert all({"code", "message", "hint"} <= error.keys() for error in doc["errors"])
    assert "panicked" not in outcome.err
    assert outcome.err.strip(), "a failure says so on stderr too"
    return doc["errors"]


@pytest.mark.parametrize("command", COMMANDS)
def test_empty_node_prints_one_json_object(cli, command):
    doc = cli.ok(command, "--json", *COMMANDS[command]).json()
    assert doc["command"] == command
    assert doc["ok"] is True


def test_load_prints_one_json_object(cli, project, file):
    doc = cli.load(project, file, "--json").json()
    assert doc["command"] == "load-hdf5"


def test_missing_file_is_not_found(cli, project, root, tmp_path):
    outcome = cli.run("load-hdf5", "--persistent", "--json", project, tmp_path / "missing.h5")
    assert "missing.h5" in json.dumps(failure(outcome, 3))
    assert in_shared_memory(project) == []


@pytest.mark.parametrize("command", ["show", "unlink"])
def test_missing_project_is_not_found(cli, project, command):
    assert project in json.dumps(failure(cli.run(command, "--json", project), 3))


def test_exporting_a_missing_project_is_not_found(cli, project, tmp_path):
    failure(cli.run("export", "--json", project, "-o", tmp_path / "out.h5"), 3)
    assert not (tmp_path / "out.h5").exists()


def test_unlink_force_ignores_a_missing_project(cli, project):
    cli.ok("unlink", "--force", project)


def test_unlink_continues_after_a_failure(cli, project, other_project, file):
    cli.load(project, file)
    outcome = cli.run("unlink", "--json", other_project, project)
    assert outcome.code == 10
    assert in_shared_memory(project) == []


def test_loading_an_existing_project_fails_with_a_hint_to_overwrite(cli, project, file):
    cli.load(project, file)
    before = segments_of(project)
    errors = failure(cli.run("load-hdf5", "--persistent", "--json", project, file), 4)
    assert "--overwrite" in errors[0]["hint"]
    assert segments_of(project) == before


def test_ensure_accepts_the_same_file(cli, project, file):
    cli.load(project, file)
    before = segments_of(project)
    cli.load(project, file, "--ensure")
    assert segments_of(project) == before


@pytest.mark.parametrize("content", [b"no HDF5 at all\n" * 100, b"", b"\x89HDF\r\n\x1a\n"])
def test_file_that_is_not_hdf5_is_corrupt(cli, project, root, tmp_path, content):
    (tmp_path / "f.h5").write_bytes(content)
    failure(cli.run("load-hdf5", "--persistent", "--json", project, tmp_path / "f.h5"), 8)
    assert in_shared_memory(project) == []
    assert not (root / f"cute-shm.{project}.toml").exists()


@pytest.mark.parametrize("tenths", [1, 5, 9])
def test_truncated_file_is_corrupt(cli, project, root, file, tenths):
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * tenths // 10])
    failure(cli.run("load-hdf5", "--persistent", "--json", project, file), 8)
    assert in_shared_memory(project) == []
    assert not (root / f"cute-shm.{project}.toml").exists()


def test_damaged_chunk_is_corrupt_and_keep_going_loads_the_rest(cli, python, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["beside"] = np.arange(5)
        f.create_dataset("bad", data=np.arange(1000), chunks=(500,), fletcher32=True)
        where = f["bad"].id.get_chunk_info(1).byte_offset
    data = bytearray(file.read_bytes())
    data[where + 10] ^= 0xFF
    file.write_bytes(data)

    failure(cli.run("load-hdf5", "--persistent", "--json", project, file), 8)
    assert in_shared_memory(project) == []
    outcome = cli.run("load-hdf5", "--persistent", "--keep-going", project, file)
    assert outcome.code == 10
    assert set(python.read(project)) == {("beside",)}


def test_failed_overwrite_keeps_the_old_project(cli, python, project, file, tmp_path):
    cli.load(project, file)
    before = python.read(project)
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    failure(cli.run("load-hdf5", "--persistent", "-o", "--json", project, tmp_path / "bad.h5"), 8)
    assert python.read(project) == before


@pytest.mark.parametrize("name", [".{}", "-{}", "{}/b", "{}\nline", "{:x<129}"])
def test_bad_project_name_is_a_usage_error(cli, file, tag, name):
    assert cli.run("load-hdf5", "--persistent", name.format(tag), file).code == 2
    assert in_shared_memory(tag) == []


def test_empty_project_name_is_a_usage_error(cli, file):
    assert cli.run("load-hdf5", "--persistent", "", file).code == 2


def test_unknown_command_is_a_usage_error(cli):
    assert cli.run("lod-hdf5").code == 2


def test_load_larger_than_memory_is_refused_before_it_starts(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f.create_dataset("huge", shape=(2**40,), chunks=(2**20,), dtype="f8")
    outcome = cli.run("load-hdf5", "--persistent", "--json", project, tmp_path / "f.h5")
    assert failure(outcome, 5)[0]["hint"]
    assert in_shared_memory(project) == []
