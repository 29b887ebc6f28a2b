"""Parses the pages of the documentation: sections, code blocks and links.

The info string of a code block determines how it is tested:

    sh run         runs with all blocks of its section in one directory; must succeed
    sh run fails N the same, but must exit with status N
    sh check       needs resources that a test lacks (a cluster, a container, root): only its syntax is checked
    python         runs; with a first line "# name.py" it becomes a file that an "sh run" block names
    text, toml     is not code

`needs=NAME` after it names a required program or Python module. Without it, the test is reported as skipped.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?\)")
KINDS = {"sh run", "sh check", "python", "text", "toml"}


@dataclass
class Block:
    """One block of code."""

    kind: str
    text: str
    line: int
    needs: list = field(default_factory=list)
    status: int = 0

    @property
    def file(self):
        """Returns the name in the first line of a Python block that is a file."""
        found = re.match(r"# (\w+\.py)\n", self.text)
        return found[1] if found and self.kind == "python" else None


@dataclass
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self):
        return str(self.path.relative_to(REPOSITORY))

    @property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    def blocks(self):
        """Returns every fenced block, in order."""
        return [block(found, self.text) for found in FENCE.finditer(self.text)]

    def sections(self):
        """Returns [(heading, blocks)] of the second-level sections that have blocks."""
        heads = [(found.start(), found[1]) for found in re.finditer(r"^## +(.*)$", self.prose(), re.MULTILINE)]
        starts = [(0, "top"), *heads]
        sections = []
        for (start, head), (end, _) in zip(starts, [*starts[1:], (len(self.text), "")]):
            inside = [block(found, self.text) for found in FENCE.finditer(self.text) if start <= found.start() < end]
            if inside:
                sections.append((head, inside))
        return sections

    def prose(self):
        """Returns the text with blanks in place of code blocks, at the same offsets."""
        return FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.text)

    def links(self):
        """Returns the targets of all links outside code spans."""
        return LINK.findall(re.sub(r"`[^`\n]*`", "", self.prose()))

    def anchors(self):
        """Returns the anchors of all headings, as GitHub creates them."""
        seen, anchors = {}, set()
        for head in HEADING.findall(self.prose()):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head.replace("`", ""))
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            anchors.add(f"{slug}-{count}" if count else slug)
        return anchors


def block(found, text):
    """Converts a match of FENCE to a block."""
    words = found[1].split()
    needs = [word.removeprefix("needs=") for word in words if word.startswith("needs=")]
    words = [word for word in words if not word.startswith("needs=")]
    status = int(words[-1]) if words[:3] == ["sh", "run", "fails"] else 0
    kind = " ".join(words[:2] if status else words)
    return Block(kind, found[2], text.count("\n", 0, found.start()) + 1, needs, status)


def all_pages():
    """Returns every Markdown file of the repository."""
    left_out = {".git", ".venv", "target", "node_modules"}
    files = (path for path in REPOSITORY.rglob("*.md") if not left_out & set(path.relative_to(REPOSITORY).parts))
    return [Page(path) for path in sorted(files)]
