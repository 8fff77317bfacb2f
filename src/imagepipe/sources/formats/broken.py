"""Bytes that are no UTF-8 within JSON, told from the escapes of lone halves of pairs.

While JSON is parsed, a sign stands for each such byte that stands nowhere else in the text. A half
of a pair, which JSON may hold as an escape, is kept as the three bytes that some encoders write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from imagepipe.sources.formats.kinds import cell_text

HALF = re.compile("[\ud800-\udfff]")
HALVES, BLOCK = 0xDC00, 0x100  # Python's halves for the bytes 80 to FF; their signs' place
PRIVATE = range(0xF0000, 0x10FF00, BLOCK)  # signs that have no meaning


@dataclass(frozen=True)
class Signs:
    """The signs for broken bytes of one text begin at `first`."""

    first: int

    @classmethod
    def beside(cls, *texts: str) -> Signs:
        """Signs that stand in none of `texts`."""
        taken = {ord(sign) // BLOCK for sign in set().union(*texts) if ord(sign) >= PRIVATE[0]}
        return cls(next(first for first in PRIVATE if first // BLOCK not in taken))

    def read(self, content: bytes) -> str:
        """UTF-8 with a sign for each byte that is none."""
        text = content.decode("utf-8", "surrogateescape")
        return text.translate({HALVES + byte: self.first + byte for byte in range(128, 256)})

    def cell(self, value: Any) -> bytes:
        """A value of JSON as the bytes of its text."""
        return self._written((cell_text(value) or "").encode("utf-8", "surrogatepass"))

    def line(self, said: str) -> bytes:
        """JSON text as bytes, in which halves of pairs stay escapes."""
        return self._written(HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", said).encode())

    def _written(self, content: bytes) -> bytes:
        text = content.decode("utf-8", "surrogateescape")
        signs = {self.first + byte: HALVES + byte for byte in range(128, 256)}
        return text.translate(signs).encode("utf-8", "surrogateescape")
