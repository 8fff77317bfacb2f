"""Vision-language models on a server with OpenAI's chat API, such as vLLM's own.

Client, retries and the checks before a run are those of `llm.engine=openai`.
"""

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from imagepipe.config import Scorer
from imagepipe.errors import UserError
from imagepipe.llm import completion
from imagepipe.llm.openai import chat
from imagepipe.prompts.template import base_prompts
from imagepipe.scoring import questions
from imagepipe.scoring.questions import Answers, Questioner
from imagepipe.scoring.vlm import caption
from imagepipe.servers import endpoint, trial
from imagepipe.servers.client import Asker, Question

TOP = 20  # tokens whose probabilities are asked for: the most that OpenAI and vLLM give
TRIAL = np.full((64, 64, 3), 127, np.uint8)  # the picture of the question before the run
SHOWN = "a red cat"  # and what stands in it for every column


LOGPROBS = (
    "Ask a server that gives logprobs, as vLLM, SGLang, llama.cpp and OpenAI's own models do; or "
    "have captions written: engine=openai_caption."
)


class NoLogprobs(ValueError):
    """A server that answers without token probabilities."""


def check(scorer: Scorer) -> None:
    """Ask the server one question. Raises UserError if it cannot be used as configured."""
    _check(scorer, OpenAIScorer(scorer))


def check_captioner(scorer: Scorer) -> None:
    """As `check`, for captions."""
    _check(scorer, OpenAICaptioner(scorer))


def _check(scorer: Scorer, asking: OpenAIJudge) -> None:
    questions.check(scorer)
    endpoint.check_secrets(scorer)
    trial.check_given(scorer)
    row = pa.table({name: [SHOWN] for name in (*asking.reads, "prompt")})
    [text], _ = base_prompts(next(iter(scorer.questions.values())), {}, row)
    trial.ask(scorer, asking.question(data_url(TRIAL), text or ""), asking.checked, asking.needs)


class OpenAIJudge(Questioner):
    """Asks about all pictures of a batch at once, each in a thread of its own.

    A question that fails for good leaves its picture without that value, and says why.
    """

    needs: ClassVar[dict[str, str]] = {}  # as `trial.ask` has them

    def load(self) -> None:
        self.asker = Asker(self.scorer)

    def ask(self, images: np.ndarray, texts: list[str]) -> Answers:
        asked = [self.question(data_url(i), text) for i, text in zip(images, texts, strict=True)]
        said = self.asker.answers(asked, self.read)
        return [answer or (None, why) for answer, why in said]

    def question(self, url: str, text: str) -> Question:
        """What is asked of the picture at `url`."""
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": text},
        ]
        return chat(self.scorer, [{"role": "user", "content": content}], self.fields())

    def fields(self) -> dict[str, Any]:
        """What a request holds beside the question."""
        raise NotImplementedError

    def read(self, body: str) -> tuple[Any, str | None]:
        """The answer in a reply. Raises ValueError if that is none."""
        raise NotImplementedError

    def checked(self, body: str) -> None:
        """Raise UserError if a reply lacks what every answer needs, ValueError for another."""
        self.read(body)


class OpenAIScorer(OpenAIJudge):
    """The probability that the server's model says yes, 0 to 1: see `questions.judged`."""

    needs: ClassVar[dict[str, str]] = {"logprobs": LOGPROBS, "top_logprobs": LOGPROBS}

    def fields(self) -> dict[str, Any]:
        # As the model is: a temperature of 0 leaves some servers only the likeliest token.
        sampled = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 1}
        return {**sampled, "logprobs": True, "top_logprobs": TOP}

    def read(self, body: str) -> tuple[float | None, str | None]:
        completion.read(body)
        return questions.of_tokens(first_token(body))

    def checked(self, body: str) -> None:
        try:
            self.read(body)
        except NoLogprobs as error:
            raise UserError(
                field=f"{self.scorer.section}.base_url",
                value=self.scorer.base_url,
                problem=str(error),
                remedy=LOGPROBS,
            ) from None


class OpenAICaptioner(OpenAIJudge):
    """What the server's model writes, up to `max_tokens` of it."""

    kind: ClassVar[pa.DataType] = pa.string()

    def fields(self) -> dict[str, Any]:
        return {"temperature": 0.0, "max_tokens": self.scorer.max_tokens}

    def read(self, body: str) -> tuple[str | None, str | None]:
        return caption(completion.read(body).text)


def first_token(body: str) -> list[tuple[str, float]]:
    """The likeliest first tokens of an answer and their probabilities. Raises NoLogprobs."""
    try:
        first = json.loads(body)["choices"][0]["logprobs"]["content"][0]
        likeliest = first.get("top_logprobs") or [first]
        return [(str(one["token"]), math.exp(one["logprob"])) for one in likeliest]
    except (LookupError, TypeError, AttributeError, OverflowError):
        raise NoLogprobs("the server answers without logprobs, by which yes is read") from None


def data_url(image: np.ndarray) -> str:
    """A picture, uint8 (height, width, 3), as it stands in a request."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
