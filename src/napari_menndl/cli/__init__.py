"""The command line interface ``napari-menndl``."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_menndl import __version__
from napari_menndl.cli.live import follow
from napari_menndl.cli.movies import compare, demo, predict, simulate
from napari_menndl.cli.networks import export, info
from napari_menndl.cli.pictures import pictures
from napari_menndl.cli.pool import pool
from napari_menndl.cli.results import export_prediction, tracks
from napari_menndl.cli.runs import merge, report, search, status, stop
from napari_menndl.cli.suggest import suggest
from napari_menndl.plain_text import write_plainly


class _Commands(TyperGroup):
    """The group of all commands; characters that the terminal cannot write are replaced in their output."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        write_plainly()
        return super().main(*arguments, **options)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would interpret units, as in [px], as markup
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"napari-menndl {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Evolve neural networks that find the defects in STEM movies, from one labelled frame."""


for command in (
    *(demo, simulate, search, status, stop, merge, predict, follow),
    *(export, export_prediction, info, compare, tracks, pictures, report),
):
    app.command()(command)
app.command("next")(suggest)
app.add_typer(pool, name="pool")
