"""What a section says of a server, where its engine asks one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import bounded


@dataclass
class Server:
    """A section whose engine may ask a server that speaks OpenAI's interface."""

    name: str = MISSING
    engine: str = MISSING
    path: str | None = None
    base_url: str | None = None  # of a server: its address, "http://host:8000/v1"
    api_key_env: str | None = None  # of a server: the *name* of the variable that holds the key
    # of a server: what a request holds besides; null leaves one of ours out
    request: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = bounded(60.0, least=0.1)  # of a server: for one request
    max_retries: int = bounded(5, least=0)  # of a server: of what may pass, with growing waits
    # of a server: a rate limit; null: none
    requests_per_minute: float | None = bounded(None, least=0.01)

    @property
    def section(self) -> str:
        """The key of the section, which errors name: "llm"."""
        raise NotImplementedError
