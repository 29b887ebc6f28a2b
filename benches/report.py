"""The results of scripts/bench as a table with the goals, and as a chart."""

import statistics
from xml.sax.saxutils import escape

BEGIN, END = "<!-- scripts/bench --write: begin -->", "<!-- end -->"
# Work, file, mount, contender, compared contender, goal: a share of the other's time, or times faster.
GOALS = [
    ("contiguous 2 GiB, one dataset", "contiguous", None, "load", "cp", 0.75),
    ("contiguous 2 GiB, eight datasets", "contiguous8", None, "load", "cp", 0.6),
    ("contiguous 2 GiB, `huge=advise`", "contiguous", "advise", "load", "cp", 0.25),
    ("contiguous 2 GiB, `huge=within_size`", "contiguous", "within_size", "load", "cp", 0.75),
    ("contiguous 2 GiB, one dataset", "contiguous", None, "load", "python", 6),
    ("contiguous 2 GiB, eight datasets", "contiguous8", None, "load", "python", None),
    ("chunked 1 GiB, no filter", "chunked", None, "load", "cp", 0.8),
    ("chunked 1 GiB, no filter", "chunked", None, "load", "python", None),
    ("shuffle + gzip 1 GiB", "gzip", None, "load", "python", 7),
    ("shuffle + gzip 1 GiB, `huge=within_size`", "gzip", "within_size", "load", "python", 10),
    ("shuffle + gzip 1 GiB, one thread", "gzip", None, "one_job", "python", 3.5),
    ("shuffle + lzf 1 GiB", "lzf", None, "load", "python", 8),
    ("shuffle + zstd 1 GiB", "zstd", None, "load", "h5py", 4),
    ("blosc (lz4) 1 GiB", "blosc", None, "load", "h5py", 4),
    ("shuffle + lz4 1 GiB", "lz4", None, "load", "h5py", 4),
    ("bitshuffle (lz4) 1 GiB", "bitshuffle", None, "load", "h5py", 4),
    ("shuffle + zstd 1 GiB, `huge=within_size`", "zstd", "within_size", "load", "h5py", None),
    ("blosc (lz4) 1 GiB, `huge=within_size`", "blosc", "within_size", "load", "h5py", None),
    ("shuffle + lz4 1 GiB, `huge=within_size`", "lz4", "within_size", "load", "h5py", None),
    ("bitshuffle (lz4) 1 GiB, `huge=within_size`", "bitshuffle", "within_size", "load", "h5py", None),
    ("10,000 small datasets", "small", None, "load", "python", 20),
    ("compound 1 GiB, 8 fields", "compound", None, "load", "python", 8),
    ("compound 1 GiB, 8 fields", "compound", None, "load", "cp", None),
    ("shuffle + gzip 1 GiB, cold", "gzip", None, "cold load", "cold cat", 1.1),
    ("`list -s`, 20 projects of 50 arrays", "list", None, "list_short", "python_list", 50),
]
SHOWN = {"cp": "`cp`", "python": "Python", "h5py": "h5py", "cold cat": "`cat` or warm load",
         "python_list": "`cute-shm-list -short`"}


def find(measured, file, mount, *names):
    """Returns the rounds of a file with all these contenders."""
    for one in measured:
        if one["file"] == file and one["mount"] == mount and all(name in one["rounds"][0] for name in names):
            return one["rounds"]
    return None


def seconds(rounds, name):
    return statistics.median(one[name][0] for one in rounds)


def theirs(one, against):
    """The time to compare with: a cold load cannot be faster than the disk or a warm load."""
    return max(one["cold cat"][0], one["load"][0]) if against == "cold cat" else one[against][0]


def lines(measured):
    for work, file, mount, name, against, goal in GOALS:
        rounds = find(measured, file, mount, name, against)
        if rounds is None:
            continue
        ours = seconds(rounds, name)
        other = statistics.median(theirs(one, against) for one in rounds)
        share = against in ("cp", "cold cat")
        ratio = statistics.median(
            one[name][0] / theirs(one, against) if share else theirs(one, against) / one[name][0] for one in rounds)
        found = f"{ratio:.2f} of its time" if share else f"{ratio:.1f} times faster"
        wanted = "" if goal is None else f"at most {goal}" if share else f"at least {goal}"
        met = "" if goal is None else "yes" if (ratio <= goal if share else ratio >= goal) else "no"
        peak = max(one[name][1] for one in rounds)
        digits = 2 if ours >= 0.1 else 3
        yield (f"| {work} | {ours:.{digits}f} s | {SHOWN[against]} | {other:.2f} s | {found} | {wanted} | {met} "
               f"| {least(rounds, name)} | {peak:.0f} |")


def least(rounds, name):
    """Returns the time of two threads for the pages alone in the best round: a lower bound is not a median. One thread,
    or another kind of page, has another bound."""
    if name != "load" or "least" not in rounds[0]:
        return ""
    return f"{min(one['least'][0] for one in rounds):.2f} s"


def reads(measured):
    small, huge = (find(measured, "contiguous", mount, "gather") for mount in (None, "advise"))
    if small and huge:
        ours, other = seconds(huge, "gather"), seconds(small, "gather")
        yield (f"| 20 million random reads by numpy, `huge=advise` | {ours:.2f} s | small pages | {other:.2f} s "
               f"| {other / ours:.1f} times faster | | | | |")


def growth(measured):
    for one in measured:
        kind, dash, count = one["file"].partition("-")
        if dash:
            time, peak = seconds(one["rounds"], "load"), max(r["load"][1] for r in one["rounds"])
            yield f"| {int(count):,} {kind} | {time:.3f} s | {time / int(count) * 1e6:,.1f} | {peak:.0f} |"


def table(measured):
    head = ["| work | cute-shm | compared with | its time | ratio | goal | met | pages alone | peak MiB |",
            "|---|---|---|---|---|---|---|---|---|"]
    grown = list(growth(measured))
    more = ["", "| size | load | microseconds each | peak MiB |", "|---|---|---|---|", *grown] if grown else []
    return "\n".join([*head, *lines(measured), *reads(measured), *more])


def replace(page, text, begin=BEGIN, end=END):
    """Replaces the text between two marks of a page."""
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


BARS = [("load", "cute-shm", "#2f7d5b"), ("cp", "cp to /dev/shm", "#9aa5b1"), ("python", "Python package", "#d08c3c")]


def chart(measured):
    """Returns bars of seconds, readable on light and dark background."""
    groups = []
    for work, file, mount, name, against, _ in GOALS:
        rounds = find(measured, file, mount, name, against)
        if rounds and mount is None and name == "load" and "python" in rounds[0] and work not in [g[0] for g in groups]:
            groups.append((work, rounds))
    longest = max(seconds(rounds, name) for _, rounds in groups for name, _, _ in BARS if name in rounds[0])
    shapes, y = [], 44
    for x, (_, label, color) in zip((250, 350, 480), BARS):
        shapes.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{color}"/><text x="{x + 18}" y="22">{label}</text>')
    for work, rounds in groups:
        bars = [bar for bar in BARS if bar[0] in rounds[0]]
        shapes.append(f'<text x="240" y="{y + 7 * len(bars) + 3}" text-anchor="end">{escape(work)}</text>')
        for name, _, color in bars:
            time = seconds(rounds, name)
            width = max(1, 400 * time / longest)
            shapes.append(f'<rect x="250" y="{y}" width="{width:.1f}" height="11" fill="{color}"/>'
                          f'<text x="{255 + width:.1f}" y="{y + 9}" font-size="10">{time:.2f} s</text>')
            y += 14
        y += 12
    style = "text{font:12px sans-serif;fill:#57606a}@media(prefers-color-scheme:dark){text{fill:#adbac7}}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{y}" viewBox="0 0 720 {y}">'
            f"<title>Seconds of a load: cute-shm, cp, and the Python package</title><style>{style}</style>\n"
            + "\n".join(shapes) + "\n</svg>\n")
