"""A user's second factor on the command line: required, disabled, cleared, unlocked, resynced, forgotten."""

import json
import re

import pytest

from data.rules.domain_types import Method
from data.rules.policy import ATTEMPTS
from data.storage import models

SECRET_FILE = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n" TOTP_AUTH\n12345678\n87654321\n'


@pytest.fixture
def ben(clinic, tmp_path) -> str:
    """A user whose authenticator app and two scratch codes were taken over."""
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    file = tmp_path / ".google_authenticator"
    file.write_text(SECRET_FILE)
    assert clinic("user", "import", "--yes", "--google-authenticator", f"ben={file}").status == 0
    return "ben"


def shown(clinic, name: str = "ben") -> dict[str, object]:
    return json.loads(clinic("user", "show", name, "--json").out)


def change(name: str, **columns: object) -> None:
    """Put what sign-ins would lead to straight into the row."""
    models.database.connect(reuse_if_open=True)
    models.User.update(columns).where(models.User.name == name).execute()
    models.database.close()


@pytest.mark.feature("require-disable-clear", "one-time-after-clear")
def test_it_is_required_cleared_and_disabled(clinic, ben, home):
    assert clinic("user", "require", ben).status == 0
    assert (shown(clinic)["required"], shown(clinic)["status"]) == (True, "Enabled")
    cleared = clinic("user", "clear-2fa", "--yes", ben)
    assert cleared.status == 0
    assert cleared.err.endswith(f"set a one-time password: twofold --home {home} user password ben\n")
    assert (shown(clinic)["required"], shown(clinic)["status"]) == (True, "Pending setup on next login")
    assert clinic("user", "disable-2fa", "--yes", ben).status == 0
    assert (shown(clinic)["required"], shown(clinic)["status"]) == (False, "No")
    assert clinic("user", "require", ben, "--no").status == 1


def test_clearing_a_key_user_names_no_password(clinic, ben):
    change(ben, password_hash=None)
    cleared = clinic("user", "clear-2fa", "--yes", ben)
    assert (cleared.status, cleared.err) == (0, "")


@pytest.mark.feature("off-in-table", "off-rests")
def test_mode_off(clinic, ben):
    """2FA is not available and rests."""
    assert clinic("policy", "set", "--mode", "off", "--yes").status == 0
    assert shown(clinic)["status"] == "Not available"
    assert re.search(r"^2FA +Not available$", clinic("user", "show", ben).out, re.MULTILINE)
    assert clinic("user", "list").out.count("Not available") == 2
    assert clinic("policy", "set", "--mode", "required", "--yes").status == 0
    assert (shown(clinic)["status"], shown(clinic, "anna")["status"]) == (
        "Enabled",
        "Pending setup on next login",
    )


@pytest.mark.feature("unlock-reason")
def test_explain_and_unlock(clinic, ben):
    """A locked user is unlocked with a reason that is kept."""
    change(ben, locked_at=models.User.created_at, attempts_left=0)
    assert shown(clinic)["status"] == "Locked"
    assert "stops  Locked after seven wrong codes" in clinic("user", "explain", ben).out
    unlocked = clinic("user", "unlock", ben, "--reason", "typed the old phone's codes")
    assert unlocked.status == 0
    assert shown(clinic)["attempts_left"] == ATTEMPTS
    assert "typed the old phone's codes" in clinic("audit", "list", "--user", ben).out


@pytest.mark.feature("resync-offer")
def test_a_resync_is_offered_and_explained(clinic, ben):
    assert clinic("user", "resync", ben).status == 0
    assert shown(clinic)["resync_until"] is not None
    assert "A resync is offered until" in clinic("user", "explain", ben).out


@pytest.mark.feature("remember-list")
def test_remembered_addresses_are_shown_and_forgotten(clinic, ben):
    clinic("policy", "set", "--remember-days", "2")
    models.database.connect(reuse_if_open=True)
    user = models.User.get(models.User.name == ben)
    for address in ("192.0.2.7", "192.0.2.8"):
        models.RememberedAddress.create(
            user=user.id,
            address=address,
            credential=f"password:{user.credential}",
            accepted_at=user.created_at,
            until=user.created_at.replace(year=user.created_at.year + 1),
        )
    models.database.close()
    assert [row["address"] for row in shown(clinic)["remembered"]] == ["192.0.2.7", "192.0.2.8"]
    assert "192.0.2.7" in clinic("user", "show", ben).out
    assert clinic("user", "forget", ben, "--address", "192.0.2.8").status == 0
    assert [row["address"] for row in shown(clinic)["remembered"]] == ["192.0.2.7"]
    assert clinic("user", "forget", ben).status == 0
    assert shown(clinic)["remembered"] == []


@pytest.mark.feature("switch-off-warns")
def test_switching_off_names_the_left(clinic, ben, home):
    """They are pending."""
    (home / "twofold.toml").write_text('[smtp]\nhost = "127.0.0.1"\nfrom = "t@clinic.example"\n')
    assert clinic("policy", "set", "--methods", "email", "--yes").status == 0
    assert shown(clinic)["status"] == "Pending setup on next login"
    assert "2 recovery codes left. They must enter one first." in clinic("user", "explain", ben).out
    assert clinic("policy", "set", "--methods", f"{Method.APP.value},email", "--yes").status == 0
    assert shown(clinic)["status"] == "Enabled"


@pytest.mark.feature(
    "temporary-code", "temporary-code-void", "temporary-code-refused", "temporary-code-explained"
)
def test_temporary_code(clinic, ben):
    """It is printed once, after a confirmation, and explained and logged."""
    unconfirmed = clinic("user", "temporary-code", ben)
    assert unconfirmed.status == 2
    assert "within 24 hours" in unconfirmed.err
    made = clinic("user", "temporary-code", ben, "--hours", "3", "--yes")
    assert made.status == 0
    assert re.fullmatch(
        r"ben has a temporary code\. It is good for one sign-in, until [-0-9]{10} [:0-9]{5} UTC\.\n"
        r"Temporary code: ([0-9A-Z]{4}-){3}[0-9A-Z]{4}\n",
        made.out,
    )
    code = made.out.split()[-1]
    assert "They have a temporary code, good for one sign-in until" in clinic("user", "explain", ben).out
    assert shown(clinic)["recovery_codes_left"] == 2
    logged = clinic("audit", "list", "--user", ben).out
    assert "Temporary code made, valid until" in logged
    assert code not in logged
    for hours in ("0", "73"):
        assert clinic("user", "temporary-code", ben, "--hours", hours, "--yes").status == 2
    assert clinic("user", "disable-2fa", "--yes", ben).status == 0
    assert "temporary" not in clinic("user", "explain", ben).out
    refused = clinic("user", "temporary-code", ben, "--yes")
    assert (refused.status, refused.out) == (1, "")
    assert "ben has not set up a second factor" in refused.err
