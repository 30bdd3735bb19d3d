"""Files that others may have placed: opened only if they are regular files of a bounded size."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_LINE_BYTES = 65_536


class UnfitFileError(OSError):
    """The path is not a regular file, or is too large; `strerror` says which."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))


def open_plain(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file for reading, without ever blocking.

    Opening a FIFO waits for a writer, and a device may never end; both are refused, and so are directories.

    Raises:
        UnfitFileError: when it is not a regular file, or has more than `most` bytes.
        OSError: when it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:
        raise UnfitFileError(path, "That is not a file path") from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # A socket, or a device without hardware.
            raise UnfitFileError(path, "It is not a regular file") from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise UnfitFileError(path, "It is not a regular file")
    file = os.fdopen(descriptor, "rb")
    if most is not None and found.st_size > most:
        file.close()
        raise UnfitFileError(path, f"It has more than {most} bytes")
    return file


def first_line(path: Path) -> str:
    """Read the first line of a small text in UTF-8, such as a password, without its line end.

    Raises:
        OSError: when it cannot be read, or is not such a text.
    """
    try:
        return read_plain(path, _LINE_BYTES).decode("utf-8").partition("\n")[0]
    except UnicodeDecodeError:
        raise UnfitFileError(path, "It is not UTF-8 text") from None


def read_plain(path: Path, most: int) -> bytes:
    """Read a regular file of at most this many bytes.

    Raises:
        UnfitFileError: when it is not a regular file, or has more bytes.
        OSError: when it cannot be read.
    """
    with open_plain(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnfitFileError(path, f"It has more than {most} bytes")
    return content
