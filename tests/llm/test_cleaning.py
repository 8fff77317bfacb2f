"""From what a model said to the prompt that is drawn: what is taken off, and what falls back."""

from __future__ import annotations

import pytest

from imagepipe.llm import Answer
from imagepipe.llm.answers import FALLBACKS, Asked, Cleaned, clean

BASE = "a red cat wearing a hat"
SYSTEM = (
    "You enrich prompts for pictures. Keep the subject, its clothing, the colours and the medium "
    "as they are and add two short elements of the season. Answer with the new description only."
)
GOOD = "a red cat wearing a hat, falling snow and bare branches"
FULL = "A red cat wears a hat in the snow."


class Words:
    """A limit of 60 words."""

    def cuts(self, prompt: str) -> bool:
        return len(prompt.split()) > 60


def read(said: str, base: str = BASE, **told: str | None) -> Cleaned:
    asked = Asked(base, f"Prompt: {base}\nSeason: winter", SYSTEM, "Prompt: ")
    return clean(Answer(said, **{"finish_reason": "stop", **told}), asked, Words())


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        FULL,
        "a red cat's hat, l'hiver, rock 'n' roll, the dogs' den in '85",
        "'Twas a red cat in the snow, y'all",
        'a red cat holding a sign that says "WINTER SALE: 50% off"',
        '"Hello" and "goodbye" signs around a red cat',
        "a red cat, f/1.8, 35mm, 4:3, 1.5 m tall, at 5:30 p.m. in snow",
        "a red cat wearing a hat: falling snow; bare branches",
        "What should a red cat wear? A hat, in falling snow",
        "A poster that says: I'm sorry, I can't come to the phone",
        "I can see a red cat in a hat amid snow",
        "Sure-footed goats and a red cat in the snow",
        "Great Danes beside a red cat, snow falling",
        "Okapi and a red cat in a snowy zoo",
        "Notes of music around a red cat in snow",
        "A prompt red cat answers the door in falling snow",
        "Unable to fly, a penguin watches a red cat in the snow",
        "Please hold on, says the red cat's sign in the snow",
        "(a red cat:1.3), snow, [bare branches], {frost|ice}",
        "a red cat -- falling snow -- bare branches",
        "a red cat_with_hat, snake_case_snow and 2 * 3 * 4 flakes",
        "a red cat & a hat, 100% snow, #winter, @home, <3, C++ and 5 > 3",
        "a red cat... in the snow... and more",
        "a red cat wearing a hat, falling snow. A frozen lake lies behind it.",
        "一只戴着帽子的红猫，飘落的雪花和光秃的树枝",
        "雪の中で帽子をかぶった赤い猫。枝には雪が積もっている。",
        "рыжий кот в шляпе, падающий снег и голые ветви",
        "قطة حمراء ترتدي قبعة، ثلوج متساقطة",
        "एक लाल बिल्ली टोपी पहने हुए, गिरती बर्फ",
        "ein roter Kater mit Hut, fallender Schnee; kahle Äste",
        "a red cat 🐈‍⬛ in snow ❄️ 👨‍👩‍👧 🏴‍☠️",
        "🐈❄️",
    ],
)
def test_a_description_stays_as_it_is(said: str) -> None:
    assert read(said) == Cleaned(said)


WRAPPED = {
    "preamble": [
        f'Sure! Here is the enriched description:\n\n"{GOOD}"',
        f"Certainly! Here's your enhanced prompt:\n{GOOD}",
        f"Here is the enriched description: {GOOD}",
        f"Here’s the new description for winter:\n\n**{GOOD}**",
        f"Of course, here is a revised version of your prompt: {GOOD}",
        f"Okay! {GOOD}",
        f"Sure, I'd be happy to help! Here is the prompt:\n\n{GOOD}",
        f"Absolutely!\n\n{GOOD}",
        f"Here is the enriched description for “{BASE}”:\n\n{GOOD}",
        f"The enriched prompt is:\n{GOOD}",
        f"Hier ist die Beschreibung:\n\n{GOOD}",
        f"Voici la description enrichie : {GOOD}",
        f"¡Claro! Aquí tienes la descripción:\n{GOOD}",
        f"好的，以下是描述：\n{GOOD}",
    ],
    "quotes": [
        *(f"{a}{GOOD}{b}" for a, b in ['""', "''", "“”", "‘’", "«»", "„“", "「」", "``"]),
        f'"{GOOD}".',
        f'"{GOOD}',
        f"\"'{GOOD}'\"",
        f"> {GOOD}",
        f"[{GOOD}]",
    ],
    "marks": [
        f"```\n{GOOD}\n```",
        f"```text\n{GOOD}\n```\nLet me know if you want more.",
        f"Sure:\n```\n{GOOD}\n```",
        f"```{GOOD}```",
        f"~~~\n{GOOD}\n~~~",
        f"**{GOOD}**",
        f"*{GOOD}*",
        f"__{GOOD}__",
        "**Description:** a *red cat* wearing a **hat**, falling snow and bare branches",
        f"# Winter Cat\n\n{GOOD}",
        f"**Winter Cat**\n{GOOD}",
        f"## {GOOD}",
        f"- {GOOD}",
        f"1. {GOOD}",
        f"---\n{GOOD}\n---",
    ],
    "labels": [
        f"Prompt: {GOOD}",
        f"Prompt: {GOOD}\nSeason: winter",
        f"**Enriched Prompt**: {GOOD}",
        f"**Enriched prompt:**\n{GOOD}",
        f"New description - {GOOD}",
        f"Title: Winter Cat\nDescription: {GOOD}",
        f"Output: {GOOD}",
        f"Final answer: {GOOD}",
        f"Assistant: {GOOD}",
        f"Beschreibung: {GOOD}",
        f"描述：{GOOD}",
        f"Prompt: {BASE}\nSeason: winter\n{GOOD}",
        f"Prompt: {BASE}\nSeason: winter\nDescription: {GOOD}",
    ],
    "data": [
        f'{{"prompt": "{GOOD}"}}',
        f'{{"enriched_prompt": "{GOOD}", "season": "winter"}}',
        f'{{"newDescription": "{GOOD}", "elements": ["snow"]}}',
        f'```json\n{{"description": "{GOOD}"}}\n```',
        f'["{GOOD}"]',
        f"<prompt>{GOOD}</prompt>",
        f"<answer>\n{GOOD}\n</answer>",
    ],
    "remarks": [
        f"{GOOD}\n\nNote: I kept the animal and added two winter elements. Let me know!",
        f"{GOOD}\n\nLet me know if you would like any changes!",
        f"{GOOD}\nLet me know if you would like any changes!",
        f"{GOOD}\nNegative prompt: blurry, watermark, text",
        f"{GOOD}\nnegative prompt: blurry",
        f"{GOOD} Negative prompt: blurry",
        f"{GOOD}\n\n*Note: the colours are kept.*",
        f"{GOOD}\n\n(Word count: 11)",
        f"{GOOD} (11 words)",
        f"{GOOD}\n\nExplanation:\n- snow\n- branches",
        f"{GOOD}\n---\nI added snow and branches.",
        f"{GOOD}\n\nI have added falling snow and bare branches to it.",
        f"{GOOD}\n\n负面提示词：模糊",
    ],
    "runs on": [
        f"{GOOD}\n\nPrompt: a blue dog\nSeason: summer\nDescription: a blue dog on a beach",
        f"{GOOD}\nPrompt: a blue dog\nSeason: summer",
        f"{GOOD}\n\na blue dog wearing a scarf, on a sunny beach",
        f"{GOOD}\nUser: and now a dog\nAssistant: a dog",
        f"{GOOD}<|im_end|>",
        f"{GOOD}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nPrompt: a dog",
        f"{GOOD}</s>",
        f"{GOOD}<end_of_turn>\n<start_of_turn>user\na dog",
        f"{GOOD}<｜end▁of▁sentence｜>",
        f"{GOOD} [INST] a dog [/INST]",
        f"{GOOD}<|endoftext|>Human: what?",
        f"<|im_start|>assistant\n{GOOD}<|im_end|>",
        f"<s> {GOOD} </s>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{GOOD}",
    ],
    "thoughts": [
        f"<think>\nIt is winter, so snow fits.\n</think>\n\n{GOOD}",
        f"<think>\n\n</think>\n\n{GOOD}",
        f"It is winter, so snow fits. I keep the hat.\n</think>\n\n{GOOD}",
        f"<thinking>Snow.</thinking>{GOOD}",
        f"[THINK]Snow.[/THINK]{GOOD}",
        f"◁think▷Snow.◁/think▷{GOOD}",
        f"<|channel|>analysis<|message|>Snow.<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}",
        f"analysisWe need snow.assistantfinal{GOOD}",
        f"<think>a</think><think>b</think>{GOOD}",
        f'<think>Hm.</think>\n\nSure! Here is the prompt:\n\n**"{GOOD}"**',
    ],
    "signs": [
        f"{GOOD}\u0000",
        f"\ufeff{GOOD}\u200b",
        "a red cat \u001b[31mwearing\u001b[0m a hat, falling snow and bare branches",
        "a red cat wearing a hat,\u0007 falling snow and bare branches\ud83d",
        "a red cat wearing a hat,\r\nfalling snow and bare branches",
        "a red cat wearing a hat,\u2028falling snow and bare branches",
        f"\u202e{GOOD}\u202c",
        f"{GOOD}\ufffd",
    ],
}


@pytest.mark.parametrize(
    "said", [pytest.param(s, id=f"{k} {i}") for k in WRAPPED for i, s in enumerate(WRAPPED[k])]
)
def test_what_is_around_a_description_is_taken_off(said: str) -> None:
    cleaned = read(said)
    assert (cleaned.prompt, cleaned.fallback) == (GOOD, None)
    assert cleaned.answer == said.replace("\ud83d", "\ufffd")


REJECTED = {
    "empty": ["", " \n", "<|im_end|>", "...", "```\n```", '""', "\u200b"],
    "thinking": [
        "<think>\nOkay, the user wants snow. Then I should",
        "<think>Snow.</think>",
        "Okay, the user wants the season added. It is winter.",
        "Let me think about this step by step.",
        "The user wants a prompt for winter, so I add snow.",
        "We need to add two elements of winter.",
        "<|channel|>analysis<|message|>We need snow",
        "[THINK]Snow is",
    ],
    "refusal": [
        "I must decline this request.",
        "I apologize, but I cannot fulfill that.",
        "My apologies, that is not possible.",
        "I’m unable to help with that.",
        "I won't create that.",
        "I'd rather not write this.",
        "I don't feel comfortable with this.",
        "I am just a language model and have no pictures.",
        "I'm an AI and do not draw.",
        "This request violates our content policy.",
        "Your prompt goes against the guidelines.",
        "It would be inappropriate to describe this.",
        "That's not something I can do.",
        "Sure! I'm sorry, but I can't do that.",
        "Thank you for the prompt. However, I cannot assist with that.",
        "Es tut mir leid, aber das kann ich nicht.",
        "Ich kann dabei leider nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Désolée, je ne peux pas.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Desculpe, não posso ajudar.",
        "Mi dispiace, non posso farlo.",
        "Het spijt me, dat kan ik niet.",
        "Przykro mi, nie mogę pomóc.",
        "Извините, я не могу помочь.",
        "К сожалению, это невозможно.",
        "抱歉，我无法提供帮助。",
        "对不起，我不能。",
        "申し訳ありませんが、できません。",
        "죄송하지만 도와드릴 수 없습니다.",
        "Üzgünüm, yardımcı olamam.",
        "عذراً، لا أستطيع المساعدة.",
    ],
    "question": [
        "Please provide the prompt that you would like me to enrich.",
        "Sure! Please provide the prompt.",
        "What would you like me to draw?",
        "Could you please clarify the season?",
        "Which season do you want?",
        "What kind of hat should the cat wear?",
        "Should the red cat sit or stand?",
        "Where would the cat be in winter?",
        "How can I help you today?",
        "Hello! How can I assist you today?",
        "It seems you haven't provided a prompt.",
        "No prompt was provided.",
        "I need more information about the cat.",
        "I'd be happy to help! Please share your prompt.",
        "A cat, sure, but what season would you prefer?",
        "Bitte geben Sie die Beschreibung an.",
        "请提供您的提示。",
        "Por favor, proporciona la descripción.",
    ],
    "echo": [
        BASE,
        f'"{BASE.capitalize()}."',
        f"Prompt: {BASE}\nSeason: winter",
        f"Prompt: {BASE}",
        "Prompt: cat\nSeason: winter",
        SYSTEM,
        "You enrich prompts for pictures. Keep the subject, its clothing, the colours.",
        f"{GOOD}. Keep the subject, its clothing, the colours and the medium as they are.",
    ],
    "list": [
        "1. a red cat in falling snow\n2. a red cat by a frozen lake\n3. a red cat under trees",
        "- a red cat wearing a hat\n- falling snow\n- bare branches",
        "Option 1: a red cat in snow\nOption 2: a red cat on ice",
        "Here are three options:\n\n1) a red cat in snow\n2) a red cat on ice",
        "1. a red cat in snow 2. a red cat on ice",
        "**Option A:** a red cat in snow\n\n**Option B:** a red cat on ice",
        '{"subject": "a red cat", "season": "winter"}',
        '["a red cat in snow", "a red cat on ice"]',
        '{"subject": "a red',
        "| a | b |\n|---|---|\n| a red cat | snow |",
        "A red cat wearing a hat with:\n- snow\n- branches",
    ],
    "repetition": ["!!!!!!!!!!!!", "a red cat, snow, snow, snow, snow", f"{FULL} " * 6],
    "too_long": [" ".join(f"word{i}" for i in range(61))],
}


@pytest.mark.parametrize(
    ("why", "said"),
    [pytest.param(k, s, id=f"{k} {i}") for k in REJECTED for i, s in enumerate(REJECTED[k])],
)
def test_what_holds_no_description_falls_back_with_its_reason(why: str, said: str) -> None:
    assert read(said) == Cleaned(BASE, why, said.strip())
    assert why in FALLBACKS


@pytest.mark.parametrize(
    ("said", "drawn"),
    [
        ("a red cat wearing a hat sits beside a frozen lake while the snow falls on the", None),
        (f"{FULL} Behind it a frozen lake and", FULL),
        (f"{FULL} Mr. Fox and Dr. Owl look on from 3.", FULL),
        (FULL, FULL),
        ("赤い猫が雪の中にいる。枝には", "赤い猫が雪の中にいる。"),
        (f"{GOOD}\n\nPrompt: a blue dog\nSeason: summer\nDescription: a blue", GOOD),
        (f"{GOOD}<|im_end|>\n<|im_start|>user", GOOD),
        ("No. 5, a red cat by St. Paul's in the", None),
    ],
)
@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "model_length"])
def test_an_answer_that_was_cut_ends_with_its_last_whole_sentence(
    said: str, drawn: str | None, finish: str
) -> None:
    cleaned = read(said, finish_reason=finish)
    assert (cleaned.prompt, cleaned.fallback) == ((drawn, None) if drawn else (BASE, "cut"))


def test_a_message_is_more_than_its_text() -> None:
    assert read(GOOD, finish_reason="content_filter") == Cleaned(BASE, "filtered", GOOD)
    assert read("", refusal="I won't.") == Cleaned(BASE, "refusal", "I won't.")
    assert read(GOOD, reasoning="Snow fits.") == Cleaned(GOOD)
    thought = read("", reasoning="Snow fits, and", finish_reason="length")
    assert thought == Cleaned(BASE, "thinking", "Snow fits, and")
    assert read(GOOD, finish_reason=None) == Cleaned(GOOD)


@pytest.mark.parametrize(
    "base",
    [
        "Sure! a cat",
        "1. a cat 2. a dog",
        "- a cat\n- a dog",
        "Prompt: a cat\nSeason: winter",
        "I'm sorry card, watercolor",
        "What do you want?",
        "<think> bubble",
        "a <|im_end|> cat",
        '{"a": 1}',
        "**bold** *x* cat",
        '"Hello" sign',
        "# heading\n\ntext",
        "a cat, a cat, a cat",
        "Here is the prompt: x",
    ],
)
def test_what_stands_in_the_base_prompt_is_not_the_answers_fault(base: str) -> None:
    assert read(f"{base}, falling snow", base) == Cleaned(f"{base}, falling snow")


def test_an_answer_ends_at_the_first_of_the_texts_that_end_one() -> None:
    asked = Asked(BASE)
    stopped = clean(
        Answer(f"{GOOD} ### a dog END", finish_reason="length"), asked, Words(), ["END", "###"]
    )
    assert (stopped.prompt, stopped.fallback) == (GOOD, None)
