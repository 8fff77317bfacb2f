"""How chat models begin an answer that is no description: a refusal, a question, thoughts, a
preamble.

Only the beginnings of the answer and its sentences count, because a prompt may contain such words.
Apostrophes are straight here, and case does not matter.
"""

from __future__ import annotations

import re


def _any(*phrases: str) -> str:
    return f"(?:{'|'.join(phrases)})"


_HELP = (
    _any(
        *("assist", r"help (?:you|with)", "fulfil", "comply", "provid", "creat", "generat", "draw"),
        *(
            "enrich",
            "enhanc",
            "continu",
            "process",
            "describ",
            "depict",
            "produc",
            "engage",
            "do th",
        ),
        *("complet", "support", "write", "rewrite", "discuss", "answer", "respond", "accommodat"),
    )
    + r"\w*"
)
_WILL_NOT = (
    r"(?:can'?t|can ?not|won'?t|will not|am (?:unable|not able|not allowed|not permitted) to"
    r"|'m (?:unable|not able|not allowed|not permitted) to|must (?:decline|refuse)(?: to)?"
    r"|have to (?:decline|refuse)(?: to)?|do not|don't feel comfortable|'d rather not)"
)
_REFUSAL = _any(
    r"(?:i'?m|i am) (?:\w+ )?sorry",
    r"(?:i|we) (?:\w+ )?apologi[sz]e",
    r"my (?:sincere )?apologies",
    r"apologies",
    r"sorry(?:[.,!]|$)",
    r"(?:we|you) (?:can ?not|can't|are (?:unable|not able))",
    r"(?:i )?(?:understand|appreciate)[^.\n]{0,60}but (?:i|we)",
    r"no[,.!] i\b",
    r"i(?:'m| am) going to have to",
    r"that request\b[^.\n]{0,40}n't",
    r"(?:i'?m|i am) afraid (?:that )?i",
    r"i can'?t\b",
    r"i can ?not\b",
    r"(?:i'?m|i am) (?:unable|not able|not comfortable|not allowed|not permitted|not going to)\b",
    r"i won'?t\b",
    r"i will not\b",
    r"i(?: must|'?ll have to| have to|'?d have to| would have to) (?:\w+ )?(?:decline|refuse)",
    r"i(?:'d| would) (?:rather|prefer) not",
    r"i (?:do not|don'?t) (?:feel comfortable|have the ability|think i (?:can|should)|create)",
    r"i refuse",
    r"as an? (?:responsible |helpful )?(?:ai|artificial|language model|large language)\b",
    r"(?:i'?m|i am) (?:just |only )?an? (?:ai|artificial|language model|text)\b",
    rf"unfortunately,? (?:i|we|this|that|your) ?{_WILL_NOT}",
    r"unfortunately, i\b",
    rf"(?:unable|not able) to {_HELP}",
    rf"(?:can'?t|can ?not) {_HELP}",
    r"(?:this|that|your|the) (?:request|prompt|content|topic)\b[^.\n]{0,60}"
    r"\b(?:violat\w+|against|inappropriate|not allowed|not permitted|can ?not|can't|unable)",
    r"(?:it is|it's|it would be|that would be) (?:not appropriate|inappropriate|against)",
    r"(?:that|this)(?:'s| is) not something (?:that )?i",
    r"(?:the |this |your )?(?:request|content|prompt) (?:was |is |has been )?"
    r"(?:denied|blocked|refused|rejected|filtered)",
    # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian
    r"(?:es )?tut mir (?:sehr )?leid",
    r"(?:das |dabei |da |hierbei )?kann ich (?:\w+ ){0,3}nicht",
    r"ich (?:kann|darf|werde|möchte) (?:\w+ ){0,4}(?:nicht|keine?)\b",
    r"leider (?:kann|darf|ist)",
    r"entschuldigung",
    r"(?:je suis )?(?:vraiment )?désolée?\b",
    r"je ne (?:peux|suis|dois)",
    r"je regrette",
    r"malheureusement",
    r"lo siento",
    r"lo lamento",
    r"(?:yo )?no puedo",
    r"me temo que",
    r"desculpe",
    r"sinto muito",
    r"lamento,",
    r"(?:eu )?não posso",
    r"infelizmente",
    r"mi dispiace",
    r"(?:io )?non posso",
    r"purtroppo",
    r"het spijt me",
    r"sorry, maar",
    r"ik kan (?:\w+ ){0,3}niet",
    r"helaas",
    r"przepraszam",
    r"przykro mi",
    r"nie mogę",
    r"niestety",
    r"üzgünüm",
    r"maalesef",
    r"извините",
    r"простите",
    r"прошу прощения",
    r"к сожалению",
    r"мне (?:очень )?жаль",
    r"я не (?:могу|буду)",
    # Swedish, Danish and Norwegian, Finnish, Czech, Hungarian, Romanian, Greek, Ukrainian, others
    *("tyvärr", "förlåt", r"jag kan (?:\w+ )?inte", "beklager", "desværre", "dessverre"),
    *(r"jeg kan (?:\w+ )?ikke", "undskyld", "valitettavasti", "olen pahoillani", "en voi"),
    *("omlouvám se", "bohužel", "nemohu", "sajnálom", "sajnos", "nem tudok", "nem tudom"),
    *("îmi pare rău", "nu pot", "λυπάμαι", "δεν μπορώ", "συγγνώμη", "вибачте", "на жаль"),
    *("я не можу", "maaf", "saya tidak (?:bisa|dapat)", "özür dilerim", "mi spiace"),
    *("não (?:consigo|sou capaz)", "je suis (?:au regret|dans l'incapacité|incapable)"),
    *("je n'ai pas", "no me es posible", "no estoy", "ik ben niet", "tôi (?:xin lỗi|không thể)"),
)
# Languages that set no spaces between words, so that no word's end can be asked for.
_REFUSAL_RUN_ON = _any(
    *(
        "(?:非常|很|真的)?抱歉",
        "(?:对|對)不起",
        "我(?:无法|無法|不能|不可以)",
        "作为(?:一个|一名)?(?:ai|人工)",
    ),
    *(
        "申し訳",
        "すみません",
        "ごめんなさい",
        "恐れ入りますが",
        "죄송",
        "미안",
        "(?:저는 )?도와드릴 수 없",
    ),
    *(
        "عذر",
        "آسف",
        "أعتذر",
        "لا (?:أستطيع|يمكنني)",
        "मुझे (?:खेद|माफ)",
        "क्षमा करें",
        "ขออภัย",
        "xin lỗi",
        "מצטער",
        "אני לא יכול",
        "متأسف",
        "نمی",
    ),
)
_INSIDE = (
    r"(?:however|but|unfortunately|sorry|therefore|so)?,? ?(?:but )?i ?"
    rf"{_WILL_NOT} (?:\w+ )?{_HELP}"
)
REFUSAL = re.compile(
    rf"\W*(?:{_REFUSAL}(?!\w)|{_REFUSAL_RUN_ON})"
    rf"|(?s:.*?)(?:^|[.!?\n]\s*){_INSIDE}",
    re.IGNORECASE,
)

QUESTION = re.compile(
    r"\W*"
    + _any(
        r"please (?:\w+ )?(?:provide|share|give|tell|specify|clarify|let me|send|enter|paste|input"
        r"|supply|describe|confirm|choose|select|upload|type|add|include|write)\b",
        r"(?:could|can|would|will) you (?:please |kindly )?(?:provide|share|give|tell|specify"
        r"|clarify|explain|confirm|let|like|send|describe|elaborate|be)\b",
        r"(?:what|which|how|where|who|would|do|does|did|are|is|should|shall)\b"
        r"[^.!\n]{0,160}\b(?:you|your|i)\b[^.!\n]{0,160}\?",
        r"(?:what|which) (?:prompt|description|season|animal|subject|style|picture)[^.!\n]*\?",
        r"(?:(?:what|which|where|how|who)\b[^.!?\n]{0,80}\b)?(?:should|shall|would)\b"
        r"[^.!?\n]{1,160}\?\W*\Z",
        r"how (?:can|may) i (?:help|assist)",
        r"(?:hello|hi|hey)(?: there)?[!,.]? (?:how|what|i)\b",
        r"i(?:'d| would)(?: be (?:happy|glad)| love) to (?:help|assist)[^.!\n]{0,60}[.!,]",
        r"i(?:'m| am) (?:ready|here|happy|glad) to (?:help|assist|enrich|enhance)",
        r"(?:it (?:seems|looks|appears)|i (?:see|notice|think))(?: like| that| as if)? you"
        r"(?:'ve| have|r|'re| are| did|'d| forgot)?",
        r"you (?:haven't|have not|didn't|did not|forgot|need to)\b",
        r"(?:there is |there's )?no (?:prompt|description|input|text)\b[^.\n]{0,40}"
        r"(?:provided|given|found|received)",
        r"i (?:need|require|would need|don't have|do not have|don't see|didn't receive)"
        r"[^.\n]{0,60}(?:information|details|context|prompt|description|clarif)",
        r"(?:thank you|thanks) for (?:your|the|sharing|providing)[^.!\n]{0,60}[.!]",
        r"bitte (?:geben|gib|teilen|nennen|sagen|stellen|beschreiben|senden)\b",
        r"(?:könn|möcht|woll)(?:test|ten|en) sie\b",
        r"(?:por favor,? )(?:proporcion|indi|d[ií]|facilit|compart|env[ií]|forne|inform|descri)",
        r"(?:veuillez|pouvez-vous|pourriez-vous|s'il vous plaît)\b",
        r"(?:per favore,? |puoi |potresti )(?:fornir|indica|dimmi|specific|condivid)",
        r"пожалуйста,? (?:укажите|предоставьте|уточните|опишите|напишите)",
        "请(?:提供|告诉|问|输入|描述|给)",
        "請(?:提供|告訴|問|輸入|描述)",
        "(?:您|你)(?:想|希望|需要)",
        "プロンプトを(?:教えて|入力|提供)",
        "(?:どの|どのような|何を)[^。\n]{0,40}(?:ですか|ますか)",
        "(?:프롬프트|설명)[을를] (?:알려|제공|입력)",
    )
    + r"|.{0,400}\b(?:you|your)\b[^.!?\n]{0,80}\?\W*$",
    re.IGNORECASE | re.DOTALL,
)

THOUGHTS = re.compile(
    r"\W*"
    + _any(
        r"(?:okay|ok|alright|all right|hmm+|well|so|right|first),? (?:so |let me |let's |the user"
        r"|the prompt|(?:i|we) (?:need|should|have|must|will)|i'?ll|i'm (?:being|asked))",
        r"the user (?:wants|is asking|asked|asks|has|gave|provided|needs|said|requests?)\b",
        r"let me (?:think|see|start|analy[sz]e|break|consider|try|work|first|figure)\b",
        r"let's (?:think|see|start|analy[sz]e|break|consider|work|figure)\b",
        r"(?:i|we) (?:need|have|should|are asked|am asked|must|want) to (?:add|enrich|keep|write"
        r"|rewrite|create|think|produce|make|include|come|output|answer|respond|generate|follow)\b",
        r"(?:first|step 1)[,:] i\b",
        "(?:好的，|嗯，)?用户(?:想|希望|需要|要求|给)",
    ),
    re.IGNORECASE,
)


# Of an answer that says nothing, or names what should stand there.
NOTHING = frozenset(
    "no yes none null nil n a na ok okay sure error todo tbd nan undefined unknown hello hi thanks "
    "thank you done redacted description prompt new enriched enhanced insert your here go the "
    "text answer output image i understand understood got it certainly absolutely of course as "
    "wish thing problem true false safe unsafe nein ja nicht non oui si sí não sim нет да "
    "いいえ はい 不 不行 是".split()
)
SELF = re.compile(r"\W*(?:i|i'(?:m|ve|d|ll)|we|we'(?:re|ve|ll)|ich|je|yo)\b", re.IGNORECASE)

# Anywhere in an answer that shares little with the base prompt: it speaks of who answers.
UNABLE = re.compile(
    r"beyond my (?:cap|abilit)|(?:let's|rather) talk about|(?:request|access) (?:declined|denied)"
    r"|try again (?:later|in a)|(?:internal|server|api|unknown) error|^\W*error\b|rate limit"
    r"|overloaded|timed out|quota exceeded|lorem ipsum|bad (?:gateway|request)|gateway time"
    r"|my (?:guidelines|programming|training|polic)|policy violation|(?:not|isn't) supported"
    r"|out of memory|connection (?:refused|reset|error)|context (?:window|length)|exceeded your"
    r"|waiting (?:for|input)|(?:prompt|description) goes here|let me know the|when you are\W*$"
    r"|soy una? (?:ia|modelo)|je suis une? (?:ia|modèle)|我是.{0,12}(?:助手|模型|AI|千问)"
    r"|私は.{0,9}AI"
    r"|service (?:temporarily )?unavailable|too many requests|server had an error"
    r"|en voi auttaa|niet mee helpen|(?:nie (?:jestem|mogę)|nemohu)\b.*\bpomoc|pomóc\W*$"
    r"|nem tudok segít"
    r"|nu (?:te|vă|pot)\b.*\bajut|(?:ikke|inte) (?:hjelpe|hjælpe|hjälpa)"
    r"|non (?:sono in grado|mi è possibile)|(?:il )?m'est impossible|yardımcı olam"
    r"|не могу помочь|не можу допомогти|δεν μπορώ|मदद नहीं|नहीं कर सक"
    r"|応え(?:でき|することができ)ません|お手伝いできません|(?:수|드릴 수) 없습니다"
    r"|(?:无法|無法|不能)(?:回答|生成|满足|滿足|提供|完成|处理|處理|协助|帮助|幫助)"
    r"|违反了?(?:相关|有关)|很遗憾",
    re.IGNORECASE,
)


def opens(pattern: re.Pattern[str], text: str, base_prompt: str) -> bool:
    """Whether `text` is opened so, and not because `base_prompt` is."""
    plain, base = (words.replace("’", "'") for words in (text, base_prompt))
    return bool(pattern.match(plain)) and not pattern.match(base)
