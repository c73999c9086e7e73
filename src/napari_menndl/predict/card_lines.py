"""Everything that is known of a network as lines of text, for the terminal and for documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.genome.describe import describe
from napari_menndl.movie.preparation import describe as describe_steps
from napari_menndl.predict.ensemble import members_of
from napari_menndl.predict.resample import RANGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.predict.card import Card
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

NOT_STATED = "not stated"


def card_lines(network: TrainedNetwork | Ensemble) -> dict[str, list[str]]:
    """Return everything that is known of a network, as lines under headings: for the terminal and for documents.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble

    Returns
    -------
    dict of str to list of str
        At least one line under each heading.
    """
    card, members = network.card, members_of(network)
    genomes = list({one.bred_genome.digest: one.bred_genome for one in members}.values())
    what = "one network" if len(members) == 1 else f"the mean of {len(members)} networks of {_counted(len(genomes))}"
    found = {
        "Network": [card.title or "without a title", *([card.about] if card.about else []), what],
        "Classes": [_class_line(network, c) for c in range(len(network.class_names))],
        "Trained on": _training_lines(network),
        "Valid for": list(_range_lines(network)),
        "Genomes": ["; ".join(describe(genome)) for genome in genomes],
        "Made": [" ".join(filter(None, (card.created, _versions(card)))) or NOT_STATED],
        "Licence": [card.licence or f"{NOT_STATED}: ask who trained it before you pass it on"],
    }
    people = {"Authors": list(card.authors), "Cite": list(card.cite)}
    return found | {heading: lines for heading, lines in people.items() if lines}


def _class_line(network: TrainedNetwork | Ensemble, c: int) -> str:
    name, threshold, rule = network.class_names[c], network.thresholds[c], network.match_rules[c]
    said = f"from a probability of {threshold:.2f}" if threshold <= 1 else "never predicted"
    judged = {one.name: one for one in network.card.scores}.get(name)
    if judged is None:
        return f"{name}: {said}, {_match(rule)}"
    return (
        f"{name}: {said}, {_match(rule)}; out of fold F1 {judged.f1:.2f}, average precision "
        f"{judged.average_precision:.2f}, {judged.tp} found, {judged.fp} false, {judged.fn} missed"
        + (f" (at {judged.threshold:.2f})" if abs(judged.threshold - threshold) > 0.005 and threshold <= 1 else "")
    )


def _match(rule: MatchRule) -> str:
    return "matched by overlap" if rule.extended else f"matched within {rule.tolerance:.3g} px"


def _training_lines(network: TrainedNetwork | Ensemble) -> list[str]:
    card, shape = network.card, network.frame_shape
    lines = []
    if card.movie:
        frames = f"frame {card.frames[0]}" if len(card.frames) == 1 else f"frames {', '.join(map(str, card.frames))}"
        lines.append(f"{card.movie}, {frames if card.frames else 'some frames'}")
    if shape:
        lines.append(f"frames of {shape[0]} × {shape[1]} px")
    if card.defects:
        lines.append("labelled defects: " + ", ".join(f"{name} {count}" for name, count in card.defects.items()))
    if network.steps:
        lines.append(f"prepared: {describe_steps(network.steps)}, which prediction repeats")
    if card.recording.line:
        lines.append(f"recorded with {card.recording.line}")
    if card.fitness is not None:
        error = "" if card.error is None else f" ± {card.error:.2f}"
        lines.append(f"fitness {card.fitness:.2f}{error}, out of fold on these frames")
    return lines or [NOT_STATED]


def _range_lines(network: TrainedNetwork | Ensemble) -> Iterator[str]:
    size = network.pixel_size
    if size:
        low, high = (" × ".join(f"{side * factor:.3g}" for side in size) for factor in (1 / RANGE, RANGE))
        yield f"pixels of {low} to {high} nm; trained at {' × '.join(f'{side:.4g}' for side in size)} nm"
    else:
        yield "pixels of the same, unknown size"
    if network.reach:
        yield f"movies: it looks at {network.reach} neighbouring frames on each side"
    seen = members_of(network)[0].seen
    yield from seen[0].lines(size) if seen else ["contrast, noise and lattice: unknown, from an earlier version"]


def _versions(card: Card) -> str:
    known = [f"{name} {card.versions[name]}" for name in ("napari-menndl", "torch") if name in card.versions]
    return f"with {', '.join(known)}" if known else ""


def _counted(genomes: int) -> str:
    return "one genome" if genomes == 1 else f"{genomes} genomes"
