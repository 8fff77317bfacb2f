"""A process that answers with its id: `python -m helpers.echo`, until its input ends."""

import os
import sys

for _ in sys.stdin:
    print(os.getpid(), flush=True)
