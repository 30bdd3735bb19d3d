"""The manual: the pages next to this file. Nothing else is ever read.

May import: nothing else of Twofold.
"""

import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import zip_longest

ORDER = (
    *("signing-in", "enrolling", "lost-phone", "overview", "administering-people", "policy", "roles", "keys"),
    *(
        "commands",
        "commands-over-ssh",
        "plain-mode",
        "recipes",
        "delivery",
        "several-nodes",
        "backup-and-restore",
    ),
    *(
        "cryptographic-keys",
        "audit-log",
        "certificates",
        "forwarding",
        "applications",
        "http",
        "radius",
        "operating",
        "security",
        "troubleshooting",
    ),
    *("performance", "architecture"),
)
"""The pages, as one would read them."""
SUBJECTS = {
    **dict.fromkeys(("principals", "krl"), "certificates"),
    **dict.fromkeys(("jumps", "targets"), "forwarding"),
}
"""What people look for under a name that is no page's, by the page that explains it."""
_SUFFIX = ".md"
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*`]")
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"((?:^\|.*\|$\n?)+)", re.MULTILINE)
_BETWEEN_CELLS = re.compile(r"(?<!\\)\|")
_MARK = r"(?:[-*] |\d+\. )"
_BLOCK = re.compile(rf"^({_MARK})?.+(?:\n(?!{_MARK}|#).+)*", re.MULTILINE)
"""A paragraph, a heading or an item of a list, with its mark."""
_GAP = 2
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
    parts = _FENCED.split(page(topic))
    return "".join(part if part.startswith("```") else _wrapped_part(part, width) for part in parts)


def _wrapped_part(part: str, width: int) -> str:
    pieces = _TABLE.split(part)
    return "".join(
        _table(piece, width)
        if piece.startswith("|")
        else _BLOCK.sub(lambda block: _filled(" ".join(block[0].split()), width, len(block[1] or "")), piece)
        for piece in pieces
    )


def _filled(words: str, width: int, indent: int) -> str:
    return textwrap.fill(
        words, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _table(text: str, width: int) -> str:
    """Return a table in columns, the widest ones broken to fit; its first rows are the labels and a line."""
    rows = [_cells(line) for line in text.splitlines()]
    del rows[1]
    columns = list(zip(*rows, strict=True))
    sizes = [max(map(len, column)) for column in columns]
    words = [max(map(len, " ".join(column).split())) for column in columns]
    while sum(sizes) + _GAP * (len(sizes) - 1) > width and sizes != words:
        wide = [index for index, size in enumerate(sizes) if size > words[index]]
        sizes[max(wide, key=sizes.__getitem__)] -= 1
    rows.insert(1, ["-" * size for size in sizes])
    return "".join(f"{line.rstrip()}\n" for row in rows for line in _row(row, sizes))


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _BETWEEN_CELLS.split(line)[1:-1]]


def _row(cells: list[str], sizes: list[int]) -> Iterator[str]:
    """Yield the lines of a row, each cell broken within its column."""
    broken = [_filled(cell, size, 0).splitlines() for cell, size in zip(cells, sizes, strict=True)]
    for parts in zip_longest(*broken, fillvalue=""):
        yield (" " * _GAP).join(part.ljust(size) for part, size in zip(parts, sizes, strict=True))


def find(name: str) -> str | None:
    """Return the page of this name, file name, title or subject, in capitals or not; None without one."""
    folded = " ".join(name.casefold().split())
    names = ((topic, (topic, topic + _SUFFIX, title(topic).casefold())) for topic in topics())
    return next((topic for topic, its in names if folded in its), SUBJECTS.get(folded))


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
