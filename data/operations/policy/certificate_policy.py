"""An account's policy on certificates: how long they are valid, and what they permit."""

from data.operations.actors import Acting
from data.operations.audit import trail
from data.operations.certificates.issuing import extensions_of
from data.operations.guards import require_permission
from data.operations.results import Denied, Done
from data.rules.audit_events import Event
from data.rules.certificate_issuing import MOST_HOURS, hours_in_words
from data.rules.permissions import SensitiveAction
from data.rules.ssh_certificates import Extension, listed
from data.storage import models


@require_permission(SensitiveAction.SET_POLICY)
def set_certificate_hours(acting: Acting, hours: int, *, seen: int) -> Done | Denied:
    """Change how long certificates are valid, 0 for none; `seen` is the number that the actor saw.

    Those that were issued stay as they are.
    """
    if not 0 <= hours <= MOST_HOURS:
        return Denied(f"Certificates are valid for 0 to {MOST_HOURS} hours.")
    before = models.Account.get_by_id(acting.account_id).certificate_hours
    if before != seen:
        return Denied(
            f"Someone else changed the hours to {before} in the meantime. Check it, then try again."
        )
    if before == hours:
        return Denied(f"The number of hours is already {hours}.")
    models.Account.update(certificate_hours=hours).where(models.Account.id == acting.account_id).execute()
    trail.record(acting, Event.CERTIFICATE_HOURS_CHANGED, before=before, after=hours)
    stays = "" if hours > before else " Those that were issued stay valid until they end."
    return Done(f"From now on: {hours_in_words(hours)}.{stays}")


@require_permission(SensitiveAction.SET_POLICY)
def set_certificate_extensions(
    acting: Acting, extensions: frozenset[Extension], *, seen: frozenset[Extension]
) -> Done | Denied:
    """Change what new certificates permit; `seen` is what the actor saw."""
    before = extensions_of(models.Account.get_by_id(acting.account_id))
    if before != seen:
        return Denied("Someone else changed what certificates permit in the meantime. Check, then try again.")
    if before == extensions:
        return Denied("Certificates already permit exactly that.")
    stored = " ".join(each.value for each in Extension if each in extensions)
    models.Account.update(certificate_extensions=stored).where(
        models.Account.id == acting.account_id
    ).execute()
    trail.record(
        acting, Event.CERTIFICATE_EXTENSIONS_CHANGED, before=listed(before), after=listed(extensions)
    )
    return Done(f"New certificates permit: {listed(extensions)}.")
