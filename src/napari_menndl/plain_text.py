"""Plain replacements for characters that a terminal cannot write, such as u, -> and +/- for µ, → and ±."""

from __future__ import annotations

import codecs
import sys
import unicodedata

#: ASCII replacements of characters that Unicode (NFKD) does not decompose into ASCII.
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
    """Make standard output and error write plain replacements for characters that their encoding lacks."""
    codecs.register_error(_NAME, _replace)
    codecs.register(lambda name: _ascii() if name == _ASCII else None)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so in a notebook, whose streams write every character
            # Click regards ASCII as a misconfigured terminal and sends it UTF-8; another name avoids that.
            ascii_only = codecs.lookup(stream.encoding).name in ("ascii", _ASCII)
            stream.reconfigure(encoding=_ASCII if ascii_only else stream.encoding, errors=_NAME)


def plain(text: str) -> str:
    """Return the closest ASCII equivalent of a text."""
    return "".join(_PLAIN.get(letter) or _simpler(letter) for letter in text)


def _ascii() -> codecs.CodecInfo:
    """Return the ASCII codec under another name."""
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
    """Return a character without accents, superscripts and the like; a question mark if nothing is left."""
    parts = unicodedata.normalize("NFKD", letter)
    bare = "".join(_PLAIN.get(part, part) for part in parts).encode("ascii", "ignore").decode()
    return bare or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
