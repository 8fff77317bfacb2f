"""A run from Python: what `imagepipe` does at the command line, for scripts and notebooks.

    import imagepipe
    result = imagepipe.run("model=tiny", "llm=none", limit=8)

Imported from `imagepipe` itself, which loads it when it is used.
"""

from imagepipe.api.comparing import Compared, compare
from imagepipe.api.pipelines import dataset
from imagepipe.api.result import Pictures, Result
from imagepipe.api.running import run

__all__ = ["Compared", "Pictures", "Result", "compare", "dataset", "run"]
