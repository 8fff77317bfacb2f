"""Remarks before and after a description, and text that runs on after it."""

from __future__ import annotations

import re

from imagepipe.llm.asides import ASIDE, NOTE, SIGN_OFF

LINE = 50  # characters: a shorter line that ends without a comma was not broken for its length
MARKER = (
    r"(?:[-*•–]\s|\(?\d{1,2}[.)]\s|\(?[A-Ca-c][.)]\s"
    r"|(?:option|prompt|version|variation|variant|alternative|description|choice)\s*#?(?:\d|[A-C]\b))"
)
_BEHIND = (  # how a remark begins once the description has ended
    rf"(?:{ASIDE}|(?:user|human|assistant|explanation|changes|reasoning|output|input|answer)\s*:)"
)
_COUNT = (
    r"(?:(?:approximately |about )?\d+ (?:words?|characters?|tokens?)\s*(?:[.)\]]|\Z)|word count\b)"
)
_BRACKETS = r"\((?:[^()]|\([^()]*\))+\)|\[[^][]+\]|（[^（）]+）|［[^［］]+］|【[^【】]+】"
_ENCLOSED = re.compile(
    rf"(?<![*_])(?:[*_]*(?:{_BRACKETS})[*_]*"
    r"|(?P<mark>[*_]{1,3})(?=[^\s*_])[^*\n]+?(?<=\S)(?P=mark)(?!\w))"
)
# Surely a remark where it is enclosed: also one whose verb stands at the end.
_REMARK = re.compile(
    rf"{ASIDE}|{_COUNT}"
    r"|[^\n.。]{0,60}(?:ました|です|습니다|ekledim|korudum)[.。]?\Z",
    re.IGNORECASE,
)
# In brackets, sentences and what has a label are remarks, in any language; "snow:1.3" is a weight.
_SENTENCE = re.compile(r"\S+\s+\S+\s.*\.|.*。", re.DOTALL)
_LABELLED = re.compile(r"(?![a-zа-я])[^\W\d][\w' -]{0,40}[:：](?!\s*[\d.]+\Z)")
_OPENING = re.compile(rf"[*_>【\s]*{ASIDE}", re.IGNORECASE)
_UNIT = re.compile(r"\n|(?<=[.!?])\s|(?<=[。！？])|\Z")
# A line that begins something else: a label, a rule, a heading, a remark, an item of a list.
_NEXT = re.compile(
    r"[ \t]*(?:[*_#>(\[]*(?:(?i:negative(?: prompt)?|notes?|season|style)|[A-Z][\w /'&-]{0,30}"
    rf"|[^\x00-\x7f]{{1,12}})[*_]*[:：]|[-*_=]{{3,}}|#|```|(?i:[(\[*_]*{_BEHIND}|{MARKER})"
    rf"|(?:{_BRACKETS})[ \t]*(?:\n|\Z))"
)
_RUNS_ON = re.compile(
    r"\s+[(\[*_]*(?:negative prompt|word count|(?-i:Season|Prompt))[*_]*\s*:"
    rf"|\s+(?:[(\[*_]+|(?-i:(?![a-zà-ÿа-я]))){NOTE}"
    rf"|\s+[(\[]\s*(?:note(?::| that\b)|{_COUNT})"
    rf"|\s+(?-i:(?=please|[PLF])){SIGN_OFF}"
    # Midjourney's, also with the dash that an editor makes of two hyphens.
    r"|\s+--(?:ar|aspect|v|s|q|w|h|c|no|p|style|stylize|chaos|niji|seed|quality|tile|raw|[cs]ref|iw"
    r"|weird|hd|stop)\b|\s+—(?:ar|aspect|v|s|q|w|h|stylize|chaos|niji|seed|quality)\s\d"
    r"|\s+P\.\s?S\.\s|\s+#{2,}\s"
    r"|(?:\s+#[^\W\d]\w*){2,}\s*\Z"  # as under a post
    rf"|\s[–—-]\s{ASIDE}"
    rf"|(?<=[.!?…\"”)。！？])\s*(?<=[\s。！？])[(\[*_]*{_BEHIND}",
    re.IGNORECASE,
)


def shares(text: str, base_prompt: str) -> bool:
    """Whether at least half of the words of `base_prompt` stand in `text`."""
    words = set(re.findall(r"\w{3,}", base_prompt.casefold()))
    return bool(words) and 2 * sum(word in text.casefold() for word in words) >= len(words)


def without_remark(text: str, base_prompt: str) -> str:
    """`text` without a remark before the description, and without enclosed ones that end a line."""
    text = text.strip()
    for one in reversed(list(_ENCLOSED.finditer(text))):
        before, behind = text[: one.start()].rstrip(" \t"), text[one.end() :].lstrip(" \t")
        if before and behind[:1] in ("", "\n") and _is_remark(one[0], base_prompt):
            text = f"{before}{behind}"
    said, rest = _split(text, _ENCLOSED.match(text))
    alone = rest.lstrip(" \t").startswith("\n") and not shares(said, base_prompt)
    if rest.strip() and (alone or _is_remark(said, base_prompt)):
        return rest
    said, rest = _split(text, _UNIT.search(text))
    apart = shares(rest, base_prompt) or not shares(said, base_prompt)
    return rest if rest.strip() and apart and _OPENING.match(_straight(said)) else text


def _split(text: str, at: re.Match[str] | None) -> tuple[str, str]:
    """`text` to the end of what was found, and the rest; nothing of it where nothing was."""
    return (text[: at.end()], text[at.end() :]) if at else (text, "")


def _is_remark(enclosed: str, base_prompt: str) -> bool:
    """Whether what is `enclosed`, before or behind a description, is no part of it."""
    said = _straight(enclosed).strip("*_")
    inner = said[1:-1].strip() if re.fullmatch(_BRACKETS, said) else said
    if _REMARK.match(inner):
        return not inner.endswith((":", "："))  # of what only its name is enclosed
    told = _SENTENCE.fullmatch(inner) or _LABELLED.match(inner)
    return bool(told and inner != said) and not shares(inner, base_prompt)


def _straight(text: str) -> str:
    return text.replace("’", "'")


def first_part(text: str, base_prompt: str, start: int = 0) -> str:
    """The first paragraph of `text`, which ends behind `start`, without remarks and what follows.

    It goes on over the end of a line that was broken for its length, or at a comma.
    """
    line = start and text.rfind("\n", 0, start) + 1
    for found in re.finditer("\n", text[start:]):
        end = start + found.start()
        if not _goes_on(text, text[line:end].rstrip(), text[end + 1 :]):
            text = text[:end]
            break
        line = end + 1
    ends = [found.start() for found in [_RUNS_ON.search(_straight(text), max(start, 1))] if found]
    text = text[: min(ends, default=len(text))]
    for found in _ENCLOSED.finditer(text, max(start, 1)):
        if not text[found.end() :].strip(" .") and _is_remark(found[0], base_prompt):
            text = text[: found.start()]
    return (text[:start] + re.sub(r"\s*\n\s*", " ", text[start:])).rstrip()


def _goes_on(text: str, line: str, rest: str) -> bool:
    """Whether `rest` belongs to what `text` begins with, of which `line` is the last so far."""
    following = rest.partition("\n")[0].strip()
    if not following or _NEXT.match(_straight(following)):
        return False
    ended = SENTENCE.search(line[-4:])
    if line.endswith((",", ";", "，", "、", "–", "—", "-")) or (len(line) >= LINE and not ended):
        return True
    first, word = text.split(None, 1)[0].casefold(), following.split(None, 1)[0].casefold()
    if word in ("a", "an", first):
        return False  # the next description begins as this one did
    return bool(ended and SENTENCE.search(following[-4:])) or following[0].islower()


SENTENCE = re.compile(r"[.!?…]+[\"”’')\]]*(?=\s|$)|[。！？]+[」』”]*")
_SHORT = re.compile(
    r"(?:^|[\s(])(?:\w|mr|mrs|ms|dr|st|vs|no|approx|fig|prof|jr|sr|ca|incl)\.$", re.I
)


def whole_sentences(text: str) -> str | None:
    """`text` up to the end of its last whole sentence; null if it has none."""
    ends = [found.end() for found in SENTENCE.finditer(text)]
    return next((text[:end] for end in reversed(ends) if not _SHORT.search(text[:end])), None)
