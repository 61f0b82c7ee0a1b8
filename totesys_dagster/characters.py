"""Characters that nobody sees: they make two of one name, or move the cursor of a terminal."""

from __future__ import annotations

import unicodedata

# Control, format (as a soft hyphen, or what turns the direction of text), half a character, private
# use, not assigned, and the separators of lines and paragraphs.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Letters and marks by their category that show nothing; U+FFFD is what is left of one that was lost.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffd")


def is_unseen(letter: str) -> bool:
    """Whether a character shows nothing; line break and tab are among them, a space is not."""
    if letter.isascii():
        return not letter.isprintable()
    return unicodedata.category(letter) in _UNSEEN or letter in _BLANK or _selects(letter)


def _selects(letter: str) -> bool:
    """Whether it chooses how the character before it looks, if at all."""
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"


def visible(text: str) -> str:
    """A text for one line of a terminal or message: what shows nothing as `\\x1b` or `\\u202e`."""
    return "".join(_escaped(letter) if is_unseen(letter) else letter for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
