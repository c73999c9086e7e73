"""Make wheel and source archive in dist/, and check that they install: ``python tools/dist.py``.

What is committed is built, under the version that git's tags give. README's links become links to the repository, since
the page of a package index has none of its files.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
#: A link or picture in Markdown that leads to a file of the repository.
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


def with_absolute_links(text: str, address: str, commit: str) -> str:
    """Return Markdown whose links lead to the repository's files on the web; without an address, to none.

    Parameters
    ----------
    text : str
    address : str
        Of the repository, as ``"https://host/owner/name"``; empty if it has none on the web.
    commit : str
        Commit or tag whose files are linked.
    """

    def replace(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        if not address:
            return "" if picture else words
        return f"{picture}[{words}]({address}/{'raw' if picture else 'blob'}/{commit}/{target})"

    return _LINK.sub(replace, text)


def repository() -> str:
    """Return the address of the repository on the web, of git's remote "origin"; empty if it is not on the web."""
    origin = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    address = re.sub(r"^git@([^:]+):", r"https://\1/", origin.stdout.strip()).removesuffix(".git")
    return address if address.startswith("https://") else ""


def build() -> Path:
    """Build what is committed, in a copy, and return the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "source")
        _run("git", "clone", "--quiet", ROOT, copy)
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=copy, text=True).strip()
        readme = copy / "README.md"
        readme.write_text(with_absolute_links(readme.read_text("utf-8"), repository(), commit), "utf-8")
        # Else the version would say that something was changed after the tag.
        _run("git", "-C", copy, "update-index", "--assume-unchanged", "README.md")
        _run(sys.executable, "-m", "build", "--quiet", "--outdir", DIST, copy)
    _run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir())
    (wheel,) = DIST.glob("*.whl")
    return wheel


def install(wheel: Path) -> None:
    """Install a wheel in an empty environment and run it; for each extra, have pip find all that it needs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "venv", folder)
        python = Path(folder, "bin", "python")
        pip = (python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
        _run(*pip, "torch")
        _run(*pip, wheel)
        _run(Path(folder, "bin", "napari-menndl"), "--version")
        for extra in extras:
            _run(*pip, "--dry-run", f"{wheel}[{extra}]")
            print(f"{extra}: can be installed", flush=True)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    install(build())
