"""Opening a network from a run folder or a saved file; for any other path the error says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_menndl.annotation.files import is_label_image, is_zarr_group
from napari_menndl.annotation.points import FILES as POINTS
from napari_menndl.errors import InputError, as_number
from napari_menndl.files import check_new, named
from napari_menndl.movie.formats import by_content, by_suffix
from napari_menndl.movie.ome_zarr import is_zarr
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.run_config import NAME

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

SUFFIX = ".safetensors"
_EXPECTED = f"a run folder, or a network saved from one ({SUFFIX})"
#: Suffixes of other programs' files that may hold networks, and their description in errors.
_FOREIGN = {
    ".pt": "a file of PyTorch, which could execute code when it is opened",
    ".pth": "a file of PyTorch, which could execute code when it is opened",
    ".ckpt": "a checkpoint of another program",
    ".onnx": "a network of ONNX, for other programs",
    ".keras": "a network of Keras",
    ".pb": "a network of TensorFlow",
    ".pkl": "a pickle, which could execute code when it is opened",
    ".joblib": "a pickle, which could execute code when it is opened",
    ".ilp": "a project of ilastik",
    ".zip": "a zip, such as a package of bioimage.io, for other programs",
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


@dataclass(frozen=True)
class ExportFormat:
    """A format that networks can be saved in.

    Attributes
    ----------
    name, suffix : str
    ours : bool
        Whether napari-menndl opens it.
    write : callable
        Writes a network to a path, without the members that the format cannot hold if the third argument is True, and
        returns the path.
    """

    name: str
    suffix: str
    ours: bool
    write: Callable[[TrainedNetwork | Ensemble, Path, bool], Path]


def _write_onnx(network: TrainedNetwork | Ensemble, path: Path, networks_only: bool) -> Path:
    from napari_menndl.predict.export.onnx_file import export_onnx

    return export_onnx(network, path, networks_only)


def _write_bioimageio(network: TrainedNetwork | Ensemble, path: Path, networks_only: bool) -> Path:
    from napari_menndl.predict.export.bioimageio import export_bioimageio

    return export_bioimageio(network, path, networks_only)


#: Formats that networks can be saved in; the first is the default.
EXPORT_FORMATS = (
    ExportFormat("safetensors", SUFFIX, True, lambda network, path, _: network.save(path)),
    ExportFormat("onnx", ".onnx", False, _write_onnx),
    ExportFormat("bioimageio", ".zip", False, _write_bioimageio),
)


def export_format(path: str | os.PathLike[str], name: str | None = None) -> ExportFormat:
    """Return the format of a name or, without one, of a file's suffix: safetensors for an unknown one.

    Raises
    ------
    InputError
        If there is no such format, or the file has the suffix of another.
    """
    by_file = {one.suffix: one for one in EXPORT_FORMATS}.get(Path(path).suffix.lower())
    if name is None:
        return by_file or EXPORT_FORMATS[0]
    by_name = {one.name: one for one in EXPORT_FORMATS}
    if name not in by_name:
        raise InputError(f"a format among {', '.join(by_name)}", repr(name), "Choose one of them.")
    if by_file and by_file.name != name:
        raise InputError(f"a file with the suffix {by_name[name].suffix}", f"{path}", "Choose another name or format.")
    return by_name[name]


def export_network(
    network: TrainedNetwork | Ensemble,
    path: str | os.PathLike[str],
    to: str | None = None,
    *,
    networks_only: bool = False,
    overwrite: bool = False,
) -> Path:
    """Save a network as one file, for napari-menndl or other programs.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
        Such as `Run.best`, or what `open_network` returned; `with_texts` sets title, authors, licence and more.
    path : path
    to : str, optional
        ``"safetensors"``, ``"onnx"`` or ``"bioimageio"``; by default that of the suffix: .safetensors, .onnx, .zip.
    networks_only : bool
        Leave out the members that the format cannot hold: Fourier filters, in ONNX and bioimage.io.
    overwrite : bool

    Returns
    -------
    Path
        With the suffix added if it lacked it.

    Raises
    ------
    InputError
        If the file exists or cannot be written, there is no such format, or it cannot hold the network.
    """
    form = export_format(path, to)
    return form.write(network, network_file(path, overwrite, form.suffix), networks_only)


def network_file(path: str | os.PathLike[str], overwrite: bool = False, suffix: str = SUFFIX) -> Path:
    """Return the file to save a network to: the path with the suffix added if it lacks it.

    Raises
    ------
    InputError
        If it is a folder, or a file that exists and `overwrite` is False.
    """
    file = named(Path(path).expanduser(), "the network")
    if file.suffix.lower() != suffix:
        file = file.with_name(file.name + suffix)
    if file.is_dir():
        raise InputError("a new file for the network", f"the folder {file}", "Choose another name.")
    check_new(file, overwrite=overwrite)
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
            given = f"{threshold:g}" if isinstance(threshold, float) else f"{threshold}"
            raise InputError("a threshold above 0, up to 1", f"{given} for {name}", "Give a probability.")
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
        if is_zarr_group(path) and Prediction.exists_at(path):
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
        return foreign, "Search with napari-menndl, or have a network of it exported as .safetensors."
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
