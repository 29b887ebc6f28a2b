"""The terminal emulator of scripts/record, and its recordings."""

import sys
from xml.etree import ElementTree

import pytest
from pages import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import terminal  # noqa: E402


def screen(text, columns=12, rows=3, cut=None):
    screen = terminal.Screen(columns, rows)
    for piece in [text] if cut is None else [text[:cut], text[cut:]]:
        screen.feed(piece)
    return screen


def shown(text, **options):
    return ["".join(character for character, _ in row).rstrip() for row in screen(text, **options).cells]


def test_cursor_moves_as_in_a_terminal():
    assert shown("one\rtwo\r\nthree") == ["two", "three", ""]
    assert shown("a\r\nb\r\nc\r\nd") == ["b", "c", "d"], "it scrolls"
    assert shown("abcdefgh", columns=5) == ["abcde", "fgh", ""], "it wraps"
    assert shown("bar\r\x1b[2Kdone") == ["done", "", ""]
    assert shown("a\r\nb\x1b[1A\x1b[1Gc\x1b[1Bd\x1b[?25l") == ["c", "bd", ""]


def test_styles_survive_any_split_of_the_text():
    text = "\x1b[1;32mok\x1b[0m x  \x1b[38;5;196;48;5;21m▀\x1b[0m&"
    whole = screen(text).lines()
    assert all(screen(text, cut=cut).lines() == whole for cut in range(len(text)))
    assert f'fill="{terminal.NAMED[2]}" font-weight="bold">ok</text>' in whole[0]
    assert 'stroke="#ff0000"' in whole[0] and 'stroke="#0000ff"' in whole[0] and "&amp;" in whole[0]


@pytest.mark.parametrize("text", ["\x1b[5n", "\x1b[7mx", "\x07"])
def test_unknown_control_sequences_are_an_error(text):
    with pytest.raises(ValueError):
        screen(text)


def test_last_frame_is_shown_without_animation():
    picture = terminal.svg([(0.0, ["", "<text/>"]), (1.0, ["<path/>"])], 10, "A & B")
    tree = ElementTree.fromstring(picture)
    groups = {group.get("id"): group.get("visibility") for group in tree.iter("{http://www.w3.org/2000/svg}g")}
    assert groups["f0"] == "hidden" and groups["f1"] is None


@pytest.mark.parametrize("file", [*sorted((REPOSITORY / "docs").glob("record-*.svg")), REPOSITORY / "docs/architecture.svg"], ids=lambda file: file.name)
def test_pictures_are_well_formed_and_small(file):
    text = file.read_text(encoding="utf-8")
    title = ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title")
    assert title is not None and title.text
    assert len(text) < 64 << 10
