"""Which tests one process of pytest runs, so that what they need is started and loaded once."""

from __future__ import annotations

from helpers import ROOT, own_ray
from xdist.scheduler import LoadFileScheduling

ROOMS = ("tests/diffusion/",)  # whose files load each other's libraries


class Together(LoadFileScheduling):
    """By file, as `--dist loadfile`; those that use the Ray of their process are as one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if own_ray.uses(ROOT / file):
            return "ray_session"
        return next((room for room in ROOMS if file.startswith(room)), file)
