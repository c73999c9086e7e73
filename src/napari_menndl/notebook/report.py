"""Report of a search as one self-contained HTML page: data, settings, networks, scores, pictures, how to repeat it."""

from __future__ import annotations

import base64
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.genome.describe import describe
from napari_menndl.genome.layer_diagram import draw_svg, layer_diagram
from napari_menndl.metrics.components import label_components
from napari_menndl.notebook.plots import draw_history
from napari_menndl.notebook.review_plots import plot_errors
from napari_menndl.notebook.search_plots import plot_genes, plot_pareto, plot_population
from napari_menndl.progress import duration
from napari_menndl.review.panels import OUTCOME_KEY, Panel, counted, draw_panels, expert_panel, reviewed_panel
from napari_menndl.review.review import Review
from napari_menndl.search.settings import SearchSettings
from napari_menndl.search.views.lineage import lineage
from napari_menndl.search.views.messages import explain_no_network, never_predicted_by

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.figure import Picture
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.run import Run
    from napari_menndl.search.views.monitor import RunSnapshot
    from napari_menndl.search.views.reader import RunReader
    from napari_menndl.task.task import TrainingTask

#: Number of networks in the table, and of reviewed frames in the picture.
_NETWORKS, _FRAMES = 12, 3


def write_report(
    run: Run,
    path: str | os.PathLike[str],
    movie: Any = None,
    annotation: Annotation | None = None,
    labelled: Sequence[int] = (),
) -> Path:
    """Write a report of a search as one HTML file that needs nothing beside it, and runs no script.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.
    path : path
        HTML file to write; replaced if it exists.
    movie : path, array (T, Y, X) or Movie, optional
        A movie to predict and to score; without it the report has the scores on the labelled frames only.
    annotation : Annotation, optional
        Labels of that movie; its annotated frames are predicted.
    labelled : sequence of int
        Frames of that movie that the search has learned from.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the run cannot be read, only one of movie and annotation is given, they do not belong together, or the file
        cannot be written.
    """
    if (movie is None) != (annotation is None):
        given, other = ("an annotation", "movie") if movie is None else ("a movie", "annotation")
        raise InputError("a movie and its annotation", f"{given} alone", f"Give the {other} too, or neither.")
    snapshot = (monitor := run.folder.monitor()).snapshot(math.inf)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("napari_menndl.notebook", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        title=run.path.name,
        status=(status := run.status()),
        nothing=explain_no_network(status),
        silent=never_predicted_by(status["answer"]),
        data=_data(run),
        classes=_classes(run.task),
        settings=_settings(run.settings),
        versions=run.folder.versions,
        history=_embed(draw_history(snapshot, [rung.pixels for rung in run.settings.ladder])),
        figures=_figures(run) if snapshot.best_fitness is not None else [],
        labels=_embed(_labelled_frames(run.task)),
        members=_members(snapshot, monitor.reader, run.task),
        networks=_networks(status, monitor.reader),
        review=None if annotation is None else _review(run.predict(movie), annotation, labelled),
        methods=_methods(run, status),
        command=_command(run),
        founders="" if run.settings.founders == SearchSettings().founders else str(run.settings.founders),
        duration=duration,
    )
    place = Path(path)
    try:
        atomic_write(place, page.encode())
    except OSError as error:
        raise InputError("a file that can be written", str(error), "Choose another place.") from error
    return place


def _figures(run: Run) -> list[dict[str, str]]:
    """Return the figures of a search that has judged a network, each with what it shows."""
    return [
        {"title": title, "words": words, "source": _embed(plot(run))}
        for title, plot, words in (
            (
                "Population",
                plot_population,
                "A line for each network, at its fitness, while it was among the possible parents.",
            ),
            (
                "Accuracy and speed",
                plot_pareto,
                "No other network is both better and faster than one on the Pareto front.",
            ),
            (
                "Genes",
                plot_genes,
                "Networks are bred, not drawn at random: a gene that goes with fitness need not be its cause.",
            ),
        )
    ]


def _embed(figure: Picture) -> str:
    """Return a figure as the source of an image."""
    data, _ = figure._repr_png_()
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _data(run: Run) -> list[tuple[str, str]]:
    """Return what the search has learned from, as pairs of title and value."""
    task = run.task
    count, height, width = task.frames.shape
    size = task.pixel_size
    rows = [
        ("Labelled frames", f"{count} of {height} × {width} px"),
        ("Pixel size", "unknown" if size is None else f"{size[0]:.4g} × {size[1]:.4g} nm"),
        ("Known pixels", f"{task.known.mean():.1%}"),
        ("Neighbouring frames", "none" if task.neighbours is None else "two before and two after"),
        ("Preparation", "; ".join(map(str, task.steps)) or "none"),
        ("Digest of frames and labels", task.digest),
    ]
    return [*rows, *((title, value) for title, _, value in (line.partition(": ") for line in run.metadata.lines))]


def _classes(task: TrainingTask) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "colour": COLOURS[number % len(COLOURS)],
            "defects": sum(len(label_components(labels == number + 1).areas) for labels in task.labels),
            "rule": "overlap" if rule.extended else f"within {rule.tolerance:.1f} px",
        }
        for number, (name, rule) in enumerate(zip(task.class_names, task.match_rules, strict=True))
    ]


def _settings(settings: SearchSettings) -> list[dict[str, Any]]:
    """Return every setting with its title, and whether it differs from the default."""
    return [
        {
            "title": entry.metadata["title"],
            "value": ", ".join(value) if isinstance(value, tuple) else "" if value is None else value,
            "changed": value != entry.default,
        }
        for entry in fields(settings)
        for value in (getattr(settings, entry.name),)
    ]


def _labelled_frames(task: TrainingTask) -> Picture:
    key = {number: (COLOURS[(number - 1) % len(COLOURS)], name) for number, name in enumerate(task.class_names, 1)}
    rows = [
        [Panel(frame, None, "Raw", f"labelled frame {t}"), Panel(frame, labels, "Labels", counted(_defects(task, t)))]
        for t, (frame, labels) in enumerate(zip(task.frames[:_FRAMES], task.labels, strict=False))
    ]
    return draw_panels(rows, key=key, pixel_size=task.pixel_size)


def _defects(task: TrainingTask, t: int) -> int:
    return sum(len(label_components(task.labels[t] == c + 1).areas) for c in range(len(task.class_names)))


def _members(snapshot: RunSnapshot, reader: RunReader, task: TrainingTask) -> list[dict[str, Any]]:
    """Return the answer's members with their layer diagrams and lineages."""
    members = snapshot.answer.members if snapshot.answer else ()
    return [
        {
            "id": member.id,
            "key": str(member.key),
            "fitness": member.fitness,
            "diagram": draw_svg(*layer_diagram(reader.birth(member.id).candidate.genome, len(task.class_names))),
            "training": describe(reader.birth(member.id).candidate.genome)[-1],
            "lineage": lineage(reader, member.id),
        }
        for member in members
    ]


def _networks(status: dict[str, Any], reader: RunReader) -> list[dict[str, Any]]:
    return [
        {**leader, "layers": " → ".join(describe(reader.birth(leader["id"]).candidate.genome)[:-1])}
        for leader in status["leaders"][:_NETWORKS]
    ]


def _review(prediction: Prediction, annotation: Annotation, labelled: Sequence[int]) -> dict[str, Any]:
    """Return the scores on another movie, or on later frames, and a picture of some of them."""
    movie = prediction.movie
    assert movie is not None
    review = Review.of(prediction, annotation, labelled=list(labelled))
    scores = review.scores
    frames = [t for t in review.frames if t not in labelled] or list(review.frames)
    shown = sorted({frames[0], frames[len(frames) // 2], frames[-1]})[:_FRAMES]
    rows = []
    for t in shown:
        reviewed, frame = review.compare(t), movie.frame(t)
        raw = Panel(frame, None, "Raw", f"frame {t}")
        rows.append(
            [raw, expert_panel(frame, annotation.frame(t), reviewed), reviewed_panel(frame, "Answer", reviewed)]
        )
    return {
        "scores": scores[scores["frame"] == "all"].to_dict("records"),
        "frames": len(review.frames),
        "errors": _embed(plot_errors(review)),
        "picture": _embed(draw_panels(rows, key=OUTCOME_KEY, pixel_size=movie.pixel_size)),
    }


def _methods(run: Run, status: dict[str, Any]) -> str:
    """Return a paragraph for the methods section of a paper."""
    task, versions = run.task, run.folder.versions
    count, height, width = task.frames.shape
    defects = sum(_defects(task, t) for t in range(count))
    frames = f"{count} frame{'s' * (count != 1)} of {height} × {width} px"
    named = ", ".join(task.class_names)
    slots = f"{status['slots']} slot{'s' * (status['slots'] != 1)}"
    said = (
        f"Networks were evolved with napari-menndl {versions.get('napari-menndl', 'unknown')} (PyTorch "
        f"{versions.get('torch', 'unknown')}; seed {run.settings.seed}) on {frames} with {defects} labelled defects "
        f"({named}). Each genome was trained on {task.folds} spatial folds of the labelled frames and judged on the "
        "fold that it had not seen, by the mean of defect F1 and average precision. "
        f"Within {duration(status['elapsed'])}, {status['networks']} networks were evaluated {status['evaluations']} "
        f"times on {slots}."
    )
    if answer := status["answer"]:
        kind = "network" if len(answer["members"]) == 1 else f"mean of {len(answer['members'])} genomes"
        said += (
            f" The answer, a {kind} chosen by its out-of-fold predictions, has a fitness of {answer['fitness']:.3f} ± "
            f"{answer['error']:.3f} (standard error; optimistic, as it was chosen by it)."
        )
    return said


def _command(run: Run) -> str:
    """Return the command that repeats the search; movie and annotation are not part of a run folder."""
    changed = []
    for entry in fields(SearchSettings):
        value = getattr(run.settings, entry.name)
        if entry.name == "founders" or (value == entry.default and entry.name not in ("budget", "seed")):
            continue
        option = f"--{entry.name.replace('_', '-')}"
        if isinstance(value, bool):
            changed.append(option if value else f"--no-{option[2:]}")
        else:
            changed.append(f'{option} "{value}"' if " " in str(value) else f"{option} {value}")
    return f"napari-menndl search MOVIE --annotation ANNOTATION --run {run.path.name} {' '.join(changed)}"
