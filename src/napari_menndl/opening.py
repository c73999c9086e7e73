"""Opening a network from a run folder or a saved file; for any other path the error says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_menndl.annotation.files import is_label_image, is_zarr_group
from napari_menndl.annotation.points import FILES as POINTS
from napari_menndl.errors import InputError, as_number
from napari_menndl.files import named
from napari_menndl.movie.formats import by_content, by_suffix
from napari_menndl.movie.ome_zarr import is_zarr
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.run_config import NAME

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

SUFFIX = ".safetensors"
_EXPECTED = f"a run folder, or a network saved from one ({SUFFIX})"
#: Suffixes of other programs' files that may hold networks, and their description in errors.
_FOREIGN = {
    ".pt": "a file of PyTorch, which could execute code when it is opened",
    ".pth": "a file of PyTorch, which could execute code when it is opened",
    ".ckpt": "a checkpoint of another program",
    ".onnx": "a network of ONNX",
    ".keras": "a network of Keras",
    ".pb": "a network of TensorFlow",
    ".pkl": "a pickle, which could execute code when it is opened",
    ".joblib": "a pickle, which could execute code when it is opened",
    ".ilp": "a project of ilastik",
}


def open_network(path: str | os.PathLike[str]) -> TrainedNetwork | Ensemble:
    """Open the best network of a run, or a network that was saved.

    Parameters
    ----------
    path : path
        A run folder, its search running or not, or a file written by `save` or ``napari-menndl export``.

    Raises
    ------
    InputError
        If it is neither (the error says what it is), if it is damaged, or if the run has found nothing yet.
    """
    from napari_menndl.predict.ensemble import open_predictor

    path = Path(path).expanduser()
    if is_run(path):
        return Run(RunFolder.open(path)).best
    run = _run_around(path)
    if run is not None:
        raise InputError(_EXPECTED, f"{path}, a part of the run folder {run}", f"Give the run folder: {run}")
    if path.is_file() and (path.suffix.lower() == SUFFIX or _is_safetensors(path)):
        return open_predictor(path)
    found, remedy = _what_it_is(path)
    raise InputError(_EXPECTED, f"{path}, {found} (no {NAME})", remedy)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a run folder."""
    return (Path(path).expanduser() / NAME).is_file()


def network_file(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Return the file to save a network to: the path with the suffix added if it lacks it.

    Raises
    ------
    InputError
        If it is a folder, or a file that exists and `overwrite` is False.
    """
    file = named(Path(path).expanduser(), "the network")
    if file.suffix.lower() != SUFFIX:
        file = file.with_name(file.name + SUFFIX)
    if file.is_dir() or (file.exists() and not overwrite):
        raise InputError("a new file for the network", f"{file}, which exists", "Choose another name, or remove it.")
    return file


def describe_network(network: TrainedNetwork | Ensemble) -> str:
    """Describe a network or ensemble in one line: number of networks, classes and pixel size."""
    members = len(getattr(network, "members", (network,)))
    what = "one network" if members == 1 else f"the mean of {members} networks"
    size = network.pixel_size
    scale = " × ".join(f"{side:.4g}" for side in size) + " nm" if size else "unknown"
    return f"{what}, classes {', '.join(network.class_names)}; pixel size {scale}"


def at_thresholds(network: TrainedNetwork | Ensemble, wanted: Mapping[str, float]) -> TrainedNetwork | Ensemble:
    """Return the network with other thresholds for the named classes.

    Raises
    ------
    InputError
        For a class that the network does not have, or a threshold that is not above 0 and at most 1.
    """
    names = network.class_names
    for name, threshold in wanted.items():
        if name not in names:
            raise InputError(f"one of the classes {', '.join(names)}", repr(name), "Correct the class's name.")
        if not 0 < as_number(threshold) <= 1:
            raise InputError("a threshold above 0, up to 1", f"{threshold} for {name}", "Give a probability.")
    if not wanted:
        return network
    return network.with_thresholds([wanted.get(n, t) for n, t in zip(names, network.thresholds, strict=True)])


def _run_around(path: Path) -> Path | None:
    """Return the run folder that contains a path, up to two levels above it; None if there is none."""
    return next((folder for folder in list(path.absolute().parents)[:2] if is_run(folder)), None)


def _what_it_is(path: Path) -> tuple[str, str]:
    """Describe what is at a path that is not a network, with a remedy."""
    from napari_menndl.predict.prediction import Prediction

    check = "Check the path."
    if not path.exists():
        return "which does not exist", check
    if path.is_dir():
        if is_zarr_group(path) and Prediction.stands_at(path):
            return "a stored prediction", "Give the run or the network that predicted it."
        if is_zarr(path):
            kind = "a movie or labels in zarr" if is_label_image(path) else "an annotation or another zarr group"
            return kind, "Give the run or the network first, then the movie."
        runs = sorted(one.name for one in path.iterdir() if is_run(one))
        if runs:
            return f"a folder with the runs {', '.join(runs[:5])}{', …' if len(runs) > 5 else ''}", "Give one of them."
        return "a folder that no search has written", check
    beginning = _beginning(path)
    if foreign := _FOREIGN.get(path.suffix.lower()):
        return foreign, "Search with napari-menndl for a network that it can open."
    if movie := by_content(beginning) or by_suffix(path):
        return f"a movie or an image ({movie.name})", "Give the run or the network first, then the movie."
    if path.suffix.lower() in POINTS:
        return "a table of points or outlines", "Give the run or the network that was found with them."
    return "a file of another kind", check


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins like a safetensors file: with the length of a JSON header, and the header."""
    beginning = _beginning(path)
    return beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") + 8 <= path.stat().st_size


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""
