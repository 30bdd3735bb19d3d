"""Files of Google's PAM module: what is taken over, and what is named and refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.rules.google_authenticator_file import AuthenticatorFile, FileFault, read_file

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEH"
TOTP = f'{SECRET}\n" RATE_LIMIT 3 30 1700000000\n" WINDOW_SIZE 17\n" DISALLOW_REUSE 57 60 58\n" TOTP_AUTH\n'


def test_a_usual_file_is_read():
    file = read_file(f"{TOTP}12345678\n87654321\n".encode())
    assert isinstance(file, AuthenticatorFile)
    assert file.secret == base64.b32decode(SECRET + "======")
    assert file.scratch_codes == ("12345678", "87654321")
    assert file.last_step == 60


@pytest.mark.parametrize(
    ("letters", "same_as"),
    [
        ("jbswy3dpehpk3pxp", "JBSWY3DPEHPK3PXP"),
        ("JBSW Y3DP-EHPK 3PXP", "JBSWY3DPEHPK3PXP"),
        ("0BSWY3DPEHPK3PXP", "OBSWY3DPEHPK3PXP"),
        ("JBSWY3DPEHPK3PXPA", "JBSWY3DPEHPK3PXP"),
        ("JBSWY3DPEHPK3PXPAAAAAA", "JBSWY3DPEHPK3PXPAAAAA==="),
    ],
)
def test_a_secret_is_read_as_the_module_reads_it(letters, same_as):
    file = read_file(f'{letters}\n" TOTP_AUTH\n'.encode())
    assert isinstance(file, AuthenticatorFile)
    assert file.secret == base64.b32decode(same_as)
    assert (file.scratch_codes, file.last_step) == ((), -1)


@pytest.mark.feature("import-google-refused")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{SECRET}\n" HOTP_COUNTER 12\n', "counter-based (HOTP_COUNTER)"),
        (f'{SECRET}\n" HOTP_COUNTER 12\n" TOTP_AUTH\n', "counter-based (HOTP_COUNTER)"),
        (f'{SECRET}\n" RATE_LIMIT 3 30\n', "TOTP_AUTH"),
        (f'{TOTP}" STEP_SIZE 60\n', "STEP_SIZE"),
        (f'{TOTP}" TIME_SKEW -4\n', "TIME_SKEW"),
        (f'{TOTP}" MYSTERY 1\n', "MYSTERY"),
        (f"{TOTP}words\n", "Line 6"),
        (TOTP + "\n".join(str(12345670 + number) for number in range(11)), "more than 10"),
        (TOTP.replace("60", "9" * 5_000), "DISALLOW_REUSE"),
        (TOTP.replace("60", "-60"), "DISALLOW_REUSE"),
        ("", "Line 1"),
        ("JBSWY3DP\n", "Line 1"),
        ("not base32!\n", "Line 1"),
        (f"{'A' * 300}\n", "Line 1"),
        (f"{TOTP}ü\n", "plain text"),
        (f"{TOTP}\0", "plain text"),
        (TOTP + "\n" * 70_000, "too large"),
    ],
)
def test_what_cannot_be_honoured(text, said):
    fault = read_file(text.encode())
    assert isinstance(fault, FileFault)
    assert said in fault.wrong
    assert SECRET not in fault.wrong
    assert "12345678" not in fault.wrong


@pytest.mark.parametrize("stop", ["02345678", "1234567", "123456789", "0"])
def test_scratch_codes_the_module_never_reads(stop):
    file = read_file(f"{TOTP}12345678\n{stop}\n87654321\n".encode())
    assert isinstance(file, AuthenticatorFile)
    assert (file.scratch_codes, file.left_out) == (("12345678",), 2)


def test_options_without_consequence_here_are_taken():
    options = '" STEP_SIZE 30\n" TIME_SKEW 0\n" RESETTING_TIME_SKEW 1+1 2+1\n" LAST0 192.0.2.1 1700000000\n'
    assert isinstance(read_file((TOTP + options).encode()), AuthenticatorFile)


def test_neither_secret_nor_codes_are_shown_by_repr():
    shown = repr(read_file(f"{TOTP}12345678\n".encode()))
    assert "12345678" not in shown
    assert "secret" not in shown


@settings(max_examples=60)
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: (TOTP + text).encode()))
def test_any_bytes_give_a_file_or_a_fault(raw):
    assert isinstance(read_file(raw), AuthenticatorFile | FileFault)
