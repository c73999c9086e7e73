"""AtomAI's U-Net as a rival, trained for a given time on tiles of the labelled frame.

AtomAI 0.8.1 is not among the benchmarks' requirements: it asks for torchvision and mendeleev, of which it uses nothing
here. Install it without dependencies, and beside it gpytorch, linear_operator, jaxtyping, networkx, progressbar2 and
opencv-python-headless. The network, loss, optimiser and batch size are AtomAI's own; so is the threshold, 0.5.
Tiles are turned and mirrored here: AtomAI's own augmentation stops at masks of more than four channels.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import tempfile
import time
import types
from contextlib import chdir, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rivals import ClassPredictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.task.task import TrainingTask

#: Tiles of the labelled frame, and their edge [px]; one in ten is AtomAI's test set.
TILES, EDGE, TEST = 1000, 64, 100
BATCH = 32
#: What AtomAI imports and does not use here.
UNUSED = {
    "torchvision": (),
    "torchvision.models": ("mobilenet_v2", "resnet50", "vgg16"),
    "torchvision.utils": ("make_grid",),
    "mendeleev": ("element",),
}
#: Training cycles, of a batch each, of two trials that tell how long one takes and what is spent beside.
TRIAL = (6, 30)


def is_there() -> bool:
    """Whether AtomAI is installed."""
    return importlib.util.find_spec("atomai") is not None


def segmentor(classes: int) -> Any:
    """A new U-Net of AtomAI's."""
    for name, imported in UNUSED.items():
        stub = types.ModuleType(name)
        vars(stub).update(dict.fromkeys(imported))
        sys.modules.setdefault(name, stub)
    import atomai

    return atomai.models.Segmentor("Unet", nb_classes=classes)


def fit_atomai(task: TrainingTask, seconds: float, seed: int) -> ClassPredictor:
    """Train for `seconds`, the trial that tells the pace included; frames are scaled to 0…1, as AtomAI does itself."""
    began = time.perf_counter()
    random.seed(seed)
    rng = np.random.default_rng(seed)
    frame, labels = scaled(task.frames[0]), task.labels[0]
    origins = rng.integers(0, np.array(frame.shape) - EDGE + 1, (TILES, 2))
    turns = rng.integers(0, 8, TILES)
    images = np.stack([cut(frame, *origin, turn) for origin, turn in zip(origins, turns, strict=True)])
    masks = np.stack([cut(labels, *origin, turn) for origin, turn in zip(origins, turns, strict=True)]).astype(np.int64)
    parts = images[TEST:, None], masks[TEST:], images[:TEST, None], masks[:TEST]
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    options = {"batch_size": BATCH, "seed": seed, "plot_training_history": False}
    try:
        # Weights are written to the current folder.
        with tempfile.TemporaryDirectory() as place, chdir(place), redirect_stdout(StringIO()):
            times = []
            for cycles in (1, *TRIAL):  # the first call takes longer
                trial = time.perf_counter()
                segmentor(len(task.class_names) + 1).fit(*parts, training_cycles=cycles, **options)
                times.append(time.perf_counter() - trial)
            short, long = times[1:]
            each = max((long - short) / (TRIAL[1] - TRIAL[0]), long / TRIAL[1] / 2)
            beside = max(short - each * TRIAL[0], 0.0)
            cycles = max(TRIAL[1], int((began + seconds - time.perf_counter() - beside) / each))
            model = segmentor(len(task.class_names) + 1)
            model.fit(*parts, training_cycles=cycles, **options)
    finally:
        torch.set_num_threads(threads)

    def respond(frame: NDArray[np.float32]) -> NDArray[np.float32]:
        with redirect_stdout(StringIO()):
            found = model.predict(scaled(frame)[None], compute_coords=False, verbose=False)
        found = np.asarray(found[0] if isinstance(found, tuple) else found)
        return np.moveaxis(found.reshape(*frame.shape, -1)[..., 1:], -1, 0).astype(np.float32)

    return ClassPredictor(respond, (0.5,) * len(task.class_names), {"cycles": cycles, "tiles": TILES, "edge": EDGE})


def cut(plane: NDArray[Any], y: int, x: int, turn: int) -> NDArray[Any]:
    """One tile, in one of the square's eight symmetries."""
    tile = np.rot90(plane[y : y + EDGE, x : x + EDGE], turn)
    return tile if turn < 4 else tile[:, ::-1]


def scaled(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 0…1."""
    return ((frame - frame.min()) / np.ptp(frame)).astype(np.float32)
