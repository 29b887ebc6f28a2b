"""Measurements of scripts/bench: runs every contender in turn, and prints medians and goals.

bench.py TARGET [--only WORD] [--json FILE] [--mount HUGE]"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from contenders import Contenders, options
from files import make
import report

# The file, the contenders, and the mount option of /dev/shm. None is the mount of the machine.
RUNS = [
    ("contiguous", ["load", "cp", "python", "least"], None),
    ("contiguous8", ["load", "cp", "python"], None),
    ("chunked", ["load", "cp", "python", "least"], None),
    ("gzip", ["load", "python", "one_job", "least"], None),
    ("lzf", ["load", "python", "least"], None),
    ("zstd", ["load", "h5py", "least"], None),
    ("lz4", ["load", "h5py", "least"], None),
    ("blosc", ["load", "h5py", "least"], None),
    ("bitshuffle", ["load", "h5py", "least"], None),
    ("small", ["load", "python"], None),
    ("list", ["list_short", "python_list"], None),
    ("compound", ["load", "cp", "python"], None),
    ("gzip", ["load", "cat", "cold load", "cold cat"], None),
    ("contiguous", ["gather"], None),
    ("contiguous", ["gather"], "advise"),
    ("contiguous", ["load", "cp"], "advise"),
    ("contiguous", ["load", "cp"], "within_size"),
    ("gzip", ["load", "python"], "within_size"),
    ("zstd", ["load", "h5py"], "within_size"),
    ("lz4", ["load", "h5py"], "within_size"),
    ("blosc", ["load", "h5py"], "within_size"),
    ("bitshuffle", ["load", "h5py"], "within_size"),
]
SCALING = [f"chunks-{n}" for n in (1, 1000, 10_000, 100_000, 1_000_000)]
SCALING += [f"datasets-{n}" for n in (10, 1000, 10_000, 100_000)]
SIZE = "size=90%"


def run(contenders, name, path):
    if name.startswith("cold "):
        return contenders.cold(getattr(contenders, name.removeprefix("cold ")), path)
    return getattr(contenders, name)(path)


def rounds(contenders, path, names, count, mount):
    """Runs one uncounted round first, to warm page cache and memory, also those of the host of a virtual machine.

    With huge pages, all rounds of a contender run in a row. The host of a virtual machine allocates memory again, slowly,
    when small pages of one contender become huge pages of the next."""
    path.read_bytes()
    if mount:
        rows = {name: [run(contenders, name, path) for _ in range(count + 1)] for name in names}
        return [{name: row[number] for name, row in rows.items()} for number in range(1, count + 1)]
    return [{name: run(contenders, name, path) for name in names} for _ in range(count + 1)][1:]


def elsewhere(mount):
    """Runs the same script with its own /dev/shm."""
    script = f'mount -t tmpfs -o huge={mount},{SIZE} tmpfs /dev/shm && exec "$0" "$@"'
    command = ["unshare", "--mount", "bash", "-c", script, sys.executable, *sys.argv, "--mount", mount]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []


def measure(arguments, mount):
    contenders = Contenders(arguments.target)
    measured = []
    for file, names, where in RUNS:
        if where != mount or (arguments.only and arguments.only not in file):
            continue
        path = make(contenders.data, file, arguments.scale)
        done = rounds(contenders, path, names, arguments.rounds, mount)
        measured.append({"file": file, "mount": where, "rounds": done})
        shown = [f"{name} {statistics.median(r[name][0] for r in done):.3f} s" for name in names]
        print(file, where or "", *shown, sep="  ", file=sys.stderr, flush=True)
    return measured


def scaling(arguments):
    contenders = Contenders(arguments.target)
    for file in SCALING:
        if not arguments.only or arguments.only in file:
            path = make(contenders.data, file, 1)
            done = rounds(contenders, path, ["load"], 3, None)
            yield {"file": file, "mount": None, "rounds": done}


def main():
    parser = options(rounds=5)
    parser.add_argument("--mount", help="only what belongs on this kind of mount, as JSON")
    parser.add_argument("--write", action="store_true", help="put table and chart into docs/")
    arguments = parser.parse_args()
    measured = measure(arguments, arguments.mount)
    if arguments.mount:
        print(json.dumps(measured))
        return
    mounts = {where for _, _, where in RUNS if where} if os.geteuid() == 0 else set()
    for mount in sorted(mounts):
        measured += elsewhere(mount)
    measured += scaling(arguments)
    text = report.table(measured)
    print(text)
    if arguments.write:
        docs = Path(__file__).parent.parent / "docs"
        report.replace(docs / "performance.md", text)
        (docs / "performance.svg").write_text(report.chart(measured))


if __name__ == "__main__":
    main()
