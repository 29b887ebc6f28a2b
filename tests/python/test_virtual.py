"""Loads of virtual datasets, external links and external raw files equal h5py, or give an error or a warning that
names the file."""

import json
import os
import random
import resource
import shutil
import socket
import tomllib

import h5py
import hdf5plugin
import numpy as np
import pytest
from conftest import SHM


def arrays(root, project):
    """Returns {path: array} of a project, read without the package."""
    found = {}

    def walk(table, path):
        if "shm_name" in table:
            data = (SHM / table["shm_name"]).read_bytes()
            dtype, shape = np.dtype(table["dtype"]), table["shape"]
            count = int(np.prod(shape, dtype=int))
            found[path] = np.frombuffer(data, dtype, count).reshape(shape)
            return
        for name, below in table.items():
            walk(below, f"{path}/{name}")

    walk(tomllib.loads((root / f"cute-shm.{project}.toml").read_text()), "")
    return found


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def sources(cli, project):
    """Returns {file name: state} of the sources in the ledger, without the file itself."""
    listed = json.loads(cli.ok("show", "--json", project).out)["project"]["sources"]
    return {os.path.basename(source["path"]): source["state"] for source in listed if source["linked"]}


def virtual(path, shape, parts, dtype="<i4", name="v", maxshape=None, fill=None):
    """Creates a virtual dataset from (to, source) pairs."""
    with h5py.File(path, "a", libver="latest") as file:
        layout = h5py.VirtualLayout(shape, dtype, maxshape=maxshape)
        for to, source in parts:
            layout[to] = source
        file.create_virtual_dataset(name, layout, fillvalue=fill)
    return path


def source(path, values, name="x", **options):
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=values, **options)
    return h5py.VirtualSource(path.name, name, np.shape(values))


FILTERS = [
    {}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"},
    dict(hdf5plugin.Bitshuffle(cname="lz4")), dict(hdf5plugin.Zstd()), dict(hdf5plugin.Blosc()),
]


def a_slice(rng, extent, count):
    """Returns a random slice of exactly `count` of `extent` indices."""
    step = rng.randint(1, max(1, (extent - 1) // max(1, count - 1))) if count > 1 else 1
    start = rng.randint(0, extent - ((count - 1) * step + 1))
    return slice(start, start + (count - 1) * step + 1, step)


def a_source(rng, path, shape, dtype, number):
    """Creates a dataset of random layout, type and filter, at least as large as `shape`."""
    full = [n + rng.choice([0, 0, 1, 5]) for n in shape]
    values = np.array([rng.randrange(1, 100) for _ in range(int(np.prod(full)))]).reshape(full)
    options = {}
    if rng.random() < 0.7:
        options = dict(rng.choice(FILTERS), chunks=tuple(rng.randint(1, n) for n in full))
    own = rng.choice([dtype, dtype, ">i2", "<f8"])
    with h5py.File(path, "a") as file:
        name = f"group/d{number}"
        dataset = file.create_dataset(name, shape=full, dtype=own, **options)
        if options and rng.random() < 0.3:
            # Some chunks are never written.
            dataset[: max(1, full[0] // 2)] = values[: max(1, full[0] // 2)]
        else:
            dataset[...] = values
    return h5py.VirtualSource(path.name, name, full), full


def a_virtual(rng, folder, number):
    """Writes a file with a virtual dataset of random mappings. Some sources are absent, some are virtual."""
    rank = rng.randint(1, 3)
    shape = tuple(rng.randint(1, 9) for _ in range(rank))
    if rng.random() < 0.2:
        shape = (rng.randint(200, 400), 300, *shape[2:])
    dtype = rng.choice(["<i4", "<f4", ">i8"])
    layout = h5py.VirtualLayout(shape, dtype)
    mapped = 0
    for part in range(rng.randint(0, 5)):
        counts = [rng.randint(1, n) for n in shape]
        to = tuple(a_slice(rng, n, count) for n, count in zip(shape, counts, strict=True))
        kind = rng.random()
        if kind < 0.1:
            layout[to] = h5py.VirtualSource(f"absent{part}.h5", "x", counts)
            continue
        # Another shape with as many elements.
        flat = [int(np.prod(counts))] if rng.random() < 0.3 else counts
        path = folder / f"source{number}-{rng.randint(0, 2)}.h5"
        taken, full = a_source(rng, path, flat, dtype, f"{part}-{rng.random()}")
        sub = tuple(a_slice(rng, n, count) for n, count in zip(full, flat, strict=True))
        if kind < 0.3:
            # A virtual dataset between them, in which some elements have no source.
            between = folder / f"between{number}-{part}.h5"
            virtual(between, tuple(full), [(np.s_[: max(1, full[0] // 2)], taken[: max(1, full[0] // 2)])], dtype, fill=7)
            taken = h5py.VirtualSource(between.name, "v", tuple(full))
        layout[to] = taken[sub]
        mapped += np.prod(counts)
    # With overlapping mappings the library assumes that every element has a source, and uses no fill value.
    fill = rng.choice([None, 0, 5]) if mapped < np.prod(shape) else 0
    path = folder / f"v{number}.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout, fillvalue=fill)
        file["plain"] = 1
    return path


@pytest.mark.parametrize("seed", range(40))
def test_random_virtual_layouts_equal_h5py(cli, project, root, tmp_path, seed):
    rng = random.Random(seed)
    path = a_virtual(rng, tmp_path, seed)
    with h5py.File(path) as file:
        wanted = file["v"][()]
    cli.load(project, path)
    assert same(arrays(root, project)["/v"], wanted)
    first = rng.randint(0, len(wanted))
    last = rng.randint(first, len(wanted))
    cli.load(project, path, "--overwrite", "--rows", f"{first}:{last}")
    assert same(arrays(root, project)["/v"], wanted[first:last])


def test_large_virtual_dataset_is_read_by_several_workers(cli, project, root, tmp_path):
    rng = np.random.default_rng(5)
    rows, columns = 400, 2000
    parts, whole = [], np.zeros((rows, columns), "<f4")
    for number in range(8):
        values = rng.random((rows, columns // 8), "f4")
        options = dict(FILTERS[number % len(FILTERS)], chunks=(64, 100))
        # The columns of one source are between those of the others.
        parts.append((np.s_[:, number::8], source(tmp_path / f"s{number}.h5", values, **options)))
        whole[:, number::8] = values
    path = virtual(tmp_path / "v.h5", whole.shape, parts, "<f4")
    cli.load(project, path, "--jobs", "4")
    assert same(arrays(root, project)["/v"], whole)
    cli.load(project, path, "--overwrite", "--verify")
    assert same(arrays(root, project)["/v"], whole)


@pytest.mark.parametrize("layout", ["virtual", "numbered", "links"])
def test_any_number_of_sources_works_under_a_low_descriptor_limit(cli, project, root, tmp_path, layout):
    count = 400
    values = np.arange(count * 3, dtype="<i4").reshape(count, 3) + 1
    parts = [(number, source(tmp_path / f"s{number}.h5", values[number])) for number in range(count)]
    path = tmp_path / "v.h5"
    if layout == "virtual":
        virtual(path, values.shape, parts)
    elif layout == "numbered":
        numbered(path, "s%b.h5", "x", 3)
    else:
        with h5py.File(path, "w") as file:
            for number in range(count):
                file[f"l{number:03}"] = h5py.ExternalLink(f"s{number}.h5", "/x")
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))  # noqa: E731
    outcome = cli.run("load-hdf5", "--persistent", "--strict", project, path, preexec_fn=limit)
    assert outcome.code == 0, outcome.err
    found = arrays(root, project)
    if layout == "links":
        found["/v"] = np.stack([found[f"/l{number:03}"] for number in range(count)])
    assert same(found["/v"], values)


def numbered(path, file_name, dataset_name, columns):
    """Writes a virtual dataset with a row for each existing numbered source."""
    space = h5py.h5s.create_simple((1, columns), (h5py.h5s.UNLIMITED, columns))
    space.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (1, 1), (1, columns))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    of = h5py.h5s.create_simple((columns,))
    plist.set_virtual(space, file_name.encode(), dataset_name.encode(), of)
    with h5py.File(path, "w", libver="latest") as file:
        h5py.h5d.create(file.id, b"v", h5py.h5t.STD_I32LE, space, plist)


def test_numbered_sources_end_with_the_first_that_is_absent(cli, project, root, tmp_path):
    for number in (0, 1, 3):
        source(tmp_path / f"s{number}.h5", np.full(3, number + 1, "<i4"))
    numbered(tmp_path / "v.h5", "s%b.h5", "x", 3)
    cli.load(project, tmp_path / "v.h5", "--strict")
    assert arrays(root, project)["/v"].tolist() == [[1] * 3, [2] * 3]
    assert sources(cli, project) == {"s0.h5": "present", "s1.h5": "present", "s2.h5": "absent"}


@pytest.mark.parametrize("stride, block", [(1, 1), (4, 3), (5, 2)])
def test_unlimited_mapping_ends_with_its_source(cli, project, root, tmp_path, stride, block):
    unlimited = h5py.h5s.UNLIMITED
    for rows in (0, 1, 2, 5, 7):
        path = tmp_path / f"v{rows}.h5"
        with h5py.File(tmp_path / f"s{rows}.h5", "w") as file:
            values = np.arange(rows * 2, dtype="<i4").reshape(rows, 2) + 1
            file.create_dataset("x", data=values, maxshape=(None, 2), chunks=(2, 2))
        to = h5py.h5s.create_simple((1, 2), (unlimited, 2))
        to.select_hyperslab((1, 0), (unlimited, 1), (stride, 1), (block, 2))
        of = h5py.h5s.create_simple((1, 2), (unlimited, 2))
        of.select_hyperslab((0, 0), (unlimited, 1), (1, 1), (1, 2))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_virtual(to, f"s{rows}.h5".encode(), b"x", of)
        plist.set_fill_value(np.array([9], "<i4"))
        with h5py.File(path, "w", libver="latest") as file:
            h5py.h5d.create(file.id, b"v", h5py.h5t.STD_I32LE, to, plist)
        with h5py.File(path) as file:
            wanted = file["v"][()]
        cli.load(project, path, "--overwrite")
        assert same(arrays(root, project)["/v"], wanted), rows


def test_mappings_of_irregular_shape_equal_h5py(cli, project, root, tmp_path):
    source(tmp_path / "s.h5", np.arange(60, dtype="<i4").reshape(6, 10), chunks=(4, 3))
    to, of = h5py.h5s.create_simple((40,)), h5py.h5s.create_simple((6, 10))
    to.select_hyperslab((2,), (1,), None, (10,))
    to.select_hyperslab((20,), (1,), None, (6,), op=h5py.h5s.SELECT_OR)
    of.select_hyperslab((0, 1), (1, 1), None, (2, 3))
    of.select_hyperslab((1, 2), (1, 1), None, (4, 3), op=h5py.h5s.SELECT_OR)
    assert to.get_select_npoints() == of.get_select_npoints()
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(to, b"s.h5", b"x", of)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        h5py.h5d.create(file.id, b"v", h5py.h5t.STD_I32LE, to, plist)
    with h5py.File(tmp_path / "v.h5") as file:
        wanted = file["v"][()]
    cli.load(project, tmp_path / "v.h5")
    assert same(arrays(root, project)["/v"], wanted)


def test_virtual_compounds_and_strings_are_read_from_their_sources(cli, project, root, tmp_path):
    table = np.zeros(5, [("a", "<i4"), ("b", "<f8")])
    table["a"], table["b"] = range(5), np.arange(5) / 2
    parts = [(np.s_[:5], source(tmp_path / "s.h5", table, "t", compression="gzip"))]
    virtual(tmp_path / "v.h5", (6,), parts, table.dtype, "table")
    words = ["a", "bcd", "", "efghi"]
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file.create_dataset("w", data=words, dtype=h5py.string_dtype(), chunks=(2,), **hdf5plugin.Zstd())
    parts = [(np.s_[1:5], h5py.VirtualSource("s.h5", "w", (4,)))]
    virtual(tmp_path / "v.h5", (6,), parts, h5py.string_dtype(), "words")
    cli.load(project, tmp_path / "v.h5")
    found = arrays(root, project)
    assert found["/table/a"].tolist() == [0, 1, 2, 3, 4, 0]
    assert found["/table/b"].tolist() == [0, 0.5, 1, 1.5, 2, 0]
    assert found["/words"].tolist() == [b"", b"a", b"bcd", b"", b"efghi", b""]


def test_source_in_the_same_file_is_read(cli, project, root, tmp_path):
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        file["x"] = np.arange(6, dtype="<i4")
        layout = h5py.VirtualLayout((3,), "<i4")
        layout[:] = h5py.VirtualSource(".", "x", (6,))[::2]
        file.create_virtual_dataset("v", layout)
    cli.load(project, tmp_path / "v.h5", "--strict")
    assert arrays(root, project)["/v"].tolist() == [0, 2, 4]
    assert sources(cli, project) == {}


def test_virtual_datasets_in_a_cycle_are_an_error(cli, project, tmp_path):
    for one, other in ("ab", "ba"):
        virtual(tmp_path / f"{one}.h5", (3,), [(np.s_[:], h5py.VirtualSource(f"{other}.h5", "v", (3,)))])
    outcome = cli.run("load-hdf5", "-p", project, tmp_path / "a.h5")
    assert outcome.code == 8
    assert "its own source" in outcome.err


def test_absent_sources_are_filled_in_and_named(cli, project, root, tmp_path):
    parts = [(number, h5py.VirtualSource(f"no{number}.h5", "x", (2,))) for number in range(15)]
    source(tmp_path / "s.h5", np.full(2, 5, "<i4"))
    parts += [(15, h5py.VirtualSource("s.h5", "x", (2,))), (16, h5py.VirtualSource("s.h5", "other", (2,)))]
    path = virtual(tmp_path / "v.h5", (17, 2), parts, fill=-1)
    warnings = cli.load(project, path, "--json").json()["warnings"]
    assert {warning["code"] for warning in warnings} == {"filled"}
    assert {warning["concerns"] for warning in warnings} == {"/v"}
    # Ten by name, the others by their number.
    assert len(warnings) == 11 and "6 more" in warnings[-1]["message"]
    assert arrays(root, project)["/v"].tolist() == [[-1, -1]] * 15 + [[5, 5], [-1, -1]]
    listed = sources(cli, project)
    assert listed["no3.h5"] == "absent" and listed["s.h5"] == "present"
    outcome = cli.run("load-hdf5", "-p", "--overwrite", "--strict", project, path)
    assert outcome.code == 9
    assert "/v" in outcome.err and "no0.h5" in outcome.err


@pytest.fixture
def plain(tmp_path):
    """Writes files that name `bad` as external link, raw file, or virtual source."""
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["fine"] = 1
        file["e"] = h5py.ExternalLink("bad", "/x")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["fine"] = 1
        file.create_dataset("r", shape=(4,), dtype="<i4", external=[("bad", 0, 16)])
    virtual(tmp_path / "virtual.h5", (4,), [(np.s_[:], h5py.VirtualSource("bad", "x", (4,)))])
    with h5py.File(tmp_path / "virtual.h5", "a") as file:
        file["fine"] = 1
    return tmp_path


KINDS = {
    "pipe": lambda path: os.mkfifo(path),
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "directory": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("layout", ["link", "raw", "virtual"])
@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_opened(cli, project, root, plain, layout, kind):
    os.chdir(plain)
    KINDS[kind](plain / "bad")
    outcome = cli.run("load-hdf5", "-p", project, f"{layout}.h5", timeout=20)
    assert outcome.code == 8
    assert kind in outcome.err and "bad" in outcome.err
    outcome = cli.run("load-hdf5", "-p", "--keep-going", project, f"{layout}.h5", timeout=20)
    assert outcome.code == 10
    assert "1 of 2 could not be read" in outcome.err
    assert list(arrays(root, project)) == ["/fine"]


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_file_that_is_not_regular_is_refused(cli, project, tmp_path, kind):
    os.chdir(tmp_path)
    KINDS[kind](tmp_path / "bad")
    outcome = cli.run("load-hdf5", "-p", project, "bad", timeout=20)
    assert outcome.code == 8
    assert kind in outcome.err and "hint:" in outcome.err


def test_pipe_of_process_substitution_is_named(cli, project, tmp_path):
    read, write = os.pipe()
    outcome = cli.run("load-hdf5", "-p", project, f"/dev/fd/{read}", pass_fds=[read], timeout=20)
    os.close(read), os.close(write)
    assert outcome.code == 8
    assert "a pipe" in outcome.err and "zcat" in outcome.err


@pytest.mark.parametrize("layout", ["link", "virtual"])
@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_damaged_file_that_is_named_is_an_error(cli, project, plain, layout, damage):
    with h5py.File(plain / "bad", "w") as file:
        file["x"] = np.arange(4, dtype="<i4")
    data = (plain / "bad").read_bytes()
    (plain / "bad").write_bytes(data[: len(data) // 2] if damage == "truncated" else b"no HDF5 at all")
    outcome = cli.run("load-hdf5", "-p", project, plain / f"{layout}.h5")
    assert outcome.code == 8
    assert "/bad'" in outcome.err


@pytest.mark.parametrize("layout", ["link", "raw", "virtual"])
def test_file_without_permission_is_an_error_with_the_reason(cli, project, plain, layout):
    with h5py.File(plain / "bad", "w") as file:
        file["x"] = np.arange(4, dtype="<i4")
    (plain / "bad").chmod(0)
    for path in [plain, *plain.parents]:
        if path.owner() == "root" and path != path.parent and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    os.chdir(plain)
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    (plain / "root").mkdir(mode=0o777, exist_ok=True)
    (plain / "root").chmod(0o1777)
    # The checkout may be in a directory that only its owner can enter.
    cli.binary = shutil.copy(cli.binary, plain / "cute-shm")
    outcome = cli.run("load-hdf5", "--dry-run", project, f"{layout}.h5", **user)
    assert outcome.code == 8, outcome.err
    assert "Permission denied" in outcome.err and "bad" in outcome.err


def test_damaged_source_is_named(cli, project, root, tmp_path):
    part = source(tmp_path / "s.h5", np.arange(100, dtype="<i4"), chunks=(10,), fletcher32=True)
    with h5py.File(tmp_path / "s.h5") as file:
        offset = file["x"].id.get_chunk_info(3).byte_offset
    data = bytearray((tmp_path / "s.h5").read_bytes())
    data[offset + 2] ^= 0xFF
    (tmp_path / "s.h5").write_bytes(data)
    path = virtual(tmp_path / "v.h5", (100,), [(np.s_[:], part)])
    source(tmp_path / "v.h5", [1], "fine")
    outcome = cli.run("load-hdf5", "-p", project, path)
    assert outcome.code == 8
    assert "'/v'" in outcome.err and "'s.h5:x'" in outcome.err
    outcome = cli.run("load-hdf5", "-p", "--keep-going", project, path)
    assert outcome.code == 10
    assert list(arrays(root, project)) == ["/fine"]


def test_source_smaller_than_its_mapping_is_an_error(cli, project, tmp_path):
    source(tmp_path / "s.h5", np.arange(3, dtype="<i4"))
    path = virtual(tmp_path / "v.h5", (4,), [(np.s_[:], h5py.VirtualSource("s.h5", "x", (4,)))])
    outcome = cli.run("load-hdf5", "-p", project, path)
    assert outcome.code == 8
    assert "'s.h5:x'" in outcome.err


@pytest.mark.parametrize("variable", ["HDF5_VDS_PREFIX", "HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX"])
@pytest.mark.parametrize("origin", [False, True])
def test_prefixes_of_the_library_are_honored(cli, project, root, tmp_path, variable, origin):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    values = np.arange(4, dtype="<i4")
    source(folder / "bad", values)
    path = tmp_path / "v.h5"
    if variable == "HDF5_VDS_PREFIX":
        virtual(path, (4,), [(np.s_[:], h5py.VirtualSource("bad", "x", (4,)))])
    elif variable == "HDF5_EXT_PREFIX":
        if origin:
            pytest.skip("the library knows no ${ORIGIN} here")
        with h5py.File(path, "w") as file:
            file["v"] = h5py.ExternalLink("bad", "/x")
    else:
        (folder / "bad").write_bytes(values.tobytes())
        with h5py.File(path, "w") as file:
            file.create_dataset("v", shape=(4,), dtype="<i4", external=[("bad", 0, 16)])
    cli.environment[variable] = "${ORIGIN}/elsewhere" if origin else str(folder)
    cli.load(project, path, "--strict")
    assert same(arrays(root, project)["/v"], values)
    assert sources(cli, project)["bad"] == "present"


def test_everything_that_could_not_be_read_is_listed(cli, project, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["good"] = np.arange(3)
        file.create_dataset("raw", shape=(5,), dtype="<i4", external=[("nowhere.bin", 0, 20)])
    outcome = cli.run("load-hdf5", "-p", "--keep-going", project, tmp_path / "f.h5")
    assert outcome.code == 10
    assert "1 of 2 could not be read" in outcome.err
    shown = cli.ok("show", project).out
    assert "nowhere.bin" in shown
    assert sources(cli, project)["nowhere.bin"] == "absent"


def test_ensure_reloads_when_a_file_that_was_absent_appears(cli, project, root, tmp_path):
    path = virtual(tmp_path / "v.h5", (2,), [(np.s_[:], h5py.VirtualSource("late.h5", "x", (2,)))])
    with h5py.File(path, "a") as file:
        file["e"] = h5py.ExternalLink("later.h5", "/x")
    ensure = lambda: json.loads(cli.ok("load-hdf5", "-p", "--ensure", "--json", project, path).out)  # noqa: E731
    assert not ensure()["reused"]
    assert ensure()["reused"]
    source(tmp_path / "late.h5", np.array([3, 4], "<i4"))
    assert not ensure()["reused"]
    assert arrays(root, project)["/v"].tolist() == [3, 4]
    assert ensure()["reused"]
    source(tmp_path / "later.h5", np.array([5], "<i4"))
    assert not ensure()["reused"]
    assert arrays(root, project)["/e"].tolist() == [5]


def test_ensure_reloads_when_the_next_numbered_source_appears(cli, project, root, tmp_path):
    source(tmp_path / "s0.h5", np.full(3, 1, "<i4"))
    numbered(tmp_path / "v.h5", "s%b.h5", "x", 3)
    ensure = lambda: cli.ok("load-hdf5", "-p", "--ensure", "--json", project, tmp_path / "v.h5").json()  # noqa: E731
    assert not ensure()["reused"] and ensure()["reused"]
    source(tmp_path / "s1.h5", np.full(3, 2, "<i4"))
    assert not ensure()["reused"]
    assert arrays(root, project)["/v"].tolist() == [[1] * 3, [2] * 3]


def test_ensure_reloads_when_a_source_of_a_source_changes(cli, project, root, tmp_path):
    part = source(tmp_path / "s.h5", np.array([1, 2], "<i4"))
    virtual(tmp_path / "between.h5", (2,), [(np.s_[:], part)])
    virtual(tmp_path / "v.h5", (2,), [(np.s_[:], h5py.VirtualSource("between.h5", "v", (2,)))])
    ensure = lambda: cli.ok("load-hdf5", "-p", "--ensure", "--json", project, tmp_path / "v.h5").json()  # noqa: E731
    assert not ensure()["reused"] and ensure()["reused"]
    (tmp_path / "s.h5").unlink()
    source(tmp_path / "s.h5", np.array([3, 4], "<i4"))
    assert not ensure()["reused"]
    assert arrays(root, project)["/v"].tolist() == [3, 4]


@pytest.fixture
def outside(tmp_path):
    """Writes a directory with a file for each layout. Each reads files outside the directory."""
    folder = tmp_path / "folder"
    folder.mkdir()
    source(tmp_path / "secret.h5", np.arange(4, dtype="<i4"))
    (tmp_path / "secret.raw").write_bytes(np.arange(4, dtype="<i4").tobytes())
    (folder / "inside.h5").symlink_to(tmp_path / "secret.h5")
    secret = str(tmp_path / "secret.h5")
    with h5py.File(folder / "link.h5", "w") as file:
        file["v"] = h5py.ExternalLink(secret, "/x")
    with h5py.File(folder / "symlink.h5", "w") as file:
        file["v"] = h5py.ExternalLink("inside.h5", "/x")
    with h5py.File(folder / "raw.h5", "w") as file:
        file.create_dataset("v", shape=(4,), dtype="<i4", external=[(str(tmp_path / "secret.raw"), 0, 16)])
    virtual(folder / "virtual.h5", (4,), [(np.s_[:], h5py.VirtualSource("../secret.h5", "x", (4,)))])
    return folder


LAYOUTS = ["link", "symlink", "raw", "virtual"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_file_outside_the_directory_is_a_warning_if_other_users_may_read(cli, project, outside, layout):
    load = lambda *options: cli.load(project, outside / f"{layout}.h5", "--overwrite", "--json", *options)  # noqa: E731
    assert load("--external").json()["warnings"] == []
    warnings = load("--external", "--mode", "644").json()["warnings"]
    assert "secret" in [w["message"] for w in warnings if w["code"] == "outside"][0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_files_are_refused_on_request(cli, project, outside, layout):
    outcome = cli.run("load-hdf5", "-p", "--no-external", project, outside / f"{layout}.h5")
    assert outcome.code == 6
    assert "/v" in outcome.err and "--no-external" in outcome.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root refuses")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_root_refuses_files_outside_the_directory(cli, project, root, outside, layout):
    outcome = cli.run("load-hdf5", "-p", project, outside / f"{layout}.h5")
    assert outcome.code == 6
    assert "secret" in outcome.err and "--external" in outcome.err
    cli.load(project, outside / f"{layout}.h5", "--external")
    assert arrays(root, project)["/v"].tolist() == [0, 1, 2, 3]


def test_files_inside_the_directory_cause_no_warning(cli, project, root, tmp_path):
    (tmp_path / "parts").mkdir()
    part = source(tmp_path / "parts" / "s.h5", np.arange(4, dtype="<i4"))
    part.path = "parts/s.h5"
    path = virtual(tmp_path / "v.h5", (4,), [(np.s_[:], part)])
    warnings = cli.load(project, path, "--mode", "666", "--json").json()["warnings"]
    assert warnings == []
    assert cli.run("load-hdf5", "-p", "-o", "--no-external", project, path).code == 6
