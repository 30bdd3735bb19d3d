"""The commands that members have over SSH: declared one by one, and none of them can name a file."""

import re

import click
import pytest
from support.command_tree import commands

from tui.cli.main import cli
from tui.cli.over_ssh.tree import member_tree
from tui.cli.path_arguments import StandardInput

pytestmark = pytest.mark.feature("member-tree")

_FILE = re.compile(r"FILE|PATH|DIR|home|key.file|output|csv", re.IGNORECASE)
"""What a parameter that names a file is likely to be called."""


def test_no_parameter_names_a_file_or_an_account():
    """Whatever has the type or the looks of a file's name takes - alone."""
    tree = member_tree(cli)
    groups = [((name,), group) for name, group in tree.commands.items() if isinstance(group, click.Group)]
    for path, command in [((), tree), *groups, *commands(tree)]:
        for parameter in command.params:
            words = " ".join([*parameter.opts, parameter.metavar or "", parameter.name or ""])
            if isinstance(parameter.type, StandardInput):
                continue
            assert not isinstance(parameter.type, click.Path | click.File), (path, parameter)
            assert not _FILE.search(words), (path, parameter)
            assert parameter.name != "account", path
            assert not parameter.envvar, path


def test_what_the_operator_gives_does_not_exist():
    """It is wrong usage, whatever the command."""
    for path, command in commands(member_tree(cli)):
        for option in ("--home", "--master-key", "--output", "--account", "--csv"):
            assert option not in {name for parameter in command.params for name in parameter.opts}
            with pytest.raises(click.UsageError, match="No such option"):
                command.make_context(" ".join(path), [option, "x"])


def test_what_is_not_declared_is_for_the_operator():
    """Of the whole tree of the host, exactly the rest is refused, in words."""
    members = {path for path, _ in commands(member_tree(cli))}
    root = member_tree(cli)
    for path, _ in commands(cli):
        if path in members:
            continue
        with pytest.raises(click.ClickException, match="only possible on the host") as refused:
            root.invoke(root.make_context("ssh gate", list(path)))
        assert refused.value.exit_code == 1
