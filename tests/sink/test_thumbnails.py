"""The small pictures that the writers leave for the gallery."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.written import batch, writer
from PIL import Image

from imagepipe.config import Config
from imagepipe.reports import gallery
from imagepipe.sink.thumbnails import FOLDER, SIDE, Thumbnails, thumbnail
from imagepipe.store import Store

FIRST, LAST = "part-" + "0" * 24, "part-" + "f" * 24


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(512, 512, (256, 256)), (400, 800, (256, 128)), (900, 300, (85, 256))],
    ids=["square", "wide", "tall"],
)
def test_a_thumbnail_has_the_shape_of_its_picture(height, width, size):
    image = np.full((height, width, 3), (200, 40, 40), np.uint8)
    with Image.open(io.BytesIO(Thumbnails(1.0).of(FIRST, image))) as small:
        assert (small.format, small.size) == ("WEBP", size)
        assert np.abs(np.asarray(small).astype(int) - (200, 40, 40)).max() < 6


def test_a_file_that_is_small_is_its_own_thumbnail():
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    assert Thumbnails(1.0).of(FIRST, image) is None
    assert Thumbnails(1.0, files=False).of(FIRST, image) is not None


@pytest.mark.parametrize(
    ("share", "there"), [(0.0, (False, False)), (0.5, (True, False)), (1.0, (True, True))]
)
def test_a_share_of_the_parts_has_them_those_first_by_name(share, there):
    image = np.zeros((SIDE + 1, 8, 3), np.uint8)
    made = (Thumbnails(share).of(part, image) for part in (FIRST, LAST))
    assert tuple(one is not None for one in made) == there


def test_the_writer_leaves_one_beside_each_picture_that_is_inside_the_table(tmp_path: Path):
    write = replace(
        writer(tmp_path, png=False, image_bytes=True), thumbnails=Thumbnails(1.0, files=False)
    )
    write(batch(["a", "b/c"], each=2))
    names = [thumbnail(f"images/{name}.png") for name in ("a-0", "a-1", "b%2Fc-0", "b%2Fc-1")]
    assert write.store.parts(FOLDER) == names


@pytest.mark.parametrize(
    ("rows", "url", "share"),
    [(200, "/runs/a", 0.0), (1000, "/runs/a", 1.0), (100_000, "/runs/a", 0.1), (9000, "s3://b", 0)],
    ids=["few", "all", "sample", "bucket"],
)
def test_a_run_makes_those_that_its_gallery_shows(rows, url, share):
    assert gallery.thumbnails(Config(), rows, Store(url)).share == share
