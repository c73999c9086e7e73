"""Settings of the documentation: ``make docs``."""

from importlib.metadata import version as version_of

import typer.cli
from typer.main import get_command

from napari_menndl.cli import app

project = "napari-menndl"
author = "The napari-menndl developers"
copyright = author  # noqa: A001 (Sphinx's name)
version = release = version_of("napari-menndl").partition("+")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
root_doc = "index"
html_theme = "furo"
html_title = "napari-menndl"
html_favicon = html_logo = "../src/napari_menndl/icon.svg"
html_theme_options = {"sidebar_hide_name": False}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

suppress_warnings = ["ref.python"]  # a gene and a protocol are both called Pool
autodoc_typehints = "none"  # the docstrings give types with shapes and units
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True


def write_commands(sphinx, name, text):
    """Replace the mark on the page of the command line by the help of all commands, as typer writes it."""
    command = get_command(app)
    context = command.make_context("napari-menndl", [], resilient_parsing=True)
    commands = typer.cli.get_docs_for_click(obj=command, ctx=context, name="napari-menndl")
    text[0] = text[0].replace("{{ commands }}", commands.partition("\n\n")[2])


def setup(sphinx):
    """Connect to Sphinx's events."""
    sphinx.connect("source-read", write_commands)
