"""A list of people as CSV: what is taken, and what is said of what is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.rules import users_csv
from data.rules.users_csv import read_people

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna@laptop"
HEADER = "name,email,full_name,phone,practice,require_2fa,public_key\n"


def faults(text: str | bytes, **options) -> list[tuple[int, str, str]]:
    raw = text if isinstance(text, bytes) else text.encode()
    return [(fault.row, fault.column, fault.wrong) for fault in read_people(raw, **options).faults]


def test_a_full_row_is_read_and_folded():
    line = f' Anna ,Anna@Clinic.Example,"Berg,  Anna",+49 30 1234567,Clinic North,Yes,{KEY}\n'
    read = read_people((HEADER + line).encode())
    assert read.faults == ()
    row = read.rows[0]
    assert (row.row, row.name, row.email, row.full_name) == (2, "anna", "anna@clinic.example", "Berg, Anna")
    assert (row.phone, row.practice, row.required) == ("+49301234567", "Clinic North", True)
    assert row.key.comment == "anna@laptop"


@pytest.mark.feature("import-odd-files")
@pytest.mark.parametrize(
    "text",
    [
        "name,email\nben,ben@x.example\n",
        "\ufeffname,email\r\nben,ben@x.example\r\n",
        "E-Mail,name\n".replace("E-Mail", "EMAIL") + "ben@x.example,ben",
        "name;email\nben;ben@x.example\n",
        "name\temail\nben\tben@x.example\n",
        '"name","email"\n"ben","ben@x.example"\n',
        "\n\nname,email\n,\nben,ben@x.example\n\n",
        "name,email,phone\nben,ben@x.example,\n",
        "name,email,full_name,phone,public_key\nben,ben@x.example\n",
        "name,email,,\nben,ben@x.example,,\n",
        "name,email\nben,ben@x.example,,\n",
        ",name,,email\n,ben,,ben@x.example\n",
        "sep=;\r\nname;email\r\nben;ben@x.example\r\n",
        '"sep=|"\nname|email\nben|ben@x.example\n',
        "\ufeffSEP=,;;\nname,email\nben,ben@x.example\n",
        "sep=\t\nname\temail\nben\tben@x.example\n",
        "sep=;\rname;email\rben;ben@x.example\r",
        "name,email\r\nben,ben@x.example\r\n\x1a",
        "name,email\nben,ben@x.example\x1a\r\n",
    ],
)
def test_files_of_common_programs_are_read(text):
    read = read_people(text.encode())
    assert read.faults == ()
    assert [(row.name, row.email, row.required, row.phone) for row in read.rows] == [
        ("ben", "ben@x.example", False, None)
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("said", users_csv.ENCODINGS)
def test_a_byte_order_mark_says_how_a_file_is_written(encoding, said):
    read = read_people("name\temail\tfull_name\nben\tben@x.example\tBjørn\n".encode(encoding), said)
    assert read.faults == ()
    assert read.rows[0].full_name == "Bjørn"


def test_what_an_export_neutralised_is_read_back():
    read = read_people(b"name,email,phone\nben,ben@x.example,'+49301234567\n")
    assert read.rows[0].phone == "+49301234567"


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ("ben!,ben@x.example,,,,,", "name", "A user name has"),
        (",ben@x.example,,,,,", "name", "missing"),
        ("ben,nobody,,,,,", "email", "not an e-mail address"),
        (f"ben,ben@x.example,{'x' * 121},,,,", "full_name", "at most 120"),
        ("ben,ben@x.example,,030 1234567,,,", "phone", "Start with +"),
        ("ben,ben@x.example,,,,maybe,", "require_2fa", "yes or no"),
        ("ben,ben@x.example,,,,,ssh-rsa AAAA", "public_key", "not an OpenSSH public key"),
        ("ben,ben@x.example,,,,,-----BEGIN OPENSSH PRIVATE KEY-----", "public_key", "private key"),
        ("ben", "email", "missing"),
        ("ben,ben@x.example,,,,,,extra", "", "8 cells"),
        ('ben,ben@x.example,"open,,,,', "", "quotation mark"),
        ('ben,ben@x.example,"a"b,,,,', "", "quotation mark"),
    ],
)
def test_what_is_wrong_is_said_with_row_and_column(row, column, said):
    found = faults(f"{HEADER}good,good@x.example,,,,,\n{row}\n")
    assert len(found) == 1, found
    assert found[0][:2] == (3, column)
    assert said in found[0][2]


@pytest.mark.feature("import-errors")
def test_every_wrong_row_is_named():
    found = faults("name,email\nA!,a@x.example\nb,b\nc,c@x.example\nd!,d\n")
    assert [fault[:2] for fault in found] == [(2, "name"), (3, "email"), (5, "name"), (5, "email")]


@pytest.mark.feature("import-errors")
def test_all_faults_of_a_file_are_told_at_once():
    found = faults(
        b'name,email,role,phone,\nA!,a@x.example\n"b"x,\nc,c@x.example,support,1,z\n'
        b'd,d@x.ex\xe4mple\nc,e@x.example,\ne,\n"open'
    )
    assert sorted(fault[:2] for fault in found) == [
        (1, "role"),
        (2, "name"),
        (3, ""),
        (4, ""),
        (4, "phone"),
        (5, ""),
        (5, "email"),
        (6, "name"),
        (7, "email"),
        (8, ""),
    ]


def test_rows_are_counted_as_an_editor_counts_them():
    assert [fault[0] for fault in faults("sep=;\n\nname;email;x\nA!;a@x.example\n")] == [3, 4]


def test_file_with_faults():
    """Nobody is imported from it, and everybody is compared."""
    read = read_people(b"name,email,phone\nben,ben@x.example\nEve,eve@x.example,1\nA!,a@x.example\n")
    assert read.rows == ()
    assert [(row.row, row.name, row.email) for row in read.seen] == [
        (2, "ben", "ben@x.example"),
        (3, "eve", "eve@x.example"),
        (4, "", "a@x.example"),
    ]


def test_unusable_columns():
    """They are named, and left out if wanted."""
    text = b"name,email,roles,status,\nben,ben@x.example,support,Enabled,\n"
    assert [fault.column for fault in read_people(text).faults] == ["roles", "status"]
    read = read_people(text, ignore_extra=True)
    assert (read.faults, read.extra) == ((), ("roles", "status"))
    assert [row.name for row in read.rows] == ["ben"]


@pytest.mark.feature("import-odd-files")
def test_duplicates_name_the_first_row():
    found = faults("name,email\nben,ben@x.example\neve,BEN@x.example\nBen,other@x.example\n")
    assert found == [(3, "email", "Row 2 has the same value."), (4, "name", "Row 2 has the same value.")]


@pytest.mark.feature("import-no-roles")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ben,ben@x.example\n", "column names are missing"),
        ("", "empty"),
        ("\n\n", "empty"),
        ("name,email\n", "no users below"),
        ("name,full_name\nben,Ben\n", "This column is missing"),
        ("name,email,role\nben,b@x.example,support\n", "Roles cannot be imported"),
        ("name,email,Roles\nben,b@x.example,\n", "Roles cannot be imported"),
        ("name,email,password\nben,b@x.example,x\n", "The column is not known"),
        ("name,email,name\nben,b@x.example,ben\n", "twice"),
    ],
)
def test_a_header_that_cannot_be_used_is_said_once(text, said):
    found = faults(text)
    assert len(found) == 1, found
    assert said in found[0][2]
    assert read_people(text.encode()).rows == ()


@pytest.mark.feature("import-odd-files")
def test_text_not_utf8():
    """It is named with its row, and read when its encoding is given."""
    raw = "name,email,full_name\nben,ben@x.example,Müller\n".encode("cp1252")
    assert [fault[0] for fault in faults(raw)] == [2]
    assert "--encoding cp1252" in faults(raw)[0][2]
    assert read_people(raw, "cp1252").rows[0].full_name == "Müller"
    assert "UTF-16" in faults("name,email\n".encode("utf-16") + b"\0")[0][2]


def test_a_nul_byte_is_said_with_its_row():
    assert faults(b"name,email\nben,b\0@x.example\n")[0][0] == 2
    assert "NUL" in faults(b"name,email\nben,b\0@x.example\n")[0][2]


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(users_csv, "MAX_BYTES", 20)
    assert "larger than" in faults("name,email\nben,ben@x.example\n")[0][2]


def test_a_flood_of_faults_ends(monkeypatch):
    monkeypatch.setattr(users_csv, "MAX_FAULTS", 10)
    assert len(faults("name,email\n" + "!,!\n" * 1000)) == 10


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: HEADER.encode() + text.encode()))
def test_any_bytes(raw):
    """They give rows or faults and never an exception."""
    for encoding in users_csv.ENCODINGS:
        read = read_people(raw, encoding)
        assert read.rows or read.faults
        assert all(fault.wrong for fault in read.faults)


_CELLS = ["", "ben", "eve", "a@x.example", "b@x.example", '"', ",", "\n", ";", "yes", "\x1b", KEY]
_cells = st.sampled_from(_CELLS)


@settings(max_examples=60)
@given(st.lists(st.lists(_cells, min_size=2, max_size=3), max_size=6))
def test_rows_that_are_taken_hold_what_users_may_be(rows):
    text = "name,email\n" + "\n".join(",".join(cells) for cells in rows)
    read = read_people(text.encode())
    assert len({row.name for row in read.rows}) == len(read.rows)
    assert all("@" in row.email for row in read.rows)
    assert bool(read.rows) != bool(read.faults)


def test_a_header_of_too_many_columns_is_one_fault():
    for names in (",".join(f"column{number}" for number in range(20_000)), "name,email," * 10_000):
        ((row, _, wrong),) = faults(f"{names}\n")
        assert row == 1
        assert "more than 100 column names" in wrong
