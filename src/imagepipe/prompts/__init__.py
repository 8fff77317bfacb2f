"""From a row to its prompt, seed and season: pure functions."""

from imagepipe.prompts.template import row_seed, stage, template_columns

__all__ = ["row_seed", "stage", "template_columns"]
