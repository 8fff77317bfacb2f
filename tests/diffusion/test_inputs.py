"""Pictures that go in: read from wherever a row says, turned, converted and fitted."""

from __future__ import annotations

import io
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.configs import composed
from PIL import Image, PngImagePlugin
from pyarrow.fs import LocalFileSystem

from imagepipe.config import Model
from imagepipe.diffusion import fitting, inputs
from imagepipe.diffusion.rows import settings
from imagepipe.stages.pictures import pictures
from imagepipe.stages.stage import FAILED_REASON, LEDGER, apply

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
EXIF_ORIENTATION = 0x0112


def halves(mode: str = "RGB", size: tuple[int, int] = (8, 4)) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    return picture.convert(mode)


def file(picture: Image.Image, kind: str = "png", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    """As a telephone keeps one that was taken upright: to be turned by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return file(halves(), "jpeg", quality=100, subsampling=0, exif=exif)


def deep() -> bytes:
    """Grey of 16 bits: black, a half, white."""
    levels = np.array([[0, 1 << 15, (1 << 16) - 1]], np.uint16)
    return file(Image.fromarray(levels))


def see_through() -> bytes:
    picture = Image.new("RGBA", (2, 1), (*RED, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    return file(picture)


def palette() -> bytes:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    return file(picture, transparency=1)


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (2, 2), colour) for colour in (BLUE, RED)]
    more = {"lossless": True} if kind == "webp" else {}
    return file(frames[0], kind, save_all=True, append_images=frames[1:], **more)


def near(colours: np.ndarray, expected: list[tuple[int, int, int]]) -> bool:
    return bool(np.abs(colours.astype(int) - np.array(expected)).max() <= 6)


@pytest.mark.parametrize(
    ("content", "size", "row"),
    [
        pytest.param(file(halves()), (8, 4), [RED] * 4 + [BLUE] * 4, id="rgb"),
        pytest.param(
            file(halves("CMYK"), "jpeg", quality=100, subsampling=0),
            (8, 4),
            [RED] * 4 + [BLUE] * 4,
            id="cmyk",
        ),
        pytest.param(turned(), (4, 8), [RED] * 4, id="exif"),
        pytest.param(deep(), (3, 1), [(0,) * 3, (128,) * 3, (255,) * 3], id="16-bits"),
        pytest.param(file(Image.new("1", (2, 1), 1)), (2, 1), [WHITE] * 2, id="1-bit"),
        pytest.param(file(Image.new("L", (1, 1), 77)), (1, 1), [(77,) * 3], id="grey"),
        pytest.param(see_through(), (2, 1), [RED, WHITE], id="alpha"),
        pytest.param(palette(), (2, 1), [RED, WHITE], id="palette"),
        pytest.param(moving("gif"), (2, 2), [BLUE] * 2, id="gif"),
        pytest.param(moving("webp"), (2, 2), [BLUE] * 2, id="webp"),
        pytest.param(moving("png"), (2, 2), [BLUE] * 2, id="apng"),
        pytest.param(file(halves(), "tiff"), (8, 4), [RED] * 4 + [BLUE] * 4, id="tiff"),
    ],
)
def test_a_picture_is_as_a_person_sees_it(content, size, row):
    picture = fitting.decoded(content)
    assert (picture.mode, picture.size) == ("RGB", size)
    assert near(np.asarray(picture)[0], row), np.asarray(picture)[0]


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in some hundred bytes: its head says so, and is believed."""
    head = bytearray(file(Image.new("1", (1, 1))))
    head[16:24] = (30_000).to_bytes(4, "big") * 2
    crc = PngImagePlugin.zlib.crc32(head[12:29])
    head[29:33] = crc.to_bytes(4, "big")
    return bytes(head)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"<html>no such page</html>", "is not a picture of PNG", id="page"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture", id="eps"
        ),
        pytest.param(file(halves())[:48], "cannot be read", id="cut"),
        pytest.param(bomb(), "more pixels than are safe to read (89,478,485)", id="bomb"),
        pytest.param(
            file(Image.fromarray(np.ones((1, 1), np.float32)), "tiff"), "floating-point", id="float"
        ),
    ],
)
def test_what_is_no_picture_says_why(content, said):
    with pytest.raises(fitting.Unusable) as caught:
        fitting.decoded(content)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        pytest.param("crop", [[RED, BLUE]] * 2, id="crop"),
        pytest.param("stretch", [[RED, BLUE]] * 2, id="stretch"),
        pytest.param("pad", [[(0, 0, 0)] * 2, [RED, BLUE], [RED, BLUE], [(0, 0, 0)] * 2], id="pad"),
    ],
)
def test_a_picture_is_fitted_as_is_said(fit, expected):
    wide = halves(size=(64, 32))
    found = np.asarray(fitting.fitted(wide, 64, 64, fit))
    assert found.shape == (64, 64, 3)
    rows = len(expected)
    for number, (left, right) in enumerate(expected):
        row = found[64 // rows * number + 32 // rows]
        assert near(row[[8, -8]], [left, right]), (number, row[[8, -8]])


def test_a_crop_takes_the_same_from_both_sides():
    wide = Image.new("RGB", (96, 32), RED)
    wide.paste(BLUE, (32, 0, 64, 32))
    assert near(np.asarray(fitting.fitted(wide, 32, 32, "crop"))[16], [BLUE] * 32)


def read(folder: Path, cells: pa.Array, model: Model | None = None, **columns: list) -> pa.Table:
    """The rows past the stage, of which each has a picture to go into one of 8 x 8 pixels."""
    model = model or Model("mine", "noop", width=8, height=8)
    own = settings(replace(model, columns={"image": "photo", **{k: k for k in columns}}), {})
    stage = inputs.stage(own, {"image": inputs.Home(LocalFileSystem(), str(folder))})
    nulls = {name: pa.nulls(len(cells), pa.string()) for name in LEDGER.names}
    return apply(stage, stage.recipe(), pa.table({"photo": cells, **columns, **nulls}))


def test_pictures_are_found_wherever_a_cell_says(tmp_path):
    """A path beside the table or in the folder above it, absolute, bytes, and Hugging Face's."""
    inner = tmp_path / "table"
    inner.mkdir()
    content = file(halves(size=(8, 8)))
    (inner / "a.png").write_bytes(content)
    (tmp_path / "b.png").write_bytes(content)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for cells in (
        pa.array(["a.png", "b.png", str(tmp_path / "b.png"), (tmp_path / "b.png").as_uri()]),
        pa.array([content]),
        pa.array([{"bytes": content, "path": "gone.png"}, {"bytes": None, "path": "a.png"}], image),
    ):
        rows = read(inner, cells)
        assert rows[FAILED_REASON].null_count == len(rows), rows[FAILED_REASON]
        assert set(rows["model_image_sha256"].to_pylist()) == {sha256(content).hexdigest()}
        for found in pictures(rows["model_image_pixels"]):
            assert found.shape == (1, 8, 8, 3)
            assert near(found[0, 4, [0, -1]], [RED, BLUE])
        small = Image.open(io.BytesIO(rows["model_image_thumbnail"][0].as_py()))
        assert (small.format, small.size) == ("JPEG", (8, 8))


def test_a_picture_that_cannot_be_had_fails_its_row_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(file(halves()))
    (tmp_path / "torn.png").write_bytes(file(halves())[:48])
    names = ["a.png", "gone.png", "torn.png", None, " ", ".", "http://127.0.0.1:9/a.png", "no://x"]
    reasons = read(tmp_path, pa.array(names))[FAILED_REASON].to_pylist()
    assert reasons[0] is None
    for reason, said in zip(
        reasons[1:],
        [
            "column 'photo', for image, holds gone.png: there is no such file",
            "holds torn.png: is a picture that cannot be read",
            "there is no picture",
            "there is no picture",
            "there is no such file",
            "127.0.0.1 is 127.0.0.1, a private address. model.private_urls=true allows it",
            "holds no://x: such an address may lead into a private network. model.private_urls=",
        ],
        strict=True,
    ):
        assert said in reason


@pytest.mark.parametrize("begin", ["HTTP://", "simplecache::http://", "webhdfs://"])
def test_no_library_of_a_store_asks_a_private_server(begin, tmp_path):
    """Nobody takes the connection: who asked would wait for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{begin}127.0.0.1:{server.getsockname()[1]}/a.png"
        (reason,) = read(tmp_path, pa.array([url]))[FAILED_REASON].to_pylist()
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "model.private_urls=true allows it" in reason


@pytest.mark.parametrize(
    "cell",
    [
        "http://127.0.0.1:9/a.png?X-Amz-Signature=SECRET",
        "http://user:SECRET@127.0.0.1:9/a.png",
        "s3://bucket/a.png?secret_key=SECRET",
        "http://[SECRET/a.png",
        "http://127.0.0.1:9/a b.png?sig=SECRET",
    ],
    ids=["signed", "password", "store", "broken", "blank"],
)
def test_no_reason_repeats_what_lets_into_an_address(cell, tmp_path):
    (reason,) = read(tmp_path, pa.array([cell]))[FAILED_REASON].to_pylist()
    assert "column 'photo', for image, holds" in reason
    assert "SECRET" not in reason


def test_threads_that_read_pictures_leave_warnings_as_they_were():
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fitting.decoded, [file(halves())] * 200))
    assert warnings.filters == before


def test_a_picture_gets_its_rows_own_size_and_bad_sizes_are_left_to_the_model(tmp_path):
    (tmp_path / "a.png").write_bytes(file(halves()))
    rows = read(tmp_path, pa.array(["a.png"] * 3), width=["16", "many", None], height=[24, 8, None])
    assert rows[FAILED_REASON].null_count == 3
    sizes = [one.shape for one in pictures(rows["model_image_pixels"])]
    assert sizes == [(1, 24, 16, 3), (0, 0, 0, 3), (1, 8, 8, 3)]


def test_what_decides_of_a_picture_is_its_digest():
    columns = ("id", "prompt", "model_image_pixels", "model_mask_image_pixels", "pixels")
    told = ("id", "prompt", "model_image_sha256", "model_mask_image_sha256", "pixels")
    assert inputs.decisive(columns) == told


def test_the_embedded_model_is_not_given_pictures_unless_asked():
    assert composed().model.pictures == {}
