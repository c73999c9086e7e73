"""Words on terminals that cannot write all of them: µ, → and ± are written as u, -> and +/- where need be."""

from __future__ import annotations

import codecs
import sys
import unicodedata

#: What stands for letters that do not fall apart into plain ones.
_PLAIN = {
    **dict.fromkeys("µμ", "u"),
    **dict.fromkeys("–—−‐‑─━", "-"),
    **dict.fromkeys("·•●", "*"),
    **dict.fromkeys("‘’‚‹›", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("│┃", "|"),
    "→": "->",
    "←": "<-",
    "±": "+/-",
    "×": "x",
    "÷": "/",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "√": "sqrt ",
    "°": " deg",
    "σ": "sigma",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "λ": "lambda",
    "ß": "ss",
    "Ø": "O",
    "ø": "o",
}
_NAME, _ASCII = "napari_menndl_plain", "napari_menndl_ascii"


def write_plainly() -> None:
    """Have standard output and error replace what their encoding lacks, where they would fail or write codes."""
    codecs.register_error(_NAME, _replace)
    codecs.register(lambda name: _ascii() if name == _ASCII else None)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's writes everything
            # Click takes a terminal that calls itself ASCII for one that is set up wrongly, and sends it UTF-8.
            ascii_only = codecs.lookup(stream.encoding).name in ("ascii", _ASCII)
            stream.reconfigure(encoding=_ASCII if ascii_only else stream.encoding, errors=_NAME)


def plain(text: str) -> str:
    """Return text in ASCII, as near to it as can be."""
    return "".join(_PLAIN.get(letter) or _simpler(letter) for letter in text)


def _ascii() -> codecs.CodecInfo:
    """ASCII under another name."""
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(
        known.encode,
        known.decode,
        known.streamreader,
        known.streamwriter,
        known.incrementalencoder,
        known.incrementaldecoder,
        _ASCII,
    )


def _simpler(letter: str) -> str:
    """The letter without accents, index or the like; a question mark where nothing is left."""
    parts = unicodedata.normalize("NFKD", letter)
    bare = "".join(_PLAIN.get(part, part) for part in parts).encode("ascii", "ignore").decode()
    return bare or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
