"""A list of people as CSV: from bytes to rows that can be imported, or to what is wrong with each."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from data.rules import names, publickeys
from data.rules.publickeys import KeyFault, PublicKey
from data.rules.spreadsheets import plain

COLUMNS = ("name", "email", "full_name", "phone", "practice", "require_2fa", "public_key")
NEEDED = ("name", "email")
MAX_BYTES = 32 * 1024 * 1024
"""A file of more is refused before it is read; ten thousand people with keys take a tenth of it."""
PASTED_LIMIT = 250_000
"""Characters that are taken as pasted text: a thousand people with keys."""
MAX_COLUMNS = 100
"""Cells of the row of column names that are looked at."""
MAX_FAULTS = 1_000
"""Faults after which reading stops: nobody mends more at a time."""
ENCODINGS = ("utf-8", "cp1252")
_YES, _NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n", ""})
_SEPARATORS = ",;\t"
_ROLE_COLUMNS = frozenset({"role", "roles"})
_HEADER_ROW = 1


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a cell; an empty column stands for the whole row, row 0 for the whole file."""

    row: int
    column: str
    wrong: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person, checked and folded; an empty practice stands for the account's first."""

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
    """What a file holds; where there are faults, nothing of it is imported."""

    rows: tuple[PersonRow, ...]
    faults: tuple[RowFault, ...]


def too_large(size: int) -> str | None:
    """Say that so many bytes are too many."""
    if size <= MAX_BYTES:
        return None
    return f"The file is larger than {MAX_BYTES // 2**20} MB. Import it in parts."


def read_people(raw: bytes, encoding: str = "utf-8") -> PeopleFile:
    """Read a whole file; every row is checked on its own and against the other rows."""
    text = _decode(raw, encoding)
    if isinstance(text, RowFault):
        return PeopleFile((), (text,))
    reader = _Reader()
    try:
        reader.read(text)
    except csv.Error:
        reader.faults.append(
            RowFault(reader.row + 1, "", "A quotation mark in this row is opened and not closed, or stray.")
        )
    return PeopleFile(tuple(reader.rows), tuple(reader.faults[:MAX_FAULTS]))


def _decode(raw: bytes, encoding: str) -> str | RowFault:
    if fault := too_large(len(raw)):
        return RowFault(0, "", fault)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return RowFault(0, "", "The file is UTF-16. Save it as CSV UTF-8.")
    if (at := raw.find(b"\0")) >= 0:
        return RowFault(raw.count(b"\n", 0, at) + 1, "", "There is a NUL byte, so this is no CSV file.")
    try:
        return raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        other = "CSV UTF-8, or import it with --encoding cp1252 if it comes from an older Excel"
        return RowFault(row, "", f"The text is not {encoding.upper()}. Save it as {other}.")


class _Reader:
    """The state of reading one file."""

    def __init__(self) -> None:
        self.row = 0
        self.rows: list[PersonRow] = []
        self.faults: list[RowFault] = []
        self._first_row_with: dict[tuple[str, str], int] = {}

    def read(self, text: str) -> None:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
        header: list[str] | None = None
        for cells in records:
            self.row += 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip().lower() for cell in cells]
                if self._judge_header(header):
                    return
            else:
                self._take(header, cells)
            if len(self.faults) >= MAX_FAULTS:
                return
        if header is None:
            self.faults.append(RowFault(_HEADER_ROW, "", f"The file is empty. {_HEADER_RULE}"))
        elif not self.rows and not self.faults:
            self.faults.append(RowFault(self.row, "", "There is nobody below the row of column names."))

    def _judge_header(self, header: list[str]) -> bool:
        """Note what is wrong with the row of column names; whether there is anything."""
        if len(header) > MAX_COLUMNS:
            self._wrong("", f"There are more than {MAX_COLUMNS} column names. {_HEADER_RULE}")
            return True
        if not set(header) & set(COLUMNS):
            self._wrong("", f"The column names are missing. {_HEADER_RULE}")
            return True
        for name in header:
            if name in _ROLE_COLUMNS:
                self._wrong(name, "Roles never come from a file. Remove the column, and grant roles later.")
            elif name not in COLUMNS:
                self._wrong(name, f"There is no such column. The columns are: {', '.join(COLUMNS)}.")
        for name in sorted({name for name in header if header.count(name) > 1}):
            self._wrong(name, "This column is there twice.")
        for name in NEEDED:
            if name not in header:
                self._wrong(name, "This column is missing. name and email are needed.")
        return bool(self.faults)

    def _take(self, header: list[str], cells: list[str]) -> None:
        if len(cells) != len(header):
            self._wrong("", f"The row has {len(cells)} cells, and there are {len(header)} column names.")
            return
        given = {name: plain(cell.strip()).strip() for name, cell in zip(header, cells, strict=True)}
        before = len(self.faults)
        person = self._person(given)
        if len(self.faults) == before and person is not None:
            self.rows.append(person)

    def _person(self, given: dict[str, str]) -> PersonRow | None:
        name = names.fold_username(given["name"])
        email = names.fold_email(given["email"])
        full_name = names.tidy(given.get("full_name", ""))
        phone = names.fold_phone(given["phone"]) if given.get("phone") else None
        practice = names.tidy(given.get("practice", ""))
        required = given.get("require_2fa", "").lower()
        key = publickeys.parse(given["public_key"]) if given.get("public_key") else None
        if name is None:
            self._wrong("name", names.USERNAME_RULE if given["name"] else "The name is missing.")
        if email is None:
            self._wrong("email", "That is not an e-mail address. One looks like anna@clinic.example.")
        if full_name is None:
            self._wrong("full_name", f"A full name has at most {names.TEXT_LIMIT} characters.")
        if given.get("phone") and phone is None:
            self._wrong("phone", names.PHONE_RULE)
        if practice is None:
            self._wrong("practice", f"A practice's name has at most {names.TEXT_LIMIT} characters.")
        if required not in _YES | _NO:
            self._wrong("require_2fa", "Say yes or no.")
        if isinstance(key, KeyFault):
            self._wrong("public_key", key.value)
        self._once("name", name)
        self._once("email", email)
        if name is None or email is None or full_name is None or practice is None:
            return None
        if isinstance(key, KeyFault):
            return None
        return PersonRow(self.row, name, email, full_name, phone, practice, required in _YES, key)

    def _once(self, column: str, value: str | None) -> None:
        if value is None:
            return
        first = self._first_row_with.setdefault((column, value), self.row)
        if first != self.row:
            self._wrong(column, f"Row {first} has the same.")

    def _wrong(self, column: str, wrong: str) -> None:
        self.faults.append(RowFault(self.row, column, wrong))


_HEADER_RULE = f"The first row names the columns: {', '.join(COLUMNS)}; name and email are needed."


def _separator(text: str) -> str:
    """Find what separates the column names: no name holds any of the candidates."""
    first = next(_lines(text), "")
    return max(_SEPARATORS, key=first.count)


def _lines(text: str) -> Iterator[str]:
    return (line for line in io.StringIO(text) if line.strip())
