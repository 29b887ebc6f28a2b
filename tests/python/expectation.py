"""Computes the expected result of a load with h5py: the reference of the tests and of the demo.

The rules are those of a load: compounds become a table with one array per field, variable-length strings
become fixed-length ones, and data that no numpy array can represent is skipped.
"""

import math

import h5py
import numpy as np


class Leaf:
    """One expected array. `attrs` is None if the rules do not define them."""

    def __init__(self, array, attrs):
        self.dtype = str(array.dtype)
        self.shape = array.shape
        self.bytes = array.tobytes()
        self.attrs = attrs
        self.padded = array.dtype.char in "gG"


def expected_leaves(file):
    """Returns every array of the HDF5 file: {(group, ..., dataset[, field, ...]): Leaf}."""
    leaves = {}
    with h5py.File(file, "r") as f:
        _walk(f, (), frozenset([_identity(f)]), leaves)
    return leaves


def _identity(obj):
    info = h5py.h5o.get_info(obj.id)
    return info.fileno, info.addr


def _walk(group, path, ancestors, leaves):
    for name in group:
        try:
            obj = group[name]
        except (KeyError, OSError):
            continue  # a dangling link
        if isinstance(obj, h5py.Group):
            if _identity(obj) not in ancestors:
                _walk(obj, (*path, name), ancestors | {_identity(obj)}, leaves)
        elif isinstance(obj, h5py.Dataset) and obj.shape is not None:
            _split(np.asarray(obj[()]), obj.dtype, (*path, name), _attributes(obj), leaves)


def _split(array, dtype, path, attrs, leaves):
    base = dtype.subdtype[0] if dtype.subdtype else dtype
    if base.names:
        for field in base.names:
            _split(array[field], base.fields[field][0], (*path, field), None, leaves)
    elif base.kind == "O":
        if h5py.check_string_dtype(base):
            leaves[path] = Leaf(_fixed_length(array), attrs)
    else:
        leaves[path] = Leaf(array, attrs)


def _fixed_length(strings):
    items = [s.encode() if isinstance(s, str) else s for s in strings.ravel().tolist()]
    longest = max([1, *map(len, items)])
    return np.array(items, dtype=f"S{longest}").reshape(strings.shape)


def _attributes(obj):
    values = {name: toml_value(obj.attrs[name]) for name in obj.attrs}
    return {name: value for name, value in values.items() if value is not None}


def toml_value(value):
    """Returns the attribute as a TOML value, or None if TOML cannot represent it."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "biufSUO" or h5py.check_ref_dtype(value.dtype):
            return None
        value = value.tolist()
    if isinstance(value, list):
        items = [toml_value(item) for item in value]
        return None if any(item is None for item in items) else items
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if isinstance(value, (bool, int, float, str)) else None


def same_value(a, b):
    """Whether attribute values are equal: NaN equals NaN, and 1, 1.0 and true are three different values."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def differences(leaves, found):
    """Describes the differences between the expected leaves and the result of `python_side.py read`."""
    said = [f"{path}: missing" for path in leaves.keys() - found.keys()]
    said += [f"{path}: not expected" for path in found.keys() - leaves.keys()]
    for path in leaves.keys() & found.keys():
        leaf, got = leaves[path], found[path]
        if got["dtype"] != leaf.dtype:
            said.append(f"{path}: dtype {got['dtype']}, not {leaf.dtype}")
        if tuple(got["shape"]) != leaf.shape:
            said.append(f"{path}: shape {got['shape']}, not {leaf.shape}")
        if not _same_bytes(leaf, got["bytes"]):
            said.append(f"{path}: other bytes")
        if got["shm_private_name"] != "/" + got["shm_name"]:
            said.append(f"{path}: private name {got['shm_private_name']} of {got['shm_name']}")
        if leaf.attrs is not None:
            said += _attribute_differences(path, leaf.attrs, got["attrs"])
    return sorted(said)


def _attribute_differences(path, wanted, had):
    for name in wanted.keys() | had.keys():
        want, have = wanted.get(name), had.get(name)
        if not same_value(want, have):
            yield f"{path}: attribute {name} is {have!r}, not {want!r}"


def _same_bytes(leaf, data):
    if not leaf.padded:
        return data == leaf.bytes
    # The padding of an x86 long double is undefined.
    rows = [np.frombuffer(b, dtype=np.uint8).reshape(-1, 16)[:, :10] for b in (leaf.bytes, data)]
    return np.array_equal(*rows)
