"""What models put around a description, and after it: taken off, so that it alone is drawn."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable

from imagepipe.llm.remarks import MARKER, shares, without_remark

QUOTES = {'"': '"', "“": "”", "„": "“", "‘": "’", "'": "'", "«": "»", "»": "«", "`": "`"} | {
    "「": "」",
    "『": "』",
    "《": "》",
    "‹": "›",
}
_NOUN = (
    r"(?:prompt|description|answer|output|response|result|caption|rewrite|version|scene|text|assistant"
    r"|beschreibung|antwort|descripción|respuesta|descrição|resposta|descrizione|risposta|réponse"
    r"|описание|промпт|ответ|提示词|提示詞|提示|描述|描写|説明|プロンプト|回答|프롬프트|설명)s?"
)
_KIND = (
    r"(?:(?:the|your|my|an?|new|final|full|enriched|enhanced|updated|revised|improved|rewritten"
    r"|detailed|expanded|modified|complete|corrected|seasonal|winter|spring|summer|autumn|fall|image"
    r"|picture|visual|scene|ai|model|text-to-image|stable diffusion|midjourney|angereicherte|neue"
    r"|erweiterte|nouvelle|nueva|nova|nuova|增强后的|优化后的|新的|新しい|강화된)[ -]?)*"
)
LABEL = re.compile(
    rf"^[ \t]*[*_#>\"“]*[ \t]*(?:{_KIND}{_NOUN}|enriched|enhanced|final|revised|updated|ai|bot)"
    r"(?: enrichie?| enriquecida| arricchita| for [\w' ]{1,30})?[*_\"”]*"
    r"(?:[ \t]*(?:#?\d|\([^)\n]{0,40}\)))?[ \t]*[*_]*(?:[:：]|[ \t][–—-][ \t])[*_]*\s*",
    re.IGNORECASE | re.MULTILINE,
)
_OPENER = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|alright|all right"
    r"|got it|great|gladly|no problem|understood|yes|you got it|hello|hi(?: there)?|sicher|gerne?"
    r"|natürlich|klar|bien sûr|certainement|claro(?: que sí)?|por supuesto|certo|certamente|конечно"
    r"|вот)(?:[!.,:;]|\s[–—-])"
    r"|(?:great|good|nice|excellent|wonderful|lovely|perfect|interesting) \w+!"
    r"|(?:thank you|thanks)(?: for [^!.\n]{0,60})?[!.]"
    r"|(?:当然(?:可以)?|好的|没问题)[！!，,。]|(?:はい|もちろん(?:です)?|承知しました)[、。！]"
    r"|물론(?:입니다|이죠)?[!.,])\s+"
    r"|(?:以下是|这是|下面是)[^:：\n]{0,40}[:：]\s*",
    re.IGNORECASE,
)
_HAPPY = re.compile(
    r"i(?:'d| would|'m| am|'ll| will)[^.!:\n]{0,20}(?:happy|glad|love|help|do that)"
    r"[^.!:\n]{0,60}[.!]\s+",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"(?:here(?:'s| is| are| you go| it is| you are)|below is|this is|the following is|voici"
    r"|i(?:'ve| have| )?(?:added|enriched|updated|rewritten|created|made|kept)|hier ist|ecco"
    r"|aquí (?:está|tienes|tiene)|aqui está)\b(?P<said>[^:\n]{0,160})(?::|\s[–—-]\s)\s*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"(```|~~~)[^\n`]*\n?(.*?)\s*(?:\1|\Z)", re.DOTALL)
_INLINE_FENCE = re.compile(r"```(?:\w+\s*\n|\s*)?([^`\n]+)```")
_TAGS = re.compile(r"<(\w+)[^<>]*>(.*?)</\1>", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MARKUP = re.compile(r"</?(?:p|b|i|u|em|strong|div|span)>", re.IGNORECASE)
_HEADING = re.compile(
    r"(?:#{1,6}[ \t]+(?P<a>[^\n]*)|(\*{1,3}|_{1,3})(?P<b>[^*_\n]{1,80})\2[:：]?|[-*_=]{3,})"
    r"[ \t]*\n+(?=\S)"
)
_EMPHASIS = (
    re.compile(r"(\*\*\*|\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL),
    re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]+?)(?<=\S)\1(?![\w*])"),
)
_ITEM = re.compile(rf"^[ \t>*_#]*{MARKER}", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"^[ \t*_]*[A-Z][\w /-]{0,24}[*_]*:", re.MULTILINE)
_IN_A_ROW = re.compile(r"\(?1[.)]\s.*\s\(?2[.)]\s", re.DOTALL)
_BULLET = re.compile(r"(?:[-*•–>]|\(?\d{1,2}[.)])\s+(?=\S)")


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


def _data(text: str, base_prompt: str) -> str:
    """The one text of a JSON value, or the one that is called like an answer."""
    if text[:1] not in ("{", "[", '"'):
        return text
    try:
        value = json.loads(text) if '"' in text else ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        texts = {key: said for key, said in value.items() if isinstance(said, str)}
        named = [said for key, said in texts.items() if _is_answer(key)]
        value = next(iter(named or (texts.values() if len(texts) == 1 else ())), None)
    return value if isinstance(value, str) else text


def _is_answer(key: str) -> bool:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", key)
    return re.fullmatch(rf"{_KIND}{_NOUN}", plain, re.IGNORECASE) is not None


def _tags(text: str, base_prompt: str) -> str:
    found = _TAGS.fullmatch(text)
    return _MARKUP.sub("", _BREAK.sub("\n", found[2] if found else text))


def _preamble(text: str, base_prompt: str) -> str:
    """Without "Sure! Here is the description:", on a line of its own or before the description."""
    opener = _OPENER.match(text)
    if opener and text[opener.end() :].strip():
        text = text[opener.end() :]
    happy = _HAPPY.match(text.replace("’", "'"))
    if happy and text[happy.end() :].strip():
        text = text[happy.end() :]
    here = _HERE.match(text.replace("’", "'"))
    if here and _introduces(here["said"], base_prompt) and text[here.end() :].strip():
        return text[here.end() :]
    line, _, rest = text.partition("\n")
    ends = line.rstrip(' *_"”').endswith((":", "："))
    introduces = ends and len(line.split()) <= 20 and not shares(line, base_prompt)
    return rest if introduces and rest.strip() and not LABEL.match(line) else text


def _introduces(said: str, base_prompt: str) -> bool:
    """Whether what follows "Here is" names a description, or at least nothing of the picture."""
    words = re.findall(r"\w{3,}", base_prompt.casefold())
    named = re.search(_NOUN, said, re.IGNORECASE)
    return bool(named) or not any(word in said.casefold() for word in words)


def _heading(text: str, base_prompt: str) -> str:
    found = _HEADING.match(text)
    said = (found["a"] or found["b"] or "") if found else ""
    return text[found.end() :] if found and not shares(said, base_prompt) else text


def _label(text: str, base_prompt: str) -> str:
    """What a line called "Prompt:" or the like says, at the start or after other things."""
    for found in LABEL.finditer(text):
        if not shares(text[: found.start()], base_prompt) and text[found.end() :].strip():
            return text[found.end() :]
    return text


def _emphasis(text: str, base_prompt: str) -> str:
    for mark in _EMPHASIS:
        text = mark.sub(r"\2", text)
    return re.sub(r"^#{1,6}[ \t]+", "", text)


def _bullet(text: str, base_prompt: str) -> str:
    found = None if is_list(text) else _BULLET.match(text)
    return text[found.end() :] if found else text


def _quotes(text: str, base_prompt: str) -> str:
    """Without a pair of quotes around all of it; those around a part of it stay."""
    core = text.rstrip(".,;")
    opening, closing = core[:1], QUOTES.get(core[:1])
    inner = core[1:-1]
    if closing is None:
        return text
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
    found = re.fullmatch(r"\[([^\[\]\n]*\s[^\[\]\n]*)\]|\{([^{}\n:]*\s[^{}\n:]*)\}", text)
    return (found[1] or found[2]) if found else text


PEELS: tuple[Callable[[str, str], str], ...] = (
    *(
        _fence,
        _data,
        _tags,
        without_remark,
        _preamble,
        _heading,
        _label,
        _emphasis,
        _bullet,
        _quotes,
        _brackets,
    ),
)


def is_list(text: str) -> bool:
    """Whether `text` is several options or points, or data, instead of one description."""
    several = any(
        len(found) > 1 and found[0].start() == 0
        for found in (list(mark.finditer(text)) for mark in (_ITEM, _FIELD))
    )
    return several or bool(_IN_A_ROW.match(text)) or bool(re.match(r"[{\[]\s*[\"'{\[]|\|", text))
