"""A small server that speaks OpenAI's image generations over real HTTP."""

from __future__ import annotations

import base64
import io
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.parser import BytesParser
from typing import Any

from helpers.chat_server import ChatServer, running
from PIL import Image


@dataclass
class ImageServer(ChatServer):
    """Draws one flat colour, which the seed says, in the size that is asked for.

    `replies` are answers to prompts that hold a text: (status, body). `as_url` is the text in
    front of a picture's path, where the answer holds no picture but names one.
    """

    as_url: str | None = None
    draws: str | None = None  # in this size, whatever is asked for

    def read(self, headers: Any, body: bytes) -> dict[str, Any]:
        """JSON, or the fields of a form, whose files are `files`: (field, bytes)."""
        kind = headers["Content-Type"]
        if not kind.startswith("multipart/form-data"):
            return super().read(headers, body)
        form = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        asked: dict[str, Any] = {"files": []}
        for part in form.get_payload():
            name, held = (
                part.get_param("name", header="Content-Disposition"),
                part.get_payload(decode=True),
            )
            if part.get_filename():
                asked["files"].append((name, held))
            else:
                asked[name] = held.decode()
        return asked

    def reply(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        for text, (status, said) in self.replies.items():
            if text in asked["prompt"]:
                return status, {}, said
        content = png(self.draws or asked.get("size") or "1024x1024", int(asked.get("seed", 77)))
        if self.as_url is None:
            return 200, {}, answer({"b64_json": base64.b64encode(content).decode()})
        path = f"/files/{len(self.files)}.png"
        self.files[path] = content
        return 200, {}, answer({"url": f"{self.as_url}{path}"})


def png(size: str, seed: int) -> bytes:
    """A picture as the server draws it: `size` is WIDTHxHEIGHT."""
    width, height = map(int, size.split("x"))
    buffer = io.BytesIO()
    colour = tuple(1 + (seed >> shift) % 255 for shift in (0, 8, 16))
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def answer(*pictures: dict[str, str]) -> str:
    """The body of a reply."""
    return json.dumps({"created": 1, "data": list(pictures)})


def drawing(**options: Any) -> AbstractContextManager[ImageServer]:
    """A server on a free port, stopped again at the end."""
    return running(ImageServer(**options))
