"""Measures certificates: the operation on both databases, and `ssh gate cert` over a shared connection."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.client import code
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import cores, on_core, serve
from bench.report import Result, Row, Skipped, median
from support.postgresql_server import find_binaries, running_postgresql

from data.operations.actors import Member
from data.operations.certificates import authorities, issuing
from data.operations.certificates.authorities import AuthoritiesView
from data.operations.certificates.issuing import IssuedCertificate
from data.operations.policy import certificate_policy
from data.operations.results import Done
from data.operations.signin.admission import Admitted, Attempt
from data.operations.signin.first_factor import find_candidate
from data.operations.signin.second_factor import submit_code
from data.rules.domain_types import Application, FirstFactor
from data.rules.source_addresses import Origin
from data.store import Store
from tui.cli.open_installation import Installation, installation

SECTION = "Certificates: rules, serial, signature, row and audit row, durably"
OVER_SSH = "Certificates: ssh gate cert over a shared connection, from the start of ssh to its end"
_ORIGIN = Origin(Application.SSH, "192.0.2.1")
_TOGETHER = 4


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure the operation on both databases, then the command by OpenSSH's client."""
    count, users = (10, 2) if quick else (90, 8)
    enrolled = _issuing(build(folder / "sqlite", users + 2))
    yield from _operations(enrolled, "SQLite", count, users)
    yield from _over_ssh(enrolled, 20 if quick else 80)
    binaries = find_binaries()
    if binaries is None:
        yield Skipped(SECTION, "there is no PostgreSQL: apt-get install postgresql")
        return
    with running_postgresql(binaries, "fsync=on", "synchronous_commit=on", "full_page_writes=on") as server:
        url = server.url(server.new_database())
        at_server = _issuing(build(folder / "postgresql", users, database=url))
        yield from _operations(at_server, "PostgreSQL", count, users)


def _issuing(enrolled: EnrolledUsers) -> EnrolledUsers:
    """Have an installation issue certificates."""
    with installation(enrolled.home) as here:
        assert isinstance(here.run(authorities.init_authority), AuthoritiesView)
        assert isinstance(here.run(certificate_policy.set_certificate_hours, 8, seen=0), Done)
    return enrolled


def _operations(enrolled: EnrolledUsers, subject: str, count: int, users: int) -> Iterator[Result]:
    """Issue so many to each of several users, one after the other."""
    rates, used = [], []
    with installation(enrolled.home) as here:
        for name in enrolled.take(users):
            me = _signed_in(here, name)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                made = here.store.run_now(issuing.issue_certificate, me, _public(enrolled))
                assert isinstance(made, IssuedCertificate), made
            rates.append(count / (time.perf_counter() - wall))
            used.append((time.process_time() - cpu) / count)
    yield Row(SECTION, "rate", subject, median(rates), "/s")
    yield Row(SECTION, "CPU for each", subject, 1000 * median(used), "ms")


def _signed_in(here: Installation, name: str) -> Member:
    store: Store = here.store
    candidate = store.run_now(find_candidate, name, _ORIGIN)
    (fingerprint,) = candidate.key_fingerprints
    attempt = Attempt(candidate.user_id or 0, name, _ORIGIN, FirstFactor.KEY, fingerprint)
    admitted = store.run_now(submit_code, attempt, code(SECRET))
    assert isinstance(admitted, Admitted), admitted
    return Member(admitted.session.id)


def _public(enrolled: EnrolledUsers) -> str:
    return enrolled.key.export_public_key("openssh").decode()


def _over_ssh(enrolled: EnrolledUsers, count: int) -> Iterator[Result]:
    """Run OpenSSH's client again and again over one connection of another: ControlMaster."""
    with on_core(cores()[1]), serve(enrolled.home.path) as server:
        taken: list[float] = []
        with _shared(enrolled, server.port) as command:
            used = server.cpu()
            for _ in range(count):
                begun = time.perf_counter()
                _get(command)
                taken.append(time.perf_counter() - begun)
            used = (server.cpu() - used) / count
        with _shared(enrolled, server.port) as command, ThreadPoolExecutor(_TOGETHER) as pool:
            begun = time.perf_counter()
            list(pool.map(_get, [command] * count))
            together = count / (time.perf_counter() - begun)
    yield Row(OVER_SSH, "latency", "SQLite", 1000 * median(taken), "ms")
    yield Row(OVER_SSH, "rate, one at a time", "SQLite", 1 / median(taken), "/s")
    yield Row(OVER_SSH, f"rate, {_TOGETHER} at a time", "SQLite", together, "/s")
    yield Row(OVER_SSH, "server CPU for each", "SQLite", 1000 * used, "ms")


def _get(command: list[str]) -> None:
    ended = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert ended.stdout.startswith(b"ssh-ed25519-cert-v01@openssh.com "), ended.stderr


@contextmanager
def _shared(enrolled: EnrolledUsers, port: int) -> Iterator[list[str]]:
    """Sign one user in; yield the command that gets a certificate over this connection."""
    (name,) = enrolled.take(1)
    # A socket's path is short.
    socket, answer = enrolled.home.path.parent / f"{name}.mux", enrolled.home.path.parent / "answer"
    answer.write_text(f"#!/bin/sh\necho {code(SECRET)}\n")
    answer.chmod(0o700)
    options = ["-F", "none", "-S", str(socket), "-p", str(port), "-o", "LogLevel=ERROR"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-i", str(enrolled.key_file), "-o", "IdentitiesOnly=yes"]
    master = ["ssh", "-M", "-N", "-f", *options, f"{name}@127.0.0.1"]
    asks = {"PATH": "/usr/bin:/bin", "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(master, check=True, env=asks, stdin=subprocess.DEVNULL, timeout=60)
    try:
        yield ["ssh", *options, f"{name}@127.0.0.1", "cert"]
    finally:
        subprocess.run(["ssh", *options, "-O", "exit", f"{name}@127.0.0.1"], check=True, capture_output=True)
