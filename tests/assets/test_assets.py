"""The weights that ship are those that their model cards tell of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagepipe.assets import folder
from imagepipe.errors import UserError
from toyworld.card import check_digests

MODELS = ("tiny", "tiny_clip", "tiny_llm")


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_are_those_of_the_card(name: str) -> None:
    check_digests(Path(folder(f"asset:{name}")))


def test_every_folder_with_weights_is_checked() -> None:
    root = Path(folder("asset:"))
    holders = {file.relative_to(root).parts[0] for file in root.rglob("*.safetensors")}
    assert holders == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_card_states_licence_settings_figures_and_commands(name: str) -> None:
    card = (Path(folder(f"asset:{name}")) / "README.md").read_text()
    for part in ("license: apache-2.0", "## Figures", "## Commands", "seed", "minutes on", "loss"):
        assert part in card, part


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "tiny_llm"
    shutil.copytree(folder("asset:tiny_llm"), copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    with pytest.raises(UserError, match=r"model\.safetensors"):
        check_digests(copy)


def test_no_weights_are_pickles() -> None:
    root = Path(folder("asset:"))
    assert not [f for f in root.rglob("*") if f.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
