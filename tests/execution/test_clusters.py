"""A run on a Ray that somebody else has started."""

from __future__ import annotations

import socket

from helpers.command import FAST, imagepipe


def test_an_address_where_nobody_listens_is_refused_at_once(tmp_path):
    folders = ["hydra.run.dir=out", "sink.path=place"]
    with socket.socket() as silent:  # bound, but it does not listen
        silent.bind(("127.0.0.1", 0))
        address = f"ray.address=127.0.0.1:{silent.getsockname()[1]}"
        done = imagepipe(tmp_path, *FAST, "ray=cluster", address, "tracking=none", *folders)
    assert done.returncode == 2
    assert f"{address}: no Ray cluster answers there ([Errno 111] Connection" in done.stderr
    assert "Where it asks for a token" in done.stderr and "set RAY_AUTH_MODE=token." in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
