"""The JSON of every command, including failures, follows docs/cute-shm.schema.json."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "cute-shm.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture
def loaded(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f.create_dataset("a", data=np.arange(100.0), chunks=(10,), compression="gzip")
        f["a"].attrs["units"] = "m"
        f["words"] = ["x", "yz"]
        f["skipped"] = f["a"].ref
    cli.load(project, tmp_path / "in.h5")
    return project


def check(outcome, command):
    doc = json.loads(outcome.out)
    assert doc["command"] == command
    # The schema of the command gives a clearer error than "none of these".
    own = dict(SCHEMA, **{"$ref": f"#/$defs/command-{command or 'none'}"})
    del own["oneOf"]
    jsonschema.validate(doc, own)
    VALIDATOR.validate(doc)
    return doc


def test_every_command_follows_the_schema(cli, loaded, tmp_path):
    commands = [
        ["list"], ["list", "--short"], ["show", loaded], ["show", loaded, "a", "--stats"],
        ["show", loaded, "a", "--plot"], ["show", loaded, "--python"], ["wait", loaded], ["gc"], ["gc", "--dry-run"],
        ["export", loaded, "-o", tmp_path / "x.h5"], ["load-hdf5", "--dry-run", "new", tmp_path / "in.h5"],
        ["load-hdf5", "--persistent", "--overwrite", loaded, tmp_path / "in.h5"], ["unlink", "--dry-run", loaded],
        ["unlink", loaded],
    ]
    for command in commands:
        assert check(cli.ok(*command, "--json"), command[0])["ok"]


def test_failures_follow_the_schema(cli, loaded, tmp_path):
    commands = [
        ["show", "nothing"], ["show", loaded, "nothing"], ["show", loaded, "words", "--stats"],
        ["export", loaded, "-o", tmp_path / "x.npy"], ["load-hdf5", "--persistent", loaded, tmp_path / "in.h5"],
        ["load-hdf5", "--persistent", "new", tmp_path / "nothing.h5"], ["unlink", "nothing"],
        ["wait", "nothing", "--timeout", "0"],
    ]
    for command in commands:
        outcome = cli.run(*command, "--json")
        assert outcome.code != 0
        assert check(outcome, command[0])["errors"]


def test_usage_error_follows_the_schema(cli):
    assert check(cli.run("show", "--json", "--no-such-option"), None)["errors"][0]["code"] == "usage"
