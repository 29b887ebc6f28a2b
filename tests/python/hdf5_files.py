"""Writers of small HDF5 files, one for each feature that a real file may contain."""

import h5py
import numpy as np

CASES = {}
REFERENCE = np.dtype([("dataset", h5py.ref_dtype), ("dimension", np.int32)])


def case(write):
    """Registers a writer: it gets an open h5py.File and fills it."""
    CASES[write.__name__] = write
    return write


def numbers(count, dtype):
    """Returns numbers of any plain dtype that differ in every byte."""
    dtype = np.dtype(dtype)
    raw = np.random.default_rng(7).bytes(count * dtype.itemsize)
    if dtype.kind == "f":
        return np.random.default_rng(7).normal(size=count).astype(dtype)
    return np.frombuffer(raw, dtype=dtype)


def string_type(size, padding, charset=h5py.h5t.CSET_ASCII):
    """Returns a fixed-length HDF5 string type."""
    text = h5py.h5t.C_S1.copy()
    text.set_size(size)
    text.set_strpad(padding)
    text.set_cset(charset)
    return text


def create_raw(group, name, file_type, data, memory_type=None):
    """Creates a dataset of any HDF5 type with the low-level interface. `name` may be bytes."""
    name = name if isinstance(name, bytes) else name.encode()
    space = h5py.h5s.create_simple(data.shape) if data.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(group.id, name, file_type, space)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, memory_type)


@case
def attributes(f):
    d = f.create_dataset("d", data=np.arange(6.0))
    d.attrs["count"] = 7
    d.attrs["negative"] = np.int8(-3)
    d.attrs["largest"] = np.uint64(2**63 - 1)
    d.attrs["ratio"] = 0.1
    d.attrs["single"] = np.float32(0.1)
    d.attrs["not_a_number"] = np.nan
    d.attrs["flag"] = np.True_
    d.attrs["text"] = "metres \"per\" second\n\\ \u00e9\u4e2d"
    d.attrs["bytes"] = np.bytes_(b"fixed")
    d.attrs["row"] = np.arange(3)
    d.attrs["matrix"] = np.arange(6.0).reshape(2, 3)
    d.attrs["words"] = ["one", "two"]
    d.attrs["flags"] = np.array([True, False])
    d.attrs["name with.dots"] = 1
    d.attrs["empty text"] = ""


@case
def attributes_that_toml_cannot_hold(f):
    d = f.create_dataset("d", data=np.arange(6.0))
    d.attrs["stays"] = 1
    d.attrs["reference"] = d.ref
    d.attrs["compound"] = np.array((1, 2.0), dtype=[("a", "i4"), ("b", "f8")])
    d.attrs["empty"] = h5py.Empty("f8")
    d.attrs["complex"] = 1 + 2j
    d.attrs["too_large"] = np.uint64(2**63)
    d.attrs["not_utf8"] = np.bytes_(b"\xff\xfe")


@case
def every_plain_dtype(f):
    for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
        f[f"little/{code}"] = numbers(24, "<" + code).reshape(4, 6)
        f[f"big/{code}"] = numbers(24, ">" + code).reshape(4, 6)


@case
def complex_numbers(f):
    for code in ("<c8", ">c8", "<c16", ">c16"):
        f[code] = (np.arange(5) + 1j * np.arange(5, 10)).astype(code)


@case
def long_double(f):
    f["g"] = np.arange(5, dtype=np.longdouble) / 3


@case
def booleans_and_enums(f):
    f["flags"] = np.array([True, False, True])
    colors = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype=">i2")
    f.create_dataset("colors", data=np.array([0, 1, 42, 1]), dtype=colors)


@case
def compounds(f):
    inner = np.dtype([("x", ">f4"), ("label", "S3")])
    outer = np.dtype([("id", "u2"), ("point", inner), ("row", "i4", (3,)), ("points", inner, (2,))])
    table = np.zeros((4, 2), dtype=outer)
    table["id"] = np.arange(8).reshape(4, 2)
    table["point"]["x"] = 0.5 + table["id"]
    table["point"]["label"] = b"abc"
    table["row"] = np.arange(24).reshape(4, 2, 3)
    table["points"]["x"] = np.arange(16).reshape(4, 2, 2)
    f["deep/table"] = table
    f["not_complex"] = np.zeros(3, dtype=[("i", "f4"), ("r", "f4")])


@case
def arrays_of_compounds(f):
    point = np.dtype([("x", ">f4"), ("label", "S3"), ("pair", "i2", (2,))])
    values = np.zeros((6, 2, 3), dtype=point)
    values["x"] = 0.5 + np.arange(36).reshape(6, 2, 3)
    values["label"] = b"abc"
    values["pair"] = np.arange(72).reshape(6, 2, 3, 2)
    element = np.dtype((point, (2, 3)))
    for name, options in (("plain", {}), ("deflated", {"chunks": (4,), "compression": "gzip", "shuffle": True})):
        f.create_dataset(name, shape=(6,), dtype=element, **options)[...] = values


@case
def compound_with_strings(f):
    row = np.dtype([("name", h5py.string_dtype()), ("value", "f8")])
    f.create_dataset("t", data=np.array([("short", 1.0), ("rather long", 2.0)], dtype=row))


@case
def variable_length_strings(f):
    f.create_dataset("words", data=["a", "", "d\u00e9j\u00e0 vu \u4e2d"], dtype=h5py.string_dtype())
    f.create_dataset("all_empty", data=["", ""], dtype=h5py.string_dtype("ascii"))
    f.create_dataset("scalar", data="hello", dtype=h5py.string_dtype())
    f.create_dataset("none", shape=(0,), dtype=h5py.string_dtype())


@case
def fixed_strings_of_three_paddings(f):
    raw = np.array([b"ab\0cd\0", b"abcdef", b"ab    ", b"      ", b"\0\0\0\0\0\0"], dtype="V6")
    for name, padding in (("terminated", h5py.h5t.STR_NULLTERM), ("null", h5py.h5t.STR_NULLPAD),
                          ("space", h5py.h5t.STR_SPACEPAD)):
        for charset in (h5py.h5t.CSET_ASCII, h5py.h5t.CSET_UTF8):
            kind = string_type(6, padding, charset)
            create_raw(f, f"{name}_{charset}", kind, raw, kind)


@case
def scalars(f):
    f["integer"], f["real"], f["flag"] = 3, 2.5, np.True_
    f["bytes"] = np.bytes_(b"abc")
    f["row"] = np.array((1, 2.0), dtype=[("a", "i4"), ("b", "f8")])


@case
def empty_arrays(f):
    f.create_dataset("nothing", shape=(0,), dtype="f4")
    f.create_dataset("no_columns", shape=(3, 0), dtype=">i8")
    f.create_dataset("growing", shape=(0, 4), maxshape=(None, 4), chunks=(2, 4), dtype="f8")
    f["beside"] = np.arange(3)


@case
def opaque_bitfield_and_array_types(f):
    create_raw(f, "opaque", h5py.h5t.py_create(np.dtype("V5")),
               np.frombuffer(bytes(range(15)), dtype="V5"))
    create_raw(f, "bits", h5py.h5t.STD_B16BE, np.arange(4, dtype=">u2"), h5py.h5t.STD_B16BE)
    f.create_dataset("vectors", shape=(2,), dtype=np.dtype(("<f4", (3,))))
    f["vectors"][...] = np.arange(6, dtype="f4").reshape(2, 3)


@case
def datetimes(f):
    when = np.array(["2024-02-29T12:00:00", "1969-07-20T20:17:40"], dtype="<M8[s]")
    f.create_dataset("when", data=when.astype(h5py.opaque_dtype(when.dtype)))


@case
def names_that_need_quoting(f):
    for name in ("a.b", "with space", 'quo"te', "apo'strophe", "back\\slash", "line\nbreak", "tab\t",
                 "#hash", "123", "true", "caf\u00e9", "\u4e2d\u6587", "\U0001f600", "[table]", "a=b"):
        f.create_dataset(name, data=np.arange(3))
        f.create_dataset(f"group/{name}/{name}", data=np.arange(4.0))


@case
def names_that_the_format_uses(f):
    for name in ("data", "meta", "attrs", "shape", "dtype"):
        f[name] = np.arange(3)
        f[f"g/{name}"] = np.arange(4)


@case
def links(f):
    f["real"] = np.arange(10)
    f["group/inner"] = np.arange(5.0)
    f["hard"] = f["real"]
    f["hard_group"] = f["group"]
    f["soft"] = h5py.SoftLink("/real")
    f["soft_group"] = h5py.SoftLink("/group")
    f["nested/soft_to_soft"] = h5py.SoftLink("/soft")


@case
def empty_groups(f):
    f.create_group("nothing/in/here")
    f["beside"] = np.arange(3)


@case
def chunks_and_filters(f):
    data = np.cumsum(np.random.default_rng(1).integers(0, 3, (300, 70)), axis=0).astype("<i4")
    options = {
        "plain": {},
        "gzip": {"compression": "gzip"},
        "gzip_shuffle": {"compression": "gzip", "shuffle": True},
        "lzf": {"compression": "lzf"},
        "lzf_shuffle_checksum": {"compression": "lzf", "shuffle": True, "fletcher32": True},
        "checksum": {"fletcher32": True},
        "gzip_shuffle_checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "scaled": {"scaleoffset": 0},
    }
    for name, filters in options.items():
        f.create_dataset(name, data=data, chunks=(64, 32), **filters)
    f.create_dataset("big_endian", data=data.astype(">f8"), chunks=(64, 32), compression="gzip", shuffle=True)
    f.create_dataset("incompressible", data=numbers(30000, "u8"), chunks=(1000,), compression="lzf")


@case
def chunks_that_were_never_written(f):
    d = f.create_dataset("holes", shape=(100, 100), chunks=(30, 30), dtype="f4", fillvalue=-1.5, compression="gzip")
    d[35:40, 65:70] = 2
    f.create_dataset("untouched", shape=(10,), dtype="i4", fillvalue=9)


@case
def many_dimensions(f):
    f.create_dataset("d", data=np.arange(3 * 2**9).reshape(3, *[2] * 9), chunks=(2, *[1] * 9), compression="gzip")


@case
def newest_format(f):
    f.create_dataset("fixed", data=numbers(5000, "i4"), chunks=(512,), compression="gzip")
    f.create_dataset("growing", data=numbers(5000, "i4"), chunks=(512,), maxshape=(None,), compression="gzip")
    f.create_dataset("both", data=numbers(5000, "i4").reshape(50, 100), chunks=(8, 32), maxshape=(None, None))
    f.create_dataset("one_chunk", data=numbers(500, "i4"), chunks=(500,), compression="gzip")


def has_szip_encoder():
    if not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
        return False
    return bool(h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED)


def write(path, name):
    """Writes the file of a case."""
    with h5py.File(path, "w", libver="latest" if name == "newest_format" else "earliest") as f:
        CASES[name](f)
    return path


def write_scales(path, count):
    """Writes variables with two dimension scales as netCDF-4 does. Takes linear time: h5py's `attach_scale`
    rewrites the list of references each time."""
    with h5py.File(path, "w", track_order=True, libver="v108") as f:
        scales = [f.create_dataset(name, data=np.arange(n)) for name, n in (("x", 4), ("y", 3))]
        for scale in scales:
            scale.make_scale(scale.name)
        dimensions = np.empty(2, object)
        for axis, scale in enumerate(scales):
            dimensions[axis] = np.array([scale.ref], h5py.ref_dtype)
        back = np.empty(count, REFERENCE)
        for number in range(count):
            variable = f.create_dataset(f"v{number}", data=np.zeros((4, 3)), track_order=True)
            variable.attrs.create("DIMENSION_LIST", dimensions, dtype=h5py.vlen_dtype(h5py.ref_dtype))
            back[number] = (variable.ref, 0)
        for axis, scale in enumerate(scales):
            back["dimension"] = axis
            scale.attrs.create("REFERENCE_LIST", back, dtype=REFERENCE)
