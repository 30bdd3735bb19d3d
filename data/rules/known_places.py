"""Known places: the networks from which, and the keys with which, a user has lately signed in.

A user is told by e-mail of a sign-in from an address or with a key that is not among them. They are kept
in clear: sessions and the audit log keep the addresses and keys themselves.
"""

from collections.abc import Collection, Mapping

from data.rules.domain_types import Application, FirstFactor
from data.rules.source_addresses import Origin, network_of

KNOWN_DAYS = 90
"""How long a place is known after the last sign-in there."""
MOST_PLACES = 64
"""Places kept of a user, more than the keys that one can have; those that were used last stay."""
_KEY_LENGTH = len("SHA256:") + 16
"""Characters kept of a key's fingerprint: 96 bits of it tell the keys of a user apart."""


def places_of(origin: Origin, first_factor: FirstFactor, credential: str) -> frozenset[str]:
    """Return the places of a sign-in: its network and its key; in the app on the host it has neither."""
    is_remote = origin.application not in (Application.LOCAL, Application.HOST)
    network = network_of(origin.address) if is_remote else None
    key = _key(credential) if first_factor is FirstFactor.KEY else None
    return frozenset(place for place in (network, key) if place is not None)


def read_places(text: str, today: int) -> dict[str, int]:
    """Read from `write_places` which places are still known, each with the day it was last used.

    Days are counted from the epoch. One in the future, from before the clock went back, counts as today.
    """
    pairs = (word.partition("=") for word in text.split(" ") if word)
    days = {place: min(int(day), today) for day, _, place in pairs}
    return {place: day for place, day in days.items() if today - day < KNOWN_DAYS}


def write_places(known: Mapping[str, int]) -> str:
    """Write the places that were used last in one line."""
    latest = sorted(known.items(), key=lambda item: item[1], reverse=True)[:MOST_PLACES]
    return " ".join(f"{day}={place}" for place, day in latest)


def new_places_in_words(new: Collection[str], credential: str) -> str:
    """Say what is new about a sign-in with a credential."""
    lately = f"that you have not used in the last {KNOWN_DAYS} days"
    networks = [f"from an address {lately} ({place})" for place in new if place != _key(credential)]
    keys = [f"with an SSH key {lately} ({credential})" for place in new if place == _key(credential)]
    return " and ".join(networks + keys)


def _key(fingerprint: str) -> str:
    return fingerprint[:_KEY_LENGTH]
