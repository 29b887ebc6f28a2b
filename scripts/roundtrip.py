"""Loads HDF5 files, exports them to HDF5, and compares source and export through several libraries.

    roundtrip.py CUTE_SHM PATH... [--json OUT] [--limit MB] [--readers NAME,...]

A PATH is a file or a folder. A difference counts as warned if the export reports the object in
`left_out`. Exits with 1 if a difference has no warning, or if an export fails.
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import readers

SECONDS = 30


class Judge:
    """A process that compares files through one library. A file that crashes it ends only this process."""

    def __init__(self, name):
        self.name, self.process = name, None

    def start(self):
        self.here, there = multiprocessing.get_context("spawn").Pipe()
        arguments = (self.name, there)
        self.process = multiprocessing.get_context("spawn").Process(target=readers.serve, args=arguments, daemon=True)
        self.process.start()
        there.close()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.join()
            self.process = None

    def compare(self, source, exported):
        """`None` if the library does not read the source, else the differences as (path, aspect, detail)."""
        if not self.process:
            self.start()
        is_source_read = False
        try:
            self.here.send((str(source), str(exported)))
            is_source_read, found = self.receive()
            if is_source_read:
                _, found = self.receive()
            return found
        except (TimeoutError, EOFError, OSError) as error:
            self.stop()
            # A library that crashes or hangs on the source, perhaps only after it returned all values, does not read it.
            if not is_source_read or exported == source or self.compare(source, source) is None:
                return None
            problem = f"takes more than {SECONDS} s" if isinstance(error, TimeoutError) else "crashes the library"
            return [("/", f"export {problem}", "")]

    def receive(self):
        """The next message: whether it announces that the source is read, and the differences."""
        if not self.here.poll(SECONDS):
            raise TimeoutError
        message = self.here.recv()
        return message == readers.SOURCE_IS_READ, message


def warned(path, notes):
    """The reason of the warning about an object, one above it, or an attribute or field of it."""
    for note, reason in notes.items():
        if path == note or path.startswith((f"{note}/", f"{note}@")) or note.startswith((f"{path}/", f"{path}@")):
            return reason
    return None


def general(reason):
    """A reason without the names, numbers and paths of one file."""
    return re.sub(r"\b\d+\b", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "…", reason.splitlines()[0]))


class RoundTrip:
    def __init__(self, options, scratch, shm):
        self.binary, self.limit, self.scratch = options.binary.resolve(), options.limit * 10**6, Path(scratch)
        self.environment = {**os.environ, "CUTE_SHM_DIR": str(shm)}
        self.judges = [Judge(name) for name in options.readers]

    def command(self, name, *args, cwd=None):
        command = [self.binary, name, "--root", self.scratch / "root", "-q", *args]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", timeout=SECONDS,
                              stdin=subprocess.DEVNULL, cwd=cwd or self.scratch, env=self.environment)

    def file(self, source):
        """The outcome for one file, its reason, and the differences of each library."""
        exported = self.scratch / f"export{source.suffix or '.h5'}"
        try:
            plan = self.command("load-hdf5", "--json", "--dry-run", "roundtrip", source, cwd=source.parent)
            if plan.returncode:
                return "not loaded", error(plan), {}
            size = json.loads(plan.stdout)["size_bytes"]
            if size > self.limit:
                return "skipped", f"{size / 1e6:.0f} MB of data, more than the limit of {self.limit / 1e6:.0f} MB", {}
            load = self.command("load-hdf5", "--json", "--persistent", "roundtrip", source, cwd=source.parent)
            if load.returncode:
                return "not loaded", error(load), {}
            export = self.command("export", "--json", "roundtrip", "--format", "hdf5", "-o", exported)
            if export.returncode:
                return "export failed", error(export), {}
            notes = {note["path"]: note["reason"] for note in json.loads(export.stdout)["left_out"]}
            return self.compare(source, exported, notes)
        except subprocess.TimeoutExpired as timeout:
            return "skipped", f"'{timeout.cmd[1]}' takes more than {SECONDS} s", {}
        finally:
            self.command("unlink", "--force", "roundtrip")
            exported.unlink(missing_ok=True)

    def compare(self, source, exported, notes):
        found = {}
        for judge in self.judges:
            differences = judge.compare(source, exported)
            if differences is not None:
                found[judge.name] = [
                    (path, aspect, detail, next(filter(None, (warned(alias, notes) for alias in (path, *aliases))), None))
                    for path, aspect, detail, *aliases in differences]
        everything = [difference for differences in found.values() for difference in differences]
        silent = [f"{path}: {aspect} {detail}".strip() for path, aspect, detail, reason in everything if not reason]
        if silent:
            return "differs without a warning", "; ".join(silent[:3]), found
        if everything:
            return "differs as warned", everything[0][3], found
        return "same", "", found


def error(done):
    with contextlib.suppress(ValueError, LookupError):
        return json.loads(done.stdout)["errors"][0]["message"]
    return done.stderr.strip() or f"exit status {done.returncode}"


def files_in(paths):
    """The files of folders with a MANIFEST.tsv, and all HDF5 files of others."""
    for path in paths:
        manifest = path / "MANIFEST.tsv"
        if path.is_file():
            yield path.resolve()
        elif manifest.is_file():
            for row in manifest.read_text().splitlines()[1:]:
                file = path / row.split("\t")[0]
                if file.is_file():
                    yield file.resolve()
        else:
            yield from sorted(file.resolve() for file in path.rglob("*") if readers.is_hdf5(file))


def report(verdicts, names):
    """Prints the tables: outcomes, differences of each library, and the reasons."""
    counts = collections.Counter(outcome for outcome, _, _ in verdicts.values())
    print("\n| outcome | files |\n|---|---:|")
    for outcome, count in counts.most_common():
        print(f"| {outcome} | {count} |")
    print("\n| library | files that it reads | same | differ as warned | differ without a warning |")
    print("|---|---:|---:|---:|---:|")
    reasons = collections.defaultdict(lambda: [set(), 0])
    for name in names:
        same = as_warned = silent = 0
        for file, (_, _, found) in verdicts.items():
            differences = found.get(name)
            if differences is None:
                continue
            same += not differences
            without = any(reason is None for *_, reason in differences)
            silent += without
            as_warned += bool(differences) and not without
            for _, aspect, _, reason in differences:
                key = f"warning: {general(reason)}" if reason else f"no warning: {aspect}"
                reasons[name, key][0].add(file)
                reasons[name, key][1] += 1
        print(f"| {name} | {same + as_warned + silent} | {same} | {as_warned} | {silent} |")
    print("\n| library | reason of the difference | files | objects |\n|---|---|---:|---:|")
    for (name, key), (files, objects) in sorted(reasons.items(), key=lambda item: (item[0][0], -item[1][1])):
        print(f"| {name} | {key} | {len(files)} | {objects} |")
    skips = collections.Counter(general(reason) for outcome, reason, _ in verdicts.values() if outcome == "skipped")
    for reason, count in skips.items():
        print(f"skipped: {count} files: {reason}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--json", type=Path, help="write all verdicts to this file")
    parser.add_argument("--limit", type=int, default=200, help="skip files with more MB of data (default: 200)")
    parser.add_argument("--readers", type=lambda text: text.split(","), default=list(readers.READERS))
    options = parser.parse_args()
    # Ends by an exception, so that the folders and processes below are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    files, verdicts = list(dict.fromkeys(files_in(options.paths))), {}
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        trip = RoundTrip(options, scratch, shm)
        try:
            for number, file in enumerate(files, 1):
                outcome, reason, _ = verdicts[str(file)] = trip.file(file)
                print(f"[{number}/{len(files)}] {os.path.relpath(file)}: {outcome}{reason and f': {reason[:300]}'}", flush=True)
        finally:
            for judge in trip.judges:
                judge.stop()
    counts = report(verdicts, options.readers)
    if options.json:
        options.json.write_text(json.dumps({"counts": counts, "files": verdicts}, indent=1))
    return int(bool(counts["differs without a warning"] or counts["export failed"]))


if __name__ == "__main__":
    sys.exit(main())
