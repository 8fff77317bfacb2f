"""From a row to its prompt, seed and season: pure functions."""

from imagepipe.prompts.seeds import row_seed
from imagepipe.prompts.template import Template, stage, varied

__all__ = ["Template", "row_seed", "stage", "varied"]
