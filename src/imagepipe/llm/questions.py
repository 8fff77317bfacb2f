"""The request as token ids, the same for every engine that takes tokens."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, TemplateSyntaxError

from imagepipe.errors import UserError
from imagepipe.llm.chat import messages
from imagepipe.stages import numbers
from imagepipe.stages.weights import locate

if TYPE_CHECKING:
    from imagepipe.config import LLM

log = logging.getLogger(__name__)

ROW = ("a cat", "winter")  # a prompt and a season, to try a chat template with
NO_LIMIT = 1 << 30  # of tokens; a tokenizer that knows none says so with a larger number


class Questions:
    """Asks in the model's own chat template, cut to what its context holds beside the answer.

    Reads the tokenizer and the configuration, no weights. `ends` are the tokens that end an answer.
    Raises `UserError` for a model without a chat template, and OSError where with `cached_only`
    the hub's cache lacks a file.
    """

    def __init__(self, config: LLM, *, cached_only: bool = False) -> None:
        from transformers import AutoConfig, AutoTokenizer

        self.config = config
        source, revision = str(locate(config.path or "")), config.revision
        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            source, revision=revision, padding_side="left", local_files_only=cached_only
        )
        if self.tokenizer.chat_template is None:
            raise UserError(
                field="llm.path",
                value=config.path,
                problem="it has no chat template",
                remedy="Name an instruction-tuned model.",
            )
        whole = AutoConfig.from_pretrained(source, revision=revision, local_files_only=cached_only)
        text = whole.get_text_config()
        self.ends = self._ends(text)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token_id = self._padding()
        numbers.check_tokenizer("llm.path", config.path, source, self.tokenizer)
        self.context = min(_context(text, self.tokenizer), config.max_model_len or NO_LIMIT)
        user = config.user
        self.in_front = bool(config.system) and not self._takes(messages(config.system, user, *ROW))
        has_system = bool(config.system) and not self.in_front
        if not has_system and not self._takes(messages("", user, *ROW)):
            also = "neither a system message nor" if self.in_front else "not"
            raise UserError(
                field="llm.path",
                value=config.path,
                problem=f"its chat template takes {also} a question alone",
                remedy="Name another model, or correct its chat template.",
            )

    def ids(self, prompt: str, season: str) -> list[int]:
        """Token ids of the chat; a prompt too long for the model's context loses its end."""
        room = self.context - self.config.max_tokens
        ids = self._chat(prompt, season)
        if len(ids) <= room:
            return ids
        whole = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        for kept in range(len(whole) - (len(ids) - room), -1, -1):
            ids = self._chat(self.tokenizer.decode(whole[:kept]), season)
            if len(ids) <= room:
                log.warning("prompt of %d tokens cut to %d: %.40s...", len(whole), kept, prompt)
                return ids
        raise UserError(
            field="llm.max_tokens",
            value=self.config.max_tokens,
            problem=f"the model's context has {room} tokens left, fewer than llm.system needs",
            remedy="Lower llm.max_tokens or shorten llm.system.",
        )

    def _ends(self, text: Any) -> list[int]:
        """Those of the tokenizer, of the configuration and of the generation configuration, which
        is where many models alone have the token that ends a turn.
        """
        from transformers import GenerationConfig

        named = [self.tokenizer.eos_token_id, text.eos_token_id]
        source = str(locate(self.config.path or ""))
        with suppress(OSError):  # not every model has one
            own = GenerationConfig.from_pretrained(source, revision=self.config.revision)
            named.append(own.eos_token_id)
        each = (ends if isinstance(ends, list) else [ends] for ends in named if ends is not None)
        found = [end for ends in each for end in ends]
        for end in found:
            numbers.check_end("llm.path", self.config.path, source, end)
        return sorted(set(found))

    def _padding(self) -> int:
        """A token that fills up shorter questions, for a tokenizer that names none."""
        named = [self.tokenizer.eos_token_id, *self.ends]
        found = next((token for token in named if token is not None), None)
        if found is None:
            raise UserError(
                field="llm.path",
                value=self.config.path,
                problem="nothing in it says which token ends an answer",
                remedy="Name it as eos_token in its tokenizer_config.json.",
            )
        return int(found)

    def _takes(self, chat: list[dict[str, str]]) -> bool:
        """Whether the chat template hands on the question: some raise an error at a system message.

        Raises TemplateSyntaxError for one that cannot be read.
        """
        try:
            filled = self._filled(chat)
        except TemplateSyntaxError:
            raise
        except TemplateError:
            return False
        return chat[-1]["content"].strip() in filled

    def _chat(self, prompt: str, season: str) -> list[int]:
        system = "" if self.in_front else self.config.system
        chat = messages(system, self.config.user, prompt, season)
        if self.in_front:  # as the templates of Gemma do
            chat[0]["content"] = f"{self.config.system}\n\n{chat[0]['content']}"
        return self.tokenizer(self._filled(chat), add_special_tokens=False)["input_ids"]

    def _filled(self, chat: list[dict[str, str]]) -> str:
        text: str = self.tokenizer.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=True,
            **self.config.chat_template_kwargs,
        )
        return text


def _context(text: Any, tokenizer: Any) -> int:
    """How many tokens the model reads. Those without positions say it, if at all, elsewhere."""
    names = ("max_position_embeddings", "max_seq_len", "max_sequence_length", "seq_length")
    told = [getattr(text, name, None) for name in names]
    known = [number for number in told if isinstance(number, int) and number > 0]
    return min(known[0] if known else tokenizer.model_max_length, NO_LIMIT)
