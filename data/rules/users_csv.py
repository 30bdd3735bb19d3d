"""A list of users as CSV: from bytes to rows that can be imported, or to what is wrong with each."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from data.rules import public_keys, user_fields
from data.rules.public_keys import KeyFault, PublicKey
from data.rules.safe_text import encoding_of, plain_cell

COLUMNS = ("name", "email", "full_name", "phone", "practice", "require_2fa", "public_key")
NEEDED = ("name", "email")
MAX_BYTES = 32 * 1024 * 1024
"""A larger file is refused before it is read; ten thousand users with keys take a tenth of it."""
PASTED_LIMIT = 250_000
"""Characters that are accepted as pasted text: a thousand users with keys."""
MAX_COLUMNS = 100
"""Cells of the row of column names that are read."""
MAX_FAULTS = 1_000
"""Faults after which reading stops: no one fixes more at a time."""
ENCODINGS = ("utf-8", "cp1252")
_YES, _NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n", ""})
_SEPARATORS = ",;\t"
_SEPARATOR_LINE = re.compile(r""""?sep=([^\w\s"']|\t)"?[,;\t]*(\r\n?|\n|\Z)""", re.IGNORECASE)
"""A first line for Excel, which does not show it; it counts as a row, as in every editor."""
_END_OF_FILE = "\x1a"
"""What programs from CP/M and DOS write after a text."""
_ROLE_COLUMNS = frozenset({"role", "roles"})


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a cell; an empty column means the whole row, row 0 the whole file."""

    row: int
    column: str
    wrong: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One user, checked and folded; an empty practice means the account's first."""

    row: int
    name: str
    email: str
    full_name: str
    phone: str | None
    practice: str
    required: bool
    key: PublicKey | None


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """What a file holds.

    `rows` are the users to import: none if there are faults. `seen` is everyone who could be read, with
    an empty name or address where that could not be read: only for comparing with existing users. `extra`
    names the columns that cannot be imported.
    """

    rows: tuple[PersonRow, ...]
    faults: tuple[RowFault, ...]
    seen: tuple[PersonRow, ...] = ()
    extra: tuple[str, ...] = ()


def too_large(size: int) -> str | None:
    """Say that a file of this many bytes is too large."""
    if size <= MAX_BYTES:
        return None
    return f"The file is larger than {MAX_BYTES // 2**20} MB. Import it in parts."


def read_people(raw: bytes, encoding: str = "utf-8", *, ignore_extra: bool = False) -> PeopleFile:
    """Read a whole file; every row is checked on its own and against the other rows.

    With `ignore_extra`, columns that cannot be imported are left out instead of being faults.
    """
    if fault := too_large(len(raw)):
        return PeopleFile((), (RowFault(0, "", fault),))
    encoding = encoding_of(raw, encoding)
    text = raw.decode(encoding, "replace")
    if (at := text.find("\0")) >= 0:
        row = text.count("\n", 0, at) + 1
        return PeopleFile((), (RowFault(row, "", "The file contains a NUL byte, so it is not a CSV file."),))
    reader = _Reader(ignore_extra=ignore_extra)
    reader.faults.extend(_undecoded(raw, encoding))
    reader.read(text)
    faults, seen = tuple(reader.faults[:MAX_FAULTS]), tuple(reader.seen)
    return PeopleFile(() if faults else seen, faults, seen, reader.extra)


def _undecoded(raw: bytes, encoding: str) -> Iterator[RowFault]:
    """Say where the first bytes are that are not in the encoding."""
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        other = "CSV UTF-8, or import it with --encoding cp1252 if it comes from an older Excel"
        yield RowFault(
            row, "", f"The text is not {encoding.removesuffix('-sig').upper()}. Save it as {other}."
        )


class _Reader:
    """The state of reading one file."""

    def __init__(self, *, ignore_extra: bool) -> None:
        self.row = 0
        self.seen: list[PersonRow] = []
        self.faults: list[RowFault] = []
        self.extra: tuple[str, ...] = ()
        self._ignore_extra = ignore_extra
        self._first_row_with: dict[tuple[str, str], int] = {}

    def read(self, text: str) -> None:
        header: list[str] | None = None
        for cells in self._records(text):
            if not any(cell.strip() for cell in cells):
                continue
            if header is not None:
                self._take(header, cells)
                continue
            header = [cell.strip().lower() for cell in cells]
            if not self._is_usable(header):
                return
        if header is None:
            self.faults.append(RowFault(max(self.row, 1), "", f"The file is empty. {_HEADER_RULE}"))
        elif not self.seen and not self.faults:
            self.faults.append(RowFault(self.row, "", "There are no users below the row of column names."))

    def _records(self, text: str) -> Iterator[list[str]]:
        """Yield the rows that can be split into cells, and note the others."""
        body, end, rest = text.rpartition(_END_OF_FILE)
        if not end or rest.strip():
            body = text
        announced = _SEPARATOR_LINE.match(body)
        if announced is not None:
            self.row += 1
            body = body[announced.end() :]
        delimiter = announced[1] if announced else _separator(body)
        records = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
        while len(self.faults) < MAX_FAULTS:
            try:
                cells = next(records)
            except StopIteration:
                return
            except csv.Error:
                self.row += 1
                self._wrong("", "A quotation mark in this row is unclosed or misplaced.")
            else:
                self.row += 1
                yield cells

    def _is_usable(self, header: list[str]) -> bool:
        """Note what is wrong with the column names; return whether the rows below can be read with them."""
        if len(header) > MAX_COLUMNS:
            self._wrong("", f"There are more than {MAX_COLUMNS} column names. {_HEADER_RULE}")
            return False
        if not set(header) & set(COLUMNS):
            self._wrong("", f"The column names are missing. {_HEADER_RULE}")
            return False
        named = [name for name in header if name]
        self.extra = tuple(dict.fromkeys(name for name in named if name not in COLUMNS))
        for name in () if self._ignore_extra else self.extra:
            if name in _ROLE_COLUMNS:
                self._wrong(name, "Roles cannot be imported. Remove the column, and grant roles later.")
            else:
                self._wrong(name, f"The column is not known. The columns are: {', '.join(COLUMNS)}.")
        for name in sorted({name for name in named if named.count(name) > 1}):
            self._wrong(name, "This column appears twice.")
        for name in NEEDED:
            if name not in header:
                self._wrong(name, "This column is missing. The columns name and email are required.")
        return set(NEEDED) <= set(header)

    def _take(self, header: list[str], cells: list[str]) -> None:
        """Read a row; missing cells at its end are empty."""
        pairs = list(zip_longest(header, cells, fillvalue=""))
        if any(cell.strip() for name, cell in pairs if not name):
            self._wrong("", f"The row has {len(cells)} cells, and one of them has no column name.")
        self.seen.append(self._person({name: plain_cell(cell.strip()).strip() for name, cell in pairs}))

    def _person(self, given: dict[str, str]) -> PersonRow:
        name = user_fields.fold_username(given["name"])
        email = user_fields.fold_email(given["email"])
        full_name = user_fields.tidy(given.get("full_name", ""))
        phone = user_fields.fold_phone(given["phone"]) if given.get("phone") else None
        practice = user_fields.tidy(given.get("practice", ""))
        required = given.get("require_2fa", "").lower()
        key = public_keys.parse(given["public_key"]) if given.get("public_key") else None
        if name is None:
            self._wrong("name", user_fields.USERNAME_RULE if given["name"] else "The name is missing.")
        if email is None:
            wrong = "That is not an e-mail address. Example: anna@clinic.example."
            self._wrong("email", wrong if given["email"] else "The e-mail address is missing.")
        if full_name is None:
            self._wrong("full_name", f"A full name has at most {user_fields.TEXT_LIMIT} characters.")
        if given.get("phone") and phone is None:
            self._wrong("phone", user_fields.PHONE_RULE)
        if practice is None:
            self._wrong("practice", f"A practice's name has at most {user_fields.TEXT_LIMIT} characters.")
        if required not in _YES | _NO:
            self._wrong("require_2fa", "Enter yes or no.")
        if isinstance(key, KeyFault):
            self._wrong("public_key", key.value)
        self._once("name", name)
        self._once("email", email)
        return PersonRow(
            self.row,
            name or "",
            email or "",
            full_name or "",
            phone,
            practice or "",
            required in _YES,
            None if isinstance(key, KeyFault) else key,
        )

    def _once(self, column: str, value: str | None) -> None:
        if value is None:
            return
        first = self._first_row_with.setdefault((column, value), self.row)
        if first != self.row:
            self._wrong(column, f"Row {first} has the same value.")

    def _wrong(self, column: str, wrong: str) -> None:
        self.faults.append(RowFault(self.row, column, wrong))


_HEADER_RULE = f"The first row names the columns: {', '.join(COLUMNS)}; name and email are required."


def _separator(text: str) -> str:
    """Find what separates the column names: no name contains any of the candidates."""
    first = next(_lines(text), "")
    return max(_SEPARATORS, key=first.count)


def _lines(text: str) -> Iterator[str]:
    return (line for line in io.StringIO(text) if line.strip())
