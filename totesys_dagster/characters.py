"""Invisible characters: they make two names look the same, or move a terminal's cursor."""

from __future__ import annotations

# Letters and marks that are invisible; U+FFFD replaces a letter that was lost.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffd")


def is_unseen(letter: str) -> bool:
    """Whether a character shows nothing, or space that is not the space: line break and tab are
    among them, as are what turns the direction of text, private use, and what is not assigned."""
    return not letter.isprintable() or letter in _BLANK or _selects(letter)


def _selects(letter: str) -> bool:
    """Whether it chooses how the character before it looks, if at all."""
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"


def visible(text: str) -> str:
    """A text for one line of a terminal or message: what shows nothing as `\\x1b` or `\\u202e`."""
    return "".join(_escaped(letter) if is_unseen(letter) else letter for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
