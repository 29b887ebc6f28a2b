"""Time and memory of planning grow with the file, not with its square or with the number of paths."""

import json
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hdf5_files import write_scales


def write_shared_groups(path, levels):
    """Writes groups with two links to the next group each: 2^levels paths to one dataset."""
    with h5py.File(path, "w") as f:
        group = f
        for _ in range(levels):
            below = group.create_group("a")
            group["b"] = below
            group = below
        group["d"] = np.arange(3)


# The peak of a process includes the memory of its parent at the fork, so a small process starts the command.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stderr, list(used)]))
"""


def usage(cli, *args):
    """Runs a command that may fail. Returns its outcome, and the resources that it and its children used."""
    command = [sys.executable, "-c", MEASURE, *map(str, cli.command(*args))]
    done = subprocess.run(command, capture_output=True, text=True, env=cli.environment, check=True)
    code, err, used = json.loads(done.stdout)
    return code, err, resource.struct_rusage(used)


def test_dimension_scales_survive_the_round_trip(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    write_scales(file, 20)
    cli.load(project, file)
    cli.ok("export", project, "-o", back)
    with h5py.File(back) as f:
        assert [dimension[0].name for dimension in f["v7"].dims] == ["/x", "/y"]
        assert [f[ref].name for ref, _ in f["x"].attrs["REFERENCE_LIST"]] == [f"/v{n}" for n in range(20)]


def test_references_lead_to_the_first_path_of_each_object(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["far/d"] = [1]
        f["far/e"] = [2]
        f["far"].attrs["to"] = f["far/e"].ref
    with h5py.File(file, "w") as f:
        f["a/late"] = [3]
        f["b"] = f["a"]
        f["outside"] = h5py.ExternalLink("other.h5", "/")
        f["gone"] = [4]
        f["gone"].attrs["self"] = f["gone"].ref
        refs = np.empty(5, h5py.ref_dtype)
        refs[:4] = [f["a/late"].ref, f["b"].ref, f.ref, f["gone"].ref]
        f.attrs.create("list", refs, dtype=h5py.ref_dtype)
        rows = np.empty(2, object)
        rows[:] = [np.array([f["b/late"].ref, f.ref], h5py.ref_dtype), np.array([], h5py.ref_dtype)]
        f["a"].attrs.create("rows", rows, dtype=h5py.vlen_dtype(h5py.ref_dtype))
        del f["gone"]
    cli.load(project, file)
    cli.ok("export", project, "-o", back)
    with h5py.File(back) as f:
        found = [f[ref].name if ref else None for ref in f.attrs["list"]]
        assert found == ["/a/late", "/a", "/", None, None]
        rows = f["a"].attrs["rows"]
        assert [[f[ref].name for ref in row] for row in rows] == [["/a/late", "/"], []]
        assert f[f["outside/far"].attrs["to"]].name == "/outside/far/e"


def test_planning_time_is_linear_in_object_references(cli, project, tmp_path):
    def cpu_seconds(count):
        file = tmp_path / f"{count}.h5"
        write_scales(file, count)
        code, err, used = usage(cli, "load-hdf5", "--persistent", "--overwrite", "-q", project, file)
        assert code == 0, err
        return used.ru_utime

    # Eight times as many take 64 times as long if each of them is searched for.
    assert cpu_seconds(4000) < 24 * max(cpu_seconds(500), 0.02)


def test_every_path_of_shared_groups_is_loaded(cli, project, python, tmp_path):
    write_shared_groups(tmp_path / "f.h5", 7)
    done = cli.load(project, tmp_path / "f.h5", "--json").json()
    assert done["array_count"] == 1
    assert len(python.read(project)) == 2**7


@pytest.mark.parametrize("options", [(), ("--include", "/a/b/**"), ("--keep-going",)])
@pytest.mark.parametrize("cycle", [False, True])
def test_too_many_paths_are_refused_before_they_are_built(cli, project, tmp_path, options, cycle):
    file, small = tmp_path / "f.h5", tmp_path / "small.h5"
    write_shared_groups(file, 22)
    write_shared_groups(small, 1)
    if cycle:
        with h5py.File(file, "a") as f:
            f["/".join("a" * 20)]["up"] = f["a"]
    code, err, _ = usage(cli, "load-hdf5", "--persistent", *options, project, file)
    assert code == 8 and "more than 2000000 paths" in err
    _, _, few = usage(cli, "load-hdf5", "--dry-run", project, small)
    _, _, many = usage(cli, "load-hdf5", "--dry-run", *options, project, file)
    # In KiB.
    assert many.ru_maxrss - few.ru_maxrss < 64 << 10


def test_attributes_count_under_every_path(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w", libver="latest") as f:
        f["d"] = [1]
        f["d"].attrs["long"] = "x" * (1 << 20)
        for number in range(600):
            f[f"alias{number}"] = f["d"]
    code, err, used = usage(cli, "load-hdf5", "--persistent", project, file)
    assert code == 8 and "paths and attributes of more than 512 MiB" in err
    assert used.ru_maxrss < 128 << 10


def test_dataset_is_selected_under_any_of_its_paths(cli, project, python, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["a/d"] = [1, 2]
        f["z"] = f["a"]
        f["y"] = f["a/d"]
    cli.load(project, tmp_path / "f.h5", "--include", "/z/**")
    assert set(python.read(project)) == {("z", "d")}
    cli.load(project, tmp_path / "f.h5", "--overwrite", "--include", "/y")
    assert set(python.read(project)) == {("y",)}


def lookup3(data):
    """Returns the checksum of HDF5 metadata: Bob Jenkins' hashlittle."""
    mask = 0xFFFFFFFF

    def rotated(x, n):
        return (x << n | x >> 32 - n) & mask

    def words(part):
        return (int.from_bytes(part[at : at + 4], "little") for at in (0, 4, 8))

    a = b = c = 0xDEADBEEF + len(data)
    body = max(len(data) - 1, 0) // 12 * 12
    for at in range(0, body, 12):
        a, b, c = (x + y & mask for x, y in zip((a, b, c), words(data[at : at + 12])))
        for turns in ((4, 6, 8), (16, 19, 4)):
            a, c = (a - c & mask) ^ rotated(c, turns[0]), c + b & mask
            b, a = (b - a & mask) ^ rotated(a, turns[1]), a + c & mask
            c, b = (c - b & mask) ^ rotated(b, turns[2]), b + a & mask
    if body == len(data):
        return c
    a, b, c = (x + y & mask for x, y in zip((a, b, c), words(data[body:].ljust(12, b"\0"))))
    for first, turn in (("c", 14), ("a", 11), ("b", 25), ("c", 16), ("a", 4), ("b", 14), ("c", 24)):
        if first == "c":
            c = (c ^ b) - rotated(b, turn) & mask
        elif first == "a":
            a = (a ^ c) - rotated(c, turn) & mask
        else:
            b = (b ^ a) - rotated(a, turn) & mask
    return c


def claim(path, signature, field, length, elements):
    """Writes another number of elements, with its checksum, into the index header of a file."""
    data = bytearray(path.read_bytes())
    start = data.index(signature)
    assert lookup3(data[start : start + length]) == int.from_bytes(data[start + length :][:4], "little")
    data[start + field : start + field + 8] = elements.to_bytes(8, "little")
    data[start + length : start + length + 4] = lookup3(data[start : start + length]).to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("elements", [1 << 40, 1 << 62, (1 << 64) - 1])
@pytest.mark.parametrize("kind", ["plain", "filtered", "text", "attributes", "rows"])
def test_index_that_claims_too_many_chunks_is_read_chunk_by_chunk(cli, project, python, tmp_path, kind, elements):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w", libver="latest") as f:
        text = kind == "text"
        values = np.array([f"s{n}" for n in range(100)], object) if text else np.arange(100, dtype="i4")
        d = f.create_dataset(
            "d", data=values, maxshape=(None,), chunks=(10,), dtype=h5py.string_dtype() if text else None,
            compression="gzip" if kind == "filtered" else None,
        )
        # Enough for a second block of the object header.
        for number in range(7 if kind == "attributes" else 0):
            d.attrs[f"a{number}"] = "x" * 500
    claim(file, b"EAHD", 44, 68, elements)
    with h5py.File(file) as f:
        read = f["d"].asstr()[...].astype("S") if text else f["d"][...]
        assert len(read) == 100
    rows = ["--rows", "15:95"] if kind == "rows" else []
    cli.load(project, file, *rows)
    expected = values[15:95] if kind == "rows" else values.astype("S3") if text else values
    assert python.read(project)[("d",)]["bytes"] == expected.tobytes()


def test_fixed_array_that_claims_too_many_chunks_is_read_chunk_by_chunk(cli, project, python, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w", libver="latest") as f:
        # More than 2^10 chunks are stored in pages, of which only the existing ones are read.
        f.create_dataset("d", data=np.arange(3000, dtype="i4"), chunks=(1,), maxshape=(3000,))
    claim(file, b"FAHD", 8, 24, 1 << 26)
    with h5py.File(file) as f:
        try:
            expected = f["d"][...].tobytes()
        except OSError:
            expected = None
    done = cli.run("load-hdf5", "--persistent", project, file)
    assert done.code == (8 if expected is None else 0), done.err
    assert "no progress" not in done.err
    if expected is not None:
        assert python.read(project)[("d",)]["bytes"] == expected
