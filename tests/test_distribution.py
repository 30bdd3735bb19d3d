"""What is shipped: the three packages, whole, and under names that nothing else has taken."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
METAPHORS = {
    *("house", "board", "gate", "lobby", "anteroom", "waiting", "sweep", "tidying", "keeping"),
    *("groups", "subjects", "takeover", "sieve"),
}
LAYERS = ("data", "sshserver", "tui")


@pytest.mark.parametrize("name", LAYERS)
def test_top_level_packages_are_ours_alone(name):
    assert set(packages_distributions()[name]) == {"twofold"}


@pytest.mark.parametrize("name", LAYERS)
def test_imported_package_is_ours(name):
    assert Path(__import__(name).__file__).parent == ROOT / name


def test_the_wheel_lists_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    present = [
        ".".join(init.parent.relative_to(ROOT).parts)
        for layer in LAYERS
        for init in (ROOT / layer).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(present)


def test_the_wheel_takes_every_file_that_is_no_python():
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    taken = {
        file.relative_to(ROOT)
        for package, patterns in given.items()
        for pattern in patterns
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    present = {
        file.relative_to(ROOT)
        for layer in LAYERS
        for file in (ROOT / layer).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert present == taken


def test_private_names_of_the_libraries_are_touched_in_compat_only():
    """`sshserver/compat/` is why the two libraries are pinned exactly."""
    compat = ROOT / "sshserver" / "compat"
    private_imports = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for layer in LAYERS
        for file in (ROOT / layer).rglob("*.py")
        if compat not in file.parents
        for line in file.read_text().splitlines()
        if line.strip().startswith(("from textual._", "from asyncssh._", "import textual._"))
    ]
    assert private_imports == []


def test_modules_and_classes_have_names_of_the_field():
    """A newcomer who knows OpenSSH, Keycloak or privacyIDEA knows the words."""
    files = [file for layer in LAYERS for file in (ROOT / layer).rglob("*.py")]
    classes = [name for file in files for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE)]
    words = {word.lower() for name in classes for word in re.findall(r"[A-Z][a-z]*", name)}
    assert METAPHORS & (words | {file.stem for file in files}) == set()


def test_each_folder_says_what_it_may_import():
    inits = [init for layer in LAYERS for init in (ROOT / layer).rglob("__init__.py")]
    assert [str(init) for init in inits if "\nMay import: " not in init.read_text()] == []


def test_the_ssh_servers_first_floor_is_small():
    """At most eight files are beside the folders of `sshserver/`."""
    assert len(list((ROOT / "sshserver").glob("*.py"))) <= 8
