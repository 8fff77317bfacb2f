"""The CPUs that Ray Data counts while its operators ask for fractions: `python counted_cpus.py`.

Prints a JSON list of the numbers that it counted of two, once it had heard from Ray.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

# Seconds, not ten. Ray Data asks once half of the machine was used in the last ten, so that the
# rows have to take longer.
os.environ["RAY_DATA_MIN_GAP_BETWEEN_AUTOSCALING_REQUESTS"] = "1"


def main() -> None:
    from imagepipe.config import RayOptions
    from imagepipe.execution.session import session
    from imagepipe.resources.machine import Machine, Node

    with session(RayOptions(), Machine((Node(2, 0),)), verbose=False):
        import ray.data
        from ray.data._internal.execution.execution_callback import ExecutionCallback

        counted = set()

        class Callback(ExecutionCallback):
            def on_execution_step(self, executor: Any) -> None:
                counted.add(executor._resource_manager.get_global_limits().cpu)

        class Busy:
            def __call__(self, rows: Any) -> Any:
                time.sleep(0.2)
                return rows

        ray.data.DataContext.get_current().custom_execution_callback_classes = [Callback]
        rows = ray.data.from_items(list(range(110)), override_num_blocks=110)
        rows.map_batches(Busy, num_cpus=0.9, concurrency=2).materialize()
    print(json.dumps(sorted(counted - {0})))


if __name__ == "__main__":
    main()
