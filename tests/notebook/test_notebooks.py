"""What holds of the notebooks as they are kept; `make notebooks` runs them."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


@each_notebook
def test_the_outputs_of_a_notebook_are_those_of_one_run_from_top_to_bottom(notebook):
    cells = code_cells(notebook)
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


@each_notebook
def test_a_notebook_without_a_kernel_shows_what_was_seen(notebook):
    """No widget is kept, of which a reader would see the name alone."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)


@each_notebook
def test_a_notebook_is_small_and_says_nothing_of_the_machine_that_ran_it(notebook):
    text = notebook.read_text()
    assert len(text) < 1_500_000
    assert not re.search(r"/tmp/|/home/|/root/|\.py:\d", text)


@each_notebook
def test_a_notebook_takes_the_budget_of_the_environment(notebook):
    assert any('os.environ.get("MENNDL_NOTEBOOK_BUDGET", ' in cell.source for cell in code_cells(notebook))


@each_notebook
def test_the_documentation_lists_the_notebook(notebook):
    assert f"<../notebooks/{notebook.name}>" in (ROOT / "docs" / "notebooks.md").read_text()
