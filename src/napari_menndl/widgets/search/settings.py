"""Settings in the form of the dock "Search networks"."""

# No postponed annotations: the form needs the types themselves.

from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from napari.layers import Image, Labels

from napari_menndl.search.settings import SearchSettings
from napari_menndl.settings import setting


@dataclass(frozen=True)
class LearnSettings:
    """Movie, annotation and frames to learn from."""

    movie: Image | None = setting(None, "Movie", note="The movie to learn from")
    annotation: Labels | None = setting(None, "Annotation", note="What an expert says of some of its frames")
    frames: str = setting(
        "",
        "Frames",
        note='Annotated frames to learn from, as in "0, 5-8"; the one in view is offered',
    )


@dataclass(frozen=True)
class PlaceSettings:
    """Run folder of the search."""

    run: Path = setting(Path(), "Run folder", note="A new folder, in which the search is kept", form={"mode": "w"})


#: Settings of a search that a person may want to change in a window.
ADVANCED = ("population", "pixels", "rungs", "eta", "members", "tournament", "crossover", "random", "timeout", "seed")


def _advanced() -> type:
    hints = get_type_hints(SearchSettings)
    by_name = {one.name: one for one in fields(SearchSettings)}
    space = setting(
        Path(),
        "Search space",
        note="JSON that says which networks are considered (SearchSpace.save); empty: small ones",
        form={"mode": "r", "filter": "*.json"},
    )
    start_from = setting(
        Path(),
        by_name["start_from"].metadata["title"],
        note="A saved network or a run folder, whose networks are born first; empty: none",
        form={"mode": "r", "filter": "*.safetensors"},
    )
    chosen: list[tuple[str, Any, Any]] = [("start_from", Path, start_from), ("space", Path, space)]
    for name in ADVANCED:
        one = by_name[name]
        chosen.append((name, hints[name], field(default=one.default, metadata=one.metadata)))
    limits = {key: by_name["networks_per_gpu"].metadata[key] for key in ("min", "max")}
    sharing = setting(
        1, "Networks per GPU", note="How many share a GPU; 1: what fits, or what the pool file says", **limits
    )
    chosen.append(("networks_per_gpu", int, sharing))
    return make_dataclass("AdvancedSettings", chosen, frozen=True)


#: Where to start from, search space and the settings named above, with titles, limits and help of `SearchSettings`.
AdvancedSettings = _advanced()
