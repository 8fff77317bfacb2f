"""HTTP servers of tests, in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

EVERY_S = 0.02  # it looks whether it shall end; Python's own half a second would pass at each end
Served = TypeVar("Served", bound=BaseServer)


@contextmanager
def served(server: Served) -> Iterator[Served]:
    """`server` answers until the end, and is closed there."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(EVERY_S,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
