"""What the writer leaves: pictures, tables, shards; whole files; rejected rows to feed in again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.written import FACTS, batch, writer
from PIL import Image

from imagepipe.prompts.seeds import row_seed
from imagepipe.sink.encoding import encode
from imagepipe.sink.parts import collect_rejected
from imagepipe.sink.writer import COUNTS
from imagepipe.store import Store


def table_of(folder: Path) -> pa.Table:
    return pq.read_table(folder / "table")


def test_a_picture_holds_its_row(tmp_path):
    counts = writer(tmp_path)(batch(["a", "b"]))
    assert counts.schema == COUNTS
    assert counts.to_pylist()[0] | {"reasons": None, "written_at": None} == {
        "written": 2,
        "failed": 0,
        "unmatched": 0,
        "pictures": 2,
        "reused": [],
        "prompts_cut": 0,
        "llm_tokens_in": 1,
        "llm_tokens_out": 5,
        "llm_trimmed": 0,
        "llm_fallbacks": ["refusal"],
        "unknown_words": ["zyx", "lighthouse"],
        "reasons": None,
        "failed_for_good": 0,
        "unmatched_reasons": [],
        "filtered": 0,
        "filtered_reasons": [],
        "pictures_filtered": 0,
        "scores": [],
        "unscored": [],
        "prompt_signs": [],
        "inversion_words": [],
        "written_at": None,
        "drawn_at": 1.0,
        "busy_s": [("llm", 1.0), ("model", 0.0)],
    }
    with Image.open(tmp_path / "images" / "b.png") as image:
        assert np.asarray(image).tolist() == np.full((8, 8, 3), 15).tolist()
        assert image.text["id"] == "b"
        assert image.text["prompt"] == "a fine thing 1 <é>"
        assert image.text["base_prompt"] == "a thing 1"
        assert image.text["seed"] == str(row_seed(7, "b"))
        assert image.text["parameters"] == (
            "a fine thing 1 <é>\nNegative prompt: blur\n"
            "Steps: 4, Sampler: the model's own, CFG scale: 2, Size: 8x8, Model: m, "
            f"Seed: {row_seed(7, 'b')}"
        )


def test_the_table_keeps_the_columns_and_points_to_the_pictures(tmp_path):
    writer(tmp_path)(batch(["a", "b/../c"]))
    rows = table_of(tmp_path).to_pylist()
    assert [row["what"] for row in rows] == ["thing 0", "thing 1"]
    assert "image" not in rows[0]
    assert "failed_stage" not in rows[0]
    for row in rows:
        assert (tmp_path / row["image_path"]).resolve().parent == (tmp_path / "images").resolve()
        assert (tmp_path / row["image_path"]).is_file()


def test_several_pictures_a_row(tmp_path):
    counts = writer(tmp_path)(batch(["a", "b"], each=3))
    assert counts["pictures"].to_pylist() == [6]
    assert counts["written"].to_pylist() == [2]
    rows = table_of(tmp_path).to_pylist()
    assert [(row["id"], row["image_index"]) for row in rows] == [
        (id_, k) for id_ in "ab" for k in range(3)
    ]
    assert rows[4]["image_path"] == "images/b-1.png"
    assert rows[4]["seed"] == row_seed(7, "b", 1)
    assert len({row["seed"] for row in rows}) == 6


def test_hugging_face_sees_pictures(tmp_path):
    datasets = pytest.importorskip("datasets")
    writer(tmp_path, png=False, image_bytes=True)(batch(["a", "b"]))
    assert not (tmp_path / "images").exists()
    assert "image_path" not in table_of(tmp_path).column_names
    files = [str(path) for path in (tmp_path / "table").glob("*.parquet")]
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(loaded.features["image"], datasets.Image)
    assert np.asarray(loaded[1]["image"])[0, 0].tolist() == [15, 15, 15]


def test_webdataset_shards_hold_picture_and_row_under_one_key(tmp_path):
    writer(tmp_path, png=False, webdataset=True)(batch(["a.b", "c"]))
    (shard,) = (tmp_path / "shards").glob("*.tar")
    with tarfile.open(shard) as tar:
        names = tar.getnames()
        assert names == ["a%2Eb.png", "a%2Eb.json", "c.png", "c.json"]
        png, row = (tar.extractfile(name).read() for name in names[:2])
    assert Image.open(io.BytesIO(png)).size == (8, 8)
    assert json.loads(row)["what"] == "thing 0"


def test_rejected_rows_keep_their_own_columns_with_stage_and_reason(tmp_path):
    write = writer(tmp_path)
    first = write(batch(["a", "b", "c"], stages=[None, "llm", "join"]))
    write(batch(["d"], stages=["model"]))
    assert [first[name][0].as_py() for name in ("written", "failed", "unmatched")] == [1, 1, 1]
    assert first["reasons"][0].as_py() == ["llm: why llm"]
    collect_rejected(Store(str(tmp_path)))
    failed = pq.read_table(tmp_path / "failed.parquet").sort_by("id")
    assert failed.column_names == ["id", "what", "stage", "reason"]
    assert failed["id"].to_pylist() == ["b", "d"]
    assert failed["stage"].to_pylist() == ["llm", "model"]
    unmatched = pq.read_table(tmp_path / "unmatched.parquet").to_pylist()
    assert [(row["id"], row["reason"]) for row in unmatched] == [("c", "why join")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "failed.parquet",
        "images",
        "table",
        "unmatched.parquet",
    ]


@pytest.mark.parametrize("webdataset", [False, True])
def test_a_cell_that_python_has_no_value_for_is_kept(tmp_path, webdataset: bool):
    rows = batch(["a", "b"]).append_column("day", pa.array([2932900, 1], pa.date32()))
    latin = pa.array([b"caf\xe9", b"tea"]).view(pa.string())  # broken, as UTF-8
    texts = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), latin)
    writer(tmp_path, webdataset=webdataset)(rows.append_column("texts", texts))
    assert table_of(tmp_path)["day"].cast(pa.int32()).to_pylist() == [2932900, 1]
    if webdataset:
        with tarfile.open(next((tmp_path / "shards").iterdir())) as tar:
            said = [json.loads(tar.extractfile(f"{name}.json").read()) for name in "ab"]
        assert [row["day"] for row in said] == ["10000-01-04", "1970-01-02"]
        assert [row["texts"] for row in said] == [None, ["tea"]]


def test_rows_without_an_id_are_all_kept(tmp_path):
    for _ in range(2):
        writer(tmp_path)(batch([None, None], stages=["read", "read"]))
    collect_rejected(Store(str(tmp_path)))
    assert pq.read_table(tmp_path / "failed.parquet").num_rows == 4


def test_a_batch_written_twice_is_there_once(tmp_path):
    for _ in range(2):
        writer(tmp_path)(batch(["a", "b"]))
    assert table_of(tmp_path).num_rows == 2


def test_the_same_picture_is_the_same_file(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    assert encode(image, FACTS) == encode(image, FACTS)
