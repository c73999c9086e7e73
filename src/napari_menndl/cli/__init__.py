"""The command line: ``napari-menndl``. A view of the run folder, like the docks and the notebook."""

import typer

from napari_menndl.cli.movies import compare, demo, predict, simulate
from napari_menndl.cli.pool import pool
from napari_menndl.cli.runs import merge, search, status, stop

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take units, as in [px], for markup
    help="Evolve neural networks that find the defects in STEM movies, from one labelled frame.",
)
for command in (demo, simulate, search, status, stop, merge, predict, compare):
    app.command()(command)
app.add_typer(pool, name="pool")
