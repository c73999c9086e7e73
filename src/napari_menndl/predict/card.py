"""Card of a network: what it was trained on, how well it scored, what it is valid for, who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.genome.describe import describe
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.movie.metadata import UNKNOWN, Metadata
from napari_menndl.movie.preparation import describe as describe_steps
from napari_menndl.predict.resample import RANGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

NOT_STATED = "not stated"
#: Texts that a person may set.
TEXTS = ("title", "about", "licence", "authors", "cite")


@dataclass(frozen=True)
class Card:
    """What a colleague needs to know of a network beyond its weights, genome, classes and thresholds.

    Attributes
    ----------
    title, about : str
        Name and description, free to set.
    licence : str
        Of the weights, free to set: an SPDX identifier such as ``"CC-BY-4.0"``; empty: not stated.
    authors, cite : tuple of str
        Names of people, and publications as text, DOI or web address; free to set.
    movie : str
        Name of the movie trained on.
    frames : tuple of int
        Numbers of its labelled frames.
    recorded : tuple of (int, str)
        Number and digest of each recorded frame trained on, by which a movie is recognised; with those that the weights
        it began with were trained on.
    task : str
        Digest of the training task.
    defects : dict of str to int
        Number of labelled defects of each class.
    recording : Metadata
        How the movie was recorded: dose, beam energy and more.
    fitness, error : float or None
        Out-of-fold fitness and its standard error.
    scores : tuple of ClassScore
        Out-of-fold scores of each class.
    versions : dict of str to str
        Versions of the packages that trained it.
    created : str
        Date, as in ``"2026-05-31"``.
    """

    title: str = ""
    about: str = ""
    licence: str = ""
    authors: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()
    movie: str = ""
    frames: tuple[int, ...] = ()
    recorded: tuple[tuple[int, str], ...] = ()
    task: str = ""
    defects: Mapping[str, int] = field(default_factory=dict)
    recording: Metadata = UNKNOWN
    fitness: float | None = None
    error: float | None = None
    scores: tuple[ClassScore, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    def with_texts(self, **texts: str | tuple[str, ...]) -> Card:
        """Return the card with some of the texts that a person may set: `TEXTS`; empty ones change nothing.

        Raises
        ------
        InputError
            For another name, or a text that is none.
        """
        for name, text in texts.items():
            many = name in ("authors", "cite")
            parts = text if many and isinstance(text, (tuple, list)) else (text,)
            if name not in TEXTS or not all(isinstance(part, str) for part in parts) or many is isinstance(text, str):
                raise InputError(
                    f"texts for {', '.join(TEXTS)}; tuples of them for authors and cite",
                    f"{name}={text!r}",
                    "Correct it.",
                )
        given = {name: text if isinstance(text, str) else tuple(text) for name, text in texts.items() if text}
        return replace(self, **given)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return what is known as plain data."""
        plain = {
            **vars(self),
            "recording": self.recording.to_json(),
            "scores": [vars(one) for one in self.scores],
            "defects": dict(self.defects),
            "versions": dict(self.versions),
        }
        return {name: value for name, value in plain.items() if value not in ("", (), [], {}, None)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Card:
        """Read the output of `to_json`; names that newer versions added are ignored.

        Raises
        ------
        InputError, KeyError, TypeError, ValueError, AttributeError
            For anything else.
        """

        def number(name: str) -> float | None:
            return None if data.get(name) is None else float(data[name])

        return cls(
            **{name: str(data.get(name, "")) for name in ("title", "about", "licence", "movie", "task", "created")},
            authors=tuple(map(str, data.get("authors", ()))),
            cite=tuple(map(str, data.get("cite", ()))),
            frames=tuple(map(int, data.get("frames", ()))),
            recorded=tuple((int(t), str(digest)) for t, digest in data.get("recorded", ())),
            defects={str(name): int(count) for name, count in data.get("defects", {}).items()},
            recording=Metadata.from_json(data.get("recording", {})),
            fitness=number("fitness"),
            error=number("error"),
            scores=tuple(ClassScore(**one) for one in data.get("scores", ())),
            versions={str(name): str(version) for name, version in data.get("versions", {}).items()},
        )


def members_of(network: TrainedNetwork | Ensemble) -> tuple[TrainedNetwork, ...]:
    """Return the members of an ensemble, or the one network."""
    alone: Any = (network,)
    members: tuple[TrainedNetwork, ...] = getattr(network, "members", alone)
    return members


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
    genomes = list({one.bred.digest: one.bred for one in members}.values())
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
    name, threshold, rule = network.class_names[c], network.thresholds[c], network.detectors[c]
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
