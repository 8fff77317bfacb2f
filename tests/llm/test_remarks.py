"""What a model says beside its description is not drawn: before or behind it, in any form."""

from __future__ import annotations

import pytest

from imagepipe.llm import Answer
from imagepipe.llm.answers import Asked, clean

# A base prompt, a description of it, and what was said of it, in the same language.
SAID = {
    "en": (
        "a red cat wearing a hat",
        "A red cat wearing a hat, falling snow",
        ["Note: I kept it short.", "I've added two elements of winter.", "As requested, no dog."],
    ),
    "de": (
        "ein roter Kater mit Hut",
        "Ein roter Kater mit Hut, fallender Schnee",
        ["Hinweis: Ich blieb kurz.", "Anmerkung: kurz", "Ich habe Schnee hinzugefügt."],
    ),
    "fr": (
        "un chat roux avec un chapeau",
        "Un chat roux avec un chapeau, de la neige",
        ["Remarque : je suis resté bref.", "J’ai gardé le chapeau."],
    ),
    "es": (
        "un gato rojo con sombrero",
        "Un gato rojo con sombrero, nieve",
        ["Nota: lo mantuve breve.", "He añadido nieve."],
    ),
    "ru": (
        "рыжий кот в шляпе",
        "Рыжий кот в шляпе, падающий снег",
        ["Примечание: коротко.", "Я добавил снег."],
    ),
    "zh": (
        "一只戴帽子的红猫",
        "一只戴帽子的红猫，飘落的雪花",
        ["注：已保留主体。", "我添加了雪花。"],
    ),
    "ja": (
        "帽子をかぶった赤い猫",
        "帽子をかぶった赤い猫、降る雪",
        ["備考：雪。", "雪を加えました。"],
    ),
    "ko": (
        "모자를 쓴 빨간 고양이",
        "모자를 쓴 빨간 고양이, 눈",
        ["참고: 눈.", "눈을 추가했습니다."],
    ),
}
FORMS = ("({})", "[{}]", "*{}*", "_{}_", "**{}**", "*({})*", "（{}）")
REMARKS = [(base, good, said) for base, good, every in SAID.values() for said in every]


def drawn(text: str, base: str) -> str:
    class NoLimit:
        def cuts(self, prompt: str) -> bool:
            return False

    cleaned = clean(Answer(text, finish_reason="stop"), Asked(base, f"Prompt: {base}"), NoLimit())
    return cleaned.fallback or cleaned.prompt


@pytest.mark.parametrize("form", FORMS)
def test_a_remark_is_not_drawn_that_is_enclosed(form: str) -> None:
    for base, good, said in REMARKS:
        remark = form.format(said)
        for between in (" ", "\n", "\n\n"):
            assert drawn(f"{remark}{between}{good}", base) == good
            assert drawn(f"{good}{between}{remark}", base) == good


def test_a_remark_is_not_drawn_that_is_a_line_or_a_sentence_of_its_own() -> None:
    for base, good, said in REMARKS:
        if not said.endswith(("ました。", "습니다.")):  # as descriptions end too
            for between in ("\n", "\n\n"):
                assert drawn(f"{said}{between}{good}", base) == good
        assert drawn(f"{good}\n\n{said}", base) == good
    base, good, _ = SAID["en"]
    assert drawn(f"I've added snow. I kept the red cat and its hat. {good}", base) == good
    assert drawn(f"**Note:** it is short.\n\n{good}", base) == good
    assert drawn(f"(Sure, as you like it.)\n(Winter version)\n{good}", base) == good


@pytest.mark.parametrize(
    "said",
    [
        "(close-up) A red cat wearing a hat, falling snow",
        "[winter] a red cat wearing a hat in snow",
        "(masterpiece, best quality) A red cat wearing a hat in snow",
        "(falling snow:1.3) a red cat wearing a hat",
        "A red cat (wearing a hat!) in the snow",
        "A red cat wearing a hat in the snow (so cold!)",
        "A red cat wearing a hat, falling snow (8k, sharp)",
        "A red cat wearing a hat reads a sign (SALE: 50 %) in snow",
        'A red cat wearing a hat with a note: "meow", snow',
        "A red cat wearing a hat holds a note (white, torn) in the snow.",
        "A red cat wearing a hat. As twilight falls, snow glitters.",
        "As requested by the king, a red cat wears a hat",
        "Enjoying the snow, a red cat wears a hat.",
        "Photo (f/1.8, 35 mm) of a red cat wearing a hat in snow",
    ],
)
def test_what_stands_in_brackets_and_tells_of_the_picture_stays(said: str) -> None:
    assert drawn(said, SAID["en"][0]) == said
