"""Answers from a server with OpenAI's chat completions API, such as vLLM's own."""

from __future__ import annotations

from typing import Any

from imagepipe.config import LLM, Server
from imagepipe.llm import Answer, completion
from imagepipe.llm.chat import messages
from imagepipe.servers import endpoint, trial
from imagepipe.servers.client import SEEDS, Asker, Question

TRIAL = ("a red cat wearing a hat", "winter", 0)


def check(config: LLM) -> None:
    """Ask the server one question. Raises `UserError` if it cannot be used as configured."""
    endpoint.check_secrets(config)
    trial.check_given(config)
    trial.ask(config, question(config, *TRIAL), completion.read)


class OpenAIEnhancer:
    """Asks all rows of a batch at once; one that has no answer fails alone.

    A question that the server's filter stops is an answer, of which nothing is left.
    """

    def __init__(self, config: LLM) -> None:
        self.config = config
        self.asker: Any = None

    def load(self) -> None:
        self.asker = Asker(self.config)

    def enhance(self, prompts: list[str], seasons: list[str], seeds: list[int]) -> list[Answer]:
        asked = [question(self.config, *row) for row in zip(prompts, seasons, seeds, strict=True)]
        said = self.asker.answers(asked, completion.read, completion.filtered)
        return [answer or Answer("", error=why) for answer, why in said]


def chat(server: Server, messages: list[dict[str, Any]], fields: dict[str, Any]) -> Question:
    """One to the model of `server`; its `request` comes last."""
    fixed = {"model": server.path, "messages": messages}
    return Question("/chat/completions", "chat completions", fixed, {**fields, **server.request})


def question(config: LLM, prompt: str, season: str, seed: int) -> Question:
    """What is asked of one row.

    What the server's makers do not know goes into the body as it is.
    """
    fields = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "seed": seed % SEEDS,
        "stop": config.stop or None,
        "chat_template_kwargs": config.chat_template_kwargs or None,
    }
    return chat(config, messages(config.system, config.user, prompt, season), fields)
