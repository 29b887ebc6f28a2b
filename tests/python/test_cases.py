"""Inputs from public reports, in ../shared/cases beside the checkout. Each script there writes its files; this module loads
them and checks the result."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401: registers its filters with h5py
import numpy as np
import pytest
from conftest import HERE, in_shared_memory
from expectation import differences, expected_leaves

CASES = Path(os.environ.get("CUTE_SHM_SHARED") or HERE.parents[2] / "shared").resolve() / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside the checkout")


@pytest.fixture
def case(tmp_path):
    """Runs the script of a case in the folder of the test."""

    def write(name, *arguments):
        script = next(CASES.glob(f"{name}*"))
        done = subprocess.run([sys.executable, script, *map(str, arguments)], cwd=tmp_path, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return tmp_path

    return write


def test_every_case_has_a_test():
    tests = Path(__file__).read_text()
    for name in os.listdir(CASES):
        assert name == "README.md" or name.rpartition(".")[0] in tests, name


def test_source_of_a_virtual_dataset_that_arrives_later_makes_the_project_stale(cli, python, project, case):
    folder = case("04_vds_source_arrives_later", ".")
    first = cli.load(project, folder / "v.h5", "--ensure")
    assert "src.h5" in first.err and "late.h5" in first.err
    assert cli.run("load-hdf5", "-p", "--overwrite", "--strict", project, folder / "v.h5").code == 9
    with h5py.File(folder / "src.h5", "w") as f:
        f["x"] = np.arange(10.0)
    with h5py.File(folder / "late.h5", "w") as f:
        f["y"] = np.arange(3)
    cli.load(project, folder / "v.h5", "--ensure")
    assert differences(expected_leaves(folder / "v.h5"), python.read(project)) == []


def test_pandas_table_compressed_with_blosc(load_and_compare, case):
    assert load_and_compare(case("12_pandas_table_blosc", ".") / "df.h5") == []


@pytest.mark.parametrize("name", ["elink", "raw", "vds", "dev"])
def test_pipe_or_device_as_another_file_is_an_error_that_names_it(cli, project, case, name):
    folder = case("21_fifo_links", ".")
    outcome = cli.run("load-hdf5", "-p", "--strict", project, folder / f"{name}.h5", timeout=30)
    assert outcome.code in (8, 9), outcome.err
    assert "pipe" in outcome.err or "device" in outcome.err, outcome.err
    outcome = cli.run("load-hdf5", "-p", project, folder / "pipe", timeout=30)
    assert outcome.code != 0 and "pipe" in outcome.err, outcome.err


@pytest.mark.parametrize("name", ["many.h5", "links.h5"])
def test_more_sources_than_descriptors(cli, python, project, case, name):
    file = case("25_vds_many_files", ".", 600) / name
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    cli.ok("load-hdf5", "-p", "--strict", project, file,
           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, limit[1])))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit[1]), limit[1]))
    try:
        expected = expected_leaves(file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert differences(expected, python.read(project)) == []


@pytest.mark.parametrize("coder", ["bslz4", "zstd", "blosc", "gzip", "lzf"])
def test_virtual_dataset_over_compressed_sources(load_and_compare, case, coder):
    folder = case("28_vds_of_compressed", ".")
    assert load_and_compare(folder / f"{coder}_master.h5", "--strict") == []


def test_keep_going_leaves_a_trace_in_the_project(cli, project, case):
    file = case("38_keep_going_traces", ".") / "bad.h5"
    assert cli.run("load-hdf5", "-p", project, file).code == 8
    outcome = cli.run("load-hdf5", "-p", "--keep-going", "--json", project, file)
    assert outcome.code == 10
    left_out = {warning["concerns"] for warning in json.loads(outcome.out)["warnings"]}
    assert left_out == {"/bad", "/raw"}
    shown = cli.ok("show", project, "--json").json()
    assert {note["path"] for note in shown["left_out"]} == left_out
    assert [array["key"] for array in shown["project"]["arrays"]] == ["/good"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_shared_memory_in_unusual_directories(cli, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["x"] = np.arange(3)
    done = subprocess.run(["bash", CASES / "39_shm_places.sh", file], capture_output=True, text=True, timeout=60,
                          env={**cli.environment, "CUTE": cli.binary, "CUTE_SHM_ROOT": str(cli.root)})
    assert "doctor=11" in done.stdout, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("rc=")] == ["rc=6", "rc=0"], done.stdout + done.stderr
    assert "Read-only" in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="needs strace")
def test_no_plugin_directory_is_opened_by_default(cli, case, tmp_path):
    file = case("28_vds_of_compressed", ".") / "bslz4_master.h5"
    done = subprocess.run(["bash", CASES / "40_plugin_dir.sh", file], capture_output=True, text=True, timeout=60,
                          env={**cli.environment, "CUTE": cli.binary, "CUTE_SHM_ROOT": str(cli.root)})
    subprocess.run(cli.command("unlink", "--force", "case_v"), env=cli.environment, check=True, capture_output=True)
    assert "lib/plugin" not in done.stdout


@pytest.mark.parametrize("coder", ["none", "gzip", "blosc", "blosc2", "zstd", "lz4", "bitshuffle"])
def test_types_that_need_a_conversion_behind_each_filter(cli, python, project, case, coder):
    with_text = coder in ("none", "gzip", "zstd", "lz4")
    folder = case("50_filters_and_types", coder, *["vlen"] * with_text)
    file, readable = folder / f"p_{coder}.h5", folder / "readable.h5"
    cli.load(project, file, "--strict")
    found = python.read(project)
    int24 = found.pop(("int24",))
    assert int24["dtype"] == "int32" and int24["bytes"] == np.arange(5000, dtype="i4").tobytes()
    # h5py has no type for integers of 24 bits.
    shutil.copy(file, readable)
    with h5py.File(readable, "a") as f:
        del f["int24"]
    assert differences(expected_leaves(readable), found) == []


def test_netcdf_dimension_scales(cli, project, case):
    file = case("51_many_references", 300) / "scales_300.h5"
    cli.load(project, file)
    shown = cli.ok("list", "--json").json()
    assert [p["array_count"] for p in shown["projects"] if p["name"] == project] == [302]


@pytest.mark.parametrize("options, rows", [
    (("--rows", "50:310"), slice(50, 310)),
    (("--shard", "0/3"), slice(0, 166)),
    (("--shard", "1/3"), slice(166, 333)),
    (("--shard", "2/3"), slice(333, 500)),
])
def test_rows_of_compressed_chunks_that_end_within_a_chunk(cli, python, project, case, options, rows):
    file = case("52_shard_of_compressed") / "shard_zstd.h5"
    cli.load(project, file, "--strict", *options)
    found = python.read(project)
    (entry,) = found.values()
    expected = np.arange(5000.0).reshape(500, 10)[rows]
    assert tuple(entry["shape"]) == expected.shape and entry["bytes"] == expected.tobytes()


def test_last_chunk_with_only_the_rows_inside_the_dataset(load_and_compare, case):
    assert load_and_compare(case("53_short_edge_chunk") / "short_edge.h5", "--strict") == []


@pytest.mark.parametrize("name, file", [
    ("60_szip_bomb", "szip_bomb.h5"),
    ("60_truncated_so", "truncated_so.h5"),
    ("63_szip_odd_block", None),
])
def test_hostile_filter_parameters_are_refused(cli, project, case, name, file):
    file = case(name) / file if file else CASES / f"{name}.h5"
    limit = 2 << 30

    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    outcome = cli.run("load-hdf5", "-p", project, file, preexec_fn=bound)
    assert outcome.code == 8 and file.name in outcome.err, (outcome.code, outcome.err)
    assert in_shared_memory(project) == []


def test_groups_with_two_names_each_are_refused_before_they_are_expanded(cli, project, case):
    limit = 1 << 30
    for depth in (16, 22):
        file = case("61_many_paths", depth) / f"linkbomb{depth}.h5"
        outcome = cli.run("load-hdf5", "-p", "--dry-run", project, file,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        assert outcome.code in (0, 8), (depth, outcome.code, outcome.err)
    assert outcome.code != 0 and "paths" in outcome.err, outcome.err


def test_extensible_array_with_a_wrong_count(load_and_compare):
    assert load_and_compare(CASES / "62_extensible_array_count.h5") == []
