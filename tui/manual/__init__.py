"""The manual: the pages next to this file. Nothing else is ever read.

May import: nothing else of Twofold.
"""

import re
from functools import cache
from importlib.resources import files

ORDER = (
    *("signing-in", "enrolling", "lost-phone", "administering-people", "policy", "roles", "commands"),
    *("delivery", "several-nodes", "backup-and-restore", "keys", "audit-log", "operating", "security"),
    *("troubleshooting", "performance", "architecture"),
)
"""The pages, as one would read them."""
_SUFFIX = ".md"
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*`]")
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
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
