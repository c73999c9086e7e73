"""Commands on networks: export, info."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_menndl.cli.arguments import AsJson, NetworkArgument, Thresholds, read_thresholds
from napari_menndl.cli.terminal import echo, report_errors


def export(
    network: NetworkArgument,
    file: Annotated[Path, typer.Argument(help="File to write (.safetensors, .onnx, or .zip for bioimage.io).")],
    to: Annotated[
        str | None,
        typer.Option(
            help="safetensors, for napari-menndl; onnx, for any program; bioimageio, a package for bioimage.io "
            "[default: by the file's suffix]."
        ),
    ] = None,
    threshold: Thresholds = None,
    title: Annotated[str, typer.Option(help="Its title.")] = "",
    about: Annotated[str, typer.Option(help="What it is for, in a sentence or two.")] = "",
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="Licence of the weights, as in CC-BY-4.0 (SPDX).")
    ] = "",
    author: Annotated[list[str] | None, typer.Option(help="Who made it; of several given several times.")] = None,
    cite: Annotated[
        list[str] | None, typer.Option(help="What to cite, with its DOI or address; given several times.")
    ] = None,
    networks_only: Annotated[
        bool, typer.Option("--networks-only", help="Leave out members that the format cannot hold: Fourier filters.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Save a search's best network as one file, for `predict` and the docks, here and elsewhere, or other programs."""
    from napari_menndl import opening

    with report_errors():
        form = opening.export_format(file, to)
        opening.network_file(file, overwrite, form.suffix)  # refused before anything is read
        opened = opening.at_thresholds(opening.open_network(network), read_thresholds(threshold))
        texts = {"authors": tuple(author or ()), "cite": tuple(cite or ())}
        opened = opened.with_texts(title=title, about=about, licence=licence, **texts)
        written = opening.export_network(opened, file, to, networks_only=networks_only, overwrite=overwrite)
        echo(f"Wrote {written}: {opening.describe_network(opened)}")
        if form.ours:
            echo(f"Predict with it: napari-menndl predict {written} MOVIE --out PREDICTION.zarr")
            echo(f"What is known of it: napari-menndl info {written}")


def info(network: NetworkArgument, as_json: AsJson = False) -> None:
    """Say what a network was trained on, how well it scored, what it is valid for, and who may use it."""
    from napari_menndl.opening import open_network
    from napari_menndl.predict.card_lines import card_lines

    with report_errors():
        opened = open_network(network)
        if as_json:
            print(json.dumps(opened.to_json()))
            return
        for heading, lines in card_lines(opened).items():
            echo(f"{heading:<12}{lines[0]}")
            for line in lines[1:]:
                echo(f"{'':<12}{line}")
