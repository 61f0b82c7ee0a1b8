"""What CloudWatch makes of a filter pattern, as far as terraform/ has any.

Of its syntax this knows patterns of JSON: fields by name, equality with text (`*` for anything) and
with numbers, `NOT EXISTS`, `&&`, `||` and parentheses. All else is refused rather than guessed:
other comparisons, `IS NULL`, arrays, regular expressions, words, and `&&` beside `||` without
parentheses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Matches = Callable[[str], bool]
Holds = Callable[[Any], bool]

TOKEN = re.compile(
    r"\s*(?:(?P<sign>[{}()]|&&|\|\||=(?!=))|(?P<missing>NOT EXISTS\b)"
    r"|(?P<field>\$(?:\.[A-Za-z_][A-Za-z0-9_]*)+(?![\w.\[-]))"
    r'|(?P<text>"(?:[^"\\%]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?![\w.*])))'
)
MISSING = object()


class UnknownPatternError(Exception):
    """A pattern that is wrong, or beyond what this module knows."""


def compiled(pattern: str) -> Matches:
    """Whether CloudWatch counts a line. Raises UnknownPatternError."""
    holds = _Parser(pattern).pattern()

    def matches(line: str) -> bool:
        try:
            logged = json.loads(line)
        except ValueError:
            return False  # a pattern of JSON sees nothing else
        return isinstance(logged, dict) and holds(logged)

    return matches


class _Parser:
    """One pattern, read from the left."""

    def __init__(self, pattern: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        rest = pattern.strip()
        while rest:
            found = TOKEN.match(rest)
            if found is None:
                raise UnknownPatternError(f"{pattern}: what is {rest!r}?")
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind]))
            rest = rest[found.end() :].lstrip()
        self.whole = pattern

    def take(self, *wanted: str) -> str:
        """The next token, which is of a kind or is a sign that is wanted."""
        kind, token = self.tokens.pop(0) if self.tokens else ("", "the end")
        if kind not in wanted and token not in wanted:
            raise UnknownPatternError(f"{self.whole}: {token} where {' or '.join(wanted)} belongs")
        return token

    def next_is(self, sign: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1] == sign

    def pattern(self) -> Holds:
        self.take("{")
        holds = self.expression()
        self.take("}")
        if self.tokens:
            raise UnknownPatternError(f"{self.whole}: something follows the end")
        return holds

    def expression(self) -> Holds:
        parts, signs = [self.part()], set()
        while self.next_is("&&") or self.next_is("||"):
            signs.add(self.take("&&", "||"))
            parts.append(self.part())
        if len(signs) > 1:
            raise UnknownPatternError(f"{self.whole}: && beside || without parentheses")
        every = all if signs == {"&&"} else any
        return lambda logged: every([part(logged) for part in parts])

    def part(self) -> Holds:
        if self.next_is("("):
            self.take("(")
            holds = self.expression()
            self.take(")")
            return holds
        return self.comparison()

    def comparison(self) -> Holds:
        path = self.take("field").split(".")[1:]
        if self.take("=", "missing") != "=":
            return lambda logged: _value(logged, path) is MISSING
        wanted = self.take("text", "number")
        if not wanted.startswith('"'):
            return lambda logged: _is_number(_value(logged, path), float(wanted))
        text = "".join(
            ".*" if part == "*" else re.escape(part)
            for part in re.split(r"(\*)", json.loads(wanted))
        )
        return lambda logged: _is_text(_value(logged, path), text)


def _value(logged: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(logged, dict) or name not in logged:
            return MISSING
        logged = logged[name]
    return logged


def _is_number(value: Any, wanted: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == wanted


def _is_text(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and re.fullmatch(wanted, value, re.DOTALL) is not None
