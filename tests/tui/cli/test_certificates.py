"""`cert` for members, and `ca` on the host."""

import json
import os
import socket
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest
from support.certificates import give_certificate, live_serials
from support.database import OPERATOR, SECURITY, SYSTEM, World
from support.own_commands import run_as

from data.operations.actors import Member
from data.operations.certificates import authorities
from data.operations.policy import certificate_policy
from data.operations.results import Denied
from data.operations.users import practices, principals
from data.rules import public_keys
from data.rules.certificate_issuing import TURNED_OFF
from data.rules.ssh_certificates import Extension
from data.storage import models
from tui.cli.open_installation import system_clock

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def world(tmp_path):
    opened = World(tmp_path)
    models.Account.update(certificate_hours=8).execute()
    opened.run(authorities.init_authority, OPERATOR)
    yield opened
    opened.close()


@pytest.fixture
def anna(world) -> Member:
    """Somebody who has just signed in with a key and a code."""
    key = public_keys.parse(KEY)
    world.user("anna", key=key)
    world.enrol("anna")
    world.clock.forward(minutes=1)
    attempt = world.first_by_key("anna", key.fingerprint).attempt
    return Member(world.submit(attempt, world.live_code("anna")).session.id)


def read(out: str) -> asyncssh.SSHCertificate:
    """Read all of standard output as a certificate."""
    assert out.count("\n") == 1
    return asyncssh.import_certificate(out)


@pytest.mark.feature("certificates-commands")
def test_one_line(world, anna):
    """For the key that signed in, or one from standard input, from the networks named."""
    shown = run_as(world, anna, "cert")
    assert (shown.status, read(shown.out).principals) == (0, ["anna"])
    assert shown.out.split()[1] != ""
    serial = models.Certificate.get().serial
    assert shown.err == f"Certificate {serial} for anna, valid until 2026-03-02 17:01 UTC.\n"
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
    words = ("cert", "--bind-address", "192.0.2.7", "-", "--bind-address", "10.0.0.0/8,2001:db8::/32")
    given = run_as(world, anna, *words, stdin=b"# mine\n\n" + other)
    certificate = read(given.out)
    assert certificate.key.public_data == asyncssh.import_public_key(other).public_data
    networks = certificate.options["source-address"]
    assert [str(each) for each in networks] == ["192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32"]
    wrong = run_as(world, anna, "cert", "--bind-address", "here")
    assert (wrong.status, wrong.out) == (1, "")
    assert "here is not an address or a network. Write one such as 10.0.0.7" in wrong.err
    assert run_as(world, anna, "cert", "--bindaddress", "here").status == 2
    nothing = run_as(world, anna, "cert", "-", stdin=b"")
    assert (nothing.status, nothing.out) == (1, "")
    assert "not an OpenSSH public key" in nothing.err


@pytest.mark.feature("certificates-commands")
def test_a_code_where_one_is_needed(world, anna):
    """It is read from standard input, after the key if that is there too; nothing of it is in the output."""
    world.clock.forward(minutes=6)
    unread = run_as(world, anna, "cert")
    assert (unread.status, unread.out) == (1, "")
    assert unread.err.endswith("Code:\ntwofold: Not confirmed. Nothing was changed.\n")
    code = world.live_code("anna")
    after_key = run_as(world, anna, "cert", "-", stdin=[KEY, code])
    assert read(after_key.out).principals == ["anna"]
    world.clock.forward(minutes=6)
    at_prompt = run_as(world, anna, "cert", types=[world.live_code("anna")], columns=40, is_plain=True)
    assert at_prompt.status == 0
    assert read(at_prompt.out).principals == ["anna"], "the line must stay whole where others are broken"
    help_ = run_as(world, anna, "cert", "--help", columns=100)
    assert help_.says("id_ed25519-cert.pub", "come from the gate's address", "ssh gate cert - <")
    assert "cert" in run_as(world, anna, "help").out


@pytest.mark.feature("certificates-policy")
def test_policy(world, anna):
    """Off by default; then for so many hours, with what is permitted. Each change is audited."""
    models.Account.update(certificate_hours=0).execute()
    boss = world.person("boss", SECURITY)
    assert run_as(world, anna, "cert").err == f"twofold: {TURNED_OFF}\n"
    shown = run_as(world, boss, "policy", "set", "--certificate-hours", "1")
    assert shown.out == "From now on: certificates for 1 hour.\n"
    assert run_as(world, boss, "policy", "set", "--certificate-hours", "25").status == 2
    permitted = ("policy", "set", "--certificate-extensions")
    wrong = run_as(world, boss, *permitted, "pty,root")
    assert wrong.status == 2
    assert run_as(world, boss, *permitted, "user-rc,port-forwarding").out == (
        "New certificates permit: port-forwarding, user-rc.\n"
    )
    certificate = read(run_as(world, anna, "cert").out)
    assert certificate.options == {"permit-port-forwarding": True, "permit-user-rc": True}
    assert models.Certificate.get().until - world.clock.now == timedelta(hours=1)
    policy = json.loads(run_as(world, boss, "policy", "show", "--json").out)
    assert policy["certificate_hours"] == 1
    assert policy["certificate_extensions"] == ["port-forwarding", "user-rc"]
    assert run_as(world, boss, "policy", "show").says(
        "Issued certificates for 1 hour; permitted: port-forwarding, user-rc"
    )
    run_as(world, boss, *permitted, "none")
    assert read(run_as(world, anna, "cert").out).options == {}
    off = run_as(world, boss, "policy", "set", "--certificate-hours", "0")
    assert off.out == "From now on: no certificates. Those that were issued stay valid until they end.\n"
    entries = run_as(world, boss, "audit", "list").out
    for sentence in (
        "Certificates valid for 1 hour, previously 0",
        "Certificates permit port-forwarding, user-rc, previously pty",
        "Certificates permit none, previously port-forwarding, user-rc",
    ):
        assert sentence in entries
    seen = frozenset({Extension.PTY})
    stale = world.run(certificate_policy.set_certificate_extensions, boss, frozenset(), seen=seen)
    assert isinstance(stale, Denied)
    assert isinstance(world.run(certificate_policy.set_certificate_hours, boss, 2, seen=1), Denied)


@pytest.mark.feature("certificates-authority")
def test_authority_on_the_host(clinic):
    """What hosts need is on standard output; a former authority is there only while its certificates live."""
    refused = clinic("ca", "show")
    assert (refused.status, refused.out) == (1, "")
    assert "twofold ca init" in refused.err
    made = clinic("ca", "init")
    assert made.status == 0
    assert "policy set --certificate-hours 8" in made.err
    assert clinic("ca", "init").status == 1
    lines = clinic("ca", "show").out.splitlines()
    assert made.out.splitlines() == lines
    shown = json.loads(clinic("ca", "show", "--json").out)
    assert lines[1] == f"{shown['public_key']} Twofold CA of Clinic"
    assert asyncssh.import_public_key(lines[1]).get_fingerprint() == shown["fingerprint"]
    directives = [line.split()[0] for line in lines if line[0].isupper()]
    assert directives == ["TrustedUserCAKeys", "RevokedKeys", "AuthorizedPrincipalsFile"]
    assert (shown["live_certificates"], shown["former"]) == (0, [])
    rotated = clinic("ca", "rotate", "--yes")
    assert shown["public_key"] not in rotated.out
    assert clinic("cert").err == "twofold: Certificates are for users, who get them over SSH: ssh gate cert\n"


@pytest.mark.feature("certificates-commands")
def test_revocation_list_on_the_host(clinic, home, tmp_path, require_program):
    """It replaces a file that every sshd can read at once, and leaves nothing else behind."""
    require_program("ssh-keygen")
    assert clinic("ca", "krl").status == 1
    clinic("ca", "init")
    folder = tmp_path / "served"
    folder.mkdir()
    krl = folder / "clinic.krl"
    krl.write_bytes(b"before")
    before = krl.stat().st_ino
    written = clinic("ca", "krl", "--output", str(krl))
    assert (written.status, written.out, written.err) == (0, "", "")
    assert stat.S_IMODE(krl.stat().st_mode) == 0o644
    assert (krl.stat().st_ino == before, list(folder.iterdir())) == (False, [krl])
    (tmp_path / "key.pub").write_text(KEY)
    asked = ["ssh-keygen", "-Q", "-f", krl, tmp_path / "key.pub"]
    assert subprocess.run(asked, check=False, capture_output=True).returncode == 0
    program = Path(sys.executable).with_name("twofold")
    command = [program, "--home", home, "ca", "krl"]
    assert subprocess.run(command, check=True, capture_output=True).stdout[:8] == b"SSHKRL\n\0"
    ours, theirs = os.openpty()
    shown = subprocess.run(command, check=False, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    os.close(ours)
    assert (shown.returncode, b"not written to the terminal" in shown.stderr) == (1, True)
    missing = clinic("ca", "krl", "--output", str(folder / "none" / "krl"))
    assert (missing.status, "cannot be written" in missing.err) == (1, True)


@pytest.mark.feature("certificate-withdrawal")
def test_what_is_withdrawn_is_said_first(world, anna):
    """By a command that asks in its question, and by one that does not on standard error; else nothing."""
    boss, fingerprint = world.person("boss", SYSTEM), public_keys.parse(KEY).fingerprint
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
    world.user("ben")
    assert "withdrawn" not in run_as(world, boss, "user", "password", "ben").err
    words = "This withdraws 1 certificate. A host accepts a withdrawn certificate until it next fetches"
    given = give_certificate(world, anna, fingerprint)
    for command in (("me", "key", "remove", fingerprint), ("user", "deactivate", "anna", "ben")):
        actor = anna if command[0] == "me" else boss
        assert run_as(world, actor, *command, types=["n"]).says(f". {words}")
    for command in (
        ("session", "end", str(anna.session_id), "--certificates"),
        ("user", "move", "ANNA", "--practice", "North"),
        ("user", "password", "anna"),
        ("user", "password", "anna", "ben"),
        ("user", "key", "remove", "anna", fingerprint),
    ):
        assert live_serials(world) == {given}
        done = run_as(world, boss, *command)
        assert (done.status, live_serials(world)) == (0, set()), done.err
        assert done.err.startswith(words)
        given = give_certificate(world, anna, fingerprint)
    give_certificate(world, boss)
    assert run_as(world, boss, "me", "password", stdin=b"a wholly new password").err.startswith(words)
    assert live_serials(world) == {given}


@pytest.mark.feature("certificate-withdrawal")
def test_reserved_later(clinic, home):
    """The check-up says so; the server withdraws them before it serves, and so does it if it then cannot."""
    clinic("ca", "init")
    models.database.connect(reuse_if_open=True)
    anna, now = models.User.get(models.User.name == "anna"), system_clock()
    models.Certificate.insert(
        serial=7, authority=models.CertificateAuthority.get(), user=anna, key_id="Clinic/anna#7",
        fingerprint="SHA256:x", principals="anna", issued_at=now, until=now + timedelta(hours=8),
    ).execute()  # fmt: skip
    models.database.close()
    (home / "twofold.toml").write_text('[certificates]\nreserved = ["anna"]\n')
    shown = clinic("doctor")
    assert shown.status == 1
    assert "problem account Clinic: Certificates include principals that are reserved now" in shown.out
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        served = clinic("serve", "--host", "127.0.0.1", "--port", port, "--workers", "2")
    assert served.err.startswith(f"twofold: Port {port}"), served.err
    assert "reserved now" not in clinic("doctor").out
    assert "withdrawn" in clinic("cert", "list", "--all").out


@pytest.mark.feature("certificates-checked")
def test_no_http_for_the_lists(clinic, home):
    """The check-up says what hosts then need, once certificates are issued."""
    hint = "note account Clinic: No [http] in twofold.toml: hosts cannot fetch the list"
    clinic("ca", "init")
    assert hint not in " ".join(clinic("doctor").out.split())
    clinic("policy", "set", "--certificate-hours", "8", "--yes")
    shown = " ".join(clinic("doctor").out.split())
    assert hint in shown
    assert "by ssh: twofold ca krl" in shown
    (home / "twofold.toml").write_text('[http]\nlisten = "127.0.0.1:8443"\n')
    assert hint not in " ".join(clinic("doctor").out.split())
