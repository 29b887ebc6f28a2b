"""Tests of the helpers: a wrong result must not pass, and the Python side must work alone."""

import numpy as np
import pytest
from conftest import Python, in_shared_memory
from expectation import Leaf, differences, same_value, toml_value


@pytest.fixture
def found():
    return {
        "dtype": "int32", "shape": (3,), "bytes": np.arange(3, dtype="i4").tobytes(),
        "attrs": {"n": 1}, "shm_name": "x", "shm_private_name": "/x",
    }


@pytest.mark.parametrize(
    "change",
    [{"dtype": "uint32"}, {"shape": (1, 3)}, {"bytes": b"\0" * 12}, {"attrs": {}}, {"attrs": {"n": 1.0}},
     {"attrs": {"n": 1, "more": 2}}, {"shm_private_name": "x"}],
)
def test_every_kind_of_difference_is_detected(found, change):
    leaves = {("a",): Leaf(np.arange(3, dtype="i4"), {"n": 1})}
    assert differences(leaves, {("a",): found}) == []
    assert differences(leaves, {("a",): {**found, **change}})
    assert differences(leaves, {})
    assert differences(leaves, {("a",): found, ("b",): found})


def test_padding_of_a_long_double_is_not_compared(found):
    array = np.arange(2, dtype=np.longdouble)
    padded = bytearray(array.tobytes())
    padded[10:16] = b"\xff" * 6
    entry = {**found, "dtype": "float128", "shape": (2,), "attrs": {}}
    leaves = {("a",): Leaf(array, {})}
    assert differences(leaves, {("a",): {**entry, "bytes": bytes(padded)}}) == []
    padded[0] ^= 1
    assert differences(leaves, {("a",): {**entry, "bytes": bytes(padded)}})


def test_attribute_values_are_not_confused():
    assert toml_value(np.float32(0.5)) == 0.5
    assert toml_value(np.uint64(2**63)) is None
    assert not same_value(1, True)
    assert same_value([float("nan")], [float("nan")])


def test_python_shares_reads_and_unlinks_alone(root, tmp_path, project):
    python = Python(root, tmp_path)
    python.share(project, {"a": np.arange(3), "b": {"c": np.ones((2, 2), dtype=">f4")}})
    found = python.read(project)
    assert set(found) == {("a",), ("b", "c")}
    assert found[("b", "c")]["dtype"] == ">f4"
    assert project in python.list("-short")
    python.unlink(project)
    assert in_shared_memory(project) == []
