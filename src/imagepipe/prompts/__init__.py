"""From a row to its prompt, seed and season: pure functions."""

from imagepipe.prompts.seeds import row_seed
from imagepipe.prompts.template import stage, template_columns

__all__ = ["row_seed", "stage", "template_columns"]
