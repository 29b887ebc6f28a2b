"""The Python package and the command list, show and remove each other's projects."""

import json

import h5py
import numpy as np
import pytest
from conftest import SHM, in_shared_memory, segments_of
from expectation import differences, expected_leaves
from hdf5_files import write

ARRAYS = {
    "a": np.arange(9, dtype=np.int64).reshape(3, 3),
    "b": {"b1": np.zeros(100, dtype=np.float32), "c": {"big": np.arange(4, dtype=">f8")}},
    "text": np.array([b"one", b"three"]),
    "flags": np.array([True, False]),
}


@pytest.fixture
def shared(python, project):
    """A project that Python code created."""
    python.share(project, ARRAYS)
    return project


def strings_in(value):
    """Yields every string in a JSON document, including keys."""
    if isinstance(value, dict):
        return set(value) | {s for child in value.values() for s in strings_in(child)}
    if isinstance(value, list):
        return {s for child in value for s in strings_in(child)}
    return {value} if isinstance(value, str) else set()


def test_list_prints_a_python_project(cli, shared):
    text = cli.ok("list").out
    assert shared in text
    assert "float32" in text and "int64" in text


def test_short_list_has_one_row_for_a_python_project(cli, shared):
    rows = [line for line in cli.ok("list", "--short").out.splitlines() if shared in line]
    assert len(rows) == 1
    assert "live" in rows[0]


def test_json_list_has_the_arrays_of_a_python_project(cli, shared):
    doc = cli.ok("list", "--json").json()
    assert doc["command"] == "list"
    assert len(doc["projects"]) == 1
    assert {shared, "live", "float32", "int64", ">f8"} <= strings_in(doc["projects"])
    assert set(segments_of(shared)) <= strings_in(doc["projects"])


def test_pattern_filters_the_list(cli, python, shared, other_project):
    python.share(other_project, {"x": np.arange(3)})
    doc = cli.ok("list", "--json", f"*{other_project[-4:]}").json()
    assert other_project in strings_in(doc) and shared not in strings_in(doc)


def test_json_show_has_every_array_of_a_python_project(cli, shared):
    doc = cli.ok("show", "--json", shared).json()
    assert doc["command"] == "show"
    assert {shared, "live", "|S5", "bool"} <= strings_in(doc)


def test_show_previews_an_array_of_a_python_project(cli, shared):
    text = cli.ok("show", shared, "a").out
    assert all(str(number) in text for number in range(9))


def test_show_python_prints_a_snippet_that_runs(cli, shared):
    snippet = cli.ok("show", "--python", shared, "a").out
    compile(snippet, "snippet", "exec")


def test_unlink_removes_a_python_project(cli, shared, root):
    cli.ok("unlink", shared)
    assert in_shared_memory(shared) == []
    assert not (root / f"cute-shm.{shared}.toml").exists()


def test_unlink_dry_run_removes_nothing(cli, python, shared):
    cli.ok("unlink", "--dry-run", shared)
    assert len(python.read(shared)) == 5


def test_overwrite_replaces_a_python_project(cli, python, shared, tmp_path):
    before = segments_of(shared)
    file = write(tmp_path / "f.h5", "every_plain_dtype")
    refused = cli.run("load-hdf5", "--persistent", shared, file)
    assert refused.code == 4
    assert segments_of(shared) == before

    cli.load(shared, file, "--overwrite")
    assert differences(expected_leaves(file), python.read(shared)) == []
    assert not set(before) & set(segments_of(shared))


def test_export_writes_a_python_project(cli, shared, tmp_path):
    cli.ok("export", shared, "-o", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as f:
        assert f["b/c/big"].dtype == np.dtype(">f8")
        np.testing.assert_array_equal(f["a"][...], ARRAYS["a"])
    cli.ok("export", shared, "a", "-o", tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), ARRAYS["a"])


def test_export_restores_the_loaded_file(cli, project, tmp_path):
    file = write(tmp_path / "f.h5", "attributes")
    cli.load(project, file)
    cli.ok("export", project, "-o", tmp_path / "back.h5")
    with h5py.File(file) as before, h5py.File(tmp_path / "back.h5") as after:
        assert set(after["d"].attrs) == set(before["d"].attrs)
        assert after["d"].dtype == before["d"].dtype
        np.testing.assert_array_equal(after["d"][...], before["d"][...])


def test_python_unlinks_a_loaded_project(cli, python, project, root, tmp_path):
    file = write(tmp_path / "f.h5", "compounds")
    cli.load(project, file)
    python.unlink(project)
    assert segments_of(project) == []
    assert not (root / f"cute-shm.{project}.toml").exists()
    cli.load(project, file)
    assert differences(expected_leaves(file), python.read(project)) == []


@pytest.mark.parametrize("options", [(), ("-short",)], ids=["full", "short"])
def test_python_lists_a_loaded_project(cli, python, project, tmp_path, options):
    cli.load(project, write(tmp_path / "f.h5", "attributes"))
    text = python.list(*options)
    assert project in text
    assert "Error" not in text and "MISSING" not in text


def test_python_replaces_a_loaded_project_and_unlink_removes_all_of_it(cli, python, project, tmp_path):
    cli.load(project, write(tmp_path / "f.h5", "scalars"))
    python.unlink(project)
    python.share(project, ARRAYS)
    assert "live" in strings_in(cli.ok("list", "--json").json())
    cli.ok("unlink", project)
    assert in_shared_memory(project) == []


def test_segment_names_are_parsed_from_the_last_dot(cli, python, project, tmp_path):
    longer = f"{project}.b"
    cli.load(project, write(tmp_path / "f.h5", "scalars"))
    python.share(longer, {"x": np.arange(3)})
    cli.ok("unlink", project)
    assert len(python.read(longer)) == 1
    cli.ok("unlink", longer)


def test_missing_segment_makes_a_project_broken(cli, shared):
    (SHM / segments_of(shared)[0]).unlink()
    outcome = cli.run("list", "--check", "--json")
    assert outcome.code == 11
    assert "broken" in strings_in(json.loads(outcome.out))
