"""Where the digits of amounts stand, between the signs, brackets and currencies around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from kalla_core.recipe.source_format import AmountForm
from kalla_core.sources.csv.quick.arrays import Flags
from kalla_core.sources.csv.quick.letters import Letters

_MINUS, _PLUS, _OPEN, _CLOSE, _BLANK = b"-+() "
_NEAR = (" ", "\u00a0", "\u202f", "")
_MOST_BLANKS = 40
_GLANCE_BYTES = 4096
_LONGEST_AFFIX = 8


class Bodies:
    """The places of digits in texts, as far as plain signs are around them.

    Whatever else is there stays, so that the digits are none.

    Attributes:
        starts: where digits begin; `ends` is behind the last.
        minus: whether a sign or brackets say so; `signed` also where a plus does.
    """

    def __init__(
        self, letters: Letters, forms: Collection[AmountForm], currency: str | None
    ) -> None:
        self.starts, self.ends = letters.starts, letters.ends
        self.minus = self.signed = np.zeros(len(self.starts), np.bool_)
        self._letters = letters
        self._forms = forms
        self._trim()
        self._take_sign()
        self._trim()
        if currency and AmountForm.CURRENCY in forms:
            before, behind = self._take_currency(currency)
            self._trim()
            self._take_sign(before=before, behind=behind)
            self._trim()

    def _first(self, letter: int) -> Flags:
        found: Flags = self._letters.bytes.take(self.starts) == letter
        return found & (self.starts < self.ends) if found.any() else found

    def _last(self, letter: int) -> Flags:
        found: Flags = self._letters.bytes.take(self.ends - 1) == letter
        return found & (self.starts < self.ends) if found.any() else found

    def _trim(self) -> None:
        if AmountForm.BLANKS not in self._forms:
            return
        for _ in range(_MOST_BLANKS):
            first = self._first(_BLANK)
            self.starts = self.starts + first
            last = self._last(_BLANK)
            self.ends = self.ends - last
            if not (first.any() or last.any()):
                return

    def _take_sign(self, *, before: bool = True, behind: bool = True) -> None:
        """Take one sign from each text that had none yet, at the ends where one may be."""
        if before:
            self._say(self._first(_MINUS), starts=1, minus=True)
        if before and AmountForm.PLUS in self._forms:
            self._say(self._first(_PLUS), starts=1)
        if behind and AmountForm.TRAILING_MINUS in self._forms:
            self._say(self._last(_MINUS), ends=1, minus=True)
        if (before or behind) and AmountForm.PARENTHESES in self._forms:
            around = self._first(_OPEN)
            if around.any():
                self._say(around & self._last(_CLOSE), starts=1, ends=1, minus=True)

    def _say(self, signed: Flags, *, starts: int = 0, ends: int = 0, minus: bool = False) -> None:
        """Note that texts are signed, but for those that are already, and take the signs off."""
        if not signed.any():
            return
        signed = signed & ~self.signed
        if starts:
            self.starts = self.starts + signed
        if ends:
            self.ends = self.ends - signed
        self.signed = self.signed | signed
        if minus:
            self.minus = self.minus | signed

    def _take_currency(self, currency: str) -> tuple[bool, bool]:
        """Take the currency from one end of each text, with a blank between it and the digits.

        Returns:
            Whether one stood before digits, and whether one stood behind them.
        """
        taken = np.zeros(len(self.starts), np.bool_)
        before = behind = False
        for affix in self._seen([blank + currency for blank in _NEAR]):
            begun = self.ends - len(affix)
            found = self._letters.stand(affix, begun)
            if found.all():  # what is shorter than it has no digits then, and is left
                self.ends = begun
                return False, True
            found &= (self.ends - self.starts > len(affix)) & ~taken
            self.ends = self.ends - found * len(affix)
            taken |= found
            behind = bool(taken.any())
            if taken.all():
                return before, behind
        for affix in self._seen([currency + blank for blank in _NEAR]):
            lengths = self.ends - self.starts
            found = self._letters.stand(affix, self.starts) & (lengths > len(affix)) & ~taken
            self.starts = self.starts + found * len(affix)
            taken |= found
            before = before or bool(found.any())
        return before, behind

    def _seen(self, affixes: Sequence[str]) -> Iterator[bytes]:
        """Yield those that are among the first bytes and are short."""
        some = self._letters.bytes[: self._letters.starts[0] + _GLANCE_BYTES].tobytes()
        written = (one.encode() for one in affixes)
        return (one for one in written if len(one) <= _LONGEST_AFFIX and one in some)
