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
        "A red cat wearing a hat (note the bell) in the snow.",
        "A red cat wearing a hat reads a sign (3 words carved in wood) in snow",
        "A red cat wearing a hat. As twilight falls, snow glitters.",
        "As requested by the king, a red cat wears a hat",
        "Enjoying the snow, a red cat wears a hat.",
        "Photo (f/1.8, 35 mm) of a red cat wearing a hat in snow",
    ],
)
def test_what_stands_in_brackets_and_tells_of_the_picture_stays(said: str) -> None:
    assert drawn(said, SAID["en"][0]) == said


# Sentences of a picture that begin as remarks do, by the language of SAID.
OF_THE_PICTURE = {
    "en": [
        "As requested by the king, a page holds its tail.",
        "As asked for by the sign, nobody walks on the grass.",
        "As you walk closer, the snow glitters.",
        "Note paper lies on the table beside it.",
        "Note the falling snow behind its ears.",
        "Enjoying the cold, a fox sits beside it.",
        "Enjoy the view, says a sign behind it.",
        "Hope that glows like a lantern shines in its eyes.",
        "Happy to help, an elf carries its basket.",
        "If you look closely, a mouse hides under the hat.",
        "If you have never seen snow, here it falls in heaps.",
        "This keeps the cat warm in the frost.",
        "This version of the hat has a feather and a bell.",
        "Let me know peace, reads a banner above it.",
        "Based on an old engraving, the sky has fine lines.",
        "Following your path through the snow, a fox looks on.",
        "Where birds feel free to sing, the snow melts.",
        "Is anything as quiet as falling snow?",
        "Wherever birds feel free to add a song, the snow melts.",
        "I see its paw prints lead into the woods.",
    ],
    "de": [
        "Wie gewünscht vom König, trägt er Stiefel.",
        "Viel Freude liegt in der kalten Luft.",
        "Hinweisschilder ragen aus dem Schnee.",
        "Hoffnung glänzt in seinen Augen.",
        "Wenn du genau hinsiehst, glitzert der Frost.",
    ],
    "fr": [
        "Comme demandé par le roi, il porte des bottes.",
        "Si vous regardez bien, une souris dort dessous.",
        "Notes de musique et flocons flottent autour.",
        "Cette neige couvre aussi les toits.",
    ],
    "es": [
        "Como pedido del rey hay una corona de hielo.",
        "Espera quieto bajo la nieve.",
        "Si miras bien, hay un ratón debajo.",
        "Nota blanca de papel en su pata.",
    ],
    "ru": [
        "Надежда светится в его глазах.",
        "Если присмотреться, видна мышь.",
        "Как вы дойдёте до леса, снег заблестит.",
    ],
    "zh": [
        "希望的光芒在它的眼中闪烁。",
        "如梦的雪景在它身后。",
        "请柬放在它的脚边。",
        "这只猫站在树下。",
    ],
    "ja": [
        "必要な物は雪の下にある。",
        "この猫は木の下に座っている。",
        "希望の光が目に輝く。",
    ],
    "ko": [
        "이 고양이는 나무 아래에 있다.",
        "필요한 것은 눈뿐이다.",
        "희망의 빛이 눈에 반짝인다.",
    ],
}
# And remarks that stand behind a description as its sentences do.
TO_WHO_ASKED = {
    "en": [
        "As requested, I did not change the colours.",
        "As you requested, the hat stays.",
        "As requested in your prompt, no dog is there.",
        "Note that the colours are as they were.",
        "Enjoy!",
        "Enjoy your winter picture!",
        "I hope you like it.",
        "Hope this helps!",
        "Happy to help with more.",
        "I'm happy to adjust it.",
        "If you'd like a longer one, say so.",
        "If you want me to change it, say so.",
        "This keeps the subject and its clothing.",
        "This adds two elements of winter.",
        "This version keeps the hat.",
        "The enriched description has two new elements.",
        "Based on your prompt, two elements were added.",
        "Would you like another season?",
        "Let me know what you think.",
        "Please feel free to adjust it.",
    ],
    "de": [
        "Wie gewünscht, bleibt der Hut.",
        "Viel Spaß damit!",
        "Ich hoffe, das gefällt Ihnen.",
        "Sagen Sie mir gerne Bescheid.",
        "Falls Sie etwas ändern möchten, schreiben Sie mir.",
        "Diese Beschreibung behält den Hut.",
    ],
    "fr": [
        "Comme demandé, le chapeau reste.",
        "J'espère que cela vous plaît.",
        "N'hésitez pas à me demander autre chose.",
        "Dites-moi si cela convient.",
        "Si vous souhaitez autre chose, écrivez-moi.",
    ],
    "es": [
        "Como pediste, el sombrero se queda.",
        "Espero que te guste.",
        "Avísame si quieres cambios.",
        "Si deseas algo más, dilo.",
        "No dudes en pedir otra.",
    ],
    "ru": [
        "Надеюсь, вам понравится.",
        "Если вы хотите изменить, напишите.",
        "Как вы и просили, шляпа осталась.",
        "Дайте знать, если нужно иначе.",
    ],
    "zh": [
        "希望您喜欢。",
        "如果您需要修改，可以说明。",
        "根据您的要求，帽子保留。",
        "这个描述保留了主体。",
    ],
    "ja": [
        "お気軽にお知らせください。",
        "この説明は冬の要素を含みます。",
        "ご要望があればどうぞ。",
    ],
    "ko": [
        "수정이 필요하면 알려 주세요.",
        "도움이 되었으면 합니다.",
        "이 설명은 모자를 유지합니다.",
    ],
}


def behind(good: str, sentence: str, language: str) -> tuple[str, str]:
    """A description as a sentence, and the same with `sentence` behind it."""
    good += "。" if language in ("zh", "ja") else "."
    return good, f"{good}{'' if good.endswith('。') else ' '}{sentence}"


@pytest.mark.parametrize("language", SAID)
def test_a_sentence_of_the_picture_stays_that_begins_as_a_remark_does(language: str) -> None:
    base, good, _ = SAID[language]
    for sentence in OF_THE_PICTURE[language]:
        _, both = behind(good, sentence, language)
        assert drawn(both, base) == both
        assert drawn(f"{sentence} {good}", base) == f"{sentence} {good}"


@pytest.mark.parametrize("language", SAID)
def test_a_sentence_to_who_asked_or_of_the_answer_is_not_drawn(language: str) -> None:
    base, good, _ = SAID[language]
    for sentence in TO_WHO_ASKED[language]:
        alone, both = behind(good, sentence, language)
        assert drawn(both, base) == alone
        assert drawn(f"{good}\n{sentence}", base) == good
        assert drawn(f"{good}\n\n{sentence}", base) == good
        assert drawn(f"{good} ({sentence})", base) == good
        assert drawn(f"{good} – {sentence}", base) == good
