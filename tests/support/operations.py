"""Every operation there is, by its name, so that no test can leave one out."""

import inspect
from functools import cache
from importlib import import_module
from pkgutil import walk_packages

from data import operations

_HELPERS = {
    *("authorise", "find_target", "password_context", "resolve"),
    *("write", "tell", "tell_if_due", "one_at_a_time", "take", "may_not_look"),
}
"""What takes an actor and is no operation."""
OF_THE_OPERATOR = {
    "repair_counts",
    "plan_archive",
    "read_batch",
    "cut",
    "plan_archive_verification",
    "verify_archived",
    "begin_rotation",
    "count_sealed",
    "reseal_batch",
    "finish_rotation",
    "take_over",
    "find_unfit",
    "add_account",
    "rename_account",
    "list_accounts",
    "show_account",
    "init_authority",
    "show_authorities",
    "rotate_authority",
    "show_revocation_list",
}
"""What no member may do."""


@cache
def every_operation() -> frozenset[str]:
    """Return the names of all operations that take an actor."""
    packages = walk_packages(operations.__path__, f"{operations.__name__}.")
    found = {
        name
        for module in (import_module(package.name) for package in packages)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and "actor" in getattr(function, "__annotations__", {})
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    return frozenset(found - _HELPERS)
