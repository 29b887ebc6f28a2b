"""Tables and help on a real terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata

import h5py
import numpy as np
import pytest

LONG = "a/very/long/path/of/groups/with/many/levels"
ESCAPES = re.compile(r"\x1b\[[\d;]*m")


def width(line):
    """Returns the width of a line in columns."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def on_terminal(cli, columns, *args, **environment):
    """Returns the lines that the command writes to a terminal, with colors."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = subprocess.Popen(
        cli.command(*args), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**cli.environment, "TERM": "xterm", **environment})
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 65536):
            text += data
    except OSError:  # Linux returns EIO when the other side is closed
        pass
    os.close(ours)
    assert command.wait(60) == 0, text
    return text.decode().replace("\r\n", "\n").splitlines()


def plain(lines):
    return [ESCAPES.sub("", line) for line in lines]


@pytest.fixture
def loaded(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f[f"{LONG}/temperature"] = np.zeros((100, 200, 3))
        for number in range(8):
            f[f"{LONG}/temperature"].attrs[f"attribute_{number}"] = number
        f[f"{LONG}/wind speed [m]"], f["温度/測定値"], f["station/x"] = np.zeros(3), np.arange(5.0), np.arange(2)
    cli.load(project, tmp_path / "in.h5")
    return project


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colored", "plain"])
def test_list_fits_the_terminal(cli, loaded, environment):
    for columns in (80, 100, 120):
        seen = plain(on_terminal(cli, columns, "list", loaded, **environment))
        assert all(width(line) <= columns for line in seen[1:]), seen
        assert any("/station/x " in line for line in seen) and any("/温度/測定値 " in line for line in seen)
    short = on_terminal(cli, 80, "list", "--short", loaded, **environment)
    assert ("\x1b[" in short[1]) is not environment
    head, row = plain(short)
    assert head.index("lifetime") == row.index("persistent") and width(row) <= 80


def test_text_that_fits_is_not_shortened(cli, loaded):
    assert plain(on_terminal(cli, 300, "list", loaded)) == cli.ok("list", loaded).out.splitlines()


def test_keys_are_the_last_to_be_shortened(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["station/temperature"] = np.zeros(1000)
        f["station/temperature"].attrs["units"] = "degC"
    cli.load(project, tmp_path / "in.h5")
    (row,) = [line for line in plain(on_terminal(cli, 80, "list", project)) if "units" in line]
    assert re.search(r"^  /station/temperature  \(1000,\)  float64  7.81 KiB  units +\S*\w{10}$", row)


def test_plan_fits_the_terminal(cli, project, loaded, tmp_path):
    seen = on_terminal(cli, 60, "load-hdf5", "--dry-run", project, tmp_path / "in.h5")
    assert all(width(line) <= 60 for line in plain(seen)[:5]), seen


def test_doctor_breaks_lines_between_words(cli):
    seen = plain(on_terminal(cli, 80, "doctor"))
    checks = cli.ok("doctor", "--json").json()["checks"]
    text = " ".join(line[23:] for line in seen)
    for check in checks:
        assert check["message"].split(" ")[-1] in text
        assert all(len(line) <= 80 or " " not in line[23:] for line in seen)
    assert {line[9:23].strip() for line in seen} >= {check["name"] for check in checks}


def test_help_is_colored_only_on_a_terminal(cli):
    assert "\x1b[" in "\n".join(on_terminal(cli, 80, "help", "load-hdf5"))
    assert "\x1b[" not in "\n".join(on_terminal(cli, 80, "help", "load-hdf5", NO_COLOR="1"))
    assert "\x1b[" not in cli.ok("help", "load-hdf5").out
