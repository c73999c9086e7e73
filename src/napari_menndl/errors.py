"""The one error a person meets: what was expected, what was found, what to do."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used, said so that a person can put it right.

    Parameters
    ----------
    expected : str
        What would have been right, as a noun phrase: ``"frames of (T, Y, X)"``.
    found : str
        What was there instead: ``"an array of shape (3,)"``.
    remedy : str
        What to do now, as an imperative sentence: ``"Open one signal of the file."``
    """

    def __init__(self, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"Expected {expected}; found {found}. {remedy}")
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.expected, self.found, self.remedy)
