"""Merges the reports of the oracle on parts of the corpus.

    oracle_summary.py MANIFEST OUT PART...

Writes one report, prints one line, and fails if the parts are not the whole corpus.
"""

import collections
import json
import sys
from pathlib import Path

SHOWN = 40

# Datasets whose element is an array of compounds. A load makes one array per field, and appends the extents of the
# element to the shape. The oracle does not support this and reports the fields as extra. All other differences count.
ARRAYS_OF_COMPOUNDS = {
    "debian-hdf5-1.14.6/tools/test/h5dump/testfiles/tarray5.h5": [["Dataset1", "f"], ["Dataset1", "i"]],
}


def is_failure(file):
    """Whether the oracle rejects the result of this file."""
    extra = sorted(one["path"] for one in file.get("failures", []) if one["kind"] == "extra")
    if file["outcome"] == "wrong" and extra and len(extra) == len(file["failures"]):
        return extra != ARRAYS_OF_COMPOUNDS.get(file["file"])
    unacceptable = file["outcome"] in ("wrong", "crash", "silent-error", "oracle-error")
    return unacceptable or file.get("leak") or (file["state"] == "good" and file["outcome"] != "ok")


def main(manifest, out, *parts):
    reports = [json.loads(Path(part).read_text()) for part in parts]
    files = sorted((file for report in reports for file in report["files"]), key=lambda f: f["file"])
    outcomes = collections.Counter(file["outcome"] for file in files)
    good = [file for file in files if file["state"] == "good"]
    leaks = sum(1 for file in files if file.get("leak"))
    Path(out).write_text(json.dumps({"outcomes": outcomes, "leaks": leaks, "files": files}, indent=1))
    whole = len(good) and sum(file["outcome"] == "ok" for file in good)
    print(f"corpus: {len(files)} files, {whole} of {len(good)} good ones loaded whole, {leaks} leaks; "
          + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    bad = [file for file in files if is_failure(file)]
    for file in bad[:SHOWN]:
        print(f"  {file['outcome']}: {file['file']} {file.get('leak') or file.get('stderr') or ''}")
    if len(bad) > SHOWN:
        print(f"  and {len(bad) - SHOWN} more, in {out}")
    expected = len(Path(manifest).read_text().splitlines()) - 1
    if len(files) != expected:
        print(f"corpus: {len(files)} files were checked, expected {expected}")
        return 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
