"""Networks and ensembles as ONNX files: frames as recorded in, probabilities out."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.genome.genes import FourierInput
from napari_menndl.movie.neighbours import OFFSETS
from napari_menndl.predict.card_lines import card_lines
from napari_menndl.predict.ensemble import Ensemble, members_of

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from onnx import ModelProto

    from napari_menndl.predict.trained import TrainedNetwork

#: Names of input and output.
FRAMES, PROBABILITIES = "frames", "probabilities"
#: Largest difference to torch's probabilities on the frames of the check.
CLOSE = 1e-4
INSTALL = 'Install the extra: pip install "napari-menndl[export]".'
#: Version of the file format, that of ONNX 1.13, which reads `onnx_graph.OPSET`.
_IR = 8
#: Shape of the frames of the check [px]: odd, and no multiple of a stride.
_CHECKED = (61, 83)


def export_onnx(network: TrainedNetwork | Ensemble, path: str | os.PathLike[str], networks_only: bool = False) -> Path:
    """Write a network or an ensemble as one ONNX file that needs nothing else.

    The graph takes frames as they were recorded, of any size: averages with neighbours, normalisation, filters, all
    networks and their mean are in it. Before it is written, its probabilities are compared with torch's.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    path : path
    networks_only : bool
        Leave out the members that ONNX cannot hold, see `without_fourier`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If a member is a Fourier filter, if the package onnx or onnxruntime is missing, if the file cannot be written,
        or if its probabilities are not torch's.
    """
    model = make_model(without_fourier(network) if networks_only else network)
    path = Path(path)
    try:
        atomic_write(path, model.SerializeToString())
    except OSError as problem:
        raise InputError("a place that can be written", f"{path}: {problem}", "Choose another folder.") from problem
    return path


def make_model(network: TrainedNetwork | Ensemble) -> ModelProto:
    """Return the checked ONNX model of `export_onnx`."""
    _check_members(network)
    try:
        import onnx

        from napari_menndl.predict.export.onnx_graph import OPSET, Graph
        from napari_menndl.predict.export.onnx_inputs import Channels
        from napari_menndl.predict.export.onnx_layers import add_network
    except ImportError as problem:
        raise InputError("the package onnx", f"{problem}", INSTALL) from problem

    members = members_of(network)
    weights = network.weights if isinstance(network, Ensemble) else ()
    classes, planes = len(network.class_names), number_of_planes(network)
    shares = np.asarray(weights or np.full((len(members), classes), 1 / len(members)), np.float32)
    graph = Graph()
    channels = Channels(graph, FRAMES)
    said = [add_network(graph, one.plan, one.weights, channels.of(one.genome)) for one in members]
    mean = graph.weighted_sum(said, list(shares[:, None, :, None, None]))
    graph.add_output(_only_of_frames(graph, mean), PROBABILITIES)
    kind = onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        graph.nodes,
        "napari-menndl",
        [onnx.helper.make_tensor_value_info(FRAMES, kind, [1, planes, "height", "width"])],
        [onnx.helper.make_tensor_value_info(PROBABILITIES, kind, [1, classes, "height", "width"])],
        graph.tensors,
        doc_string=" ".join(usage(network)),
    )
    opset = [onnx.helper.make_operatorsetid("", OPSET)]
    model = onnx.helper.make_model(made, opset_imports=opset, producer_name="napari-menndl", ir_version=_IR)
    model.doc_string = text_of(network)
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata(network).items()})
    onnx.checker.check_model(model)
    _compare(network, model, planes)
    return model


def number_of_planes(network: TrainedNetwork | Ensemble) -> int:
    """Return the number of frames that the graph takes at a time: 1, or a frame and its neighbours."""
    return 1 + len(OFFSETS) if network.reach else 1


def usage(network: TrainedNetwork | Ensemble) -> list[str]:
    """Return what a program has to know of input and output, a sentence each."""
    planes, size = number_of_planes(network), network.pixel_size
    if planes > 1:
        order = ", ".join(f"{offset:+d}" for offset in OFFSETS)
        given = f"the frame, then its neighbours {order}, each moved by whole pixels to lie on it"
        shape = f"{FRAMES}: (1, {planes}, height, width) float32: {given}, or the nearest other that there is."
    else:
        shape = f"{FRAMES}: (1, 1, height, width) float32: one frame."
    return [
        shape,
        "Grey values as recorded, not normalised: that is in the graph, and takes its statistics from the whole frame, "
        "so give whole frames, not tiles.",
        "Every pixel has a value: with NaN or infinity in a frame, all probabilities are NaN.",
        f"Resample frames to pixels of {' × '.join(f'{side:.4g}' for side in size)} nm first."
        if size
        else "The pixel size of the frames trained on is unknown: give frames that look alike, pixel for pixel.",
        *(["Prepare the movie as that trained on: see the text."] if network.steps else []),
        f"{PROBABILITIES}: (1, {len(network.class_names)}, height, width) float32 from 0 to 1, for the classes "
        f"{', '.join(network.class_names)}; a pixel has a class from its threshold on; 0 in a frame without contrast.",
    ]


def metadata(network: TrainedNetwork | Ensemble) -> dict[str, Any]:
    """Return what a program may want to read of a network, by name, for JSON."""
    return {
        "classes": list(network.class_names),
        "thresholds": list(network.thresholds),
        "tolerances_px": [rule.tolerance for rule in network.match_rules],
        "extended": [rule.extended for rule in network.match_rules],
        "minimum_areas_px": [rule.min_area for rule in network.match_rules],
        "pixel_size_nm": list(network.pixel_size) if network.pixel_size else None,
        "neighbours": list(OFFSETS) if network.reach else [],
        "preparation": [step.to_json() for step in network.steps],
        "usage": usage(network),
        "card": network.card.to_json(),
        "digest": network.digest,
    }


def text_of(network: TrainedNetwork | Ensemble) -> str:
    """Return the card and the usage as text."""
    sections = {**card_lines(network), "Use": usage(network)}
    return "\n\n".join("\n".join([heading, *(f"- {line}" for line in lines)]) for heading, lines in sections.items())


def without_fourier(network: TrainedNetwork | Ensemble) -> TrainedNetwork | Ensemble:
    """Return the ensemble of the members that ONNX can hold, if that is not all.

    Its thresholds were chosen for all members, and its scores are unknown: the card has none.

    Raises
    ------
    InputError
        If there is no such member, or a class that only the others predict.
    """
    members = members_of(network)
    kept = [i for i, one in enumerate(members) if not _with_fourier(one)]
    if len(kept) == len(members):
        return network
    if not kept or not isinstance(network, Ensemble):
        found = "the Fourier method alone"
        raise InputError("a network for each class", found, "Save it as .safetensors, for napari-menndl.")
    few = network.some(kept)
    about = f"{len(members) - len(kept)} of {len(members)} members, Fourier filters, are left out: not scored again."
    card = replace(few.card, fitness=None, error=None, scores=(), about=f"{few.card.about} {about}".strip())
    return replace(few, card=card)


def _with_fourier(network: TrainedNetwork) -> bool:
    return any(isinstance(one, FourierInput) for one in network.genome.inputs)


def _check_members(network: TrainedNetwork | Ensemble) -> None:
    members = members_of(network)
    other = [i for i, one in enumerate(members) if _with_fourier(one)]
    if other:
        raise InputError(
            "networks on frames, filters and blobs, which ONNX can hold",
            f"{len(other)} of {len(members)} members with the Fourier method, whose cuts at Bragg spots ONNX cannot",
            "Export the others alone (--networks-only, in Python networks_only=True), or all as .safetensors."
            if len(other) < len(members)
            else "Save it as .safetensors, for napari-menndl.",
        )


def _only_of_frames(graph: Any, probabilities: str) -> str:
    """Return probabilities that are NaN if a pixel of the frames is not finite, and 0 without contrast."""
    frame = graph.add("Gather", FRAMES, graph.constant([0], "int"), axis=1)
    flat = graph.add("Equal", graph.reduce("Max", frame), graph.reduce("Min", frame))
    said = graph.add("Where", flat, graph.constant(0), probabilities)
    wrong = graph.add("Or", graph.add("IsNaN", FRAMES), graph.add("IsInf", FRAMES))
    any_wrong = graph.cast(graph.reduce("Max", graph.cast(wrong, "float")), "bool")
    return graph.add("Where", any_wrong, graph.constant(np.nan), said)


def probabilities_of(model: ModelProto, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a model in onnxruntime.

    Parameters
    ----------
    model : ModelProto
    frames : (P, Y, X) float32

    Returns
    -------
    (C, Y, X) float32
    """
    try:
        import onnxruntime
    except ImportError as problem:
        raise InputError("the package onnxruntime", f"{problem}", INSTALL) from problem
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (said,) = session.run([PROBABILITIES], {FRAMES: frames[None]})
    found: NDArray[np.float32] = said[0]
    return found


def random_frames(network: TrainedNetwork | Ensemble, shape: tuple[int, int] = _CHECKED) -> NDArray[np.float32]:
    """Return frames (P, Y, X) float32 of noise and dots, to compare predictions on."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    dots = 60 * np.cos(2 * np.pi * y / 9.3) * np.cos(2 * np.pi * x / 11.1)
    noise = rng.normal(0, 20, (number_of_planes(network), *shape))
    return (1000 + dots + noise).astype(np.float32)


def _compare(network: TrainedNetwork | Ensemble, model: ModelProto, planes: int) -> None:
    """Raise InputError if the model's probabilities are not those of torch."""
    frames = random_frames(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about a frame that is not the user's
        ours = network.predict_frame(frames if planes > 1 else frames[0], network.pixel_size)
    off = float(np.abs(probabilities_of(model, frames) - ours).max())
    if not off <= CLOSE:
        raise InputError(
            f"probabilities of ONNX within {CLOSE:g} of torch's",
            f"{off:.2g} apart on a frame of noise and dots",
            "Save it as .safetensors, and tell the developers.",
        )
