"""How models introduce a description: labels, headings, and sentences that come before it."""

from __future__ import annotations

import re

NOUN = (
    r"(?:prompt|description|answer|output|response|result|caption|rewrite|version|scene|text|assistant"
    r"|beschreibung|antwort|descripción|respuesta|descrição|resposta|descrizione|risposta|réponse"
    r"|описание|промпт|ответ|提示词|提示詞|提示|描述|描写|説明|プロンプト|回答|프롬프트|설명)s?"
)
KIND = (
    r"(?:(?:the|your|my|an?|new|final|full|enriched|enhanced|updated|revised|improved|rewritten"
    r"|detailed|expanded|modified|complete|corrected|positive|seasonal|winter|spring|summer|autumn|fall"
    r"|image|picture|visual|scene|ai|model|text-to-image|stable diffusion|midjourney|angereicherte"
    r"|neue"
    r"|erweiterte|nouvelle|nueva|nova|nuova|(?:增强|优化|最终|完整|丰富|英文)(?:后的|的)?|新的"
    r"|新しい|강화된)[ -]?)*"
)
LABEL = re.compile(
    rf"^[ \t]*[*_#>\"'“\[]*[ \t]*(?:/imagine[ \t]+)?(?:{KIND}{NOUN}|enriched|enhanced|final"
    r"|revised|updated|improved|expanded|rewritten|after|ai|bot)"
    r"(?: enrichie?| enriquecida| arricchita| for [\w' ]{1,30}"
    r"| (?:is|reads|becomes|follows|(?:will|would|could|might) be))?(?: as follows)?[*_\"'”\]]*"
    r"(?:[ \t]*(?:#?\d|\([^)\n]{0,40}\)))?[ \t]*[*_]*(?:[:：]|[ \t][–—-][ \t]|[ \t]*(?:→|⇒|[-=]>)"
    r"|[ \t]*=(?=[ \t]*[\"']))[*_]*\s*(?:[|>][+-]?[ \t]*\n\s*)?",  # the end as YAML has it
    re.IGNORECASE | re.MULTILINE,
)
# The same as a heading, behind what a model says before.
HEADED = re.compile(
    rf"^[ \t]*(?:#{{1,6}}[ \t]+[*_]*|[*_]{{2,3}}){KIND}{NOUN}[*_]*[ \t]*\n+",
    re.IGNORECASE | re.MULTILINE,
)
# The name alone: on a line of its own, or in brackets; and thoughts in such.
TITLED = re.compile(
    rf"[(\[]{KIND}{NOUN}[)\]]\s*|{KIND}{NOUN}[ \t]*\n\s*|(?:json|yaml|text|markdown|plaintext)\n\s*"
    r"|[(\[*]+think(?:s|ing)?\b[^)\]*\n]*[)\]*]+\s*|thought for [^\n]{1,30}\n\s*",
    re.IGNORECASE,
)
# Up to eight words before a colon that speak to the user, or of the answer.
SPEAKS = re.compile(
    rf"(?=[^:：\n]*(?:\b(?:{NOUN}|this|these|you|your|i|i'd|i'll|option|following|how about"
    r"|what about|suggest\w*|english|deutsch|français|español|translat\w*)\b"
    r"|الوصف|الموجه|प्रॉम्प्ट))[^\s:：]+(?:[ \t]+[^\s:：]+){0,7}[ \t]*[:：][*_]*\s*"
    r"|\W*\w{3,}ed[:：][*_]*\s*",
    re.IGNORECASE,
)
OF_SEASON = re.compile(  # or of the answer to the question Q
    r"(?:winter|spring|summer|autumn|fall|(?-i:A))[ \t]*[:：]\s*", re.IGNORECASE
)
OPENER = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|alright|all right"
    r"|got it|great|gladly|no problem|understood|yes|you got it|hello|hi(?: there)?|sicher|gerne?"
    r"|natürlich|klar|bien sûr|certainement|claro(?: que sí)?|por supuesto|certo|certamente|конечно"
    r"|вот)(?:[!.,:;]|\s[–—-])"
    r"|(?:here|there) (?:you go|it is|you are)[!.]"
    r"|(?:great|good|nice|excellent|wonderful|lovely|perfect|interesting) \w+!"
    r"|(?:thank you|thanks)(?: for [^!.\n]{0,60})?[!.]"
    r"|(?:nice|cool|awesome|sounds (?:good|fun|great)|(?:with|my) pleasure|right away"
    r"|happy to help|(?:oh|wow)\b[^.!\n]{0,30}|what an? [^.!\n]{0,30}idea"
    r"|i love (?:it|this|that))[!.]"
    r"|as (?:requested|asked|wished|desired|instructed)[,:]"
    r"|물론(?:입니다|이죠)?[!.,])\s+"
    r"|(?:(?:当然(?:可以)?|好的|没问题)[！!，,。]|(?:はい|もちろん(?:です)?|承知しました)[、。！])\s*"
    r"|(?:以下是|这是|下面是)[^:：\n]{0,40}[:：]\s*",
    re.IGNORECASE,
)
HAPPY = re.compile(
    r"i(?:'d| would|'m| am|'ll| will)[^.!:\n]{0,20}(?:happy|glad|love|help|do that)"
    r"[^.!:\n]{0,60}[.!]\s+",
    re.IGNORECASE,
)
HERE = re.compile(
    r"(?:here(?:'s| is| are| you go| it is| you are)|below is|this is|the following is|voici"
    r"|i(?:'ve| have| )?(?:added|enriched|updated|rewritten|created|made|kept)|hier ist|ecco"
    r"|aquí (?:está|tienes|tiene)|aqui está)\b(?P<said>[^:\n]{0,160})(?::|\s[–—-]\s)\s*",
    re.IGNORECASE,
)
# The same in other languages.
HERE_ELSE = re.compile(
    r"(?:(?:oto|işte|zde je|tady je|íme|itt van|her er|här är|hier is|iată|ακολουθεί|ορίστε"
    r"|вот|ось|berikut|inilah|(?:dưới )?đây là|voilà|segue|tässä on)\b|นี่คือ|הנה|यहाँ|यह रहा"
    r"|다음은|여기|以下[がはにの是]|こちら(?:[がは]|です|になります)"
    r"|إليك|هذا هو)(?P<said>[^:：\n]{0,60})[:：]\s*",
    re.IGNORECASE,
)
HERE_LINE = re.compile(
    r"(?:here(?:'s| is| are)|below is|this is)\b(?P<said>[^:\n]{0,160})\n\s*", re.IGNORECASE
)
OWN_LINE = re.compile(  # of what the model does or thinks
    r"(?:(?:my )?(?:thinking|reasoning|thoughts?|thought process|analysis|draft) ?[:：][^\n]*\n"
    r"|(?:i|we|i'(?:m|ll|ve|d)|let(?:'s| me))\b"
    r"(?=[^:.\n]{0,200}\b(?:prompt|descri|detail|version|enrich|request|add))"
    r"[^:.\n]{0,200}(?:[:：.]\s|!?[ \t]*\n))\s*",
    re.IGNORECASE,
)
