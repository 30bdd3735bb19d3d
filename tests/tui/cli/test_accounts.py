"""Which commands act in an account, and so say in which where there are several."""

import pytest
from support.command_tree import commands

from tui.cli.main import cli

OF_THE_INSTALLATION = {
    *("init", "serve", "hostkey", "upgrade", "account", "sms", "doctor", "key"),
    *("backup", "restore", "print-unit", "print-containerfile", "help", "completion"),
}
"""What knows no account, or all of them: a gateway hands over the messages of every account."""


CHAINS = {("audit", "head"), ("audit", "verify"), ("audit", "archive"), ("database", "copy")}
"""What is of the whole installation in groups that otherwise act in an account."""


@pytest.mark.feature("account-named")
def test_account_option():
    without = {
        path
        for path, command in commands(cli)
        if path[0] not in OF_THE_INSTALLATION and "account" not in {param.name for param in command.params}
    }
    assert without == CHAINS
