"""The thread that sends one lane of a run's journal during the run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from imagepipe.tracking.lane import Lane

log = logging.getLogger(__name__)

RETRY_S = (1.0, 30.0)  # first and longest pause while the store is away


class Worker:
    """Sends `lane` whenever it is woken, again while the store is away, and once more at the end.

    `warn` is told of the first failure alone, `then` is called when all was sent. `tried` is set
    after the first try.
    """

    def __init__(
        self,
        lane: Lane,
        warn: Callable[[Exception], None],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self.lane, self.sent, self.tried = lane, False, threading.Event()
        self._warn, self._then, self._warned = warn, then, False
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self, until: float) -> bool:
        """Send the rest, at most until that moment of the monotonic clock; whether all was sent."""
        self._closing.set()
        self._wake.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        return self.sent and not self._thread.is_alive()

    def _work(self) -> None:
        pause, longest = RETRY_S
        while not self._closing.is_set():
            if self._drain():
                pause = RETRY_S[0]
                self._wake.wait()
                self._wake.clear()
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, longest)
        self._drain()

    def _drain(self) -> bool:
        """Whether all was sent. A store may fail in any way; none of them may end the run."""
        try:
            self.lane.drain()
            self.sent = True
            self._then()
        except Exception as error:
            self.sent = False
            log.debug("MLflow does not answer", exc_info=True)
            if not self._warned:
                self._warned = True
                self._warn(error)
        finally:
            self.tried.set()
        return self.sent
