# ruff: noqa: INP001 - a script, not a package.
"""Draw the README's pictures from the running app, against a store that is thrown away.

Run by `make pictures`. The secret and the codes in the pictures belong to nobody.
"""

import asyncio
import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from data.operations.actors import Member, Operator
from data.operations.maintenance import setup
from data.operations.policy import policy_settings
from data.operations.signin import admission, enrolment, first_factor, recovery_codes, second_factor
from data.operations.signin.admission import Admitted, Origin, Session
from data.operations.signin.enrolment import PendingApp
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import lifecycle, practices
from data.operations.users.lifecycle import NewUser
from data.rules import totp
from data.rules.domain_types import ADMIN_ROLES, Application, Mode, Role
from data.rules.policy import ATTEMPTS
from data.storage.database import create_database
from data.storage.password_hashing import HashCost, Hasher
from data.storage.vault import Vault
from data.store import Services, Store
from tui.app import TwofoldApp

HERE = Path(__file__).parent
OPERATOR = Operator("host")
_LINE, _ABOVE_BASELINE = 24.4, 18.5
"""The height of a line in a picture, and how far above its text's baseline it begins."""
_BLOCKS = {"▀": (0, 4)} | {chr(0x2580 + height): (8 - height, height) for height in range(1, 9)}
"""Where each block character begins in its cell and how high it is, in eighths of the cell."""
PASSWORD = "seven quiet herons"  # noqa: S105 - it opens nothing.
PEOPLE: tuple[tuple[str, str, frozenset[Role], bool], ...] = (
    ("anna", "Anna Berg", frozenset({Role.SUPPORT}), False),
    ("boris", "Boris Iwanow", frozenset(), True),
    ("carla", "Carla Díaz", frozenset(), False),
    ("dmitri", "Dmitri Petrov", frozenset(), False),
    ("emma", "Emma van der Woude", frozenset(), True),
    ("farid", "Farid Haddad", frozenset({Role.SYSTEM_ADMIN}), False),
    ("grace", "Grace Okafor", frozenset(), False),
    ("hiro", "Hiro Tanaka", frozenset(), False),
    ("ines", "Inês Duarte", frozenset(), False),
    ("jonas", "Jonas Lind", frozenset(), False),
    ("kaito", "Kaito Mori", frozenset(), False),
    ("lena", "Lena Vogel", frozenset(), False),
    ("milo", "Milo Rossi", frozenset({Role.SUPPORT}), True),
    ("nadia", "Nadia Haddou", frozenset(), False),
    ("oskar", "Oskar Nyman", frozenset(), False),
    ("paula", "Paula Reis", frozenset(), True),
)
PRACTICES = ("North Street", "Harbour", "Hill Road")
ENROLLED = ("admin", "anna", "dmitri", "emma", "hiro", "ines", "jonas", "kaito", "milo", "oskar")
DAYS = 29
"""Days on which people have signed in."""


class Clinic:
    """An organisation with a few people; some have set up two-factor authentication."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
        self._secrets: dict[str, str] = {}
        hasher = Hasher(HashCost(1, 8, 1))
        numbers = count()
        services = Services(
            clock=lambda: self.now,
            vault=Vault(bytes(32)),
            hasher=hasher,
            random_bytes=lambda length: hashlib.shake_256(str(next(numbers)).encode()).digest(length),
            recovery_hasher=hasher,
        )
        self.store = Store(create_database(folder / "twofold.db"), services)
        self._hash = hasher.hash(PASSWORD)
        self._do(setup.install, OPERATOR, "Clinic", self._new("admin", "Maria Keller", ADMIN_ROLES))
        for practice in PRACTICES:
            self._do(practices.add_practice, OPERATOR, practice)
        for number, (name, full_name, roles, required) in enumerate(PEOPLE):
            new = self._new(name, full_name, roles, required=required)
            practice = ("Main", *PRACTICES)[number % (len(PRACTICES) + 1)]
            self._do(lifecycle.create_user, OPERATOR, replace(new, practice=practice))
        for day in range(DAYS):
            self.now += timedelta(days=1)
            if not day % 3:
                self._enrol(ENROLLED[day // 3])
            for name in ENROLLED[: day // 3 + 1][: 1 + 3 * day % 7]:
                self.session(name)
            if not day % 5:
                self._type_wrong(ENROLLED[0], 1 + day % 3)
        self._type_wrong("hiro", ATTEMPTS)
        self._do(lifecycle.set_active, OPERATOR, "grace", active=False)
        self.now += timedelta(days=1)

    def session(self, name: str) -> Session:
        """Sign someone in with a password and, if they are enrolled, a code."""
        self.now += timedelta(minutes=1)
        result = self._first_factor(name)
        if isinstance(result, CodeNeeded):
            code = totp.code_at(self._secrets[name], totp.step_at(self.now))
            result = self._do(second_factor.submit_code, result.attempt, code)
        if not isinstance(result, Admitted):
            raise TypeError(f"{name} was not admitted")
        return result.session

    def require_of_everyone(self) -> None:
        """Require two-factor authentication of everyone else from their next sign-in on."""
        self._do(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OPTIONAL)

    def _do(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.store.run_now(operation, *args, **kwargs)

    def _new(self, name: str, full_name: str, roles: frozenset[Role], *, required: bool = False) -> NewUser:
        return NewUser(
            name=name,
            email=f"{name}@clinic.example",
            full_name=full_name,
            roles=roles,
            required=required,
            password_hash=self._hash,
            one_time_password=False,
        )

    def _first_factor(self, name: str) -> first_factor.FirstFactorResult:
        origin = Origin(Application.SSH, "192.0.2.7")
        candidate = self._do(first_factor.find_candidate, name, origin)
        result: first_factor.FirstFactorResult = self._do(first_factor.settle_password, candidate, right=True)
        return result

    def _enrol(self, name: str) -> None:
        actor = Member(self.session(name).id)
        pending = self._do(enrolment.begin_app, actor)
        if not isinstance(pending, PendingApp):
            raise TypeError(f"{name} cannot enrol")
        code = totp.code_at(pending.secret, totp.step_at(self.now))
        self._do(enrolment.confirm_app, actor, pending, code)
        self._do(recovery_codes.confirm_saved, actor)
        self._do(admission.advance, actor.session_id)
        self._secrets[name] = pending.secret

    def _type_wrong(self, name: str, times: int) -> None:
        self.now += timedelta(minutes=1)
        needed = self._first_factor(name)
        if isinstance(needed, CodeNeeded):
            for number in range(times):
                self._do(second_factor.submit_code, needed.attempt, f"{number:06}")


async def draw(
    clinic: Clinic, name: str, size: tuple[int, int], walk: Callable[[Pilot[Any]], Any], file: str
) -> None:
    """Run the app for someone, walk to a screen and save what it shows."""
    app = TwofoldApp(clinic.store, session=clinic.session(name), clock=lambda: clinic.now)
    async with app.run_test(size=size) as pilot:
        await walk(pilot)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()
        (HERE / file).write_text(without_fonts(app.export_screenshot(title="ssh -p 2222 clinic")))


async def shows(pilot: Pilot[Any], selector: str) -> None:
    """Wait until a screen holds what a selector finds."""
    while not pilot.app.screen.query(selector):
        await pilot.pause(0.02)
    await pilot.pause(0.2)


async def to_wizard(pilot: Pilot[Any]) -> None:
    """Walk to the QR code."""
    await shows(pilot, "IntroductionScreen Button")
    await pilot.press("enter")
    await shows(pilot, "QrCode")


async def to_overview(pilot: Pilot[Any]) -> None:
    """Stay where an administrator begins."""
    await shows(pilot, "AdoptionTable")


async def to_security(pilot: Pilot[Any]) -> None:
    """Walk to the preview of a stricter mode."""
    await to_overview(pilot)
    await pilot.press("3")
    await shows(pilot, "RadioSet")
    await pilot.press("down")
    await pilot.pause(0.4)


async def to_users(pilot: Pilot[Any]) -> None:
    """Walk to the users table."""
    await to_overview(pilot)
    await pilot.press("2")
    await shows(pilot, "PagedTable")
    await pilot.press("down", "down")
    await pilot.pause(0.2)


def without_fonts(svg: str) -> str:
    """Take the addresses of fonts out of a picture, and set its texts to begin with a letter.

    Viewers differ in what they do with spaces at either end of a text, so those become room.
    """
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]*;", "font-family: ui-monospace, Menlo, Consolas, monospace;", svg)
    return re.sub(
        r'(<text class="[^"]*" x=")([\d.]+)(" y="[\d.]+" textLength=")([\d.]+)("[^>]*>)([^<]*)</text>',
        _tighten,
        svg,
    )


def _tighten(found: "re.Match[str]") -> str:
    head, left, middle, length, tail, content = found.groups()
    text = html.unescape(content).replace("\N{NO-BREAK SPACE}", " ")
    bare = text.strip()
    if bare and not set(bare) - {*_BLOCKS, " "}:
        colour = head.split('"')[1]
        return _blocks(text, colour, float(left), float(middle.split('"')[2]), float(length) / len(text))
    if not bare:
        return ""
    cell = float(length) / len(text)
    start = float(left) + cell * (len(text) - len(text.lstrip()))
    shown = html.escape(bare, quote=False).replace(" ", "&#160;")
    return f"{head}{start:.1f}{middle}{cell * len(bare):.1f}{tail}{shown}</text>"


def _blocks(text: str, colour: str, left: float, baseline: float, cell: float) -> str:
    """Draw block characters as rectangles of a class's colour: a font may leave gaps between them."""
    line = baseline - _ABOVE_BASELINE
    return "".join(
        f'<rect class="{colour}" x="{left + at * cell:.1f}" y="{line + _LINE * _BLOCKS[block][0] / 8:.1f}" '
        f'width="{cell:.1f}" height="{_LINE * _BLOCKS[block][1] / 8:.1f}" shape-rendering="crispEdges"/>'
        for at, block in enumerate(text)
        if block in _BLOCKS
    )


async def main() -> None:
    """Draw all pictures."""
    with TemporaryDirectory() as folder:
        clinic = Clinic(Path(folder))
        await draw(clinic, "admin", (104, 26), to_overview, "overview.svg")
        await draw(clinic, "admin", (104, 24), to_users, "users.svg")
        await draw(clinic, "admin", (104, 26), to_security, "security.svg")
        clinic.require_of_everyone()
        await draw(clinic, "boris", (84, 24), to_wizard, "wizard.svg")
        clinic.store.close()


if __name__ == "__main__":
    asyncio.run(main())
