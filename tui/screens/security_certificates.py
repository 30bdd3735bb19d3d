"""The form under Security for how long certificates are valid, and what they permit."""

from functools import partial

from data.operations.policy import certificate_policy
from data.operations.policy.policy_settings import PolicyView
from data.operations.results import Denied, Done
from data.rules.certificate_issuing import MOST_HOURS
from data.rules.ssh_certificates import Extension, listed, read_extensions
from tui.dialogs.form import Field, FormDialog
from tui.screens.base_app import ActingApp

_ALL = listed(frozenset(Extension))
_BODY = (
    "People get certificates for other hosts with: ssh gate cert. They must enter a code, and the operator "
    f"must have made a certificate authority. Certificates can permit: {_ALL}."
)


async def change_certificates(app: ActingApp, view: PolicyView) -> None:
    """Ask for the hours and what certificates permit, and change what differs."""

    def form(typed: tuple[str, ...] | None, fault: str) -> FormDialog:
        hours, permits = typed or (str(view.certificate_hours), listed(view.certificate_extensions))
        fields = [
            Field(f"Hours (0 to {MOST_HOURS}; 0 for none)", 2, hours),
            Field("Permitted", len(_ALL), permits),
        ]
        return FormDialog("Certificates", fields, body=_BODY, yes="Save", fault=fault)

    await app.fill_in(form, partial(_change, app, view))


async def _change(app: ActingApp, view: PolicyView, typed: tuple[str, ...]) -> Done | Denied:
    hours, extensions = typed[0].strip(), read_extensions(typed[1])
    if not (hours.isascii() and hours.isdigit()):
        return Denied(f"Certificates are valid for 0 to {MOST_HOURS} hours.")
    if extensions is None:
        return Denied(f"Certificates can permit {_ALL}, separated by commas, or none.")
    done: Done | Denied = Done("Nothing was changed.")
    if int(hours) != view.certificate_hours:
        seen = view.certificate_hours
        done = await app.submit(certificate_policy.set_certificate_hours, int(hours), seen=seen)
    if isinstance(done, Denied) or extensions == view.certificate_extensions:
        return done
    permitted = view.certificate_extensions
    return await app.submit(certificate_policy.set_certificate_extensions, extensions, seen=permitted)
