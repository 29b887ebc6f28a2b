"""numpy, h5py, safetensors and h5diff read exported files."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_files import CASES, write
from safetensors.numpy import load_file

# h5diff (Debian's hdf5-tools) reports empty datasets as not comparable, and does not support long doubles.
NOT_FOR_H5DIFF = {"empty_arrays", "variable_length_strings", "long_double"}
# A space-padded string that ends with NULs is loaded like one that ends with spaces, and exported with spaces.
LOSSY = {"fixed_strings_of_three_paddings"}
ARRAYS = {
    "a": np.arange(12, dtype=np.int64).reshape(3, 4),
    "g": {"big": np.arange(4, dtype=">f8"), "flags": np.array([True, False])},
    "half": np.arange(3, dtype=np.float16),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
FLAT = {"a": ARRAYS["a"], "g/big": ARRAYS["g"]["big"], "g/flags": ARRAYS["g"]["flags"],
        "half": ARRAYS["half"], "empty": ARRAYS["empty"]}


@pytest.fixture
def shared(python, project):
    """A project that Python created (without empty arrays, which Python cannot share)."""
    python.share(project, {name: value for name, value in ARRAYS.items() if name != "empty"})
    return project


@pytest.fixture
def loaded(cli, project, tmp_path):
    """A project that the command loaded."""
    with h5py.File(tmp_path / "in.h5", "w") as f:
        for name, value in FLAT.items():
            f[name] = value
    cli.load(project, tmp_path / "in.h5")
    return project


def everything(f):
    """Returns {path: (dtype, shape, bytes or values)} of every dataset."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            value = node[()]
            values = node.dtype.hasobject or node.dtype.kind in "gG"
            plain = np.asarray(value).tolist() if values else np.asarray(value).tobytes()
            found[name] = (node.dtype, node.shape, plain)

    f.visititems(visit)
    return found


@pytest.mark.parametrize("name", sorted(set(CASES) - LOSSY))
@pytest.mark.parametrize("options", [(), ("--gzip", "4")], ids=["plain", "gzip"])
def test_export_of_a_loaded_file_equals_the_file(cli, project, tmp_path, name, options):
    file, back = write(tmp_path / "f.h5", name), tmp_path / "back.h5"
    cli.load(project, file)
    cli.ok("export", project, "-o", back, *options)
    with h5py.File(file) as before, h5py.File(back) as after:
        wanted, found = everything(before), everything(after)
        assert {path: wanted[path] for path in found} == found
        assert set(found) <= set(wanted) and found
        for path in found:
            assert set(before[path].attrs) == set(after[path].attrs)
    if name not in NOT_FOR_H5DIFF and shutil.which("h5diff"):
        done = subprocess.run(["h5diff", "--follow-symlinks", "-v1", file, back], capture_output=True, text=True)
        bad = [line for line in done.stdout.splitlines() if line.endswith("found") and not line.startswith("0 ")
               or "not comparable" in line.lower() and "empty dataset" not in line and "Some" not in line]
        assert bad == []


def storage(path):
    """Returns {path: storage properties} of every dataset."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            plist = node.id.get_create_plist()
            fill = repr(node.fillvalue) if plist.fill_value_defined() == 2 else None
            found[name] = (node.maxshape, node.chunks, plist.fill_value_defined(), fill, plist.get_fill_time())

    with h5py.File(path) as f:
        f.visititems(visit)
    return found


def write_storage(path):
    """Writes a file with every storage property that an export restores."""
    rows = np.zeros(5, [("a", "<i4"), ("b", "<f8")])
    rows["a"] = np.arange(5)
    with h5py.File(path, "w") as f:
        f.create_dataset("fixed_fill", data=np.arange(9), fillvalue=-7)
        f.create_dataset("growing", data=np.arange(30.0).reshape(5, 6), maxshape=(None, 6), chunks=(2, 4))
        f.create_dataset("bounded", data=np.arange(30, dtype=">i2").reshape(5, 6), maxshape=(9, None), chunks=(4, 5))
        f.create_dataset("empty", shape=(0, 4), maxshape=(None, 4), chunks=(8, 2), dtype="f4", fillvalue=1.5)
        f.create_dataset("chunked", data=np.arange(7 * 8 * 9).reshape(7, 8, 9), chunks=(3, 8, 4), fillvalue=3)
        f.create_dataset("deep", data=np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5), chunks=(1, 2, 4, 5))
        f.create_dataset("table", data=rows, maxshape=(None,), chunks=(2,), fillvalue=np.array((4, 0.5), rows.dtype))
        f.create_dataset("words", data=["a", "bc", "def"], dtype=h5py.string_dtype(), maxshape=(None,), chunks=(2,),
                         fillvalue="none")
        for name, time in (("early", "alloc"), ("never", "never")):
            for chunks in (None, (4,)):
                f.create_dataset(f"{name}_{chunks}", data=np.arange(9), chunks=chunks, fillvalue=2, fill_time=time)


@pytest.mark.parametrize("options", [(), ("--gzip", "4")], ids=["plain", "gzip"])
def test_export_restores_extents_chunks_and_fill_values(cli, project, tmp_path, options):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    write_storage(file)
    cli.load(project, file)
    cli.ok("export", project, "-o", back, "--strict", *options)
    before, after = storage(file), storage(back)
    if options:
        # Compressed datasets need chunks.
        for name in before:
            if before[name][1] is None:
                assert after[name][1] is not None
                after[name] = (after[name][0], None, *after[name][2:])
    assert before == after
    with h5py.File(file) as a, h5py.File(back) as b:
        assert everything(a) == everything(b)
    with h5py.File(back, "a") as f:
        f["growing"].resize(8, axis=0)
        f["words"].resize(4, axis=0)
        assert f["words"].asstr()[3] == "none"


def test_rows_of_an_array_that_can_grow_are_chunked_as_their_source(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    write_storage(file)
    cli.load(project, file, "--rows", "1:4")
    cli.ok("export", project, "-o", back, "--strict")
    with h5py.File(file) as a, h5py.File(back) as b:
        for name in a:
            np.testing.assert_array_equal(a[name][1:4], b[name][()])
        assert b["growing"].maxshape == (None, 6) and b["bounded"].maxshape == (9, None)
        assert b["chunked"].maxshape == (3, 8, 9) and b["chunked"].chunks == (3, 8, 4)


def test_export_restores_committed_datatypes(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(file, "w") as f:
        f["types/color"] = h5py.enum_dtype({"RED": 0, "BLUE": 7})
        f["types/color"].attrs["of"] = "paint"
        f["row"] = np.dtype([("a", "<i4"), ("b", "<f8")])
        f["types/alias"] = f["row"]
        f["other"] = np.dtype(">f4")
        f.create_dataset("colors", data=np.array([0, 7]), dtype=f["types/color"])
        f.create_dataset("g/table", data=np.zeros(3, f["row"].dtype), dtype=f["row"])
        f["types/beside"] = np.arange(3)
        f["own"] = np.arange(3, dtype=">f4")
        f["types"].attrs["note"] = "kept"
    cli.load(project, file)
    cli.ok("export", project, "-o", back, "--strict")
    with h5py.File(back) as f:
        assert set(f) == {"types", "row", "other", "colors", "g", "own"}
        assert f["row"] == f["types/alias"] and f["types/color"].attrs["of"] == "paint"
        for name, of in (("colors", "types/color"), ("g/table", "row")):
            kind, named = f[name].id.get_type(), f[of].id
            assert kind.committed() and h5py.h5o.get_info(kind).addr == h5py.h5o.get_info(named).addr
        assert not f["own"].id.get_type().committed()
        assert f["types"].attrs["note"] == "kept" and list(f["types/beside"]) == [0, 1, 2]
    # An export of a part contains the types that it needs.
    cli.ok("export", project, "/colors", "-o", tmp_path / "part.h5")
    with h5py.File(tmp_path / "part.h5") as f:
        assert set(f) == {"colors", "types"} and set(f["types"]) == {"color"}
    # Two files have their own.
    shutil.copy(file, tmp_path / "second.h5")
    cli.ok("load-hdf5", "-po", project, file, tmp_path / "second.h5")
    cli.ok("export", project, "-o", tmp_path / "two.h5", "--strict")
    with h5py.File(tmp_path / "two.h5") as f:
        for group in f.values():
            assert group["colors"].id.get_type() == group["types/color"].id


def test_export_restores_committed_datatypes_of_attributes(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(file, "w") as f:
        f["types/pair"] = np.dtype([("a", "<i4"), ("b", "<f8")])
        f["types/color"] = h5py.enum_dtype({"RED": 0, "BLUE": 7}, "i4")
        f["d"], f["table"] = np.arange(3), np.zeros(2, [("x", "i4"), ("y", "f4")])
        f.create_group("g")
        pair, color = f["types/pair"], f["types/color"]
        for at in (f, f["g"], f["d"], f["table"]):
            at.attrs.create("pair", np.array((1, 2.5), pair.dtype), dtype=pair)
            at.attrs.create("colors", np.array([7, 0], "i4"), dtype=color)
            at.attrs["own"] = np.int32(3)
        # A type that has an attribute of its own type, and one of a type that is created later.
        color.attrs.create("default", np.int32(7), dtype=color)
        color.attrs.create("pair", np.array((3, 4.5), pair.dtype), dtype=pair)
        # References wait until all objects exist. One leads to a committed datatype.
        rows = np.empty(1, object)
        rows[0] = np.array([f["d"].ref, h5py.h5r.create(f.id, b"types/pair", h5py.h5r.OBJECT)], h5py.ref_dtype)
        f["g"].attrs.create("refs", rows, dtype=h5py.vlen_dtype(h5py.ref_dtype))

    def check(before, after, types):
        found = 0
        for path in (".", "g", "d", "table", "types/color"):
            for name, value in before[path].attrs.items():
                one, other = before[path].attrs.get_id(name), after[path].attrs.get_id(name)
                assert one.get_type().committed() == other.get_type().committed(), (path, name)
                if one.get_type().committed():
                    found += 1
                    named = [t for t in types if h5py.h5o.get_info(other.get_type()).addr == h5py.h5o.get_info(t.id).addr]
                    assert len(named) == 1 and named[0].dtype == other.dtype
                if name != "refs":
                    assert np.asarray(after[path].attrs[name]).tobytes() == np.asarray(value).tobytes()
        assert found == 10
        root = after.name.rstrip("/")
        assert [after[ref].name for ref in after["g"].attrs["refs"][0]] == [f"{root}/d", f"{root}/types/pair"]

    cli.load(project, file)
    cli.ok("export", project, "-o", back, "--strict")
    with h5py.File(file) as a, h5py.File(back) as b:
        check(a, b, list(b["types"].values()))
    # Each of two files has its own types.
    shutil.copy(file, tmp_path / "second.h5")
    cli.ok("load-hdf5", "-po", project, file, tmp_path / "second.h5")
    cli.ok("export", project, "-o", tmp_path / "two.h5", "--strict")
    with h5py.File(file) as a, h5py.File(tmp_path / "two.h5") as b:
        for group in ("f", "second"):
            check(a, b[group], list(b[group]["types"].values()))
    # An attribute that is exported brings its type with it.
    cli.ok("export", project, "/f/d", "-o", tmp_path / "part.h5")
    with h5py.File(tmp_path / "part.h5") as f:
        assert f["f/d"].attrs.get_id("pair").get_type().committed() and set(f["f/types"]) == {"pair", "color"}


def test_committed_datatypes_without_a_path_come_back(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(file, "w") as f:
        f["row"], f["gone"] = np.dtype([("a", "<i4")]), np.dtype(">f4")
        f["row"].attrs.create("of", np.float32(1), dtype=f["gone"])
        for name in ("a", "b"):
            f.create_dataset(name, data=np.zeros(2, f["row"].dtype), dtype=f["row"])
        f["a"].attrs.create("x", np.float32(2), dtype=f["gone"])
        del f["row"], f["gone"]
    cli.load(project, file)
    cli.ok("export", project, "-o", back, "--strict")
    with h5py.File(back) as f:
        kinds = [f[name].id.get_type() for name in f]
        assert set(f) == {"a", "b"} and all(kind.committed() for kind in kinds)
        assert len({h5py.h5o.get_info(kind).addr for kind in kinds}) == 1
        assert f["a"].attrs.get_id("x").get_type().committed()
        assert h5py.h5a.open(kinds[0], b"of").get_type().committed()


def test_references_to_objects_that_are_not_exported_are_null_with_a_warning(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(file, "w") as f:
        f["a"], f["b"] = [1], [2]
        f.create_dataset("refs", data=f["a"].ref, dtype=h5py.ref_dtype)
        f["a"].attrs["b"] = f["b"].ref
        f["a"].attrs.create("null", np.array([h5py.Reference(), f["a"].ref], object), dtype=h5py.ref_dtype)
        f["b"].attrs["skipped"] = f["refs"].ref
    cli.load(project, file)
    notes = {note["path"]: note["reason"] for note in cli.ok("export", project, "-o", back, "--json").json()["left_out"]}
    assert set(notes) == {"/refs", "/b@skipped"}
    assert notes["/b@skipped"] == "1 reference is null: its object is not in the file"
    with h5py.File(back) as f:
        assert not f["b"].attrs["skipped"] and f[f["a"].attrs["b"]].name == "/b"
        assert [bool(ref) for ref in f["a"].attrs["null"]] == [False, True]
    part = cli.ok("export", project, "-o", tmp_path / "part.h5", "--json", "--exclude", "/b").json()
    assert {note["path"] for note in part["left_out"]} == {"/refs", "/a@b"}
    assert cli.run("export", project, "a", "-o", tmp_path / "strict.h5", "--strict").code == 9


def test_export_restores_maximum_extents_of_virtual_datasets(cli, project, tmp_path):
    """Also without its sources: then nothing but the file of the virtual dataset has the maximum extents."""
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(tmp_path / "s.h5", "w") as f:
        f.create_dataset("x", data=np.arange(12).reshape(4, 3), maxshape=(None, 3), chunks=(2, 3))
    with h5py.File(file, "w", libver="latest") as f:
        unlimited = h5py.h5s.UNLIMITED
        for name, maximum, is_open in (("fixed", (4, 3), False), ("bounded", (9, 3), False), ("free", (None, None), False),
                                       ("growing", (None, 3), True), ("empty", (8, None), None)):
            layout = h5py.VirtualLayout((4, 3), "i8", maxshape=maximum)
            if is_open is not None:
                source = h5py.VirtualSource("s.h5", "x", (4, 3), "i8", (None, 3))
                count = unlimited if is_open else 4
                layout[0:count, :] = source[0:count, :]
            f.create_virtual_dataset(name, layout, fillvalue=-1)
    for sources in ("present", "absent"):
        cli.load(project, file, "-o")
        cli.ok("export", project, "-o", back, "--overwrite", *(["--strict"] if sources == "present" else []))
        with h5py.File(file) as a, h5py.File(back) as b:
            for name in a:
                assert b[name].maxshape == a[name].maxshape, (name, sources)
                if sources == "present" or name != "growing":
                    np.testing.assert_array_equal(a[name][()], b[name][()])
        (tmp_path / "s.h5").unlink(missing_ok=True)


def test_attributes_keep_their_types(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    write(file, "attributes_that_toml_cannot_hold")
    with h5py.File(file, "a") as f:
        f.attrs["root"] = np.float32(0.5)
        f.create_group("g").attrs["words"] = ["x", "yz"]
        f["g/d"] = np.arange(2)
    cli.load(project, file)
    cli.ok("export", project, "-o", back)
    with h5py.File(file) as before, h5py.File(back) as after:
        for path in ("/", "g", "d"):
            for name, value in before[path].attrs.items():
                found = after[path].attrs[name]
                assert type(found) is type(value)
                if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind != "O":
                    assert found.dtype == value.dtype and found.tobytes() == value.tobytes()
        assert after[after["d"].attrs["reference"]].name == "/d"


def test_npz_has_every_array_by_path(cli, loaded, tmp_path):
    cli.ok("export", loaded, "-o", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as z:
        assert set(z.files) == set(FLAT)
        for name, value in FLAT.items():
            assert z[name].dtype == value.dtype
            np.testing.assert_array_equal(z[name], value)


@pytest.mark.parametrize("key", ["a", "/g/big", "g.flags", "half"])
def test_npy_file_equals_the_file_of_numpy(cli, shared, tmp_path, key):
    cli.ok("export", shared, key, "-o", tmp_path / "ours.npy")
    np.save(tmp_path / "numpys.npy", FLAT[key.strip("/").replace(".", "/")])
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_safetensors_loads(cli, loaded, tmp_path):
    cli.ok("export", loaded, "-o", tmp_path / "a.safetensors")
    found = load_file(tmp_path / "a.safetensors")
    assert set(found) == set(FLAT)
    for name, value in FLAT.items():
        np.testing.assert_array_equal(found[name], value)


def test_safetensors_leaves_out_strings_with_one_warning_or_fails_if_strict(cli, python, project, tmp_path):
    python.share(project, {"x": {"text": np.array([b"ab"]), "words": np.array(["c"])}, "y": np.arange(2),
                           "z": np.array([1 + 2j], ">c8")})
    out = tmp_path / "a.safetensors"
    refused = cli.run("export", project, "-o", out, "--strict")
    assert refused.code == 9 and "/x/text" in refused.err and "1 more" in refused.err
    assert list(tmp_path.glob("*safetensors*")) == []
    done = cli.ok("export", project, "-o", out, "--json")
    doc = done.json()
    assert [note["path"] for note in doc["left_out"]] == ["/x/text", "/x/words"]
    assert len(doc["warnings"]) == 1 and done.err.count("warning:") == 1
    assert doc["array_count"] == 2 and doc["size_bytes"] == 24
    found = load_file(out)
    assert set(found) == {"y", "z"}
    np.testing.assert_array_equal(found["z"], [1 + 2j])
    cli.ok("export", project, "-o", out, "--exclude", "x/*", "--strict", "--overwrite")
    cli.ok("export", project, "x", "-o", out, "--overwrite")
    assert load_file(out) == {}
    verbose = cli.ok("export", project, "-v", "-o", out, "--overwrite").err
    assert "'/x/text' is not restored" in verbose and "'/x/words' is not restored" in verbose


@pytest.mark.parametrize("stream", [False, True])
def test_npz_without_arrays_is_an_empty_archive(cli, shared, tmp_path, stream):
    file = tmp_path / "none.npz"
    target = "-" if stream else file
    command = cli.command("export", shared, "-o", target, "--format", "npz", "--include", "nothing")
    done = subprocess.run(command, capture_output=True, env=cli.environment)
    assert done.returncode == 0, done.stderr
    if stream:
        file.write_bytes(done.stdout)
    with np.load(file) as z:
        assert z.files == []


def test_hdf5_leaves_out_names_that_it_cannot_represent(cli, python, project, tmp_path):
    python.share(project, {"a/b": np.arange(2), "g": {".": np.arange(3)}, "c/d": {"e": np.arange(4)},
                           "fine": np.arange(5)})
    doc = cli.ok("export", project, "-o", tmp_path / "a.h5", "--json").json()
    assert {note["path"] for note in doc["left_out"]} == {"/a/b", "/g/.", "/c/d"}
    assert doc["array_count"] == 1 and len(doc["warnings"]) == 1
    with h5py.File(tmp_path / "a.h5") as f:
        assert set(f) == {"fine", "g"} and list(f["g"]) == []
    assert cli.run("export", project, "-o", tmp_path / "b.h5", "--strict").code == 9
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors", "hdf5"])
def test_pipe_gets_the_same_bytes(cli, loaded, tmp_path, form):
    command = cli.command("export", loaded, "g", "--include", "big", "-o", "-", "--format", form)
    done = subprocess.run(command, capture_output=True, env=cli.environment)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "piped"
    file.write_bytes(done.stdout)
    if form == "hdf5":
        with h5py.File(file) as f:
            np.testing.assert_array_equal(f["g/big"], FLAT["g/big"])
    elif form == "safetensors":
        np.testing.assert_array_equal(load_file(file)["g/big"], FLAT["g/big"])
    else:
        found = np.load(file)
        np.testing.assert_array_equal(found["g/big"] if form == "npz" else found, FLAT["g/big"])


def test_closed_pipe_is_not_a_failure(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["x"] = np.zeros(2_000_000)
    cli.load(project, tmp_path / "f.h5")
    process = subprocess.Popen(cli.command("export", project, "-o", "-", "--format", "npy", "x"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == 0, process.stderr.read()
    process.stderr.close()


def test_existing_file_is_kept_without_overwrite(cli, shared, tmp_path):
    file = tmp_path / "a.npy"
    file.write_text("old")
    refused = cli.run("export", shared, "a", "-o", file)
    assert refused.code == 4 and "--overwrite" in refused.err
    assert file.read_text() == "old"
    cli.ok("export", shared, "a", "-o", file, "--overwrite")
    np.testing.assert_array_equal(np.load(file), ARRAYS["a"])
    assert sorted(path.name for path in tmp_path.iterdir() if "a.npy" in path.name) == ["a.npy"]


def test_export_writes_into_a_device_and_never_replaces_it(cli, shared):
    cli.ok("export", shared, "-o", "/dev/null", "--format", "npz")
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize("args, code", [
    (["-o", "x.unknown"], 2), (["-o", "x.npy"], 2), (["-o", "x.npz", "--gzip", "3"], 2),
    (["nothing", "-o", "x.npz"], 3), (["-o", "-", "--format", "npz", "--json"], 2),
    (["-o", "no/such/folder/x.npz"], 3), (["-o", "x.h5", "--include", "["], 2),
])
def test_impossible_exports_have_their_exit_code(cli, shared, tmp_path, args, code):
    before = sorted(tmp_path.iterdir())
    assert cli.run("export", shared, *args, cwd=tmp_path).code == code
    assert sorted(tmp_path.iterdir()) == before


def test_full_disk_keeps_the_old_file_and_leaves_no_other(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["x"] = np.zeros(1_000_000)
    cli.load(project, tmp_path / "f.h5")
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("a.npy", "a.h5"):
        (folder / name).write_text("old")
        command = cli.command("export", project, "x", "-o", folder / name, "--overwrite")
        shell = f"ulimit -f 100; exec {' '.join(map(str, command))}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, env=cli.environment)
        assert done.returncode == 1 and "File too large" in done.stderr, done.stderr
        assert (folder / name).read_text() == "old"
    assert sorted(os.listdir(folder)) == ["a.h5", "a.npy"]


def wait_until_it_handles_interrupts(process):
    """Waits until `process` catches SIGINT, which an export does before it takes the lock."""
    status, end = Path(f"/proc/{process.pid}/status"), time.monotonic() + 60
    while not int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) & 1 << (signal.SIGINT - 1):
        assert process.poll() is None, "it does not wait for the lock"
        assert time.monotonic() < end, "it does not catch SIGINT"
        time.sleep(0.01)


def test_interrupted_export_leaves_no_file(cli, shared, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    lock = tmp_path / "lock"
    with open(lock, "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = cli.start("export", shared, "-o", folder / "x.npz", "--lock", lock)
        wait_until_it_handles_interrupts(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        process.communicate()
    assert list(folder.iterdir()) == []


def test_lock_is_compatible_with_filelock(cli, shared, tmp_path):
    filelock = pytest.importorskip("filelock")
    lock = tmp_path / "lock"
    with filelock.FileLock(lock):
        process = cli.start("export", shared, "-o", tmp_path / "x.npz", "--lock", lock)
        wait_until_it_handles_interrupts(process)
        time.sleep(0.4)
        assert process.poll() is None
    assert process.wait(60) == 0
    process.communicate()
    with filelock.FileLock(lock, timeout=1):
        pass


def test_export_of_a_broken_project_fails(cli, shared, tmp_path):
    from conftest import SHM, segments_of

    (SHM / segments_of(shared)[0]).unlink()
    refused = cli.run("export", shared, "-o", tmp_path / "x.npz")
    assert refused.code == 3 and "broken" in refused.err
    assert not (tmp_path / "x.npz").exists()


def test_json_lists_the_written_arrays(cli, shared, tmp_path):
    doc = cli.ok("export", shared, "-o", tmp_path / "x.h5", "--json").json()
    assert doc["format"] == "hdf5" and doc["array_count"] == 4
    assert doc["file_bytes"] == (tmp_path / "x.h5").stat().st_size


def test_aliases_are_exported_as_one_dataset(cli, project, tmp_path):
    cli.load(project, write(tmp_path / "f.h5", "links"))
    cli.ok("export", project, "-o", tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as f:
        assert f["real"] == f["hard"] == f["soft"]


def test_key_and_globs_select_arrays(cli, loaded, tmp_path):
    cli.ok("export", loaded, "g", "-o", tmp_path / "g.npz")
    assert set(np.load(tmp_path / "g.npz").files) == {"g/big", "g/flags"}
    cli.ok("export", loaded, "-o", tmp_path / "n.npz", "--exclude", "/g", "--exclude", "half")
    assert set(np.load(tmp_path / "n.npz").files) == {"a", "empty"}


def test_export_warns_about_data_that_it_cannot_restore(cli, project, tmp_path):
    file, back = tmp_path / "f.h5", tmp_path / "back.h5"
    with h5py.File(file, "w", libver="latest") as f:
        d = f.create_dataset("d", data=np.arange(4))
        d.attrs["region"] = d.regionref[1:3]
        d.attrs["huge"] = np.zeros(17 << 17)
        d.attrs["fine"] = 1
        # Too large for the ledger, but TOML can represent it.
        d.attrs["words"] = np.full(40_000, b"x" * 450)
        f.create_dataset("refs", data=d.ref, dtype=h5py.ref_dtype)
    cli.load(project, file)
    done = cli.ok("export", project, "-o", back, "--json")
    paths = {note["path"] for note in done.json()["left_out"]}
    assert paths == {"/d@region", "/d@huge", "/refs"}
    assert len(done.json()["warnings"]) == 1 and "3 objects cannot be restored in hdf5" in done.err
    assert cli.run("export", project, "-o", tmp_path / "strict.h5", "--strict").code == 9
    with h5py.File(back) as f:
        assert set(f) == {"d"} and set(f["d"].attrs) == {"fine", "words"}
        assert len(f["d"].attrs["words"]) == 40_000
    only = cli.ok("export", project, "-o", tmp_path / "only.h5", "--json", "--exclude", "/refs").json()
    assert {note["path"] for note in only["left_out"]} == {"/d@region", "/d@huge"}
    assert cli.ok("export", project, "d", "-o", tmp_path / "d.npy", "--json").json()["warnings"] == []


@pytest.mark.parametrize("options", [(), ("--gzip", "1")], ids=["plain", "gzip"])
def test_export_restores_a_compound_of_many_pieces(cli, project, tmp_path, options):
    fields = {"names": ["a", "s", "b", "c"], "formats": ["u1", "S3", "<f8", ("<i2", (2, 3))],
              "offsets": [0, 2, 8, 20], "itemsize": 40}
    rows = np.zeros((700, 431), fields)
    rng = np.random.default_rng(1)
    for name in fields["names"]:
        rows[name] = rng.integers(0, 99, rows[name].shape).astype(rows.dtype[name].base)
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["t"] = rows
    cli.load(project, tmp_path / "f.h5")
    cli.ok("export", project, "-o", tmp_path / "back.h5", *options)
    with h5py.File(tmp_path / "f.h5") as before, h5py.File(tmp_path / "back.h5") as after:
        assert after["t"].id.get_type() == before["t"].id.get_type()
        np.testing.assert_array_equal(after["t"][()], rows)


def test_export_restores_spaces_and_nuls_of_padded_strings(cli, project, tmp_path):
    words = [b"a\0b ", b"    ", b"abcd", b"a b ", b"\0\0x "]
    with h5py.File(tmp_path / "f.h5", "w") as f:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(4)
        kind.set_strpad(h5py.h5t.STR_SPACEPAD)
        space = h5py.h5s.create_simple((len(words),))
        raw = h5py.h5d.create(f.id, b"s", kind, space)
        raw.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(words, "S4"), kind)
    cli.load(project, tmp_path / "f.h5")
    cli.ok("export", project, "-o", tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as f:
        kind = f["s"].id.get_type()
        assert kind.get_strpad() == h5py.h5t.STR_SPACEPAD
        found = np.zeros(len(words), "S4")
        f["s"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, found, kind)
        assert found.tobytes() == b"".join(words)


@pytest.mark.parametrize("options", [(), ("--gzip", "4")], ids=["plain", "gzip"])
def test_converted_arrays_have_the_new_type_in_the_file(cli, project, tmp_path, options):
    values = np.linspace(-3, 7, 5000)
    rows = np.zeros(3, [("x", ">f8"), ("n", ">i4")])
    rows["x"], rows["n"] = [0.1, 0.2, 0.3], [1, 2, 3]
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f["wide"], f["big"], f["t"] = values, values.astype(">f8"), rows
        f["wide"].attrs["unit"] = "m"
        f["t"].attrs["kind"] = "table"
    cli.load(project, tmp_path / "f.h5", "--dtype", "wide=float32", "--dtype", "t/x=float32",
             "--byte-order", "native")
    cli.ok("export", project, "-o", tmp_path / "back.h5", *options)
    with h5py.File(tmp_path / "back.h5") as f:
        assert f["wide"].dtype == "<f4" and f["big"].dtype == "<f8"
        np.testing.assert_array_equal(f["wide"][()], values.astype("f4"))
        np.testing.assert_array_equal(f["big"][()], values)
        assert f["wide"].attrs["unit"] == "m" and f["t"].attrs["kind"] == "table"
        assert f["t"].dtype == [("x", "<f4"), ("n", "<i4")]
        np.testing.assert_array_equal(f["t"]["x"], rows["x"].astype("f4"))
        np.testing.assert_array_equal(f["t"]["n"], rows["n"])


def test_project_replaced_during_its_export_is_exported_in_the_old_version(cli, project, tmp_path):
    old, new = np.arange(600_000), -np.arange(600_000)
    for name, values in (("old.h5", old), ("new.h5", new)):
        with h5py.File(tmp_path / name, "w") as f:
            f["a"], f["b"] = values, values + 1
    cli.load(project, tmp_path / "old.h5")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = cli.start("export", project, "-o", pipe, "--format", "npz")
    with open(pipe, "rb") as stream:
        # It writes the first array, which is larger than a pipe, and has not started the second one.
        first = stream.read(1000)
        cli.load(project, tmp_path / "new.h5", "--overwrite")
        rest = stream.read()
    assert process.wait(60) == 0, process.communicate()
    process.communicate()
    (tmp_path / "x.npz").write_bytes(first + rest)
    with np.load(tmp_path / "x.npz") as z:
        np.testing.assert_array_equal(z["a"], old)
        np.testing.assert_array_equal(z["b"], old + 1)


def test_exports_during_overwrites_contain_one_version(cli, project, tmp_path):
    for number in range(2):
        with h5py.File(tmp_path / f"{number}.h5", "w") as f:
            for name in "abcdefgh":
                f[name] = np.full(1000, number)
    cli.load(project, tmp_path / "0.h5")
    for round in range(8):
        process = cli.start("load-hdf5", "-p", "-o", project, tmp_path / f"{(round + 1) % 2}.h5")
        while process.poll() is None:
            cli.ok("export", project, "-o", tmp_path / "x.npz", "--overwrite")
            with np.load(tmp_path / "x.npz") as z:
                assert len({int(value) for name in z.files for value in z[name]}) == 1
        process.communicate()

