"""Lines of a screen whose caches are made when they are used.

Textual gives each line seven, of which most lines use two; together they are half the memory of a session.
"""

from collections.abc import Iterable
from typing import Any, Final, cast

from rich.segment import Segment
from textual.cache import FIFOCache
from textual.strip import Strip

_CACHES: Final = {
    "_divide_cache": 4,
    "_crop_cache": 16,
    "_style_cache": 16,
    "_filter_cache": 4,
    "_line_length_cache": 4,
    "_crop_extend_cache": 4,
    "_offsets_cache": 4,
}
"""Textual's caches of a line, each with how many results it keeps."""


class _MadeOnUse:
    """Stands in the place of an attribute, which it makes when it is first read."""

    def __init__(self, slot: Any, most: int) -> None:
        self._slot, self._most = slot, most

    def __get__(self, strip: Strip | None, owner: type[Strip]) -> Any:
        if strip is None:
            return self
        try:
            return self._slot.__get__(strip, owner)
        except AttributeError:
            made: FIFOCache[Any, Any] = FIFOCache(self._most)
            self._slot.__set__(strip, made)
            return made


def _init(self: Any, segments: Iterable[Segment], cell_length: int | None = None) -> None:
    self._segments, self._cell_length = list(segments), cell_length
    self._render_cache = self._link_ids = self._cell_count = None


def install() -> None:
    """Use it for every line of this process.

    Raises:
        AttributeError: when the installed Textual is not the version that this was written for.
    """
    private = cast("Any", Strip)
    if private.__init__ is _init:
        return
    for name, most in _CACHES.items():
        setattr(private, name, _MadeOnUse(getattr(private, name), most))
    private.__init__ = _init
