"""Removes what models put around a description, such as quotes, labels and code fences."""

from __future__ import annotations

import re
from collections.abc import Callable

from imagepipe.llm import data
from imagepipe.llm.phrases import REFUSAL
from imagepipe.llm.preambles import (
    HAPPY,
    HEADED,
    HERE,
    HERE_ELSE,
    HERE_LINE,
    LABEL,
    NOUN,
    OF_SEASON,
    OPENER,
    OWN_LINE,
    SPEAKS,
    TITLED,
)
from imagepipe.llm.remarks import MARKER, shares, without_remark

QUOTES = {'"': '"', "“": "”", "„": "“", "‘": "’", "'": "'", "«": "»", "»": "«", "`": "`"} | {
    "「": "」",
    "『": "』",
    "《": "》",
    "‹": "›",
}
_FENCE = re.compile(r"(```|~~~)[^\n`]*\n?(.*?)\s*(?:\1|\Z)", re.DOTALL)
_INLINE_FENCE = re.compile(r"```(?:\w+\s*\n|\s*)?([^`\n]+)```")
_TAGS = re.compile(r"<(\w+)[^<>]*>(.*?)</\1>", re.DOTALL)
_NAMED = re.compile(rf"<({NOUN})>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_CLOSED = re.compile(rf"\s*\[/{NOUN}\]\Z", re.IGNORECASE)
_BEFORE = re.compile(r"(?:[:.…,;]+|-{2,})\s*(?=\w)")
_WHOLE = re.compile(r"(\\\"|\"{3}|'{3})(.+)\1|``(?!`)(.+)''", re.DOTALL)
_PROLOG = re.compile(r"<\?xml\b[^<>]*\?>\s*", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:https?:|data:|attachment:|[./])[^()]*\)")
_CITED = re.compile(r"[ \t]?(?:\[\d{1,2}\]|【[^【】]*†[^【】]*】)(?=[\s.,;!?]|\Z)")
_BOXED = re.compile(r"\\(?:boxed|text|mbox)\{(.*)\}[$\s.]*\Z", re.DOTALL)
_EMOJI = re.compile(
    "(?:[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff][\ufe0f\u200d]*)+"
    "(?:[ \\t]+|[ \\t]*\n\\s*)"
)
_OPENED = re.compile(rf"<{NOUN}>\s*(?!.*</)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MARKUP = re.compile(r"</?(?:p|b|i|u|em|strong|div|span)>", re.IGNORECASE)
_HEADING = re.compile(
    r"(?:#{1,6}[ \t]+(?P<a>[^\n]*)|(\*{1,3}|_{1,3})(?P<b>[^*_\n]{1,80})\2[:：]?|[-*_=]{3,}"
    r"|[*_]*(?i:title|titel|titre|t[íi]tulo|titolo|标题|標題|タイトル|제목)[*_]*[:：][^\n]*)"
    r"[ \t]*\n+(?=\S)"
)
_EMPHASIS = (
    re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL),
    re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]+?)(?<=\S)\1(?![\w*])"),
)
_ITEM = re.compile(rf"^[ \t>*_#]*{MARKER}", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"^[ \t*_]*[A-Z][\w /-]{0,24}[*_]*:", re.MULTILINE)
CODE = re.compile(
    r"(?:def \w+\(|class \w+[:({]|import \w+\s*$|from \w+ import |#include\b|function \w+\("
    r"|(?:const|let|var) \w+ = |SELECT\b|<\?php|print\()",
    re.MULTILINE,
)
_IN_A_ROW = re.compile(r"\(?1[.)]\s.*\s\(?2[.)]\s", re.DOTALL)
_BULLET = re.compile(r"(?:[-*•–—>→⇒]|[-=]>|\(?\d{1,2}[.)])\s+(?=\S)")


def peel(text: str, base_prompt: str) -> str:
    """`text` without what stands around it: fences, data, preambles, labels, emphasis, quotes.

    The list that it may be stays one.
    """
    for _ in range(8):  # each can stand inside each
        before = text
        for take in PEELS:
            text = take(text.strip(), base_prompt)
        if text == before:
            break
    return text.strip()


def _fence(text: str, base_prompt: str) -> str:
    found = _INLINE_FENCE.search(text) or _FENCE.search(text)
    return found[found.lastindex or 0] if found else text


def _tags(text: str, base_prompt: str) -> str:
    text = _PROLOG.sub("", text)
    opened = _OPENED.match(text)
    text = text[opened.end() :] if opened else text
    found = _TAGS.fullmatch(text) or _NAMED.search(text)
    return _MARKUP.sub("", _BREAK.sub("\n", found[2] if found else text))


def _links(text: str, base_prompt: str) -> str:
    """Of a link or a picture in Markdown what is seen of it, and no numbers of sources."""
    return text if _CITED.search(base_prompt) else _CITED.sub("", _LINK.sub(r"\1", text))


def _boxed(text: str, base_prompt: str) -> str:
    """What LaTeX puts in a box: models of mathematics answer so."""
    found = _BOXED.search(text)
    return found[1] if found and not shares(text[: found.start()], base_prompt) else text


def _emoji(text: str, base_prompt: str) -> str:
    """Without emoji before a label, or on a line of their own before all else."""
    found = _EMOJI.match(text)
    alone = found and ("\n" in found[0] or LABEL.match(text[found.end() :]))
    return text[found.end() :] if found and alone else text


def _preamble(text: str, base_prompt: str) -> str:
    """Without "Sure! Here is the description:", on a line of its own or before the description."""
    opener = OPENER.match(text)
    if opener and text[opener.end() :].strip():
        text = text[opener.end() :]
    happy = HAPPY.match(text.replace("’", "'"))
    if happy and text[happy.end() :].strip():
        text = text[happy.end() :]
    straight = text.replace("’", "'")
    here = HERE.match(straight) or HERE_ELSE.match(straight)
    if here and _introduces(here["said"], base_prompt) and text[here.end() :].strip():
        return text[here.end() :]
    speaks = SPEAKS.match(straight)
    if (
        speaks
        and not LABEL.match(text)
        and not is_list(text)
        and _no_word_of(base_prompt, speaks[0])
    ):
        return text[speaks.end() :] if shares(text[speaks.end() :], base_prompt) else text
    line, _, rest = text.partition("\n")
    ends = line.rstrip(' *_"”').endswith((":", "："))
    introduces = ends and len(line.split()) <= 20 and not shares(line, base_prompt)
    return rest if introduces and rest.strip() and not LABEL.match(line) else text


def _opening(text: str, base_prompt: str) -> str:
    """Without a line of its own, or a sentence, that tells of the description or of the model."""
    straight = text.replace("’", "'")
    here = HERE_LINE.match(straight)
    if here and re.search(NOUN, here["said"], re.IGNORECASE) and not shares(here[0], base_prompt):
        return text[here.end() :]
    own = None if REFUSAL.match(straight) else OWN_LINE.match(straight)
    apart = own and shares(text[own.end() :], base_prompt) and not shares(own[0], base_prompt)
    return text[own.end() :] if own and apart else text


def _introduces(said: str, base_prompt: str) -> bool:
    """Whether what follows "Here is" names a description, or at least nothing of the picture."""
    named = re.search(NOUN, said, re.IGNORECASE)
    return bool(named) or _no_word_of(base_prompt, said)


def _no_word_of(base_prompt: str, said: str) -> bool:
    words = re.findall(r"\w{3,}", base_prompt.casefold())
    return not any(word in said.casefold() for word in words)


def _heading(text: str, base_prompt: str) -> str:
    titled = TITLED.match(text)
    if titled and text[titled.end() :].strip():
        return _CLOSED.sub("", text[titled.end() :])
    found = _HEADING.match(text)
    said = (found["a"] or found["b"] or "") if found else ""
    return text[found.end() :] if found and not shares(said, base_prompt) else text


def _label(text: str, base_prompt: str) -> str:
    """What a line called "Prompt:" or the like says, at the start or after other things."""
    for mark in (LABEL, HEADED):
        for found in mark.finditer(text):
            before = text[: found.start()]
            if text[found.end() :].strip() and (
                not shares(before, base_prompt) or _repeats(before, base_prompt)
            ):
                return text[found.end() :]
    of_season = None if is_list(text) else OF_SEASON.match(text)
    return text[of_season.end() :] if of_season else text


def _repeats(before: str, base_prompt: str) -> bool:
    """Whether what stands before is the base prompt, with a label or a season at most."""
    plain, base = before.casefold(), base_prompt.casefold().strip(" .")
    return base in plain and len(plain) <= len(base) + 40


def _emphasis(text: str, base_prompt: str) -> str:
    for mark in _EMPHASIS:
        text = mark.sub(r"\2", text)
    return re.sub(r"^#{1,6}[ \t]+|\s[*_#=-]{2,}\Z", "", text)


def _bullet(text: str, base_prompt: str) -> str:
    found = None if is_list(text) else _BULLET.match(text) or _BEFORE.match(text)
    return text[found.end() :] if found else text


def _quotes(text: str, base_prompt: str) -> str:
    """Without a pair of quotes around all of it; those around a part of it stay."""
    if whole := _WHOLE.fullmatch(text):
        return whole[2] or whole[3]
    core = text.rstrip(".,;")
    opening, closing = core[:1], QUOTES.get(core[:1])
    inner = core[1:-1]
    if closing is None:
        alone = text.count('"') == 1 and re.search(r"\D\"\Z", text)
        return text[:-1] if alone else text
    behind = re.match(r'"([^"\n]{20,})"\s*[-–—(\n]', text)
    if behind and shares(behind[1], base_prompt):
        return behind[1]
    if len(core) > 2 and core.endswith(closing):
        marks = re.sub(r"(?<=\w)['’](?=\w)", "", inner)  # apostrophes
        return text if opening in marks or closing in marks else inner
    if (
        closing
        and opening in ('"', "“", "«", "「")
        and core.count(opening) == 1
        and closing not in inner
    ):
        return text[1:]  # the other was never written
    return text


def _brackets(text: str, base_prompt: str) -> str:
    if is_list(text):
        return text
    found = re.fullmatch(
        r"\[([^\[\]\n]*\s[^\[\]\n]*)\]|\{([^{}\n:]*\s[^{}\n:]*)\}|\(([^()\n:]*\s[^()\n:]*)\)"
        r"|<+([^<>\n]*\s[^<>\n]*)>+",
        text,
    )
    return found[found.lastindex or 0] if found else text


PEELS: tuple[Callable[[str, str], str], ...] = (
    *(
        _fence,
        data.answer,
        _tags,
        _links,
        _boxed,
        _emoji,
        without_remark,
        _preamble,
        _opening,
        _heading,
        _label,
        _emphasis,
        _bullet,
        _quotes,
        _brackets,
    ),
)


def is_list(text: str) -> bool:
    """Whether `text` is several options or points, data or code, instead of one description."""
    several = any(
        len(found) > 1 and found[0].start() == 0
        for found in (list(mark.finditer(text)) for mark in (_ITEM, _FIELD))
    )
    several = several or bool(re.fullmatch(r'(?:"[^"\n]+",\s*)+"[^"\n]+"', text))
    several = several or bool(CODE.match(text))
    return several or bool(_IN_A_ROW.match(text)) or bool(re.match(r"[{\[]\s*[\"'{\[]|\|", text))
