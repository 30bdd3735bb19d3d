"""`twofold help` and `completion`: pages, the help of commands, the man page, and what a shell completes."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
from support.command_tree import commands
from support.pseudo_terminal import TerminalProgram

from tui import manual
from tui.cli.main import cli
from tui.cli.man_page import man_page

PROGRAM = Path(sys.executable).with_name("twofold")
PAGES = Path(manual.__file__).parent


def test_pages_are_listed_with_title_and_first_sentence(run):
    listed = " ".join(run("help").out.split())
    assert manual.topics()
    for topic in manual.topics():
        assert f"{topic} {manual.title(topic)}. {manual.first_sentence(topic)}" in listed


def test_page_is_printed_as_it_is_written(run):
    for topic in manual.topics():
        outcome = run("help", topic)
        assert (outcome.status, outcome.out, outcome.err) == (0, (PAGES / f"{topic}.md").read_text(), "")


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("policy.md", "policy"),
        ("Policy", "policy"),
        ("POLICY.MD", "policy"),
        ("backup and restore", "backup-and-restore"),
        ("Backup  and Restore", "backup-and-restore"),
        ("Administering people", "administering-people"),
        ("principals", "certificates"),
        ("KRL", "certificates"),
        ("jumps", "forwarding"),
        ("targets", "forwarding"),
    ],
)
def test_page_is_found_by_its_file_and_title(run, words, topic):
    assert run("help", *words.split()).out == manual.page(topic)
    assert run("help", words).out == manual.page(topic)
    assert words not in cli.list_commands(click.Context(cli)), "the page would hide the command"


def words_of(text: str) -> list[str]:
    """Return the words without the lines of tables; rows of cells are read line by line, so not in order."""
    return sorted(word for word in text.split() if set(word) - {"-"})


@pytest.mark.parametrize("columns", [40, 60, 80])
async def test_page_on_a_terminal_is_broken_to_fit(columns):
    """Words stay whole, items hang below their mark, cells stand in columns, and what is fenced stays."""
    command = [str(PROGRAM), "help", "commands"]
    size, pager = (columns, 24), {"PAGER": "cat"}
    terminal = await TerminalProgram.start(command, size=size, environment=pager)
    assert await terminal.end() == 0
    shown = terminal.output.decode().replace("\r\n", "\n")
    page = manual.page("commands")
    assert words_of(shown) == words_of(re.sub(r"(?<!\\)\|", " ", page).replace("\\|", "|"))
    fences = re.findall(r"^```.*?^```$", page, re.MULTILINE | re.DOTALL)
    assert fences
    assert all(fence in shown for fence in fences)
    for line in re.sub(r"^```.*?^```$", "", shown, flags=re.MULTILINE | re.DOTALL).splitlines():
        assert len(line) <= columns or " " not in line.strip()
    labels, line = next(pair for pair in pairwise(shown.splitlines()) if pair[1].startswith("---"))
    assert labels.index("holds") == line.rindex(" ") + 1
    item = shown[shown.index("- Every command that") :].splitlines()
    assert item[1].startswith("  ")
    assert not item[1].startswith("   ")


async def test_page_on_a_terminal_goes_through_the_pager():
    command = [str(PROGRAM), "help", "policy"]
    terminal = await TerminalProgram.start(command, environment={"PAGER": "sed s/^/paged/"})
    await terminal.expect("paged# Policy")
    assert await terminal.end() == 0


def test_help_of_a_command(run):
    for words in (("user", "add"), ("user",), ("serve",), ("help",)):
        assert run("help", *words).out == run(*words, "--help").out


def test_page_comes_before_a_command_of_its_name(run):
    assert "policy" in cli.list_commands(None)
    assert run("help", "policy").out == manual.page("policy")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("polcy", "policy"),
        ("lost", "lost-phone"),
        ("user ad", "user add"),
        ("servr", "serve"),
        ("nothing-like-it", "List the pages"),
        ("policy nothing-like-it", "was not found"),
        ("serve nothing-like-it", "was not found"),
        ("../../README", "was not found"),
        ("/etc/passwd", "was not found"),
        ("", "was not found"),
    ],
)
def test_unknown_topic(run, words, said):
    """Names that are near are said."""
    outcome = run("help", *words.split(" "))
    assert (outcome.status, outcome.out) == (2, "")
    assert said in outcome.err


def test_pages_need_no_installation_and_little_of_the_program(home):
    program = (
        "import sys; from tui.cli import main\n"
        f"sys.argv[1:] = ['--home', {str(home)!r}, 'help', 'policy']\n"
        "try: main()\n"
        "except SystemExit: print(*{'textual', 'rich', 'asyncssh', 'peewee'} & set(sys.modules), 'end')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1].strip() == "end"
    assert not home.exists()


# The man page.


def test_man_page_has_every_command_and_option(run):
    page = run("help", "--man").out
    for path, command in commands(cli):
        assert f".SS twofold {' '.join(path)}".replace("-", "\\-") in page
        for option in command.params:
            assert all(name.replace("-", "\\-") in page for name in option.opts if name.startswith("-"))


def test_groff_takes_the_man_page(run, tmp_path, require_program):
    groff = [require_program("groff"), "-man", "-Tutf8", "-ww"]
    page = tmp_path / "twofold.1"
    page.write_text(run("help", "--man").out, "ascii")
    ended = subprocess.run([*groff, page], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "twofold user add" in ended.stdout


def test_signs_that_roff_acts_on(tmp_path, require_program):
    """What looks like a request, an escape or another letter is printed as it is."""
    words = [".bp", "'bp", "\\fBa\\e", "a-b--c ~ ^ ` '", "Größe “山田”"]
    command = click.Command("twofold", help=f"Short.\n\n{words[0]}\n\n\b\n" + "\n".join(words[1:]))
    page = tmp_path / "twofold.1"
    page.write_text(man_page(click.Context(command, info_name="twofold")), "ascii")
    groff = [require_program("groff"), "-man", "-Tutf8", "-P-c", "-ww", page]
    ended = subprocess.run(groff, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    shown = {line.strip() for line in ended.stdout.splitlines()}
    assert set(words) <= shown


# What a shell completes.


def completed(*words: str) -> set[str]:
    """Return what bash would offer behind these words, of which the last is not complete yet."""
    script = subprocess.run(
        [PROGRAM, "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    asking = (
        f'{script}\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
        f'_twofold_completion {PROGRAM}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    bash = ["bash", "--norc", "-c", asking, "bash", "twofold", *words]
    ended = subprocess.run(bash, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("po", {"policy"}),
        ("user ex", {"explain", "export"}),
        ("user add --req", {"--require-2fa"}),
        ("--ver", {"--version"}),
        ("help lost", {"lost-phone"}),
        ("help user ex", {"explain", "export"}),
        ("help lost-phone x", set()),
        ("completion z", {"zsh"}),
    ],
)
def test_bash_completes(require_program, words, offered):
    require_program("bash")
    assert completed(*words.split(" ")) == offered


def test_first_words_are_completed_without_their_modules():
    program = (
        "import sys; from tui.cli.main import cli\n"
        "import click; from click.shell_completion import ShellComplete\n"
        "offered = ShellComplete(cli, {}, 'twofold', '_TWOFOLD_COMPLETE').get_completions([], '')\n"
        "print(len(offered), *[name for name in sys.modules if name.startswith('tui.cli.commands.')])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [str(len(cli.list_commands(None)))]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_made_without_the_shell(run, monkeypatch, shell):
    monkeypatch.setattr(subprocess, "Popen", None)
    outcome = run("completion", shell)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"_TWOFOLD_COMPLETE={shell}_complete" in outcome.out


def test_unknown_shell(run):
    assert run("completion", "tcsh").status == 2
