"""What the command line prints, whatever the terminal can write."""

import io
import os
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from napari_menndl import plain_text
from napari_menndl.cli import app
from tiny import finish, prepare

ENCODINGS = ("ascii", "cp850", "latin-1", "utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished search in a folder whose name few terminals can write."""
    return finish(prepare(tmp_path_factory.mktemp("MoS₂ → 5 µm") / "run"))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_help_of_every_command_and_a_status_can_be_written(run, encoding):
    commands = [[name, "--help"] for name in get_command(app).commands]
    for words in (*commands, ["pool", "check", "--help"], ["status", str(run.path)], ["stop", str(run.path)]):
        result = CliRunner(charset=encoding).invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.stdout_bytes.decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "words", "code"), [("ascii", ["simulate", "--help"], 0), ("cp850", ["status"], 2)]
)
def test_a_program_of_its_own_writes_in_the_terminals_encoding(run, encoding, words, code):
    command = [sys.executable, "-m", "napari_menndl.cli"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    missing = [str(run.path.with_name("Ørsted – 3 µm"))] if code else []
    done = subprocess.run([*command, *words, *missing], env=environment, capture_output=True, timeout=600, check=False)
    assert done.returncode == code
    said = (done.stdout + done.stderr).decode(encoding)
    assert "Traceback" not in said
    assert "?" not in said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("5 µm ± 1 → 2 × 3 …", "5 um +/- 1 -> 2 x 3 ..."),
        ("e⁻/Å² · √2 – Ørsted", "e-/A2 * sqrt 2 - Orsted"),
        ("日", "?"),
        ("file\udcff.tif", "file?.tif"),  # of a file name that is no text
    ],
)
def test_letters_are_replaced_by_what_they_look_like(text, wanted):
    assert plain_text.plain(text) == wanted


def test_a_file_name_that_is_no_text_can_be_written(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    plain_text.write_plainly()
    print("µ file\udcff.tif", flush=True)
    assert stream.buffer.getvalue().decode() == "µ file?.tif\n"
