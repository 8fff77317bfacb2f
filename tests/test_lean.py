"""That transformers comes without what it would import beside it, and nothing else misses it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from imagepipe import lean
lean.import_transformers()
assert "sklearn" not in sys.modules, "transformers still imports it"
from transformers import AutoModelForCausalLM, CLIPModel
assert "sklearn" not in sys.modules
import sklearn.metrics, scipy.stats
"""


def test_transformers_does_not_bring_scikit_learn_and_others_still_find_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
