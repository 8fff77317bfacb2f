"""File names for ids: safe on every file system, unique, and reversible (`urllib.parse.unquote`).

ASCII letters, digits, "_", "-" and "." (not as the first sign) stay as they are; everything else is
written as %XX, its UTF-8 bytes. Case is kept: on a file system that ignores case, the ids "a" and
"A" name one file.
"""

from __future__ import annotations

from hashlib import blake2b

MOST_BYTES = 180  # of the 255 that file systems allow: "-<k>.png" and a temporary name follow
_CUT = MOST_BYTES - 33
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
_EMPTY = "%"  # no escape: two digits follow in each


def file_stem(id: str) -> str:
    """The file name of row `id` without extension: at most 180 ASCII characters.

    A longer one is cut and gets "~" and 32 hex digits of its blake2b; since "~" is always escaped,
    no other id has that name.
    """
    raw = id.encode("utf-8", "surrogatepass")
    escaped = "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in raw) or _EMPTY
    if escaped.startswith("."):
        escaped = f"%2E{escaped[1:]}"
    if len(escaped) <= MOST_BYTES:
        return escaped
    return f"{escaped[:_CUT]}~{blake2b(raw, digest_size=16).hexdigest()}"
