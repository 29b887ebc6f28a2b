"""A small terminal emulator: converts program output to a screen of cells, and a screen to SVG.

It supports the control sequences of cute-shm and its progress bar. Any other sequence is an error, so that no
recording is silently wrong.
"""

import re
from collections import namedtuple
from html import escape

CELL_WIDTH, CELL_HEIGHT, EDGE = 8, 17, 12
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
NAMED = ["#3b4048", "#f47067", "#7ec77e", "#e5c07b", "#6cb6ff", "#d19aff", "#5fc9d4", "#d7dae0"]
Style = namedtuple("Style", "fore back bold dim", defaults=(None, None, False, False))
SEQUENCE = re.compile(r"\x1b\[([?]?)([\d;]*)([A-Za-z])|[\x00-\x1f]|[^\x00-\x1f]")


def color(number):
    """Returns one of the 256 colors."""
    if number < 16:
        return NAMED[number % 8]
    if number > 231:
        return f"#{10 * (number - 232) + 8:02x}" + 2 * f"{10 * (number - 232) + 8:02x}"
    steps = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "#" + "".join(f"{steps[number // part % 6]:02x}" for part in (36, 6, 1))


class Screen:
    """A grid of cells, each a character and its style."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[(" ", Style())] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.style = Style()
        self.rest = ""

    def feed(self, text):
        text = self.rest + text
        # A read may end within a sequence.
        whole = re.search(r"(?:\x1b(?:\[[?\d;]*)?)?$", text).start()
        text, self.rest = text[:whole], text[whole:]
        for found in SEQUENCE.finditer(text):
            if found[3]:
                self.control(found[1], [int(word or 0) for word in found[2].split(";")], found[3])
            elif found[0] == "\n":
                self.down()
            elif found[0] == "\r":
                self.column = 0
            elif found[0] >= " ":
                self.put(found[0])
            else:
                raise ValueError(f"unknown control character {found[0]!r}")

    def put(self, character):
        if self.column == self.columns:
            self.column = 0
            self.down()
        self.cells[self.row][self.column] = (character, self.style)
        self.column += 1

    def down(self):
        self.row += 1
        if self.row == self.rows:
            self.cells = self.cells[1:] + [[(" ", Style())] * self.columns]
            self.row -= 1

    def control(self, private, numbers, letter):
        first = max(1, numbers[0])
        if private and letter in "hl":
            return
        if letter == "m":
            self.paint(numbers)
        elif letter == "A":
            self.row = max(0, self.row - first)
        elif letter == "B":
            self.row = min(self.rows - 1, self.row + first)
        elif letter == "G":
            self.column = first - 1
        elif letter == "K":
            start = 0 if numbers[0] == 2 else self.column
            self.cells[self.row][start:] = [(" ", Style())] * (self.columns - start)
        else:
            raise ValueError(f"unknown control sequence {numbers} {letter!r}")

    def paint(self, numbers):
        numbers = list(numbers)
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.style = Style()
            elif number in (1, 2):
                self.style = self.style._replace(**{("bold", "dim")[number - 1]: True})
            elif number in (38, 48) and numbers[:1] == [5]:
                self.style = self.style._replace(**{"fore" if number == 38 else "back": color(numbers[1])})
                del numbers[:2]
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.style = self.style._replace(fore=NAMED[number % 10])
            elif number == 39:
                self.style = self.style._replace(fore=None)
            else:
                raise ValueError(f"unknown style {number}")

    def lines(self):
        """Returns each line as SVG at the origin, without empty lines at the end."""
        drawn = [line(cells) for cells in self.cells]
        while drawn and not drawn[-1]:
            drawn.pop()
        return drawn


def line(cells):
    """Returns one line as SVG: half blocks and backgrounds as strokes, text in runs of one style."""
    return strokes(cells) + "".join(run(start, text, style) for start, text, style in runs(cells))


def strokes(cells):
    """Returns colored halves of cells, one path per color."""
    paths = {}
    for column, (character, style) in enumerate(cells):
        halves = [(0, style.fore), (1, style.back)] if character == "▀" else [(0, style.back), (1, style.back)]
        for half, fill in halves:
            if fill:
                spans = paths.setdefault((fill, half), [])
                if spans and spans[-1][1] == column:
                    spans[-1][1] = column + 1
                else:
                    spans.append([column, column + 1])
    height, out = CELL_HEIGHT / 2, ""
    for (fill, half), spans in paths.items():
        # Overlaps the next line slightly, so that no seam is visible.
        path = "".join(f"M{CELL_WIDTH * a} {height * (half + 0.5):g}H{CELL_WIDTH * b}" for a, b in spans)
        out += f'<path stroke="{fill}" d="{path}"/>'
    return out


def runs(cells):
    """Returns [(column, text, style)]. Two spaces end a run, so that columns stay aligned."""
    text = "".join("\0" if character == "▀" else character for character, _ in cells)
    for found in re.finditer(r"[^\0 ]+(?: [^\0 ]+)*", text):
        start = found.start()
        for column in range(found.start(), found.end()):
            if column + 1 == found.end() or cells[column + 1][1] != cells[column][1]:
                if text[start : column + 1].strip():
                    yield start, text[start : column + 1].rstrip(), cells[start][1]
                start = column + 1


def run(start, text, style):
    lead = len(text) - len(text.lstrip())
    text, start = text[lead:], start + lead
    look = "".join([
        f' fill="{style.fore}"' if style.fore else "", ' font-weight="bold"' if style.bold else "",
        ' opacity=".6"' if style.dim else ""])
    # textLength keeps columns aligned in any font.
    return f'<text x="{CELL_WIDTH * start}" y="13" textLength="{CELL_WIDTH * len(text)}"{look}>{escape(text, quote=False)}</text>'


def svg(frames, columns, title):
    """Returns `frames` [(seconds, lines)] as an animation that ends with the last frame. A static viewer shows that frame."""
    rows = max(len(lines) for _, lines in frames)
    width, height = columns * CELL_WIDTH + 2 * EDGE, rows * CELL_HEIGHT + 2 * EDGE
    known = {text: f"l{number}" for number, text in enumerate(dict.fromkeys(t for _, lines in frames for t in lines if t))}
    whole = frames[-1][0] + 4
    defs = "".join(f'<g id="{name}">{text}</g>' for text, name in known.items())
    body, rules = "", ""
    for number, (start, lines) in enumerate(frames):
        uses = "".join(f'<use href="#{known[text]}" y="{CELL_HEIGHT * row}"/>' for row, text in enumerate(lines) if text)
        last = number + 1 == len(frames)
        if len(frames) > 1:
            begin, end = 100 * start / whole, 100 if last else 100 * frames[number + 1][0] / whole
            hidden, shown = "{visibility:hidden}", "{visibility:visible}"
            off = "" if last else f"{end:.2f}%,100%{hidden}"
            on = f"0%{shown}" if not start else f"0%{hidden}{begin:.2f}%{shown}"
            rules += f"@keyframes k{number}{{{on}{off}}}#f{number}{{animation:k{number} {whole:.2f}s step-end infinite}}"
        body += f'<g id="f{number}"' + ("" if last else ' visibility="hidden"') + f">{uses}</g>"
    style = f"<style>@media(prefers-reduced-motion:no-preference){{{rules}}}</style>" if rules else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>{style}"
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>'
        f"<defs><style>text{{font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}}path{{stroke-width:{CELL_HEIGHT / 2 + 0.3:g}}}</style>{defs}</defs>"
        f'<g transform="translate({EDGE} {EDGE})" fill="{FOREGROUND}">{body}</g></svg>\n'
    )
