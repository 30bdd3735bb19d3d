"""README and manual: the commands in them run, and their links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui import manual

ROOT = Path(__file__).parents[3]
PAGES = Path(manual.__file__).parent
FILES = [*sorted(ROOT.glob("*.md")), *sorted(PAGES.glob("*.md"))]
MARKS = {"console", "sh", "text", "toml", "ini", "sql", "json", "python"}
"""What a fenced block can be; each line `$ COMMAND` of a console is run."""
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def consoles(file: Path) -> Iterator[str]:
    """Return the commands of a page, in order."""
    for mark, block in FENCE.findall(file.read_text()):
        if mark == "console":
            yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))


def headings(file: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_has_its_place():
    assert set(manual.topics()) == {file.stem for file in PAGES.glob("*.md")}
    assert len(manual.topics()) == len(manual.ORDER)


@pytest.mark.parametrize("topic", manual.ORDER)
def test_page_begins_with_a_title_and_a_sentence(topic):
    assert manual.page(topic).startswith("# ")
    assert not manual.title(topic).endswith(".")
    assert re.fullmatch(r"[A-Z][^#\[*`]+\.", manual.first_sentence(topic))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fenced_blocks_are_marked(file):
    text = file.read_text()
    blocks = FENCE.findall(text)
    assert text.count("```") == 2 * len(blocks)
    assert {mark for mark, _ in blocks} <= MARKS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_links_lead_somewhere(file):
    """From a page they lead to pages only: they are followed in the app as well."""
    for link in LINK.findall(FENCE.sub("", file.read_text())):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link
        assert file.parent != PAGES or not name or manual.topic_of(link), link


@pytest.mark.parametrize("topic", manual.ORDER)
def test_commands_of_a_page_run(clinic, home, tmp_path, monkeypatch, topic):
    """All of a page's, one after another, in a home as `init` makes it."""
    monkeypatch.chdir(tmp_path)
    places = {"TWOFOLD_HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in consoles(PAGES / f"{topic}.md"):
        program, *arguments = shlex.split(line, comments=True)
        assert program in {"twofold", "printf"}, f"mark it sh: {line}"
        if program == "twofold" and not {">", ">>", "|"} & set(arguments):
            outcome = clinic(*arguments)
            assert outcome.status == 0, (line, outcome.err)
        else:
            shell = ["sh", "-c", line]
            ended = subprocess.run(shell, env=places, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, (line, ended.stderr)


def test_readme_names_every_page():
    assert set(LINK.findall((ROOT / "README.md").read_text())) >= {
        f"tui/manual/{topic}.md" for topic in manual.topics()
    }


def test_consoles_outside_the_manual_are_none():
    """Commands of the README are followed by hand: they install and serve."""
    assert [line for file in ROOT.glob("*.md") for line in consoles(file)] == []
