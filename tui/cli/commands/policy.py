"""`twofold policy`: the account's two-factor policy."""

from collections.abc import Callable
from datetime import date
from functools import partial

import click

from data.operations.policy import (
    certificate_policy,
    deadlines,
    needs_attention,
    permanent_mode,
    policy_settings,
)
from data.operations.policy.permanent_mode import Checklist
from data.operations.policy.policy_settings import PolicyView
from data.operations.results import Done, RefusedOrStale
from data.rules.certificate_issuing import MOST_HOURS, hours_in_words
from data.rules.deadline import MOST_GRACE_DAYS, MOST_YEARS_AHEAD, read_day
from data.rules.domain_types import Method, Mode, PolicyNotice
from data.rules.remembered_addresses import MAX_DAYS, period_in_words
from data.rules.safe_text import safe
from data.rules.ssh_certificates import Extension, listed, read_extensions
from data.wording import policy_changes
from data.wording.words import counted
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.confirmation import act, asks_first, confirm
from tui.cli.open_installation import confirmed, refuse, say
from tui.cli.prompts import reply
from tui.cli.streams import can_ask, echo
from tui.cli.text_tables import echo_json, iso, when

_Act = Callable[[], Done | RefusedOrStale]


@click.group(
    cls=InAccount,
    epilog="\b\nExamples:\n  twofold policy show --json\n  twofold policy set --mode required --yes\n"
    "  twofold policy set --methods app,email\n",
)
def policy() -> None:
    """Show and change the account's policy."""


@for_members()
@policy.command(epilog="\b\nExample:\n  twofold policy show --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, as_json: bool) -> None:
    """Show the mode, the methods and counts by status."""
    view = confirmed(here.read(policy_settings.show_policy))
    seen = confirmed(here.read(needs_attention.show_needs_attention))
    if as_json:
        echo_json(
            {
                "account": view.account,
                "mode": view.policy.mode.value,
                "deadline": iso(view.policy.deadline) if view.policy.mode is Mode.REQUIRED else None,
                "days_left": view.days_left,
                "deadline_put_off": view.put_off,
                "grace_days": view.policy.grace_days,
                "remember_days": view.policy.remember_days,
                "certificate_hours": view.certificate_hours,
                "certificate_extensions": [
                    each.value for each in Extension if each in view.certificate_extensions
                ],
                **{f"notify_{notice.name.lower()}": notice in view.policy.notices for notice in PolicyNotice},
                "permanent_since": iso(view.permanent_since),
                "permanent_by": view.permanent_by,
                "methods": _names(view.policy.methods),
                "people": {status.value: count for status, count in sorted(view.people.items())},
                "without_second_factor": seen.unprotected.count,
                "administrators_without_second_factor": seen.unprotected_admins.count,
            }
        )
        return
    echo(f"Account  {safe(view.account)}")
    echo(f"Mode     {_mode_line(view)}")
    if view.policy.grace_days:
        echo(f"Grace    {counted(view.policy.grace_days, 'day')} for new users")
    echo(f"Sign-in  {period_in_words(view.policy.remember_days)}")
    echo(f"Methods  {', '.join(_names(view.policy.methods))}")
    if view.certificate_hours:
        permitted = listed(view.certificate_extensions)
        echo(f"Issued   {hours_in_words(view.certificate_hours)}; permitted: {permitted}")
    told = [notice.label for notice in PolicyNotice if notice in view.policy.notices]
    echo(f"Notices  {', '.join(told) or 'none'}")
    for status, count in sorted(view.people.items()):
        echo(f"{count:7}  {status.value}")
    for line in policy_changes.attention(seen):
        echo(safe(line))


@for_members()
@policy.command(
    "checklist",
    short_help="Show what must hold before the mode can be permanent.",
    epilog="\b\nExamples:\n  twofold policy checklist\n  twofold policy checklist --json\n",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show_checklist(here: Caller, as_json: bool) -> None:
    """Show what must hold before the mode can be permanent, and who does not meet it."""
    checklist = confirmed(here.read(permanent_mode.show_checklist))
    if as_json:
        echo_json(_checklist_json(checklist))
        return
    _echo_checklist(checklist)


def _day(_context: click.Context, _option: click.Parameter, typed: str | None) -> date | None:
    day = None if typed is None else read_day(typed)
    if isinstance(day, str):
        raise click.BadParameter(day)
    return day


@for_members()
@policy.command(
    "set",
    short_help="Change the mode, methods, notices or how long addresses are remembered.",
    epilog="\b\nExamples:\n"
    "  twofold policy set --mode required\n"
    "  twofold policy set --mode required --from 2027-02-01\n"
    "  twofold policy set --mode required --from 2027-03-01 --reason 'New phones come in February'\n"
    "  twofold policy set --mode off --yes\n"
    "  twofold policy set --methods app,sms,email\n"
    "  twofold policy set --mode permanent --confirm Clinic\n"
    "  twofold policy set --grace-days 7\n"
    "  twofold policy set --remember-days 3\n"
    "  twofold policy set --notify-new-places off\n"
    "  twofold policy set --certificate-hours 8 --certificate-extensions pty,port-forwarding\n",
)
@click.option(
    "--mode",
    "wanted",
    type=click.Choice([mode.value for mode in Mode]),
    help="Who must use two-factor authentication; permanent cannot be undone.",
)
@click.option(
    "--from",
    "day",
    callback=_day,
    metavar="DATE",
    help="With --mode required: the first day (UTC) on which everyone must; until then, people are told. "
    f"At most {MOST_YEARS_AHEAD} years ahead.",
)
@click.option("--reason", metavar="TEXT", help="With --from: why the deadline is put off.")
@click.option(
    "--grace-days",
    type=click.IntRange(0, MOST_GRACE_DAYS),
    help="Days that people created while the mode is required have to set up; 0 by default.",
)
@click.option(
    "--methods", "listed_methods", metavar="LIST", help="The methods to offer, such as app,sms,email."
)
@click.option(
    "--confirm", "confirmation", metavar="NAME", help="The name of the account, to confirm permanent."
)
@click.option(
    "--remember-days",
    type=click.IntRange(0, MAX_DAYS),
    help="Days without asking for a code again for the same address and first factor; 0 always asks.",
)
@click.option(
    "--notify-new-places",
    "new_places",
    type=click.Choice(["on", "off"]),
    help="Whether users are told by e-mail of sign-ins from addresses and with keys new to them.",
)
@click.option(
    "--notify-locks",
    "locks",
    type=click.Choice(["on", "off"]),
    help="Whether system administrators are told by e-mail which people were locked.",
)
@click.option(
    "--certificate-hours",
    type=click.IntRange(0, MOST_HOURS),
    help="Hours for which certificates for other hosts are valid; 0, the default, issues none.",
)
@click.option(
    "--certificate-extensions",
    "permitted",
    metavar="LIST",
    help=f"What certificates permit, of {listed(frozenset(Extension))}; none for nothing. Default: pty.",
)
@asks_first
@act
def set_policy(
    here: Caller,
    wanted: str | None,
    day: date | None,
    reason: str | None,
    grace_days: int | None,
    listed_methods: str | None,
    confirmation: str | None,
    remember_days: int | None,
    new_places: str | None,
    locks: str | None,
    certificate_hours: int | None,
    permitted: str | None,
) -> None:
    """Change the mode, methods, notices or how long addresses are remembered.

    Shows who is affected before it changes the mode or the methods.
    """
    notices = {PolicyNotice.NEW_PLACES: new_places, PolicyNotice.LOCKS: locks}
    if wanted != Mode.REQUIRED.value and (day or reason):
        raise click.UsageError("--from and --reason need --mode required.")
    given = (
        wanted,
        grace_days,
        listed_methods,
        remember_days,
        certificate_hours,
        permitted,
        *notices.values(),
    )
    if all(value is None for value in given):
        raise click.UsageError("Nothing to change. Give an option, such as --mode or --methods.")
    methods = _parsed(listed_methods) if listed_methods is not None else None
    changes = []
    if methods is not None:
        changes.append(_methods_act(here, methods))
    if wanted is not None:
        changes.append(_mode_act(here, Mode(wanted), confirmation, day, reason or ""))
    if grace_days is not None:
        days = confirmed(here.read(policy_settings.show_policy)).policy.grace_days
        changes.append(partial(here.run, deadlines.set_grace_days, grace_days, seen=days))
    if remember_days is not None:
        seen = confirmed(here.read(policy_settings.show_policy)).policy.remember_days
        changes.append(
            partial(
                here.run,
                policy_settings.set_remember_days,
                remember_days,
                seen=seen,
            )
        )
    if certificate_hours is not None:
        seen = confirmed(here.read(policy_settings.show_policy)).certificate_hours
        set_hours = certificate_policy.set_certificate_hours
        changes.append(partial(here.run, set_hours, certificate_hours, seen=seen))
    if permitted is not None:
        changes.append(_extensions_act(here, permitted))
    changes += [_notice_act(here, notice, on=said == "on") for notice, said in notices.items() if said]
    # Nothing is done until all questions are answered.
    for change in changes:
        say(change())


def _mode_act(here: Caller, mode: Mode, confirmation: str | None, day: date | None, reason: str) -> _Act:
    """Confirm a change of the mode or its deadline, and return the act that makes it."""
    preview = confirmed(here.read(policy_settings.preview_mode, mode, day))
    if preview.refusal:
        refuse(preview.refusal)
    if preview.puts_off and not reason:
        raise click.UsageError(f"{policy_changes.without_reason(preview)} with --reason.")
    if mode is Mode.PERMANENT:
        confirmation = confirmation or _ask_for_name(here)
    else:
        confirm(policy_changes.change_mode(preview))
    if preview.before is preview.after:
        return partial(here.run, deadlines.set_deadline, day, seen=preview.deadline_before, reason=reason)
    return partial(
        here.run,
        policy_settings.set_mode,
        mode,
        seen=preview.before,
        confirmation=confirmation or "",
        day=day,
        reason=reason,
    )


def _ask_for_name(here: Caller) -> str:
    if not can_ask():
        raise click.UsageError(
            "There is no terminal for the confirmation. Add --confirm with the account's name."
        )
    _echo_checklist(confirmed(here.read(permanent_mode.show_checklist)), err=True)
    echo("This cannot be undone, not even by an administrator or operator.", err=True)
    return reply("Type the name of the account to confirm: ")


def _mode_line(view: PolicyView) -> str:
    mode = view.policy.mode.value
    if view.permanent_since is None:
        return f"{mode}{policy_changes.deadline(view)}"
    return f"{mode} since {when(view.permanent_since)}, by {safe(view.permanent_by or '?')}"


def _checklist_json(checklist: Checklist) -> dict[str, object]:
    return {
        "account": checklist.account,
        "mode": checklist.mode.value,
        "passes": checklist.passes,
        "items": [
            {
                "condition": item.condition,
                "met": item.met,
                "lacking": item.lacking or None,
                "missing": item.missing.count,
                "missing_names": list(item.missing.names),
            }
            for item in checklist.items
        ],
    }


def _echo_checklist(checklist: Checklist, *, err: bool = False) -> None:
    for item in checklist.items:
        echo(f"{'yes' if item.met else 'NO ':<4} {safe(item.sentence, 400)}", err=err)


def _methods_act(here: Caller, methods: frozenset[Method]) -> _Act:
    """Confirm a change of the methods, and return the act that makes it."""
    preview = confirmed(here.read(policy_settings.preview_methods, methods))
    if preview.refusal:
        refuse(preview.refusal)
    confirm(policy_changes.change_methods(preview))
    return partial(here.run, policy_settings.set_methods, methods, seen=preview.before)


def _extensions_act(here: Caller, typed: str) -> _Act:
    """Return the act that changes what certificates permit."""
    wanted = read_extensions(typed)
    if wanted is None:
        known = listed(frozenset(Extension))
        raise click.UsageError(
            f"--certificate-extensions must be a comma-separated list of: {known}; or none."
        )
    seen = confirmed(here.read(policy_settings.show_policy)).certificate_extensions
    return partial(here.run, certificate_policy.set_certificate_extensions, wanted, seen=seen)


def _notice_act(here: Caller, notice: PolicyNotice, *, on: bool) -> _Act:
    return partial(here.run, policy_settings.set_notice, notice, on=on)


def _parsed(listed: str) -> frozenset[Method]:
    names = [name.strip().lower() for name in listed.split(",") if name.strip()]
    known = [method.value for method in Method]
    if not names or any(name not in known for name in names):
        raise click.UsageError(f"--methods must be a comma-separated list of: {', '.join(known)}.")
    return frozenset(Method(name) for name in names)


def _names(methods: frozenset[Method]) -> list[str]:
    return [method.value for method in Method if method in methods]
