"""Card of a network: what it was trained on, how well it scored, what it is valid for, who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.movie.metadata import UNKNOWN, Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Texts that a person may set.
TEXTS = ("title", "about", "licence", "authors", "cite")


@dataclass(frozen=True)
class Card:
    """Card of a saved network: origin, scores, validity and licence, beyond weights and genome.

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
