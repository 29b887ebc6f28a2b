"""Static checks of the workflows for continuous integration and releases: every called script exists and accepts its
arguments, and the shell lines of every step parse."""

import re
import subprocess

import pytest
from pages import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def steps(path):
    """Returns the shell lines of every `run:`, with workflow expressions replaced by plain words."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines):
        found = re.match(r"( *)(?:- )?run: (.*)$", line)
        if not found:
            continue
        text = found[2]
        if text == "|":
            indent = len(lines[number + 1]) - len(lines[number + 1].lstrip())
            block = []
            for later in lines[number + 1:]:
                if later.strip() and not later.startswith(" " * indent):
                    break
                block.append(later[indent:])
            text = "\n".join(block)
        yield number + 1, re.sub(r"\$\{\{.*?\}\}", "x", text)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_shell_lines_parse_and_scripts_exist(path):
    found = list(steps(path))
    assert found
    for line, text in found:
        done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, f"{path.name}:{line}: {done.stderr}"
        for script in re.findall(r"(?:^|\s)((?:scripts|\.ci)/[\w-]+)", text):
            assert (REPOSITORY / script).stat().st_mode & 0o111, f"{path.name}:{line}: {script}"


def test_jobs_wait_only_for_existing_jobs():
    text = (REPOSITORY / ".github/workflows/release.yml").read_text(encoding="utf-8")
    jobs = re.findall(r"^  (\w+):$", text[text.index("\njobs:"):], re.MULTILINE)
    assert jobs[0] == "versions" and len(jobs) == len(set(jobs))
    for job in re.findall(r"^    needs: (\w+)$", text, re.MULTILINE):
        assert job in jobs


def test_release_notes_are_the_section_of_the_changelog(tmp_path):
    """Runs the line of the release step on a changelog of three sections."""
    text = (REPOSITORY / ".github/workflows/release.yml").read_text(encoding="utf-8")
    (line,) = [line.strip() for line in text.split("\n") if "CHANGELOG.md" in line]
    (tmp_path / "CHANGELOG.md").write_text("# C\n## Unreleased\nno\n## 2.1.0\n### Added\n- one\n\n## 2.0.0\n- old\n")
    subprocess.run(["bash", "-ec", line], cwd=tmp_path, env={"GITHUB_REF_NAME": "v2.1.0", "PATH": "/usr/bin:/bin"}, check=True)
    assert (tmp_path / "notes.md").read_text() == "### Added\n- one\n\n"


def test_tag_equals_the_version():
    def check(tag):
        return subprocess.run([REPOSITORY / "scripts/package", "--tag", tag], capture_output=True, text=True)

    (version,) = re.findall(r'^version = "(.*)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[:1]
    wrong = check("v0.0.1")
    assert wrong.returncode == 1 and f"Cargo.toml has version {version}" in wrong.stderr
