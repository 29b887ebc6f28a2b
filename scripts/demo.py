"""The Python part of scripts/demo.

    demo.py pick CORPUS          prints a file of the corpus with compressed arrays and attributes
    demo.py sample FILE          writes a file of a few megabytes, if there is no corpus
    demo.py compare PROJECT FILE reads the project with the stock Python package, and the file with h5py
"""

import csv
import os
import sys
from pathlib import Path

import cute_shm
import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))
from expectation import expected_leaves, same_value  # noqa: E402


def pick(corpus):
    """Prints the first compressed file of one to four megabytes whose arrays have attributes."""
    with open(Path(corpus) / "MANIFEST.tsv", newline="", encoding="utf-8") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE):
            file = Path(corpus) / row["file"]
            if (
                row["state"] == "good"
                and "deflate" in row["filters"]
                and 1_000_000 < int(row["size"]) < 4_000_000
                and 5 <= int(row["required_leaves"]) <= 20
                and sum(len(leaf.attrs or {}) for leaf in expected_leaves(file).values()) > 10
            ):
                print(file)
                return 0
    return 1


def sample(file):
    """Writes a small survey: images, a catalog with names, a big-endian time axis, and attributes."""
    random = np.random.default_rng(42)
    with h5py.File(file, "w") as f:
        images = f.create_dataset(
            "survey/images", data=random.integers(0, 50, (200, 64, 64), dtype="u2"),
            chunks=(10, 64, 64), compression="gzip", shuffle=True,
        )
        images.attrs["exposure_seconds"] = 30
        images.attrs["gain"] = 1.25
        images.attrs["filter"] = "H\u03b1"
        images.attrs["is_calibrated"] = True
        star = np.dtype([("id", "i8"), ("position", "f4", (2,)), ("kind", "S8")])
        catalog = np.zeros(5000, dtype=star)
        catalog["id"] = np.arange(5000)
        catalog["position"] = random.normal(size=(5000, 2))
        catalog["kind"] = b"dwarf"
        f["survey/catalog"] = catalog
        f["survey/time"] = np.linspace(0, 6000, 200).astype(">f8")
        f["survey/time"].attrs["units"] = "s"
        f.create_dataset("observers", data=["Ada", "Zo\u00eb"], dtype=h5py.string_dtype())
        f["weights"] = random.normal(size=(512, 512))
    return 0


def compare(project, file):
    """Prints every array with the result. Returns 1 if any array differs from h5py."""
    cute_shm.Project2Toml.root = Path(os.environ["CUTE_SHM_ROOT"])
    tree = cute_shm.shm_to_arrays(project)
    leaves = expected_leaves(file)
    wrong = 0
    for path, leaf in leaves.items():
        shared = tree
        for name in path:
            shared = shared.get(name, {})
        same = agrees(shared, leaf)
        wrong += not same
        print(f"{'same' if same else 'DIFFERS':<8}{'/'.join(path):<32}{leaf.dtype:<10}{leaf.shape}")
    print(f"{len(leaves) - wrong} of {len(leaves)} arrays are equal to h5py's, bit for bit")
    return 1 if wrong or not leaves else 0


def agrees(shared, leaf):
    """Whether the shared array and its attributes are equal to those of the file."""
    array = shared.get("data")
    if not isinstance(array, np.ndarray):
        return False
    attrs = shared["meta"]["attrs"]
    return (
        (str(array.dtype), array.shape, array.tobytes()) == (leaf.dtype, leaf.shape, leaf.bytes)
        and (leaf.attrs is None or attrs.keys() == leaf.attrs.keys())
        and all(same_value(attrs[name], value) for name, value in (leaf.attrs or {}).items())
    )


if __name__ == "__main__":
    status = {"pick": pick, "sample": sample, "compare": compare}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
    # Arrays still use the mappings, so closing them fails: exit without cleanup.
    os._exit(status)
