"""The scenes of scripts/record: commands in a pseudo-terminal of fixed size, drawn by terminal.py.

    record.py BINARY FOLDER [SCENE...]
"""

import codecs
import fcntl
import os
import pty
import shutil
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import h5py
import numpy as np
from terminal import Screen, svg

COLUMNS, ROWS = 112, 48
# The longest time without a change, and the shortest time of a frame, in seconds.
LONGEST, SHORTEST = 1.0, 0.12
LOAD = "cute-shm load-hdf5 survey survey.h5 --persistent"
# name: (title, hidden commands, shown commands, whether it is animated)
SCENES = {
    "load": ("Load, list, show and remove a project", [], [LOAD, "cute-shm list", "cute-shm show survey", "cute-shm unlink survey"], True),
    "stats": ("Statistics of an array, with a histogram", [LOAD], ["cute-shm show survey /station/temperature --stats"], False),
    "plot": ("Heat map of an array", [LOAD], ["cute-shm show survey /sky --plot"], False),
    "doctor": ("Checks of a node", [], ["cute-shm doctor"], False),
}
# $1 becomes /tmp: it contains the binary and the file. Without -echo, typed text would appear in the recording.
STAGE = """
mount -t tmpfs -o size=12g,mode=1777 shm /dev/shm && mount --bind "$1" /tmp && cd /tmp && rm -rf cute-shm || exit 9
export PATH=/tmp/bin:$PATH TERM=xterm-256color LANG=C.UTF-8; unset CUTE_SHM_ROOT CUTE_SHM_DIR NO_COLOR
"""


def sample(path):
    """Writes a gigabyte of compressed images, an image of the sky, and a year of temperatures."""
    random = np.random.default_rng(7)
    with h5py.File(path, "w") as f:
        shape, chunk = (512, 1024, 1024), (8, 1024, 1024)
        images = f.create_dataset("images", shape, "u2", chunks=chunk, compression="gzip", compression_opts=1, shuffle=True)
        images[: chunk[0]] = random.poisson(20, chunk)
        _, packed = images.id.read_direct_chunk((0, 0, 0))
        for first in range(chunk[0], shape[0], chunk[0]):
            images.id.write_direct_chunk((first, 0, 0), packed)
        images.attrs["exposure_seconds"] = 30
        y, x = np.mgrid[-3:3:256j, -5:5:512j]
        spiral = np.cos(3 * np.arctan2(y, x) - 2 * np.hypot(x, y)) * np.exp(-(x**2 + y**2) / 9)
        f["sky"] = (spiral + np.exp(-4 * (x**2 + y**2))).astype("f4")
        hours = np.arange(8760)
        season = 10 - 12 * np.cos(2 * np.pi * hours / 8760) - 4 * np.cos(2 * np.pi * hours / 24)
        f["station/temperature"] = season + random.normal(0, 3, hours.size)
        f["station/temperature"].attrs["units"] = "degC"


def script(before, commands):
    """Returns a script that runs the hidden commands, then each shown command after a prompt."""
    lines = [STAGE] + [f"{command} >/dev/null 2>&1" for command in before] + ["printf '\\f'"]
    for command in commands:
        lines += [f"printf '\\033[32m$\\033[0m %s\\n' '{command}'", "sleep 0.6", command, "sleep 1.2"]
    return "\n".join(lines)


def play(stage, before, commands):
    """Runs a scene. Returns the output to the terminal as [(seconds, text)]."""
    argv = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", script(before, commands), "-", str(stage)]
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execvp(argv[0], argv)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    decoder, pieces = codecs.getincrementaldecoder("utf-8")(), []
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            break
        pieces.append((time.monotonic(), decoder.decode(data)))
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    text = "".join(text for _, text in pieces)
    if os.waitstatus_to_exitcode(status) or "\f" not in text:
        sys.exit(f"record: the scene failed:\n{text}")
    return pieces


def frames(pieces, moving):
    """Returns the screen after each change as [(seconds, lines)], without long waits. Only the last if not `moving`."""
    screen, found, clock, before, begun = Screen(COLUMNS, ROWS), [], 0.0, None, False
    for when, text in pieces:
        if not begun:
            _, begun, text = text.partition("\f")
        if not begun:
            continue
        clock += min(LONGEST, when - (before or when))
        before = when
        screen.feed(text)
        lines = screen.lines()
        if found and clock - found[-1][0] < SHORTEST:
            found[-1] = (found[-1][0], lines)
        elif not found or found[-1][1] != lines:
            found.append((clock, lines))
    return found if moving else [(0.0, found[-1][1])]


def main(binary, folder, *names):
    stage = Path(tempfile.mkdtemp(prefix="record."))
    try:
        (stage / "bin").mkdir()
        shutil.copy(binary, stage / "bin" / "cute-shm")
        sample(stage / "survey.h5")
        for name in names or SCENES:
            title, before, commands, moving = SCENES[name]
            picture = svg(frames(play(stage, before, commands), moving), COLUMNS, title)
            (Path(folder) / f"record-{name}.svg").write_text(picture, encoding="utf-8")
            print(f"docs/record-{name}.svg: {len(picture)} bytes")
    finally:
        shutil.rmtree(stage)


if __name__ == "__main__":
    main(*sys.argv[1:])
