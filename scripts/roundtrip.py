"""Loads HDF5 files, exports them to HDF5, and compares with h5diff and h5py.

    roundtrip.py CUTE_SHM FOLDER [--json OUT] [-v]

A file counts as the same when every object that was loaded has the same data, the same type and the
same attributes. Prints the counts, and the reason for each file that differs.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import h5py
import numpy as np

LIMIT = 60
# h5diff's words for what is no difference in what was loaded.
HARMLESS = ("is an empty dataset", "Use -c for a list", "Some objects are not comparable")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          errors="replace", timeout=LIMIT, stdin=subprocess.DEVNULL, **options)


def same(a, b):
    """Whether two values of h5py are the same, NaN being equal to itself."""
    if isinstance(a, h5py.Reference) or isinstance(b, h5py.Reference):
        return type(a) is type(b) and bool(a) == bool(b)
    if isinstance(a, h5py.Empty) or isinstance(b, h5py.Empty):
        return isinstance(a, h5py.Empty) and isinstance(b, h5py.Empty) and a.dtype == b.dtype
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.hasobject:
        if a.dtype.fields:
            return all(same(a[name], b[name]) for name in a.dtype.names)
        return all(same(x, y) if not isinstance(x, (str, bytes)) else x == y
                   for x, y in zip(a.ravel(), b.ravel()))
    if a.dtype.kind in "gG" and a.dtype.itemsize >= 16 or a.dtype.fields:
        # Padding between values is nobody's.
        if a.dtype.fields:
            return all(same(a[name], b[name]) for name in a.dtype.names)
        return bool(np.array_equal(a, b) or (np.isnan(a) == np.isnan(b)).all())
    return a.tobytes() == b.tobytes()


def attributes(before, after, path):
    """What differs in the attributes of two objects."""
    for name in before.attrs:
        try:
            value = before.attrs[name]
        except Exception:  # noqa: BLE001, S112: what h5py cannot read is not compared
            continue
        if name not in after.attrs:
            yield f"{path}@{name} is missing"
        elif not same(value, after.attrs[name]):
            yield f"{path}@{name} differs"


def compare(source, exported):
    """What h5py finds different in the objects of `exported`; all of them, through every path."""
    with h5py.File(source, "r") as before, h5py.File(exported, "r") as after:
        stack = [("/", before, after)]
        while stack:
            path, a, b = stack.pop()
            yield from attributes(a, b, path)
            if isinstance(b, h5py.Dataset):
                if a.dtype != b.dtype:
                    if not (a.dtype.fields and b.dtype.fields):
                        yield f"{path} has dtype {b.dtype}, not {a.dtype}"
                    else:
                        yield f"{path} lacks fields that have no form in shared memory"
                elif a.shape != b.shape:
                    yield f"{path} has shape {b.shape}, not {a.shape}"
                elif not same(a[()], b[()]):
                    yield f"{path} has other data"
                continue
            stack.extend((f"{path.rstrip('/')}/{name}", a[name], b[name]) for name in b)


def difference(source, exported):
    """The reasons that h5diff gives, without objects that only the source has."""
    done = run("h5diff", "--follow-symlinks", "-r", source, exported, cwd=source.parent)
    if done.returncode == 0:
        return []
    found, at = [], ""
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith(("dataset:", "attribute:", "group")):
            at = line
        counted = re.match(r"(\d+) differences? found", line)
        is_other = (counted and counted[1] != "0") or "not comparable" in line.lower() or line.startswith("Error")
        if is_other and not any(word in line for word in HARMLESS):
            found.append(f"{at} {line}")
    return found[:3]


def judge(binary, source, scratch):
    """Outcome and reason for one file."""
    project, exported = "rt" + uuid.uuid4().hex[:12], scratch / (uuid.uuid4().hex + ".h5")
    common = ["--root", scratch / "root", "-q"]
    try:
        loaded = run(binary, "load-hdf5", *common, "--persistent", "--no-progress", project, source,
                     cwd=source.parent)
        if loaded.returncode:
            return "not loaded", loaded.stderr.strip()
        written = run(binary, "export", *common, project, "-o", exported)
        if written.returncode:
            return "not exported", written.stderr.strip()
        # In a process of its own: some files kill h5py.
        told = run(sys.executable, __file__, "--compare", source, exported, cwd=source.parent)
        # What h5py cannot read, such as tagged opaque types, h5diff alone judges.
        found = [] if told.returncode else json.loads(told.stdout)
        by_tool = difference(source, exported)
        if any("Error" in line.split()[:1] for line in by_tool):
            return ("same for h5py", by_tool[0]) if not told.returncode else ("not compared", by_tool[0])
        if found:
            return "different for h5py", "; ".join(found[:3])
        if by_tool:
            return "different for h5diff", "; ".join(by_tool)
        return "same", ""
    except subprocess.TimeoutExpired:
        return "timeout", ""
    finally:
        run(binary, "unlink", *common, "--force", project)
        exported.unlink(missing_ok=True)


def main():
    if sys.argv[1:2] == ["--compare"]:
        print(json.dumps(list(compare(*sys.argv[2:]))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    binary = options.binary.resolve()
    manifest = options.folder / "MANIFEST.tsv"
    if manifest.is_file():
        rows = [line.split("\t") for line in manifest.read_text().splitlines()[1:]]
        files = [options.folder / row[0] for row in rows]
    else:
        files = sorted(path for path in options.folder.rglob("*.h*5") if path.is_file())
    files = [file.resolve() for file in files if file.is_file()]
    with tempfile.TemporaryDirectory() as scratch:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {file: pool.submit(judge, binary, file, Path(scratch)) for file in files}
            verdicts = {str(file): job.result() for file, job in jobs.items()}
    counts = collections.Counter(outcome for outcome, _ in verdicts.values())
    for file, (outcome, reason) in sorted(verdicts.items(), key=lambda item: item[1]):
        if outcome.startswith(("different", "timeout", "not exported", "not compared")) or options.v and reason:
            print(f"{outcome}: {os.path.relpath(file, options.folder.resolve())}: {reason[:300]}")
    total = len(verdicts) - counts["not loaded"]
    print(f"round trip: {counts['same'] + counts['same for h5py']} of {total} loaded files come back the same; "
          + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    if options.json:
        options.json.write_text(json.dumps({"counts": counts, "files": verdicts}, indent=1))
    return int(bool(counts["not exported"] or counts["timeout"]))


if __name__ == "__main__":
    sys.exit(main())
