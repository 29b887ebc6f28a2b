"""The programs that wrote a file read its export. `scripts/setup --readers` installs them.

Each test imports its program itself: PyTables and netCDF4 change the plugins of the HDF5 library in this process. For the
same reason conftest.py runs these tests last.
"""

import h5py
import numpy as np
import pytest


@pytest.fixture
def there_and_back(cli, project, tmp_path):
    """Loads a file and exports it, without skipped data."""

    def convert(file, *options):
        back = tmp_path / f"back{file.suffix}"
        cli.load(project, file)
        cli.ok("export", project, "-o", back, *options)
        return back

    return convert


def netcdf_file(path):
    """Writes unlimited dimensions longer than their variables, user types, groups and fill values."""
    import netCDF4

    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("time", None)
        f.createDimension("x", 3)
        f.createVariable("time", "f8", ("time",))[:] = np.arange(5)
        short = f.createVariable("short", "f4", ("time", "x"), fill_value=-1)
        short[:2] = 7
        short.units = "m"
        f.createVariable("fixed", "i2", ("x",), zlib=True)[:] = [1, 2, 3]
        f.createVariable("none", "f8", ("time",))
        group = f.createGroup("g")
        group.createDimension("y", None)
        group.createVariable("v", "i4", ("time", "y"))[:] = np.ones((5, 2))
        pair = f.createCompoundType(np.dtype([("a", "i4"), ("b", "f8")]), "pair")
        f.createVariable("rows", pair, ("x",))[:] = np.array([(1, 2.0)] * 3, pair.dtype)
        colors = f.createEnumType(np.uint8, "colors", {"red": 0, "blue": 3})
        f.createVariable("color", colors, ("x",), fill_value=0)[:] = [0, 3, 0]
        f.createVariable("names", str, ("x",))[:] = np.array(["a", "bc", ""], object)


def netcdf_content(path):
    """Returns dimensions, types, attributes and values of every group."""
    import netCDF4

    found = {}
    with netCDF4.Dataset(path) as f:
        stack = [f]
        while stack:
            group = stack.pop()
            found[group.path, "dimensions"] = {
                name: (len(d), d.isunlimited()) for name, d in group.dimensions.items()}
            found[group.path, "types"] = (sorted(group.cmptypes), sorted(group.enumtypes))
            for name, v in group.variables.items():
                attributes = {key: repr(v.getncattr(key)) for key in v.ncattrs()}
                values = np.ma.filled(v[...]).tolist() if v.dtype is not str else list(v[...])
                found[group.path, name] = (v.dimensions, str(v.dtype), v.shape, attributes, v.chunking(), repr(values))
            stack.extend(group.groups.values())
    return found


@pytest.mark.parametrize("options", [(), ("--gzip", "4")], ids=["plain", "gzip"])
def test_netcdf4_reads_an_export_as_its_source(there_and_back, tmp_path, options):
    netcdf_file(tmp_path / "f.nc")
    back = there_and_back(tmp_path / "f.nc", "--strict", *options)
    before, after = netcdf_content(tmp_path / "f.nc"), netcdf_content(back)
    if options:
        before, after = ({key: value[:4] if key[1] not in ("dimensions", "types") else value
                          for key, value in found.items()} for found in (before, after))
    assert before == after
    assert before["/", "short"][2] == (5, 3)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_xarray_reads_an_export_as_its_source(there_and_back, tmp_path, engine):
    import xarray

    data = xarray.Dataset(
        {"t": (("time", "x"), np.arange(6.0).reshape(2, 3), {"units": "K"}), "label": ("x", ["a", "b", "c"])},
        coords={"time": np.array(["2024-01-01", "2024-01-02"], "M8[ns]"), "x": [1, 2, 3]}, attrs={"title": "test"})
    data.to_netcdf(tmp_path / "f.nc", engine=engine, unlimited_dims=["time"])
    back = there_and_back(tmp_path / "f.nc")
    with xarray.open_dataset(tmp_path / "f.nc", engine=engine) as before, \
            xarray.open_dataset(back, engine=engine) as after:
        xarray.testing.assert_identical(before, after)
        assert before.encoding["unlimited_dims"] == after.encoding["unlimited_dims"] == {"time"}


@pytest.mark.parametrize("form", ["fixed", "table"])
def test_pandas_reads_an_export_as_its_source(there_and_back, tmp_path, form):
    import pandas

    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, np.nan], "s": ["x", "yy", "z"]}, index=[4, 5, 6])
    columns = ["a", "b"] if form == "fixed" else ["a", "b", "s"]
    frame[columns].to_hdf(tmp_path / "f.h5", key="df", format=form)
    back = there_and_back(tmp_path / "f.h5")
    pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "f.h5"), pandas.read_hdf(back))
    if form == "table":
        frame.to_hdf(back, key="df", format="table", append=True)
        assert len(pandas.read_hdf(back)) == 6


def test_pytables_reads_and_extends_an_export(there_and_back, tmp_path):
    import tables

    with tables.open_file(tmp_path / "f.h5", "w", title="all") as f:
        grows = f.create_earray("/", "grows", obj=np.arange(12).reshape(3, 4), chunkshape=(2, 4))
        grows.attrs.note = "n"
        f.create_carray("/g", "chunked", obj=np.arange(20.0).reshape(4, 5), createparents=True, chunkshape=(3, 2))
        f.create_array("/", "plain", obj=np.arange(5))
        f.create_table("/", "rows", obj=np.array([(1, b"x", 0.5)], [("n", "i4"), ("s", "S3"), ("v", "f8")]))
    back = there_and_back(tmp_path / "f.h5", "--strict")
    with tables.open_file(tmp_path / "f.h5") as a, tables.open_file(back, "a") as b:
        assert b.title == a.title
        for node in a.walk_nodes("/", "Leaf"):
            other = b.get_node(node._v_pathname)
            assert type(other) is type(node) and other.chunkshape == node.chunkshape
            np.testing.assert_array_equal(other.read(), node.read())
        b.root.grows.append(np.zeros((2, 4), int))
        b.root.rows.append([(2, b"yy", 1.0)])
        assert b.root.grows.shape == (5, 4) and b.root.rows.nrows == 2


def test_anndata_reads_an_export_as_its_source(there_and_back, tmp_path):
    import anndata
    import pandas

    data = anndata.AnnData(
        np.arange(6, dtype="f4").reshape(2, 3),
        obs=pandas.DataFrame({"kind": pandas.Categorical(["a", "b"])}, index=["c1", "c2"]),
        var=pandas.DataFrame({"n": [1, 2, 3]}, index=["g1", "g2", "g3"]), uns={"text": "t", "number": 3})
    data.write_h5ad(tmp_path / "f.h5ad")
    back = there_and_back(tmp_path / "f.h5ad")
    before, after = anndata.read_h5ad(tmp_path / "f.h5ad"), anndata.read_h5ad(back)
    np.testing.assert_array_equal(before.X, after.X)
    pandas.testing.assert_frame_equal(before.obs, after.obs)
    pandas.testing.assert_frame_equal(before.var, after.var)
    assert before.uns["text"] == after.uns["text"] and before.uns["number"] == after.uns["number"]


def test_h5py_extends_an_export(there_and_back, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        f.create_dataset("a", data=np.arange(4), maxshape=(None,), fillvalue=9)
    with h5py.File(there_and_back(tmp_path / "f.h5", "--strict"), "a") as f:
        f["a"].resize(6, axis=0)
        assert list(f["a"]) == [0, 1, 2, 3, 9, 9]
