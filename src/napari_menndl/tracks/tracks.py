"""Defects through time: trajectories, events and rates of a movie's defects."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS
from napari_menndl.movie.calibration import given_frame_time, given_pixel_size
from napari_menndl.tables import parquet_is_installed, write_table
from napari_menndl.tracks.drift import shifts_of_frames
from napari_menndl.tracks.events import AT_BORDER, EVENTS, Rules, Trajectory, find_events
from napari_menndl.tracks.linking import link_defects
from napari_menndl.tracks.observed import Observed, borders_of_frames, frame_shape, frames_looked_at
from napari_menndl.tracks.rates import TOTAL, event_rates
from napari_menndl.tracks.reading import agreed, frame_time_in, one_movie, pixel_size_in, read_defects, understood
from napari_menndl.tracks.settings import TrackSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

#: Reach and smallest move [nm] and smallest growth [nm²] where the settings are 0 (`TrackSettings`).
REACH, MOVE, GROWTH = 0.42, 0.15, 0.04
#: The same in radii, and areas, of a disc of the defects' median area, without a pixel size.
_REACH_RADII, _MOVE_RADII = 5.0, 2.0
#: Columns of a table of trajectories: the number of the trajectory, then those of the defect.
TRACK_COLUMNS = ("track", *DEFECT_COLUMNS)
TABLES = ("trajectories", "events", "rates", "drift")


@dataclass(frozen=True, eq=False)
class Tracks:
    """The defects of a movie, followed from frame to frame.

    Attributes
    ----------
    trajectories : DataFrame
        A row per defect and frame, with `TRACK_COLUMNS` and any further columns of the table of defects.
    events : DataFrame
        With `events.EVENT_COLUMNS`.
    rates : DataFrame
        With `rates.RATE_COLUMNS`.
    drift : DataFrame
        Columns frame, time_s, y, x [px], estimated: shift of the sample since the first frame, and whether the defects
        showed it.
    settings : TrackSettings
        As used: lengths that were 0 are filled in.
    observed : Observed
    notes : tuple of str
        What had to be assumed, or was left out, in sentences.
    """

    trajectories: pd.DataFrame
    events: pd.DataFrame
    rates: pd.DataFrame
    drift: pd.DataFrame
    settings: TrackSettings
    observed: Observed = field(repr=False)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.trajectories["track"].nunique())

    def summary(self) -> dict[str, Any]:
        """Return settings, units, numbers of events and notes, for JSON."""
        length, time = self.observed.units
        counted = self.events[self.events["counted"]]
        lengths = self.trajectories.groupby("track").size()
        return {
            "trajectories": len(self),
            "unconfirmed": int((lengths < self.settings.confirm).sum()),
            "frames": len(self.observed),
            "units": {"length": length, "time": time},
            "pixel_size": self.observed.pixel_size,
            "dose": self.observed.dose,
            "settings": asdict(self.settings),
            "events": {e: int((self.events["event"] == e).sum()) for e in (*EVENTS, *AT_BORDER)},
            "counted": {e: int((counted["event"] == e).sum()) for e in EVENTS},
            "rates": [
                {str(k): _plain(v) for k, v in row.items()}
                for row in self.rates[self.rates["interval"] == TOTAL].to_dict("records")
            ],
            "notes": list(self.notes),
        }

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the tables as CSV and, where pyarrow is installed, as Parquet; a plot; and ``tracks.json``.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        place = Path(folder).expanduser()
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("a folder that can be written", str(error), "Choose another place.") from error
        suffixes = (".csv", ".parquet") if parquet_is_installed() else (".csv",)
        written = [write_table(getattr(self, name), place / f"{name}{end}") for name in TABLES for end in suffixes]
        summary = place / "tracks.json"
        atomic_write(summary, (json.dumps(self.summary(), indent=1) + "\n").encode())
        from napari_menndl.tracks.plot import write_plot  # here: matplotlib is slow to import

        return [*written, summary, write_plot(self.plot(), place / "tracks.png")]

    def as_layer(self, name: str = "tracks") -> tuple[NDArray[np.float64], dict[str, Any], str]:
        """Return a layer of napari: data, attributes and the kind ``"tracks"``, as ``Layer.create`` takes them.

        The data are (n, 4) float64: number of the trajectory, frame, y, x [px]; scaled like the layer of the movie.
        """
        from napari_menndl.layer_data import grid

        table = self.trajectories.sort_values(["track", "frame"], kind="stable")
        classes = {one: number for number, one in enumerate(dict.fromkeys(table["class"]))}
        features = {
            "track": table["track"].to_numpy(),
            "class": table["class"].to_numpy(object),
            "class number": table["class"].map(classes).to_numpy(),
        }
        about = {
            "name": name,
            "features": pd.DataFrame(features),
            **grid(self.observed.pixel_size, self.observed.frame_time),
        }
        return table[["track", "frame", "y", "x"]].to_numpy(np.float64), about, "tracks"

    def plot(self) -> Figure:
        """Return a figure: defects of each class, and rates with their intervals, against time."""
        from napari_menndl.tracks.plot import plot_tracks

        return plot_tracks(self.trajectories, self.events, self.rates, self.observed)


def track_defects(
    defects: pd.DataFrame | str | os.PathLike[str],
    settings: TrackSettings | None = None,
    *,
    shape: Sequence[int] | None = None,
    frames: Iterable[int] | int | None = None,
    pixel_size: float | Sequence[float] | None = None,
    frame_time: float | None = None,
    dose: float | None = None,
    recorded: Sequence[int] | None = None,
    drift: ArrayLike | None = None,
    movie: str | None = None,
    unit: str | None = None,
    linked: str | None = None,
    **changed: Any,
) -> Tracks:
    """Follow the defects in a table from frame to frame.

    The drift that most defects share is removed first; then defects are linked (`linking.link_defects`), across
    classes if they change in place, across frames in which they were missed.

    Parameters
    ----------
    defects : DataFrame or path
        Columns frame, y, x [px] and, where known, class and the others of `defect_table.DEFECT_COLUMNS`; or a CSV or
        Parquet file of these, or another program's table of points.
    settings : TrackSettings, optional
    shape : (Y, X) int [px], optional
        Of the frames; by default the smallest that holds all defects, with a warning.
    frames : iterable of int, or int, optional
        The frames looked at, or their number; by default those from the first to the last with a defect, with a warning
        if there are empty ones.
    pixel_size : float or (y, x) float [nm], optional
    frame_time : float [s], optional
    dose : float [e⁻/nm²], optional
        Electrons on an area in one frame.
    recorded : (Y, X) int [px], optional
        Of the recorded frames, of a movie whose drift was corrected: their borders move in the prepared ones.
    drift : (T, 2) float [px], optional
        Shift of the sample in each frame (y, x), if it is known; else it is estimated.
    movie : str, optional
        Of a table of several movies: the one to follow.
    unit : str, optional
        Of y and x in another program's table that does not say it: ``"px"`` (assumed) or ``"nm"``.
    linked : str, optional
        Column with the number of each defect's trajectory, if another program has linked them already.
    **changed
        Single settings, by name: ``reach=0.4``.

    Returns
    -------
    Tracks

    Raises
    ------
    InputError
        If the table lacks a column, says something else than what is given, or holds several movies; if trackpy is not
        installed.

    Warns
    -----
    UserWarning
        For each note of `Tracks.notes`.
    """
    chosen = replace(settings or TrackSettings(), **_known_names(changed))
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        warnings.warn(text, stacklevel=4)

    raw = defects if isinstance(defects, pd.DataFrame) else read_defects(defects)
    raw = one_movie(raw, movie)
    given_size = None if pixel_size is None else given_pixel_size(pixel_size)
    given_shape = None if shape is None else (int(tuple(shape)[-2]), int(tuple(shape)[-1]))
    table = understood(raw, given_size, unit, given_shape, note)
    size = agreed("a pixel size of", given_size, pixel_size_in(table), "nm")
    second = agreed(
        "a frame time of", None if frame_time is None else given_frame_time(frame_time), frame_time_in(table), "s"
    )
    if dose is not None and not 0 < dose < np.inf:
        raise InputError("a positive dose of a frame in e⁻/nm²", repr(dose), "Correct it, or leave it out.")
    looked_at = frames_looked_at(table, frames, note)
    area = _areas(table, size)
    chosen, rules = _filled(chosen, size, area)
    borders = frame_shape(table, given_shape, note)
    classes = list(dict.fromkeys(table["class"]))
    kinds = table["class"].map({name: c for c, name in enumerate(classes)}).to_numpy(np.intp)
    order = np.searchsorted(looked_at, table["frame"].to_numpy())
    places = table[["y", "x"]].to_numpy(np.float64)
    shifts, shown = shifts_of_frames(places, kinds, order, looked_at, borders, rules.reach, chosen.drift, drift, note)
    still = places - shifts[order]
    views = borders_of_frames(table, order, looked_at, borders, recorded) - np.tile(shifts, 2)
    observed = Observed(looked_at, views, shifts, size, second, dose)
    if size is None:
        note("The pixel size is unknown: lengths and areas are in pixels.")
    if second is None:
        note("The frame time is unknown: times are in frames.")

    numbers = link_defects(still, kinds, order, rules.reach, rules.gap) if linked is None else _linked(table, linked)
    names = table["class"].to_numpy(object)
    together = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[together])) + 1
    lines = [
        Trajectory(int(numbers[i[0]]), order[i], still[i], area[i], names[i])
        for i in np.split(together, starts)
        if len(i)
    ]
    events = find_events(lines, observed, rules)
    rates = event_rates(events, _present(lines, classes, len(observed), rules), classes, observed, rules, chosen.bins)
    trajectories = _columns(table, size, second, area).assign(track=numbers)
    trajectories = trajectories[["track", *(name for name in trajectories if name != "track")]]
    moved = pd.DataFrame({"frame": looked_at, "time_s": observed.times, "y": shifts[:, 0], "x": shifts[:, 1]})
    return Tracks(
        trajectories.sort_values(["track", "frame"], kind="stable", ignore_index=True),
        events,
        rates,
        moved.assign(estimated=shown),
        chosen,
        observed,
        tuple(notes),
    )


def _linked(table: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Return the trajectories that a column names, numbered from 0 in order of appearance."""
    if column not in table:
        raise InputError(f"a column {column!r} in the table", ", ".join(map(str, table.columns)), "Correct the name.")
    named = table[table[column].notna()]
    if (twice := named.duplicated(["frame", column])).any():
        first = named[twice].iloc[0]
        raise InputError(
            "one defect of a trajectory in a frame", f"two of {first[column]} in {first['frame']}", "Correct the table."
        )
    numbers = np.array(pd.factorize(table[column])[0], np.int64)
    alone = numbers < 0  # not linked: each a trajectory of its own
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(np.count_nonzero(alone))
    return numbers


def _known_names(changed: dict[str, Any]) -> dict[str, Any]:
    names = list(TrackSettings.__dataclass_fields__)
    if unknown := [name for name in changed if name not in names]:
        raise InputError(f"settings among {', '.join(names)}", ", ".join(unknown), "Correct or remove the name.")
    return changed


def _areas(table: pd.DataFrame, size: tuple[float, float] | None) -> NDArray[np.float64]:
    """Return the area of each defect [px²]; NaN if unknown."""
    for name, scale in (("area_px", 1.0), ("area_nm2", np.prod(size) if size else None)):
        if name in table and scale:
            area = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) / scale
            if np.isfinite(area).any():
                return area
    return np.full(len(table), np.nan)


def _filled(
    settings: TrackSettings, size: tuple[float, float] | None, area: NDArray[np.float64]
) -> tuple[TrackSettings, Rules]:
    """Return the settings with the lengths that are 0 filled in, and the rules in pixels."""
    if size is not None:
        usual, pixel = (REACH, MOVE, GROWTH), float(np.sqrt(np.prod(size)))
    else:
        # Of a table without defects any size will do.
        typical = float(np.nanmedian(area)) if np.isfinite(area).any() else np.nan if len(area) else 1.0
        radius, pixel = np.sqrt(typical / np.pi), 1.0
        usual = (_REACH_RADII * radius, _MOVE_RADII * radius, typical)
    reach, move, growth = (
        given or one for given, one in zip((settings.reach, settings.move, settings.growth), usual, strict=True)
    )
    if not (np.isfinite(reach) and np.isfinite(move)):
        raise InputError(
            "the pixel size, or the area of the defects, or how far they move",
            "a table that says none of these",
            "Give the pixel size, or reach and move in pixels.",
        )
    if not np.isfinite(growth):  # without areas nothing is known to grow
        growth = 0.0
    rules = Rules(reach / pixel, move / pixel, growth / pixel**2 or np.inf, settings.gap, settings.confirm)
    return replace(settings, reach=float(reach), move=float(move), growth=float(growth)), rules


def _present(lines: list[Trajectory], classes: Sequence[str], frames: int, rules: Rules) -> NDArray[np.int64]:
    """Return how many confirmed defects of each class were there in each frame, (C, K); missed ones count."""
    present = np.zeros((len(classes), frames), np.int64)
    for one in lines:
        if len(one.order) >= rules.confirm:
            names = one.settled_classes(rules.confirm)
            through = np.arange(one.order[0], one.order[-1] + 1)
            latest = names[np.searchsorted(one.order, through, side="right") - 1]
            present[[classes.index(name) for name in latest], through] += 1
    return present


def _columns(
    table: pd.DataFrame, size: tuple[float, float] | None, second: float | None, area: NDArray[np.float64]
) -> pd.DataFrame:
    """Return the table with all of `DEFECT_COLUMNS`, those that it lacks filled in where they are known."""
    scale = size or (np.nan, np.nan)
    known = {
        "time_s": table["frame"] * second if second else np.nan,
        "defect": table.groupby("frame").cumcount(),
        "y_nm": table["y"] * scale[0],
        "x_nm": table["x"] * scale[1],
        "area_px": area,
        "area_nm2": area * np.prod(scale),
        "confidence": np.nan,
        "agreement": np.nan,
        "site": np.nan,
    }
    lacking = {name: value for name, value in known.items() if name not in table or table[name].isna().all()}
    full = table.assign(**lacking)
    return full[[*DEFECT_COLUMNS, *(name for name in full if name not in DEFECT_COLUMNS and name != "track")]]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
