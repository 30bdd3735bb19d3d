"""The manual: the pages next to this file. Nothing else is ever read.

May import: nothing else of Twofold.
"""

import re
import textwrap
from functools import cache
from importlib.resources import files

ORDER = (
    *("signing-in", "enrolling", "lost-phone", "overview", "administering-people", "policy", "roles", "keys"),
    *("commands", "delivery", "several-nodes", "backup-and-restore", "cryptographic-keys", "audit-log"),
    *("operating", "security", "troubleshooting", "performance", "architecture"),
)
"""The pages, as one would read them."""
_SUFFIX = ".md"
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*`]")
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_MARK = r"(?:[-*] |\d+\. |\| ?)"
_BLOCK = re.compile(rf"^({_MARK})?.+(?:\n(?!{_MARK}|#).+)*", re.MULTILINE)
"""A paragraph, a heading, an item of a list or a row of a table, with its mark."""
_END_OF_SENTENCE = re.compile(r"(?<=[.?!])\s")


@cache
def topics() -> tuple[str, ...]:
    """Return the names of the pages, in reading order."""
    present = {entry.name for entry in files(__name__).iterdir()}
    return tuple(topic for topic in ORDER if topic + _SUFFIX in present)


@cache
def page(topic: str) -> str:
    """Return a page as it is written, in Markdown.

    Raises:
        KeyError: when no page has this name.
    """
    if topic not in topics():
        raise KeyError(topic)
    return files(__name__).joinpath(topic + _SUFFIX).read_text("utf-8")


def wrapped(topic: str, width: int) -> str:
    """Return a page with its lines broken at `width` columns; fenced blocks stay as they are written."""

    def fill(block: re.Match[str]) -> str:
        return textwrap.fill(
            " ".join(block[0].split()),
            width,
            subsequent_indent=" " * len(block[1] or ""),
            break_long_words=False,
            break_on_hyphens=False,
        )

    parts = _FENCED.split(page(topic))
    return "".join(part if part.startswith("```") else _BLOCK.sub(fill, part) for part in parts)


def find(name: str) -> str | None:
    """Return the page of this name, file name or title, in capitals or not; None if there is none."""
    folded = " ".join(name.casefold().split())
    names = ((topic, (topic, topic + _SUFFIX, title(topic).casefold())) for topic in topics())
    return next((topic for topic, its in names if folded in its), None)


def title(topic: str) -> str:
    """Return a page's title."""
    return _plain(page(topic).partition("\n")[0].removeprefix("# "))


def first_sentence(topic: str) -> str:
    """Return the sentence that a page begins with."""
    _, _, body = page(topic).partition("\n")
    return _END_OF_SENTENCE.split(_plain(body.strip().partition("\n\n")[0]), maxsplit=1)[0]


def sections(topic: str) -> list[str]:
    """Return a page in parts, each of which begins with a heading."""
    return _SECTION.split(page(topic))


def topic_of(link: str) -> str | None:
    """Return the page that a link leads to; None when it leads anywhere else."""
    name = link.partition("#")[0]
    topic = name.removesuffix(_SUFFIX)
    return topic if topic != name and topic in topics() else None


def _plain(markdown: str) -> str:
    """Return the words of a line or paragraph without its marks."""
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", markdown)).split())
