"""Packages of bioimage.io: a zip with the network as ONNX, its description, a text, and frames to test it with."""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.predict.card_lines import NOT_STATED, card_lines
from napari_menndl.predict.export.onnx_file import (
    FRAMES,
    INSTALL,
    PROBABILITIES,
    make_model,
    metadata,
    probabilities_of,
    random_frames,
    usage,
    without_fourier,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

#: Smallest frame that programs may give [px]; shape of the frames to test with.
_SMALLEST, _TESTED = 32, (96, 128)
_TAGS = ["electron-microscopy", "STEM", "atomic-resolution", "defects", "semantic-segmentation", "2d", "napari-menndl"]
_WEB, _DOI = re.compile(r"https?://\S+"), re.compile(r"\b10\.\d{4,9}/\S+\b")


def export_bioimageio(
    network: TrainedNetwork | Ensemble, path: str | os.PathLike[str], networks_only: bool = False
) -> Path:
    """Write a network or an ensemble as a package for bioimage.io and the programs that read it.

    Title, description, authors, publications and licence are those of the card; see `Card.with_texts`.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    path : path
        Of the zip.
    networks_only : bool
        Leave out the members that ONNX cannot hold, see `onnx_file.without_fourier`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it cannot be exported as ONNX, if the package bioimageio.spec is missing, if the card's licence is no SPDX
        identifier, or if the file cannot be written.
    """
    network = without_fourier(network) if networks_only else network
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            data = _package(network, Path(folder))
        atomic_write(path, data)
    except ImportError as problem:
        raise InputError("the package bioimageio.spec", f"{problem}", INSTALL) from problem
    except OSError as problem:
        raise InputError("a place that can be written", f"{path}: {problem}", "Choose another folder.") from problem
    return path


def _package(network: TrainedNetwork | Ensemble, folder: Path) -> bytes:
    """Return the zip; the files in it are made in a folder."""
    from bioimageio.spec import InvalidDescr, ValidationContext, load_description, save_bioimageio_package_to_stream
    from bioimageio.spec.model import v0_5

    model = make_model(network)
    frames = random_frames(network, _TESTED)
    (folder / "weights.onnx").write_bytes(model.SerializeToString())
    np.save(folder / "test-frames.npy", frames[None], allow_pickle=False)
    np.save(folder / "test-probabilities.npy", probabilities_of(model, frames)[None], allow_pickle=False)
    (folder / "README.md").write_text(document(network), encoding="utf-8")
    # References to web pages are not looked up: a package can be made without a network connection.
    with ValidationContext(root=folder, perform_io_checks=False):
        described = load_description_of(v0_5, network, folder, model.opset_import[0].version)
        stream = io.BytesIO()
        save_bioimageio_package_to_stream(described, output_stream=stream)
    data = stream.getvalue()
    (folder / "package.zip").write_bytes(data)
    with ValidationContext(perform_io_checks=False):
        found = load_description(folder / "package.zip")
    if isinstance(found, InvalidDescr):
        raise InputError("a package that bioimage.io accepts", found.validation_summary.format(), "Correct the card.")
    return data


def load_description_of(v0_5: Any, network: TrainedNetwork | Ensemble, folder: Path, opset: int) -> Any:
    """Return the description of the package whose files lie in a folder.

    Raises
    ------
    InputError
        If bioimage.io does not accept a text of the card.
    """
    card, scale = network.card, network.pixel_size or (1.0, 1.0)
    unit = "nanometer" if network.pixel_size else None
    frames = [f"{name}" for name in ("frame", *_neighbour_names(network))]

    def file(name: str) -> Any:
        return v0_5.FileDescr(source=folder / name)

    def axes(names: Sequence[str], kind: Any, sizes: Sequence[Any]) -> list[Any]:
        sides = zip(("y", "x"), sizes, scale, strict=True)
        space = [kind(id=axis, size=size, scale=step, unit=unit) for axis, size, step in sides]
        return [v0_5.BatchAxis(size=1), v0_5.ChannelAxis(channel_names=list(names)), *space]

    any_size = v0_5.ParameterizedSize(min=_SMALLEST, step=1)
    the_same = [v0_5.SizeReference(tensor_id=FRAMES, axis_id=axis) for axis in ("y", "x")]
    told = usage(network)
    given = {
        "name": re.sub(r"[^A-Za-z0-9_+\- ()]", " ", f"{card.title or 'network'} (napari-menndl)").strip()[-128:],
        "description": (card.about or f"Finds {', '.join(network.class_names)} in STEM movies.")[:1024],
        "documentation": file("README.md"),
        "authors": [v0_5.Author(name=name) for name in card.authors],
        "cite": [entry for text in card.cite if (entry := _cited(v0_5, text))],
        "license": card.licence or None,
        "tags": _TAGS,
        "version": "1.0",
        "inputs": [
            v0_5.InputTensorDescr(
                id=FRAMES,
                description=told[0][:128],
                axes=axes(frames, v0_5.SpaceInputAxis, [any_size, any_size]),
                test_tensor=file("test-frames.npy"),
                data=v0_5.IntervalOrRatioDataDescr(type="float32"),
                preprocessing=[v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="float32"))],
            )
        ],
        "outputs": [
            v0_5.OutputTensorDescr(
                id=PROBABILITIES,
                description="Probability of each class in each pixel.",
                axes=axes(_identifiers(network.class_names), v0_5.SpaceOutputAxis, the_same),
                test_tensor=file("test-probabilities.npy"),
                data=v0_5.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
            )
        ],
        "weights": v0_5.WeightsDescr(onnx=v0_5.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=opset)),
        "config": v0_5.Config.model_validate({"napari-menndl": metadata(network)}),
    }
    try:
        return v0_5.ModelDescr(**given)
    except ValueError as problem:
        found = re.sub(r"\s+", " ", str(problem))[:400]
        if "license" in found:
            known = "a licence by its SPDX identifier, such as CC-BY-4.0 or MIT"
            raise InputError(known, repr(card.licence), "Give --licence, or licence= in Python.") from problem
        raise InputError("a card that bioimage.io accepts", found, "Set other texts: --title, --author, …") from problem


def document(network: TrainedNetwork | Ensemble) -> str:
    """Return the card of a network as a document in Markdown."""
    card = network.card
    sections: dict[str, list[str]] = {**card_lines(network), "Use": usage(network)}
    scored = [] if card.fitness is None else ["Out-of-fold scores on the labelled frames are given above, by class."]
    sections["Validation"] = [
        *scored,
        "Label a frame of your own movie and compare: napari-menndl predict, then napari-menndl compare.",
    ]
    if "Cite" not in sections:
        sections["Cite"] = [NOT_STATED]
    body = "\n\n".join(
        "\n".join([f"## {heading}", "", *(f"- {line}" for line in lines)]) for heading, lines in sections.items()
    )
    return f"# {card.title or 'Network'}\n\n{body}\n"


def _neighbour_names(network: TrainedNetwork | Ensemble) -> list[str]:
    offsets = metadata(network)["neighbours"]
    return [f"{'before' if offset < 0 else 'after'}_{abs(offset)}" for offset in offsets]


def _identifiers(names: Sequence[str]) -> list[str]:
    """Return names as bioimage.io allows them for channels, each once."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "class"
        plain = f"class_{plain}" if plain[0].isdigit() else plain
        found.append(plain if plain not in found else f"{plain}_{len(found)}")
    return found


def _cited(v0_5: Any, text: str) -> Any:
    """Return a publication's entry; None without DOI and web address: then it stands in the text alone."""
    doi, web = _DOI.search(text), _WEB.search(text)
    if doi:
        return v0_5.CiteEntry(text=text, doi=doi.group())
    return v0_5.CiteEntry(text=text, url=web.group()) if web else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Context without bioimageio's own log on the terminal."""
    from loguru import logger

    logger.disable("bioimageio")
    try:
        yield
    finally:
        logger.enable("bioimageio")
