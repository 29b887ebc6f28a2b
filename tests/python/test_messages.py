"""Messages of a load: formats that are not HDF5, errors of the library in plain English, and counts."""

import h5py
import numpy as np
import pytest




def load_error(cli, project, file, code=8, *options):
    done = cli.run("load-hdf5", "--persistent", *options, project, file)
    assert done.code == code, done.err
    return done.err


@pytest.mark.parametrize("version", [1, 2, 5])
def test_netcdf_classic_is_named_with_the_command_that_converts_it(cli, project, tmp_path, version):
    file = tmp_path / "f.nc"
    file.write_bytes(b"CDF" + bytes([version]) + bytes(28))
    err = load_error(cli, project, file)
    assert "is a netCDF classic file, not netCDF-4" in err and f"'nccopy -k nc4 {file} OUT'" in err


def test_npz_is_named_in_the_error(cli, project, tmp_path):
    np.savez(tmp_path / "f.npz", a=[1])
    err = load_error(cli, project, tmp_path / "f.npz")
    assert "is a numpy archive (zip)" in err and "arrays_to_shm" in err


def test_file_that_is_being_written_gets_no_hint_to_clear_it(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w", libver="latest") as f:
        f["d"] = [1]
        f.swmr_mode = True
        f.flush()
        err = load_error(cli, project, file)
    assert "a program is writing the file" in err
    assert "wait until" in err and "only if no program writes it" in err
    assert "detail" not in err


def test_verbose_shows_the_message_of_the_library(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["d"] = np.arange(10000)
    whole = file.read_bytes()
    file.write_bytes(whole[:30000])
    err = load_error(cli, project, file)
    assert f"the file is truncated: it has 30000 of {len(whole)} bytes" in err and "sblock" not in err
    assert "detail: truncated file: eof = 30000" in load_error(cli, project, file, 8, "-v")


def test_verbose_shows_the_message_of_the_library_about_damage(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w", libver="latest") as f:
        f["d"] = [1, 2]
        f["e"] = [1, 2]
    data = bytearray(file.read_bytes())
    second = data.index(b"OHDR", data.index(b"OHDR", data.index(b"OHDR") + 1) + 1)
    data[second + 20] ^= 1
    file.write_bytes(data)
    done = cli.run("load-hdf5", "--persistent", "--keep-going", project, file)
    assert done.code == 10, done.err
    assert "the checksum of its metadata is wrong" in done.err and "1 of 2 could not be read" in done.err
    done = cli.run("load-hdf5", "--persistent", "--keep-going", "--overwrite", "-v", project, file)
    assert "detail: incorrect metadata checksum" in done.err


def test_equal_warnings_are_summed_up(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["d"] = [1]
        for number in range(90):
            f.create_dataset(f"r{number}", data=f.ref, dtype=h5py.ref_dtype)
            f[f"s{number}"] = h5py.SoftLink(f"/nowhere{number}")
    done = cli.load(project, file, "--json")
    assert len(done.json()["warnings"]) == 180
    lines = done.err.splitlines()
    assert sum("is skipped" in line for line in lines) == 6
    assert sum("87 more objects are skipped: " in line for line in lines) == 2
    done = cli.load(project, file, "--overwrite", "-v")
    assert done.err.count("is skipped") == 180 and "more objects" not in done.err


def test_attributes_that_the_metadata_cannot_represent_are_one_warning(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["d"] = [1]
        f["d"].attrs["reference"] = f["d"].ref
        f["d"].attrs["complex"] = 1j
        f.attrs["complex"] = 2j
    done = cli.load(project, file, "--json")
    warnings = done.json()["warnings"]
    assert [warning["code"] for warning in warnings] == ["attributes"]
    assert warnings[0]["message"].startswith("3 attributes are not in the metadata, such as '/@complex'")
    left_out = cli.ok("show", project, "--json").json()["left_out"]
    assert {note["path"] for note in left_out} == {"/@complex", "/d@complex", "/d@reference"}
    verbose = cli.load(project, file, "--overwrite", "-v")
    assert verbose.err.count("is left out: ") == 3
    err = load_error(cli, project, file, 9, "--strict", "--overwrite")
    assert "attribute '/@complex' cannot be represented: complex (and 2 more attributes)" in err


def test_attributes_of_dimension_scales_cause_no_warning(cli, project, tmp_path):
    file = tmp_path / "f.nc"
    with h5py.File(file, "w") as f:
        f["x"] = np.arange(3.0)
        f["x"].make_scale("x")
        f["v"] = np.arange(3.0)
        f["v"].dims[0].attach_scale(f["x"])
    done = cli.load(project, file, "--strict", "--json")
    assert done.json()["warnings"] == []


def test_lack_of_memory_names_the_array(cli, project, tmp_path):
    file = tmp_path / "f.h5"
    with h5py.File(file, "w") as f:
        f["small"] = [1]
        f.create_dataset("huge", shape=(1 << 60,), dtype="u1", chunks=(1 << 20,))
    done = cli.run("load-hdf5", "--persistent", "--json", project, file)
    assert done.code == 5
    error = done.json()["errors"][0]
    assert error["concerns"] == "/huge" and "'/huge' alone takes 1 EiB" in error["message"]
