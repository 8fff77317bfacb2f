"""imagepipe used from Python, in one process: `python -m helpers.from_python`, in an empty folder.

What is printed is a JSON object of what was seen; `tests/api/test_python.py` says what is right.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SMALL = ["model=noop", "llm=none", "model.width=64", "model.height=64", "resources=cpu"]
SMALL += ["resources.model.pool=1", "resources.model.batch_size=4", "scorer=none"]


def main() -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    import imagepipe

    with initialize_config_dir(str(Path.cwd()), version_base="1.3"):  # an application's own
        theirs = GlobalHydra.instance(), GlobalHydra.instance().hydra
        seen = {"loop": asyncio.run(_in_a_loop(imagepipe))}
        seen["hydra"] = theirs == (GlobalHydra.instance(), GlobalHydra.instance().hydra)
    seen["dataset"] = _dataset(imagepipe)
    seen["beside"] = _beside(imagepipe)
    print(json.dumps(seen))


def _told(result: Any) -> dict[str, Any]:
    """What a result says of itself, as JSON."""
    return {
        "folder": str(result.folder),
        "counts": result.counts,
        "rate": result.images_per_s,
        "table": result.table.num_rows,
        "ids": [str(value) for value in result.to_pandas()["id"]],
        "polars": result.to_polars().shape[0],
        "sizes": [list(picture.size) for picture in result.pictures[:2]],
        "pictures": len(result.pictures),
        "sheet": (result._repr_png_() or b"")[:4].hex(),
        "repr": repr(result),
        "mlflow": bool(result.mlflow),
    }


async def _in_a_loop(imagepipe: Any) -> dict[str, Any]:
    """As a cell of a notebook runs: with a loop under way in the main thread."""
    import ray

    result = imagepipe.run(*SMALL, limit=6, seed=3)
    return {**_told(result), "ray": ray.is_initialized()}


def _dataset(imagepipe: Any) -> dict[str, Any]:
    """Starts Ray, which stays."""
    import ray

    data = imagepipe.dataset(*SMALL, "tracking=none", limit=4)
    rows = data.take_all()
    return {
        "columns": sorted(rows[0]),
        "shape": list(rows[0]["image"].shape),
        "rows": len(rows),
        "ray": ray.is_initialized(),
        "left": [path.name for path in Path("outputs").glob("*/*") if path.name == "table"],
    }


def _beside(imagepipe: Any) -> dict[str, Any]:
    """With the Ray that is there already, in a thread: where no signal arrives."""
    import ray

    before = ray.get_runtime_context().gcs_address
    given = {"limit": 5, "hydra.run.dir": "beside"}
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(imagepipe.run, *SMALL, "tracking=none", **given).result()
    after = ray.is_initialized() and ray.get_runtime_context().gcs_address
    return {**_told(result), "same_ray": before == after}


if __name__ == "__main__":
    main()
