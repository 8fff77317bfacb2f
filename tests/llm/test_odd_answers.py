"""Answers in forms that models are seen to give, each with what of it is drawn."""

from __future__ import annotations

import pytest

from imagepipe.llm import Answer
from imagepipe.llm.answers import Asked, Cleaned, clean

BASE = "a red cat wearing a hat"
GOOD = "A red cat wearing a woolly hat sits in deep snow under bare birches."
SYSTEM = "You enrich prompts for a text-to-image model. Keep the subject and add the season."


class NoLimit:
    def cuts(self, prompt: str) -> bool:
        return False


def read(said: str, finish: str | None = None) -> Cleaned:
    asked = Asked(BASE, f"Prompt: {BASE}\nSeason: winter", SYSTEM, "Prompt: ")
    return clean(Answer(said, finish_reason=finish), asked, NoLimit())


WRAPPED = {
    "thoughts": [
        '<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>\n> It is '
        f"winter.\n</details>\n{GOOD}",
        f"**Thinking Process**\n\n1. Subject: cat.\n\n**Final prompt**\n\n{GOOD}",
        f"Thinking: The user wants winter details.\n\n{GOOD}",
        f"My reasoning: it's winter, so snow.\n{GOOD}",
        f"I will add winter details to the prompt.\n\n{GOOD}",
        f"I'm a prompt engineer. {GOOD}",
    ],
    "data": [
        f'{{"positive_prompt": "{GOOD}", "negative_prompt": "blurry"}}',
        f'{{"name": "generate_image", "arguments": {{"prompt": "{GOOD}"}}}}',
        f'<tool_call>\n{{"name": "draw", "arguments": {{"prompt": "{GOOD}"}}}}\n</tool_call>',
        f'prompt = "{GOOD}"',
        f"{{1: '{GOOD}'}}",
        f"{{('a', b'b'): '{GOOD}'}}",
        f'<?xml version="1.0"?><prompt>{GOOD}</prompt>',
        f"<output>\n{GOOD}",
        f"The answer is $\\boxed{{\\text{{{GOOD}}}}}$.",
    ],
    "markdown": [
        f"![{GOOD}](https://host/picture.png)",
        f"[{GOOD}](https://host)",
        f"{GOOD[:-1]} [1].",
        f"{GOOD[:-1]}【1†source】.",
        f"{GOOD} ***",
    ],
    "labels": [
        f"✅ Enriched prompt: {GOOD}",
        f"Winter: {GOOD}",
        f"[Prompt]: {GOOD}",
        f"/imagine prompt: {GOOD} --ar 16:9 --w 1024",
        f"Original prompt: {BASE}\n\nEnriched prompt: {GOOD}",
        f"Before: {BASE}\nAfter: {GOOD}",
        f"{BASE} -> {GOOD}",
        f"=> {GOOD}",
        f"增强提示词：{GOOD}",
    ],
    "preambles": [
        f"Sure, here you go!\n\n{GOOD}",
        f"Here's your enriched prompt!\n\n{GOOD}",
        f"Here is the enriched description.\n\n{GOOD}",
        f"I can create a safe version: {GOOD}",
        f"Oto opis: {GOOD}",
        f"Hier is de beschrijving: {GOOD}",
        f"Вот описание: {GOOD}",
        f"以下がプロンプトです：{GOOD}",
        f"다음은 설명입니다: {GOOD}",
    ],
    "ends": [
        f"{GOOD} #cat #winter #snow",
        f"{GOOD} (98 characters)",
        f"{GOOD} —ar 16:9",
        f"{GOOD} P.S. I hope you like it",
        f'"{GOOD}" - this adds winter.',
        f'{GOOD}"',
        f"({GOOD})",
        f"<{GOOD}>",
    ],
    "tokens": [
        f"{GOOD} [END]",
        f"{GOOD}<end_of_answer>",
        f"{GOOD}[/s]",
        f"{GOOD}assistant\n\nA dog.",
        f"{GOOD}\nmodel\nA dog.",
        f"{GOOD} eot_id",
        f"{GOOD}<0x0A>",
        GOOD.replace(" ", "▁"),
        GOOD.replace(" ", "\xa0"),
        f"{GOOD} ### Instruction: more",
        f"{GOOD}\\n\\nA dog.",
        f"<unused94>thought\nwinter<unused95>{GOOD}",
    ],
    "names of the answer": [
        *(f"{name}: {GOOD}" for name in ("Refined prompt", "SDXL prompt", "Polished", "English")),
        *(f"{name}: {GOOD}" for name in ("Angereicherter Prompt", "Prompt enriquecido", "الوصف")),
        *(f"The enriched prompt {verb}: {GOOD}" for verb in ("is", "would be", "reads")),
        *(f"{name}\n\n{GOOD}" for name in ("PROMPT", "Enriched Prompt", "Title: Red Cat")),
        *(f"(Prompt) {GOOD}", f"[ANSWER] {GOOD} [/ANSWER]", f"A: {GOOD}", f"Result → {GOOD}"),
        *(f"'prompt': '{GOOD}'", f"prompt: |\n  {GOOD}", f'json\n{{"prompt": "{GOOD}"}}'),
        f"<output>{GOOD}</output>\n<explanation>snow</explanation>",
        f'{{"response": {{"text": "{GOOD}"}}}}',
        f'{{"choices": [{{"message": {{"role": "assistant", "content": "{GOOD}"}}}}]}}',
    ],
    "to the user": [
        *(f"{said}: {GOOD}" for said in ("Try this", "How about", "I'd suggest", "One option")),
        *(f"{said} {GOOD}" for said in ("Nice.", "My pleasure.", "Oh, I love it!", "Right away!")),
        *(f"As requested, {GOOD}", f"Let's add some snow: {GOOD}", f"はい、こちらです：{GOOD}"),
        *(f"Sure thing! ❄️\n\n{GOOD}", f"Thought for 5 seconds\n\n{GOOD}"),
        *(f"*thinks* {GOOD}", f"(thinking: winter) {GOOD}"),
    ],
    "signs": [
        *(f"...{GOOD}", f": {GOOD}", f"-- {GOOD}", f"~~{GOOD}~~", f"``{GOOD}''"),
        *(f'\\"{GOOD}\\"', f'"""{GOOD}"""'),
    ],
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_around_a_description_is_left_out(kind: str) -> None:
    drawn = {said: read(said).prompt for said in WRAPPED[kind]}
    assert drawn == dict.fromkeys(drawn, GOOD)


def test_names_of_signs_are_read() -> None:
    assert read("A red cat &amp; a dog in &#34;snow&quot;").prompt == 'A red cat & a dog in "snow"'


@pytest.mark.parametrize("said", ["{ { } }", "{[]: 1}", "[{{}: 2}]", "{{'a': {[]}}}", "[{()}, {}]"])
def test_what_is_no_value_of_python_is_read_as_text(said: str) -> None:
    found = read(said)
    assert (found.prompt, found.answer) == (BASE, said) and found.fallback


@pytest.mark.parametrize("end", ["", " the prompt", "i" * 400, " is" * 200, "!" * 400])
def test_a_long_word_before_no_colon_is_read_at_once(end: str) -> None:
    """Of a pattern that cuts it into words in every way this would take years."""
    said = f"I see your red cat {'é' * 400}{end}"
    assert read(said).prompt in (said, BASE)


NO_DESCRIPTION = {
    "refusal": [
        *("Internal Server Error", "Error: model not loaded", '{"error": "rate limit"}'),
        *("That's beyond my capabilities.", "Let's talk about something else."),
        *("Request declined.", "The model is overloaded, please try again later."),
        *("Anteeksi, en voi auttaa.", "Daar kan ik niet mee helpen.", "Nie jestem w stanie pomóc."),
        *("Не могу помочь с этим.", "Non sono in grado di aiutarti.", "S tím nemohu pomoci."),
        *("很遗憾，我不能满足该请求。", "您好，这个问题我暂时无法回答。"),
        *("해당 요청은 도와드릴 수 없습니다.", "ご要望にはお応えできません。"),
        *("Il m'est impossible de répondre.", "Lorem ipsum dolor sit."),
        *("<html><body>502 Bad Gateway</body></html>", "429 Too Many Requests"),
        *("The server had an error while processing your request.", "Content policy violation."),
        "CUDA out of memory",
        *("My guidelines prevent me from this.", "This goes against my programming."),
        *("Waiting for your prompt.", "我是通义千问，一个AI助手。", "私はAIです。", "Soy una IA."),
    ],
    "echo": ["Keep the subject and add the season."],
    "repetition": ["0" * 22, "G" * 20, "a red cat " + "o" * 40],
    "empty": [
        *("Loading...", "Thinking...", "One moment please.", "Model not found", "42", "True"),
        *("Winter.", "[object Object]"),
        "unsafe\nS1", "safe", "![image](https://host/prompt/red%20cat)"],
    "list": [
        *("def enrich(prompt):\n    return prompt", "import torch\nprint('hi')", "SELECT 1"),
        *("```python\nfrom PIL import Image\n```", '{"error": {"message": "x"}}'),
        '<tool_call>{"name": "draw", "arguments": {}}</tool_call>',
        f'"{GOOD}", "A cat in the rain."',
    ],
}  # fmt: skip


@pytest.mark.parametrize("why", NO_DESCRIPTION)
def test_an_answer_without_a_description_is_not_drawn(why: str) -> None:
    found = {said: read(said) for said in NO_DESCRIPTION[why]}
    assert {said: one.fallback for said, one in found.items()} == dict.fromkeys(found, why)
    assert {one.prompt for one in found.values()} == {BASE}


@pytest.mark.parametrize(
    "said",
    [
        "Winter wonderland: a red cat wearing a hat.",
        '"The Snow Cat in the Deep Woods" - a red cat wearing a hat in snow.',
        "We stand in a snowy forest. A red cat wearing a hat sits on a log.",
        "A red cat wearing a hat. Error messages glow on a screen behind it.",
        "A red cat —no longer young— wearing a hat in snow.",
        "Eisberg vor Grönland: eine rote Katze mit Hut.",
        'A red cat wearing a 12" hat',
        "A red cat wearing a hat in snow 🐈 ❄️",
        "A kitten, red, wearing a hat.",
        "Snowy red cat.",
        "Let's dance: says the sign of a red cat wearing a hat.",
        "Nice, France: a red cat wearing a hat.",
        "Safe and warm, a red cat wearing a hat.",
    ],
)
def test_a_description_that_begins_or_ends_alike_stays(said: str) -> None:
    assert read(said) == Cleaned(said)


@pytest.mark.parametrize(
    ("finish", "drawn", "why"),
    [
        *((end, GOOD, None) for end in ("ERROR_LIMIT", "token_limit", "network_error", "abort")),
        *((end, BASE, "filtered") for end in ("sensitive", "SPII", "content_filter: SAFETY")),
    ],
)
def test_an_answer_that_did_not_come_to_its_end(finish: str, drawn: str, why: str | None) -> None:
    found = read(f"{GOOD} The wind blows over the", finish)
    assert (found.prompt, found.fallback) == (drawn, why)
