"""The keys of a section whose engine may use a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import bounded


@dataclass
class Server:
    """A section whose engine may use a server with OpenAI's API."""

    name: str = MISSING
    engine: str = MISSING
    path: str | None = None
    base_url: str | None = None  # server: its address, "http://host:8000/v1"
    api_key_env: str | None = None  # server: the *name* of the environment variable with the key
    # server: more fields of each request; null leaves a field out
    request: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = bounded(60.0, least=0.1)  # server: timeout of a request
    # server: retries after temporary errors, with growing waits
    max_retries: int = bounded(5, least=0)
    # server: limit of requests; null: none
    requests_per_minute: float | None = bounded(None, least=0.01)

    @property
    def section(self) -> str:
        """The key of the section, which errors name: "llm"."""
        raise NotImplementedError
