"""Comparisons of two HDF5 files, each through one library. Used by roundtrip.py, in processes of their own.

Each comparison returns `None` if the library does not read the first file, else a list of differences:
(path, aspect, detail, other paths of the object...). Objects that the library cannot read in the first file are not compared.
"""

import collections
import collections.abc
import os
import sys
from pathlib import Path

import numpy as np

SOURCE_IS_READ = "the source is read"
# Called with SOURCE_IS_READ before the export is read.
announce = print


def is_hdf5(path):
    """Whether a file begins with HDF5's signature, after a user block of any legal size."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at < size:
            file.seek(at)
            if file.read(8) == b"\x89HDF\r\n\x1a\n":
                return True
            at = max(512, 2 * at)
    return False


def child(path, name):
    return f"{path.rstrip('/')}/{name}"


def equal(a, b):
    """Whether two values are equal. NaN is equal to itself; padding between fields does not count."""
    if isinstance(a, (str, bytes)) or isinstance(b, (str, bytes)) or a is None or b is None:
        return type(a) is type(b) and a == b
    if hasattr(a, "typecode") or type(a).__name__ == "Empty":
        return type(a) is type(b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)
    masks = np.ma.getmaskarray(a) if np.ma.isMaskedArray(a) else None
    if masks is not None and np.ma.isMaskedArray(b) and not np.array_equal(masks, np.ma.getmaskarray(b)):
        return False
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.fields:
        return all(equal(a[name], b[name]) for name in a.dtype.names)
    if a.dtype.hasobject and not a.shape:
        return repr(a.item()) == repr(b.item())
    if a.dtype.hasobject:
        return all(equal(x, y) for x, y in zip(a.ravel(), b.ravel()))
    if a.dtype.kind in "fcg" or a.dtype.itemsize == 16:
        try:
            return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fcMm"))
        except TypeError:
            pass
    return a.tobytes() == b.tobytes()


def attempt(call):
    """The result of a call in a tuple, or `None` if it fails."""
    try:
        return (call(),)
    except Exception:  # noqa: BLE001: every failure of the library has the same meaning here
        return None


class Difference(Exception):
    pass


def with_h5py(source, exported):
    import h5py
    import hdf5plugin  # noqa: F401: its filters

    opened = attempt(lambda: h5py.File(source, "r"))
    if not opened:
        return None
    found = []

    def key(identifier):
        info = h5py.h5o.get_info(identifier)
        return info.fileno, info.addr

    def targets(file, ref):
        """The paths of the object that a reference leads to: of those that both files have."""
        target = attempt(lambda: key(h5py.h5r.dereference(ref, file.id))) if ref else None
        return paths.get(target[0], set()) if target else None

    def same(a, b):
        """As `equal`, with references compared by the objects that they lead to."""
        if isinstance(a, (h5py.Reference, h5py.RegionReference)):
            if isinstance(a, h5py.RegionReference) or not isinstance(b, h5py.Reference):
                return type(a) is type(b)
            x, y = targets(before, a), targets(after, b)
            if x is not None and y is None:
                raise Difference("refers to an object that is not exported")
            return not x or bool(x & y)
        if isinstance(a, np.ndarray) and a.dtype.hasobject and isinstance(b, np.ndarray) and a.shape == b.shape:
            if a.dtype.fields:
                return a.dtype == b.dtype and all(same(a[name], b[name]) for name in a.dtype.names)
            return all(same(x, y) for x, y in zip(a.ravel(), b.ravel()))
        if isinstance(a, np.void) and a.dtype.hasobject and a.dtype.fields and isinstance(b, np.void):
            return a.dtype == b.dtype and all(same(a[name], b[name]) for name in a.dtype.names)
        return equal(a, b)

    def attributes(path, a, b):
        for name in attempt(lambda: list(a.attrs)) or [[]]:
            for name in name:
                value = attempt(lambda: a.attrs[name])
                if not value:
                    continue
                where = f"{path}@{name}"
                if name not in b.attrs:
                    found.append((where, "attribute is missing", ""))
                    continue
                other = attempt(lambda: b.attrs[name])
                x, y = a.attrs.get_id(name), b.attrs.get_id(name)
                kinds = attempt(lambda: (x.dtype, y.dtype))
                try:
                    if not other or not same(value[0], other[0]):
                        found.append((where, "attribute has another value", ""))
                    elif kinds and kinds[0][0] != kinds[0][1]:
                        found.append((where, "attribute has another type", f"{kinds[0][1]}, not {kinds[0][0]}"))
                    elif x.get_type().committed() != y.get_type().committed():
                        found.append((where, "attribute has no committed datatype", ""))
                except Difference as difference:
                    found.append((where, f"attribute {difference}", ""))

    def datasets(path, a, b):
        kinds = attempt(lambda: a.dtype)
        if not kinds:
            return
        other = attempt(lambda: b.dtype)
        if a.shape != b.shape:
            found.append((path, "another shape", f"{b.shape}, not {a.shape}"))
        elif not other or kinds[0] != other[0]:
            found.append((path, "another type", f"{b.dtype}, not {a.dtype}"))
        else:
            value = attempt(lambda: a[()])
            try:
                if value and not same(value[0], b[()]):
                    found.append((path, "other values", ""))
            except Difference as difference:
                found.append((path, str(difference), ""))
        if a.maxshape != b.maxshape:
            found.append((path, "other maximum extents", f"{b.maxshape}, not {a.maxshape}"))
        if a.chunks != b.chunks:
            found.append((path, "other chunks", f"{b.chunks}, not {a.chunks}"))
        x, y = a.id.get_create_plist(), b.id.get_create_plist()
        if x.fill_value_defined() != y.fill_value_defined():
            found.append((path, "another fill value", f"defined: {y.fill_value_defined()}, not {x.fill_value_defined()}"))
        elif (value := attempt(lambda: a.fillvalue)) and not equal(value[0], b.fillvalue):
            found.append((path, "another fill value", f"{b.fillvalue!r}, not {a.fillvalue!r}"))
        if a.id.get_type().committed() != b.id.get_type().committed():
            found.append((path, "no committed datatype", ""))

    with opened[0] as before, h5py.File(exported, "r") as after:
        stack, objects, paths = [("/", before, after)], [], collections.defaultdict(set)
        while stack:
            path, a, b = stack.pop()
            if type(a) is not type(b) and not {type(a), type(b)} <= {h5py.File, h5py.Group}:
                found.append((path, "another type of object", f"{type(b).__name__}, not {type(a).__name__}"))
                continue
            for identifier in (a.id, b.id):
                paths[key(identifier)].add(path)
            objects.append((path, a, b))
            if isinstance(a, h5py.Group):
                names = attempt(lambda: list(a))
                for name in names[0] if names else []:
                    inner = attempt(lambda: a[name])
                    if not inner:
                        continue
                    if name not in b:
                        found.append((child(path, name), "object is missing", type(inner[0]).__name__))
                    else:
                        stack.append((child(path, name), inner[0], b[name]))
                found.extend((child(path, name), "object that the source lacks", "") for name in b
                             if names and name not in names[0])
        groups = {path: a for path, a, _ in objects}
        for number, (path, aspect, detail) in enumerate(found):
            # A warning may name another path through which the object is missing.
            above, _, name = path.rpartition("/")
            above = groups.get(above or "/")
            aliases = paths[key(above.id)] if above else ()
            found[number] = (path, aspect, detail, *(child(alias, name) for alias in aliases))
        for path, a, b in objects:
            attributes(path, a, b)
            if isinstance(a, h5py.Dataset):
                datasets(path, a, b)
            elif isinstance(a, h5py.Datatype) and (kinds := attempt(lambda: a.dtype)) and kinds[0] != b.dtype:
                found.append((path, "another type", f"{b.dtype}, not {a.dtype}"))
    return found


def differing(before, after):
    """Differences of two tables {(path, aspect): value}."""
    found = []
    for (path, aspect), value in before.items():
        if (path, aspect) not in after:
            found.append((path, f"{aspect}: missing", ""))
        elif not equal(value, after[path, aspect]):
            found.append((path, f"{aspect}: different", f"{after[path, aspect]!r:.80}, not {value!r:.80}"))
    # An object that is missing counts once. Objects that only the export has are found through h5py.
    missing = {path for path, aspect, _ in found if aspect == "object: missing"}
    return [(path, aspect, detail) for path, aspect, detail in found
            if path.partition("@")[0] not in missing or aspect == "object: missing"]


def both(collect, source, exported):
    """Compares what `collect` returns for two files. A failure in the export alone is a difference."""
    before = attempt(lambda: collect(source))
    if not before or not before[0]:
        return None
    # Values that the library returns from memory that it did not fill differ each time.
    again = attempt(lambda: collect(source))
    for path, aspect, *_ in differing(before[0], again[0]) if again else ():
        before[0].pop((path, aspect.partition(":")[0]), None)
    announce(SOURCE_IS_READ)
    try:
        return differing(before[0], collect(exported))
    except Exception as error:  # noqa: BLE001: the source was read
        return [("/", "export cannot be read", f"{type(error).__name__}: {error}")]


def with_netcdf4(source, exported):
    import netCDF4

    def collect(path):
        found = {}
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            groups = [file]
            while groups:
                group = groups.pop()
                at = group.path
                found[at, "object"] = "group"
                # Dimensions and types without a name get numbers from the library, which depend on other objects.
                for name, dimension in group.dimensions.items():
                    if name.startswith("phony_dim_"):
                        continue
                    found[child(at, name), "dimension"] = repr((len(dimension), dimension.isunlimited()))
                for name in [*group.cmptypes, *group.vltypes, *group.enumtypes]:
                    if not name.startswith("_Anonymous"):
                        found[child(at, name), "type"] = name
                nodes = [(at, group), *((child(at, name), variable) for name, variable in group.variables.items())]
                for where, node in nodes:
                    for name in node.ncattrs():
                        value = attempt(lambda: node.getncattr(name))
                        if value:
                            found[f"{where}@{name}", "attribute"] = value[0]
                for name, variable in group.variables.items():
                    where = child(at, name)
                    found[where, "object"] = "variable"
                    found[where, "dimensions"] = repr([name for name in variable.dimensions if not name.startswith("phony_dim_")])
                    found[where, "dtype"] = str(variable.dtype)
                    found[where, "chunks"] = repr(variable.chunking())
                    value = attempt(lambda: variable[...])
                    if value:
                        found[where, "values"] = value[0]
                groups.extend(group.groups.values())
        return found

    return both(collect, source, exported)


def with_pandas(source, exported):
    import pandas

    def collect(path):
        found = {}
        with pandas.HDFStore(path, "r") as store:
            for key in store.keys():
                value = attempt(lambda: store.get(key))
                if value:
                    found[key, "object"] = type(value[0]).__name__
                    found[key, "frame"] = pickled(value[0])
        return found or None

    def pickled(frame):
        return (frame if isinstance(frame, pandas.DataFrame) else pandas.DataFrame(frame)).to_json(orient="split") \
            + repr(frame.dtypes if frame.ndim > 1 else frame.dtype) + repr(frame.index)

    return both(collect, source, exported)


def with_pytables(source, exported):
    import tables

    def collect(path):
        found = {}
        with tables.open_file(path, "r") as file:
            for node in file.walk_nodes("/"):
                where = node._v_pathname
                # Links become objects.
                if isinstance(node, (tables.UnImplemented, tables.link.Link)) or type(node).__name__ == "Unknown":
                    continue
                found[where, "object"] = type(node).__name__
                for name in node._v_attrs._v_attrnames:
                    value = attempt(lambda: node._v_attrs[name])
                    if value and (isinstance(value[0], (np.ndarray, np.generic, str, bytes, int, float))):
                        found[f"{where}@{name}", "attribute"] = value[0]
                if isinstance(node, tables.Leaf):
                    found[where, "dtype"] = repr(node.dtype)
                    found[where, "chunks"] = repr(node.chunkshape)
                    found[where, "enlargeable axis"] = repr(getattr(node, "extdim", None))
                    value = attempt(node.read)
                    if value:
                        found[where, "values"] = np.asarray(value[0]) if not isinstance(value[0], list) else repr(value[0])
        return found

    return both(collect, source, exported)


def with_anndata(source, exported):
    import anndata
    import h5py
    import scipy.sparse

    def is_anndata():
        with h5py.File(source, "r") as file:
            return source.endswith(".h5ad") or file.attrs.get("encoding-type") == "anndata"

    if not (attempt(is_anndata) or (False,))[0]:
        return None

    def collect(path):
        data, found = anndata.read_h5ad(path), {}

        def add(where, value):
            if isinstance(value, collections.abc.Mapping):
                for key in value.keys():
                    add(f"{where}/{key}", value[key])
            elif hasattr(value, "dtypes"):
                found[where, "frame"] = value.to_json(orient="split") + repr(value.dtypes) + repr(value.index)
            elif scipy.sparse.issparse(value):
                found[where, "sparse matrix"] = repr((type(value), value.shape)) + value.toarray().tobytes().hex()
            else:
                found[where, "values"] = value

        for name in ("X", "obs", "var", "uns", "obsm", "varm", "obsp", "varp", "layers"):
            add(f"/{name}", getattr(data, name))
        return found

    return both(collect, source, exported)


READERS = {"h5py": with_h5py, "netCDF4": with_netcdf4, "pandas": with_pandas, "PyTables": with_pytables,
           "anndata": with_anndata}


def serve(name, connection):
    """Answers requests to compare two files until the connection is closed."""
    # HDF5 prints its errors; some files name others relative to their folder.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115: until this process exits
    import warnings

    global announce
    announce = connection.send
    warnings.simplefilter("ignore")
    while True:
        try:
            source, exported = connection.recv()
        except EOFError:
            return
        os.chdir(Path(source).parent)
        try:
            found = READERS[name](source, exported)
        except Exception as error:  # noqa: BLE001: reported as a difference
            found = [("/", "comparison fails", f"{type(error).__name__}: {error}")]
        connection.send(found)
