"""Says how many bytes the object store of a running Ray holds, each time that it is more than ever.

    python tests/helpers/held.py GCS_ADDRESS

Until it is ended. The store's shared memory would tell less: it is every page that was ever
touched, and the store takes new ones while those that it freed lie between others.
"""

from __future__ import annotations

import sys
import time

from ray._private import authentication
from ray._private.state import GlobalState
from ray._raylet import GcsClientOptions

EVERY_S = 0.05
NAME = "object_store_memory"


def main(address: str) -> None:
    authentication.authentication_token_setup.maybe_enable_token_auth_if_token_available()
    options = GcsClientOptions.create(
        address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=False
    )
    state = GlobalState()
    state._initialize_global_state(options)
    most = 0.0
    while True:
        whole, free = state.cluster_resources(), state.available_resources()
        # While a node comes or goes, Ray knows its whole store but not what of it is free.
        if NAME in whole and NAME in free and whole[NAME] - free[NAME] > most:
            most = whole[NAME] - free[NAME]
            print(int(most), flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1])
