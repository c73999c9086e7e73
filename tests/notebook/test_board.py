import math

from napari_menndl.notebook.board import board
from napari_menndl.search.views.curves import ELAPSED, FITNESS, RUNG


def look(run):
    return run.folder.monitor().snapshot(math.inf)


def test_a_search_that_has_not_begun_has_no_curves(run):
    assert not any(len(curve) for curve in look(run).curves.values())


def test_a_pause_between_stopping_and_resuming_does_not_count(run, diary):
    curves = look(run).curves
    assert curves["evaluations"][:, [ELAPSED, RUNG, FITNESS]].tolist() == [[10, 0, 0.3], [20, 0, 0.2], [50, 1, 0.6]]
    assert curves["best"][:, [ELAPSED, FITNESS]].tolist() == [[10, 0.3], [50, 0.6]]
    assert curves["median"][:, [ELAPSED, FITNESS]].tolist() == [[30, 0.25]]


def test_the_answer_is_no_evaluation(finished):
    snapshot = look(finished)
    assert [one.id for one in snapshot.answer.members] == [0]
    assert snapshot.curves["answers"][:, [ELAPSED, FITNESS]].tolist() == [[60, 0.55]]
    assert len(snapshot.curves["evaluations"]) == 3


def test_the_leaderboard_names_the_best_first_with_their_layers(run, diary):
    html = board(run.status(), run.folder.reader)
    assert html.index("#0") < html.index("#1")
    assert "0.600 ± 0.020" in html
    assert "upsample" in html
    assert "conv 3×3" in html


def test_a_search_asked_to_stop_is_called_stopped_only_when_its_process_has_ended(run, diary):
    with run.folder.lock():
        run.stop()
        assert "stopping" in board(run.status(), run.folder.reader)
        diary.write("stopped", 9020.0, reason="asked to stop", elapsed=60.0)
        assert "stopping" in board(run.status(), run.folder.reader)
    assert "stopped" in board(run.status(), run.folder.reader)
