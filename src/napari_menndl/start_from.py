"""Founders of a search from another search: the genomes of a network file or a run, with what they have learned."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.plan import make_plan
from napari_menndl.movie.identity import frame_digest
from napari_menndl.network.checksum import is_intact
from napari_menndl.network.inputs import is_fitted_later
from napari_menndl.network.module import PRIOR
from napari_menndl.network.weights import from_bytes, of_fold, to_bytes
from napari_menndl.opening import is_run, open_network
from napari_menndl.predict.ensemble import members_of
from napari_menndl.predict.resample import SAME
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.run import Run
from napari_menndl.search.candidate import EvaluationKey, Founder, GivenFounders
from napari_menndl.search.folder import RunFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.card import Card
    from napari_menndl.task.task import TrainingTask

#: Largest number of founders taken from a run: the members of its answer, then the best of the other networks.
MOST = 8


@dataclass(frozen=True)
class _Source:
    """A genome of another search with its trained networks, and with those of its folds where they are known."""

    genome: Genome
    networks: Sequence[TrainedNetwork]
    by_fold: Mapping[int, Mapping[str, Tensor]]


def read_founders(path: str | os.PathLike[str], movie: Movie, task: TrainingTask, space: SearchSpace) -> GivenFounders:
    """Read founders from a network file, or from a run folder: its answer, then its best other networks.

    Their weights are inherited layer by layer, as those of parents are. Of networks that have been trained on this
    movie only the genomes are taken: the new search would judge them on what they have seen. Of a run with the same
    training task the networks of the folds are taken, each of which has not seen its fold.

    Parameters
    ----------
    path : path
        A file that `export_network` wrote as .safetensors, or a run folder, its search running or not.
    movie : Movie
        The movie to be searched on.
    task : TrainingTask
        The task of the new search.
    space : SearchSpace
        Its search space.

    Raises
    ------
    InputError
        If it is neither, has found nothing yet, or none of its genomes can be built for this task.

    Warns
    -----
    UserWarning
        Of what is not taken over, and why.
    """
    path = Path(path).expanduser()
    card, sources = _of_run(path) if is_run(path) else _of_file(path)
    same_task = is_run(path) and card.task == task.digest
    notes = []
    unseen = same_task or _is_unseen(card, movie, task)
    if unseen is None:
        notes.append("what its networks were trained on is unknown, so their genomes alone are taken")
    elif not unseen:
        notes.append("its networks were trained on this movie, so their genomes alone are taken")
    elif words := _pixels(sources[0].networks[0], task):
        notes.append(words)
    founders: list[Founder] = []
    weights: dict[EvaluationKey, bytes] = {}
    outside = 0
    for source in sources:
        genome = space.inputs.narrowed(source.genome)
        try:
            make_plan(genome, len(task.class_names))
        except GenomeError as problem:
            notes.append(f"a network is left out ({problem.reason})")
            continue
        if genome.digest in {one.genome.digest for one in founders}:
            continue
        outside += not _is_inside(genome, space)
        key = None
        if unseen and (taken := _weights(source, genome, task, same_task)):
            key = EvaluationKey.given(len(founders))
            weights[key] = taken
        founders.append(Founder(f"founder {path.stem} {len(founders) + 1}", genome, key))
    if not founders:
        raise InputError("a network that can be built for this task", f"none in {path}", "Start without it.")
    if outside:
        notes.append(f"{outside} of {len(founders)} lie outside of the search space: judged, but without offspring")
    if unseen and (new := [name for name in task.class_names if name not in sources[0].networks[0].class_names]):
        notes.append(f"new to its networks: {', '.join(new)}")
    if notes:
        warnings.warn(f"Starting from {path}: {'; '.join(notes)}.", stacklevel=3)
    return GivenFounders(tuple(founders), weights, card.recorded if weights else ())


def _of_file(path: Path) -> tuple[Card, list[_Source]]:
    opened = open_network(path)
    by_genome: dict[str, list[TrainedNetwork]] = {}
    for one in members_of(opened):
        by_genome.setdefault(one.bred_genome.digest, []).append(one)
    return opened.card, [_Source(networks[0].bred_genome, networks, {}) for networks in by_genome.values()]


def _of_run(path: Path) -> tuple[Card, list[_Source]]:
    run = Run(RunFolder.open(path))
    card, sources = _of_best(run)
    reader = run.folder.reader
    reader.read()
    answer = reader.status.answer
    keys = {one.id: one.key for one in answer.members} if answer else {}
    keys |= {one.id: one.key for one in reader.leaders() if one.id not in keys}
    found: list[_Source] = []
    for identity, key in list(keys.items()):
        blob = run.folder.read_weights(key)
        born = reader.birth(identity).candidate
        networks = sources.get(born.genome.digest, [])
        by_fold: dict[int, dict[str, Tensor]] = {}
        if is_intact(blob):
            tensors, _ = from_bytes(blob)
            folds = sorted({int(fold) for name in tensors if (fold := name.partition("/")[0]).isdigit()})
            by_fold = {fold: of_fold(tensors, fold) for fold in folds}
            chance = (0.5,) * len(run.task.class_names)
            networks = networks or [
                TrainedNetwork.from_evaluation(born.genome, run.task, blob, chance, fold) for fold in folds
            ]
        if networks and len(found) < MOST:
            found.append(_Source(born.genome, networks, by_fold))
    return card, found


def _of_best(run: Run) -> tuple[Card, dict[str, list[TrainedNetwork]]]:
    """Return the card of a run's answer, and its networks by the digest of their genome."""
    best = run.best
    networks: dict[str, list[TrainedNetwork]] = {}
    for one in members_of(best):
        networks.setdefault(one.bred_genome.digest, []).append(one)
    return best.card, networks


def _is_unseen(card: Card, movie: Movie, task: TrainingTask) -> bool | None:
    """Whether a network was trained on other movies; None if that is unknown."""
    if not card.recorded:
        return None
    digests = {digest for _, digest in card.recorded}
    if task.origin and digests & {*task.origin.digests, *(digest for _, digest in task.origin.recorded)}:
        return False
    recorded = movie.raw
    for t, digest in card.recorded:
        if 0 <= t < len(recorded) and t not in recorded.absent:
            try:
                if frame_digest(recorded, t) == digest:
                    return False
            except InputError:  # a frame that cannot be read has taught nobody
                continue
    return True


def _is_inside(genome: Genome, space: SearchSpace) -> bool:
    try:
        space.check(genome)
    except GenomeError:
        return False
    return True


def _pixels(network: TrainedNetwork, task: TrainingTask) -> str:
    """Say how the pixel sizes differ; empty if they do not."""
    theirs, ours = network.pixel_size, task.pixel_size
    if theirs is None or ours is None:
        return "" if theirs is ours else "the pixel size of one of the movies is unknown"
    if max(abs(math.log(a / b)) for a, b in zip(theirs, ours, strict=True)) <= SAME:
        return ""
    ratio = math.sqrt(math.prod(ours) / math.prod(theirs))
    return f"its networks were trained at another pixel size, this movie's pixels are {ratio:.2g} times as large"


def _weights(source: _Source, genome: Genome, task: TrainingTask, same_task: bool) -> bytes:
    """Return weights as `training.evaluate` does, one network per fold; empty if none can be taken over."""
    first = source.networks[0]
    if same_task:
        networks = dict(source.by_fold)
    else:
        fits = first.class_names == task.class_names
        if not fits and any(is_fitted_later(one) for one in genome.inputs):
            return b""  # its inputs are those of other classes
        given = [_for_classes(one, task.class_names) for one in source.networks]
        networks = {fold: given[fold % len(given)] for fold in range(task.folds)}
    if not networks:
        return b""
    tensors = {f"{fold}/{name}": tensor for fold, own in networks.items() for name, tensor in own.items()}
    return to_bytes(tensors, {"described": json.dumps(genome.to_json()), "split": "0"})


def _for_classes(network: TrainedNetwork, class_names: Sequence[str]) -> dict[str, Tensor]:
    """Return a network's weights with a head for other classes: by name; a new class begins as rare everywhere."""
    weights = dict(network.weights)
    head = f"steps.{network.plan.nodes[-1].name}"
    for name, rest in ((f"{head}.weight", 0.0), (f"{head}.bias", math.log(PRIOR / (1 - PRIOR)))):
        old = weights[name]
        new = torch.full((len(class_names), *old.shape[1:]), rest)
        for c, one in enumerate(class_names):
            if one in network.class_names:
                new[c] = old[network.class_names.index(one)]
        weights[name] = new
    return weights
