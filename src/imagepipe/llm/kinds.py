"""Models that the local engines cannot read: what they are, and how to use them instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagepipe.assets import PREFIX
from imagepipe.errors import UserError, one_line
from imagepipe.stages import loading, weights

if TYPE_CHECKING:
    from imagepipe.config import LLM

# What a tokenizer is read of, one of them.
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
SERVED = "serve it elsewhere and use llm=openai llm.base_url=http://localhost:8000/v1 llm.path=NAME"


def check_of_transformers(config: LLM) -> None:
    """Raise `UserError` if `llm.path` is what transformers does not read, or not here.

    Fetches nothing, and does not look at what ships with the package.
    """
    path = config.path or ""
    folder = None if path.startswith(PREFIX) else weights.here(path, config.revision)
    if folder is None or not (folder / "config.json").is_file():
        return
    described = weights.described("llm.path", config.path, folder / "config.json")
    if "quantization" in described and "quantization_config" not in described:
        raise _refused(config, "is quantised for MLX", "Name the model as transformers has it.")
    _check_quantized(config, described.get("quantization_config"))
    if not str(described.get("architectures")).count("ForCausalLM"):  # else transformers' 3 s
        check_class(config, described.get("model_type"))


def _check_quantized(config: LLM, quantized: Any) -> None:
    """vLLM reads what is quantised itself; transformers needs a package for each way."""
    if not isinstance(quantized, dict):
        return
    loading.quiet()
    from transformers.quantizers import AutoHfQuantizer

    method = str(quantized.get("quant_method", "unknown"))
    try:
        AutoHfQuantizer.from_config(quantized).validate_environment(device_map=None)
    except ImportError as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise _refused(
            config,
            f"is quantised ({method.upper()}): {why}",
            f"Or use llm.engine=vllm on a GPU, which reads it itself, {SERVED}, or name the model "
            "that is not quantised.",
        ) from None
    except Exception:  # such as no GPU here, which the process that loads it may have
        return


def check_class(config: LLM, kind: Any) -> None:
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

    if kind in CONFIG_MAPPING and CONFIG_MAPPING[kind] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise _refused(
            config,
            f"is a {kind}, which does not continue a text as chat models do",
            "Name an instruction-tuned language model.",
        )


def check_whole(config: LLM) -> None:
    """Raise `UserError` if weights are missing, or where the model's tokenizer, chat template
    or context takes no question.

    Nothing is read here of what ships with the package, or of what the hub's cache does not hold.
    """
    loading.check_fit("llm.path", config.path, config.revision, _model_class)
    path = config.path or ""
    where = None if path.startswith(PREFIX) else weights.here(path, config.revision)
    if where is None:
        return
    if not isinstance(weights.locate(path), Path) and not _has(where, TOKENIZERS):
        return
    from imagepipe.llm.questions import Questions

    try:
        with weights.readable("llm.path", path, where):
            Questions(config, cached_only=True).ids("", "winter")
    except OSError as error:
        if isinstance(weights.locate(path), Path):
            raise weights.broken("llm.path", path, where, one_line(error)) from error


def _has(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def _model_class() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM


def _refused(config: LLM, problem: str, remedy: str) -> UserError:
    return UserError(field="llm.path", value=config.path, problem=problem, remedy=remedy)
