"""The recipes of docs/recipes.md, followed word by word in a copy of the package: the files that they name suffice."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_menndl

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
#: A step names its file first; the parts of it that follow, three blanks to the right, belong to that file.
STEP = re.compile(r"^\d\. `([^`]+)`(.*?)(?=^\d\. |^What shows it:)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"(?:a new file|behind `([^\n]+)`):\n```python\n(.*?\n)```", re.DOTALL)
EXCHANGE = re.compile(r"`([^`]+)` becomes `([^`]+)`")
CHECK = re.compile(r"What shows it:\n```python\n(.*?)```", re.DOTALL)


def follow(recipe, package):
    """Do what a recipe says in a copy of the package; return the files it has touched."""
    touched = []
    for name, text in STEP.findall(RECIPES[recipe]):
        file = package / name
        changes = re.sub("^   ", "", text, flags=re.MULTILINE)
        for before, block in BLOCK.findall(changes):
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if before else []
            places = [number for number, line in enumerate(lines, 1) if line.strip() == before] if before else [0]
            assert len(places) == 1, f"{name} has the line {len(places)} times: {before}"
            assert before or not file.exists(), f"{name} is no new file"
            lines[places[0] : places[0]] = [block]
            file.write_text("".join(lines), encoding="utf-8")
        for old, new in EXCHANGE.findall(changes):
            assert file.read_text(encoding="utf-8").count(old) == 1
            file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        touched.append(name)
    return touched


@pytest.fixture
def copy(tmp_path):
    package = Path(napari_menndl.__file__).parent
    return shutil.copytree(package, tmp_path / "copy" / package.name, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_at_most_three_files_and_the_recipe_works(recipe, copy, tmp_path):
    touched = follow(recipe, copy)
    assert 1 <= len(set(touched)) <= 3
    (check,) = CHECK.findall(RECIPES[recipe])
    paths = os.pathsep.join(map(str, (copy.parent, TESTS / "search")))
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_has_the_recipes_that_were_asked_for():
    assert list(RECIPES) == ["Add a gene", "Add a pool", "Add a movie format", "Add a fact"]
