"""Measurements of scripts/bench-cold: cold loads from a slow file system and from the disk, against cp, dd, h5py, the Python
package and plain reads.

cold.py TARGET [--only WORD] [--latency MS] [--rounds N] [--write]"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from contenders import Contenders, options
from files import make, make_sources
import report

BEGIN, END = "<!-- scripts/bench-cold --write: begin -->", "<!-- end -->"
LATENCIES = (0, 1, 5, 20)
SOURCES = 1000


def goal(latency, at_5_ms):
    """Returns the goal for a latency: it is stricter at 5 ms."""
    return {5: at_5_ms, 1: 1.5, 20: 1.5}.get(latency)


# Work, file, kinds of mount, and by latency (None: the disk) the compared contenders with the goals. The goal is a share of the
# longest of the others' times, or, for the Python package, times faster.
SLOW = ("page cache", "direct")
RUNS = [
    ("10,000 small datasets", "small", SLOW, lambda ms: [(("cp",), 1.5 if ms is None else goal(ms, 1.5))]
     + ([(("python",), 40)] if ms == 5 else [])),
    ("contiguous 2 GiB", "contiguous", SLOW, lambda ms: [(("dd", "warm"), 1.15)] if ms is None
     else [(("preads", "warm"), goal(ms, 1.3)), (("cp",), None)]),
    ("shuffle + gzip 1 GiB", "gzip", SLOW, lambda ms: [(("dd", "warm"), None)] if ms is None
     else [(("preads", "warm"), goal(ms, 1.3)), (("cp",), None)] + ([(("h5py",), None)] if ms == 5 else [])),
    (f"virtual dataset over {SOURCES:,} files of 1 MiB", "virtual", SLOW[:1],
     lambda ms: [(("cp32",), 1.5 if ms in (None, 5) else goal(ms, 1.5))]),
]


class Mount:
    """The slow file system over one directory. A new one has an empty page cache, while the files below stay cached."""

    def __init__(self, contenders, folder, latency, mode):
        self.point = contenders.data / "slow"
        self.point.mkdir(exist_ok=True)
        extra = ["direct"] if mode == "direct" else []
        command = [contenders.slowfs, folder, self.point, str(latency), "0", *extra]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.server.stdout.readline() != "ready\n":
            raise SystemExit("bench-cold: cannot mount the slow file system (it needs root and /dev/fuse)")
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.requests, self.bytes = map(int, self.server.communicate()[0].split())


def cached(path):
    """Returns the bytes of a file, or of the files beside a virtual dataset, in the page cache."""
    files = path.parent.glob("*.h5") if path.name == "v.h5" else [path]
    done = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *files], check=True,
                          capture_output=True, text=True)
    return sum(map(int, done.stdout.split()))


class Cold(Contenders):
    """The contenders of a cold load. `sources` are the files that a copy has to read."""

    def __init__(self, target):
        super().__init__(target)
        self.slowfs, self.depth = target / "tools/slowfs", target / "tools/preads"

    def preads(self, path):
        done = subprocess.run([self.depth, path, "32", str(1 << 20)], check=True, capture_output=True, text=True)
        return float(done.stdout), 0.0

    def dd(self, path):
        return self.timed("dd", f"if={path}", "of=/dev/null", "iflag=direct", "bs=8M")

    def cp32(self, path):
        """Copies the sources of a virtual dataset by 32 processes."""
        copy = Path(f"/dev/shm/bench-cold-{os.getpid()}")
        copy.mkdir()
        command = f"ls {path.parent}/s*.h5 | xargs -P 32 -n 8 cp -t {copy}"
        try:
            return self.timed("sh", "-c", command)
        finally:
            subprocess.run(["rm", "-r", copy], check=True)

    def on_disk(self, contender, path):
        """Runs a contender with an empty page cache. Returns seconds, peak MiB, requests, bytes read, bytes in the cache."""
        return *self.cold(getattr(self, contender), path), 0, 0, cached(path)

    def on_slow(self, contender, path, latency, mode):
        with Mount(self, path.parent, latency, mode) as mount:
            slow = mount.point / path.name
            seconds, peak = getattr(self, contender)(slow)
            resident = cached(slow)
        return seconds, peak, mount.requests, mount.bytes, resident

    def run(self, contender, path, latency, mode):
        if contender == "warm":
            return *self.load(path), 0, 0, 0
        if latency is None:
            return self.on_disk(contender, path)
        return self.on_slow(contender, path, latency, mode)


def prepare(contenders, name, scale):
    if name == "virtual":
        return make_sources(contenders.data / f"virtual-{scale:g}", max(10, int(SOURCES * scale)))
    return make(contenders.data, name, scale)


def measure(contenders, path, names, rounds, latency, mode):
    """Runs all contenders in turn. The Python package and h5py run once: they take minutes, and their ratios are large."""
    path.read_bytes()
    results = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            if number == 0 or name not in ("python", "h5py"):
                results[name].append(contenders.run(name, path, latency, mode))
    return results


def median(results, name, place=0):
    return statistics.median(result[place] for result in results[name])


def line(work, latency, mode, results, against, wanted, size):
    ours = median(results, "load")
    if against == ("python",):
        other = median(results, "python")
        ratio, found, goal_text = other / ours, f"{other / ours:.0f} times faster", f"at least {wanted}"
        met = ratio >= wanted
    else:
        pairs = [max(results[name][number][0] for name in against) for number in range(len(results[against[0]]))]
        other = statistics.median(pairs)
        ratio = statistics.median(mine[0] / theirs for mine, theirs in zip(results["load"], pairs))
        found, goal_text = f"{ratio:.2f} of its time", f"at most {wanted}"
        met = wanted is not None and ratio <= wanted
    verdict = ("", "") if wanted is None else (goal_text, "yes" if met else "no")
    where = "disk" if latency is None else f"{latency} ms, {mode}"
    requests = f"{median(results, 'load', 2):,.0f}" if latency is not None else ""
    read = f"{median(results, 'load', 3) / 1e6:,.0f}" if latency is not None else ""
    growth = f"{median(results, 'load', 4) / size:.0%}"
    shown = " or ".join(SHOWN[name] for name in against)
    return (f"| {work} | {where} | {ours:.2f} s | {shown} | {other:.2f} s | {found} | {verdict[0]} | {verdict[1]} "
            f"| {requests} | {read} | {median(results, 'load', 1):.0f} | {growth} |")


SHOWN = {"cp": "`cp`", "cp32": "32 `cp`", "dd": "`dd`", "python": "Python", "h5py": "h5py", "warm": "warm load",
         "preads": "32 reads"}


def main():
    parser = options(rounds=3)
    parser.add_argument("--latency", help="only this latency in milliseconds, or 'disk'")
    parser.add_argument("--write", action="store_true", help="writes the table to docs/performance.md")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench-cold: it needs root, to mount the slow file system and to drop the page cache")
    contenders = Cold(arguments.target)
    rows = ["| work | storage | cute-shm | compared with | its time | ratio | goal | met | requests | MB read | peak MiB "
            "| page cache, of the file |", "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for work, file, modes, compared in RUNS:
        if arguments.only and arguments.only not in file:
            continue
        path = prepare(contenders, file, arguments.scale)
        size = sum(one.stat().st_size for one in path.parent.iterdir()) if file == "virtual" else path.stat().st_size
        places = [(latency, mode) for latency in LATENCIES for mode in modes] + [(None, None)]
        for latency, mode in places:
            if arguments.latency not in (None, "disk" if latency is None else str(latency)):
                continue
            # Four minutes for the Python package alone, and no goal.
            wanted = [one for one in compared(latency) if mode != "direct" or one[0] != ("python",)]
            names = ["load", *dict.fromkeys(name for against, _ in wanted for name in against)]
            results = measure(contenders, path, names, arguments.rounds, latency, mode)
            for against, bound in wanted:
                rows.append(line(work, latency, mode, results, against, bound, size))
                print(rows[-1], file=sys.stderr, flush=True)
    text = "\n".join(rows)
    print(text)
    if arguments.write:
        page = Path(__file__).parent.parent / "docs/performance.md"
        report.replace(page, text, BEGIN, END)


if __name__ == "__main__":
    main()
