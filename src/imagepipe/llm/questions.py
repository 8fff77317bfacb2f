"""The question as token ids: one way for every engine that takes tokens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from imagepipe.errors import UserError
from imagepipe.llm.chat import messages
from imagepipe.stages.weights import locate

if TYPE_CHECKING:
    from imagepipe.config import LLM

log = logging.getLogger(__name__)


class Questions:
    """Asks in the model's own chat template, cut to what its context holds beside the answer.

    Reads the tokenizer and the configuration, no weights. Raises `UserError` for a model without
    a chat template.
    """

    def __init__(self, config: LLM) -> None:
        from transformers import AutoConfig, AutoTokenizer

        self.config = config
        source, revision = str(locate(config.path or "")), config.revision
        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            source, revision=revision, padding_side="left"
        )
        if self.tokenizer.chat_template is None:
            raise UserError(
                field="llm.path",
                value=config.path,
                problem="it has no chat template",
                remedy="Name an instruction-tuned model.",
            )
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        text = AutoConfig.from_pretrained(source, revision=revision).get_text_config()
        self.context = min(text.max_position_embeddings, config.max_model_len or 1 << 30)

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

    def _chat(self, prompt: str, season: str) -> list[int]:
        chat = messages(self.config.system, self.config.user, prompt, season)
        text = self.tokenizer.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=True,
            **self.config.chat_template_kwargs,
        )
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]
