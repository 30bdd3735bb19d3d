"""Lines make their caches when they are used, and are those of Textual otherwise."""

import inspect
from types import MemberDescriptorType

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sshserver.compat import textual_strip


def test_every_cache_is_made_on_use() -> None:
    """A new line holds none, and the second time what was found the first time."""
    textual_strip.install()
    line = Strip([Segment("some words", Style(bold=True))], 10)
    made = [name for name in textual_strip._CACHES if holds(line, name)]
    assert made == []
    assert line.crop(2, 6).text == "me w"
    assert line.crop(2, 6) is line.crop(2, 6)
    assert holds(line, "_crop_cache")
    assert not holds(line, "_divide_cache")


def test_what_is_made_at_once_is_all_the_rest() -> None:
    """An attribute that another Textual adds is noticed here."""
    textual_strip.install()
    line = Strip([])
    rest = [name for name in Strip.__slots__ if name not in textual_strip._CACHES]
    assert all(isinstance(inspect.getattr_static(Strip, name), MemberDescriptorType) for name in rest)
    assert all(hasattr(line, name) for name in rest)


def holds(line: Strip, name: str) -> bool:
    try:
        inspect.getattr_static(Strip, name)._slot.__get__(line, Strip)
    except AttributeError:
        return False
    return True
