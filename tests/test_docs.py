"""What README and docs show: commands exist with their options, names can be imported, files that are linked are there.

test_docs_blocks.py runs what they show.
"""

import ast
import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import napari_menndl
from napari_menndl.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    return [block for kind, block in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page):
    """The calls of napari-menndl in a page's shell blocks, as lists of arguments."""
    lines = [line.strip() for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("napari-menndl ")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_options_that_are_shown(page):
    for arguments in commands(page):
        command, context = get_command(app), None
        while hasattr(command, "commands"):
            context = command.make_context(arguments[0], [], parent=context, resilient_parsing=True)
            command, arguments = command.commands[arguments[0]], arguments[1:]
        end = next((place for place, part in enumerate(arguments) if part in ("&", "|")), len(arguments))
        arguments = arguments[:end]
        command.make_context("napari-menndl", arguments, parent=context)


# The recipes add what they import; test_recipes.py follows them.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "recipes.md"], ids=name)
def test_python_blocks_import_what_there_is(page):
    for block in blocks(page, "python"):
        for line in ast.parse(block).body:
            if isinstance(line, ast.ImportFrom) and line.module.startswith("napari_menndl"):
                module = importlib.import_module(line.module)
                assert all(hasattr(module, name.name) for name in line.names)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_to_headings_in_them(page):
    for file, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not heading or heading in headings(target), f"{file}#{heading}"


def headings(page):
    """The names by which the headings of a page are linked."""
    words = [re.sub(r"[^\w\- ]", "", one.lower()) for one in HEADING.findall(page.read_text(encoding="utf-8"))]
    return [one.strip().replace(" ", "-") for one in words]


def test_on_the_page_of_a_package_index_links_lead_to_the_repository():
    absolute = runpy.run_path(str(ROOT / "tools" / "dist.py"))["with_absolute_links"]
    text = "![a](docs/a.png) [b](b.md#c) [d](https://e.org) [f](#g)"
    at = "https://host/owner/name"
    assert (
        absolute(text, at, "v1") == f"![a]({at}/raw/v1/docs/a.png) [b]({at}/blob/v1/b.md#c) [d](https://e.org) [f](#g)"
    )
    assert absolute(text, "", "v1") == " b [d](https://e.org) [f](#g)"


def test_the_command_says_its_version():
    assert CliRunner().invoke(app, ["--version"]).output == f"napari-menndl {napari_menndl.__version__}\n"
