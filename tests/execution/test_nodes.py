"""What a cluster's nodes are asked for before a run: the files that are on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.configs import composed
from helpers.refusals import refusal

from imagepipe import sources
from imagepipe.config import Config, Scorer, paths
from imagepipe.execution import fetching, nodes
from imagepipe.store import Store

KEYS = {
    "llm.path": "llm.path={}",
    "model.path": "model.path={}",
    "model.vae": "model.vae={}",
    "model.controlnet": "model.controlnet={}",
    "model.ip_adapter.path": "model.ip_adapter.path={}",
    "model.parts.text_encoder.path": "+model.parts={{text_encoder: {{path: {}}}}}",
    "model.loras": "model.loras=[{{path: {}}}]",
    "model.textual_inversions": "model.textual_inversions=[{{path: {}}}]",
    "scorer.clip.path": "scorer.path={}",
    "scorer.clip.processor": "scorer.processor={}",
}
BEGUN = ("model=sd_turbo", "model.variant=null", "llm=qwen", "llm.engine=transformers")
BEGUN += ("scorer=clip",)


def fields(config: Config, tables: sources.Tables | None = None) -> list[tuple[str, str]]:
    return [(need.field, need.path) for need in nodes.needs(config, tables)]


@pytest.mark.parametrize("key", [*KEYS, "model.config"])
def test_they_are_asked_for_what_is_a_folder_here(tmp_path: Path, key: str):
    typed = KEYS.get(key, "model.config={}")
    assert fields(composed(*BEGUN, typed.format(tmp_path))) == [(key, str(tmp_path))]
    assert fields(composed(*BEGUN, typed.format(tmp_path / "gone"))) == []
    assert fields(composed(*BEGUN, typed.format("owner/name"))) == []
    assert fields(composed(typed.format("asset:tiny"))) == []


def test_of_several_scorers_they_are_asked_for_each(tmp_path: Path):
    config = composed("scorer=[tiny_clip,clip]")
    config.scorer = {
        "a": Scorer("a", path=str(tmp_path)),
        "b": Scorer("b", processor=str(tmp_path)),
    }
    assert fields(config) == [
        ("scorer.a.path", str(tmp_path)),
        ("scorer.b.processor", str(tmp_path)),
    ]


def test_what_is_fetched_from_the_hub_is_what_the_keys_name():
    """Which of its files, only the fetching knows."""
    config = composed(*BEGUN, *(typed.format("owner/name") for typed in KEYS.values()))
    sections = {"llm": config.llm, "model": config.model, "scorer.clip": config.scorer["clip"]}
    named = {
        f"{key}.{one.key}" for key, section in sections.items() for one in paths.named(section)
    }
    assert named == set(KEYS)
    assert {one.field for one in fetching.wanted(config)} == named


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    """Two tables, and pictures beside the second and elsewhere."""
    for place in ("shop/b.png", "looks/masks/m.png", "far/c.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"a picture")
    far = tmp_path / "far" / "c.png"
    cells = ["b.png", "gone.png", "", f"file://{far}", str(far)]
    rows = [f"{number},{cell},a" for number, cell in enumerate(cells)]
    (tmp_path / "shop" / "t.csv").write_text("\n".join(["id,photo,look", *rows, ""]))
    (tmp_path / "looks" / "j.csv").write_text("look,mask\na,masks/m.png\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


JOINED = ["dataset=csv", "dataset.path=shop/t.csv", "dataset.join.path=looks/j.csv"]
JOINED += ["dataset.join.on=look", "dataset.prompt='a cat'"]


def of_rows(home: Path, *columns: str) -> tuple[Config, list[nodes.Need]]:
    config = composed("model=noop", "llm=none", "scorer=none", *JOINED)
    config.model.columns = dict(one.split("=") for one in columns)
    tables = sources.scan(config.dataset, None, config.model.columns)
    return config, list(nodes.needs(config, tables))


def test_they_are_asked_for_the_pictures_that_the_first_rows_name(home: Path):
    """Relative to the table that has the column, absolute, or as a URL."""
    _, needs = of_rows(home, "image=photo", "mask_image=mask")
    assert [(need.field, need.path) for need in needs] == [
        ("dataset.path", str(home / "shop" / "t.csv")),
        ("model.columns.image", str(home / "shop" / "b.png")),
        ("model.columns.image", str(home / "far" / "c.png")),
        ("model.columns.mask_image", str(home / "looks" / "masks" / "m.png")),
    ]


@pytest.mark.parametrize(
    ("away", "field", "path"),
    [
        ("shop/b.png", "model.columns.image", "shop/b.png"),
        ("looks", "model.columns.mask_image", "looks/masks/m.png"),
        ("shop", "dataset.path", "shop/t.csv"),
    ],
    ids=["picture", "folder", "table"],
)
def test_what_a_node_does_not_find_is_named(home: Path, away: str, field: str, path: str):
    config, needs = of_rows(home, "image=photo", "mask_image=mask")
    (home / away).rename(home / "away")  # as on a machine that does not have it
    store = Store(str(home / "out"))
    said = refusal(
        nodes.check_answer, config, store, "mark", "b", nodes.tried(store, "mark", needs)
    )
    assert said.startswith(f"{field}={home / path}: is here, but not on the node b. Put it into ")


def test_cells_that_hold_pictures_or_addresses_ask_for_nothing(home: Path):
    cells = ["https://shop/a.png", "s3://shop/a.png", " ", "https://shop/b.png"]
    rows = [f"{number},{cell},a" for number, cell in enumerate(cells)]
    (home / "shop" / "t.csv").write_text("\n".join(["id,photo,look", *rows, ""]))
    _, needs = of_rows(home, "image=photo")
    assert [need.field for need in needs] == ["dataset.path"]
