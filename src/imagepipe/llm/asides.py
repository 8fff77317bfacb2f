"""How a remark beside a description begins: it speaks to the user, or about the answer itself.

A sentence of the picture may begin with the same words: "As requested by the king, ...", "Enjoy the
snow, says a sign". So each pattern is long enough to tell the two apart. Apostrophes are straight
here, and case does not matter.
"""

from __future__ import annotations

_ENDS = r"(?=\s*(?:[^\w\s]|\Z))"  # nothing of the phrase follows: "by the king" would
_ENDED = r"\s*(?:[.!)\]*_]|\Z)"  # the sentence is over
# What a remark is called, in the languages in which refusals are known.
NOTE = (
    r"(?:notes?|n\.?b\.?|p\.?s\.?|disclaimer|hinweis|anmerkung|notiz|remarque|nota|observación"
    r"|observação|obs|osservazione|opmerking|uwaga|not|примечание|заметка|примітка|anmärkning|bemærk"
    r"|bemærkning|merknad|merk|huom|huomautus|poznámka|megjegyzés|notă|σημείωση|catatan|lưu ý"
    r"|ghi chú|注|注意|注释|注釋|備注|备注|備註|备考|備考|附注|说明|說明|補足|注記|참고|주의|비고"
    r"|ملاحظة|توجه|הערה|नोट|टिप्पणी|หมายเหตุ)[*_]*\s*[:：】]"
)
_TELLS = (  # what was done
    r"(?:i(?:'ve| have)? (?:kept|keep|added|add|enriched|made|included|tried|chose|replaced|changed"
    r"|used|maintained|retained|preserved)\b"
    r"|ich habe?\b|j'ai\b|he (?:hecho|puesto|\w+[ai]do)\b|ho \w+to\b|ik heb\b"
    r"|(?:jag|jeg) har\b|(?:adicion|acrescent|preserv)ei\b|mantive\b|incluí\b|enriqueci\b"
    r"|(?:doda|zachowa|wzbogaci)ł[ae]m\b|я \w+(?:ил|ел|ал)а?\b|我(?:已|添|加|保留|增|将|把|为))"
)
_ANSWER = r"(?:prompt|description|caption|rewrite|revision|rewording)"
_NEW = r"(?:(?:enriched|enhanced|new|updated|revised|final|improved|expanded|modified) )"
# Of what a remark says that something was done; a picture's sentence speaks of other things.
_TASK = (
    rf"(?:{_ANSWER}s?|subjects?|request|original|elements?|details?|clothing|colou?rs|medium|style"
    r"|season(?:al)?|theme|essence|sense|touch|mood|requirements?|instructions?|words?|you|your)"
)
_DOES = (
    r"(?:keeps?|adds?|maintains?|retains?|preserves?|captures?|ensures?|includes?|should|will|uses?"
    r"|stays?|has|is)"
)
# Also behind a description that has no end of its own.
SIGN_OFF = (
    r"(?:please )?(?:let me know(?: (?:if|what|whether|how|when|which|should|your|about)\b|\s*[.!])"
    r"|feel free to (?:ask|adjust|change|modify|add|let|tell|use|tweak|edit|share|refine"
    r"|customi[sz]e|reach|contact|specify|provide|request|make|suggest|give|adapt|include|remove|replace)\b)"
)
_ENGLISH = (
    r"note(?: that\b|,)",
    r"please note\b",
    SIGN_OFF,
    r"(?:i|we) (?:\w+ )?hope\b",
    r"hope (?:this|that|it|you)(?:'s|'ll| is| will be| will)? (?:help|meet|work|fit|suit|match|like"
    r"|enjoy|what|useful|good|okay|captur)\w*",
    r"(?:would you like|do you want|is there anything)\b[^.!,\n]*\?",
    r"if you(?:'d| would) (?:like|prefer)\b",
    r"if you (?:want|like|wish|prefer|need),",
    r"if you (?:like|want|need|have|prefer|wish) (?:(?:me|any|more|another|other|further|different"
    r"|additional|changes|adjustments|questions)\b|(?:a|an|some|the) (?:\w+ )?(?:change|version"
    r"|variation|prompt|description|style|season|tweak|adjustment|detail|question|picture|image)"
    r"|to (?:change|adjust|add|modify|make|try|explore|tweak)\b)",
    rf"enjoy(?: \w+){{0,3}}{_ENDED}",
    rf"happy to help(?: (?:you|with|further|more|if)\b|{_ENDED})",
    r"i(?:'m| am) (?:always |here |also )?(?:happy|glad) to\b",
    rf"as (?:requested|asked|wished|desired|instructed|specified){_ENDS}",
    r"as (?:requested|asked|specified|wished) (?:by you|in (?:your|the prompt))\b",
    r"as you (?:requested|asked|wished|wanted|specified|instructed)\b",
    r"(?:as per|per|based on|according to|following) your (?:request|prompt|instruction|description"
    r"|guideline|wish)\w*",
    rf"(?:this|the|my) {_NEW}+{_ANSWER}\b",
    rf"this {_ANSWER}\b",
    rf"this {_NEW}*version {_DOES}\b",
    rf"this {_DOES} [^.!?\n]{{0,80}}?\b{_TASK}\b",
)
_OTHERS = (
    # German
    r"(?:bitte )?(?:lass(?:en sie)?|sag(?:en sie)?|gib|geben sie) (?:es )?mi(?:r|ch) [^.!\n]{0,20}"
    r"(?:bescheid|wissen)",
    r"(?:ich )?hoffe,? (?:das|dass|es|dies|du|sie)",
    rf"viel (?:spaß|freude|vergnügen)(?: damit| beim \w+)?{_ENDED}",
    rf"wie (?:gewünscht|erbeten|verlangt|gefordert|besprochen){_ENDS}",
    r"wie (?:du|sie) (?:es |dir |sich )?(?:gewünscht|wolltest|wollten|wünschst|wünschen|möchtest)",
    r"(?:wenn|falls) (?:du|sie) (?:\w+ ){0,3}(?:möchte|willst|wollen|brauch|wünsch|hast|haben)\w*",
    r"diese beschreibung|dieser prompt",
    # French
    r"n'hésitez?(?: pas)?",
    r"j'espère",
    r"(?:dis|dites|fais|faites)-(?:le-)?moi",
    rf"comme (?:demandé|souhaité|convenu){_ENDS}",
    r"comme (?:vous|tu) (?:l'|le )?(?:avez|as|souhait\w*|demand\w*)",
    r"si (?:vous|tu) (?:souhait\w*|voul\w*|désir\w*|veux|préfér\w*|avez (?:besoin|d'autres))",
    r"cette description|ce prompt",
    # Spanish, Portuguese
    r"espero que (?:te|le|les|os|esto|esta|sea|ayude|cumpla|goste|isso|atenda|seja|você)",
    r"(?:avísame|avíseme|dime|dígame|házmelo saber|hágamelo saber|me avise|avise-me|diga-me)",
    r"no dud(?:es|e) en|(?:fique|sinta-se) (?:à vontade|livre)",
    r"si (?:quieres|deseas|necesitas|prefieres)|se (?:você )?(?:quiser|desejar|precisar|preferir)",
    r"como (?:pediste|solicitaste|querías)|como você (?:pediu|solicitou|queria)",
    rf"como (?:pedido|solicitado|se pidió|se solicitó){_ENDS}",
    r"esta descripción|esta descrição|este prompt",
    # Italian
    r"spero che (?:ti|vi|le|questo|questa|sia|vada)",
    r"fammi sapere|fatemi sapere|mi faccia sapere|non esitare|non esiti",
    r"se (?:vuoi|desideri|preferisci|hai bisogno)",
    rf"come (?:richiesto|desiderato){_ENDS}|come hai (?:chiesto|richiesto)",
    r"questa descrizione|questo prompt",
    # Dutch, Swedish, Danish and Norwegian
    r"laat (?:het )?(?:me|mij) (?:maar )?weten|ik hoop|hopelijk (?:helpt|is dit|bevalt)",
    rf"als (?:je|u) (?:\w+ ){{0,3}}(?:wilt|wil|wenst|nodig)|zoals (?:gevraagd|gewenst){_ENDS}",
    r"zoals (?:je|u) (?:vroeg|wilde)|deze beschrijving|deze prompt",
    r"(?:jag )?hoppas (?:att|det)|jeg (?:håber|håper)|säg till|sig til, hvis|si fra",
    rf"om du (?:vill|behöver|önskar)|hvis du (?:vil|ønsker|har)|som (?:önskat|ønsket){_ENDS}",
    # Polish, Czech, Turkish
    r"daj(?:cie)? (?:mi )?znać|mam nadzieję|jeśli (?:chcesz|potrzebujesz|wolisz)",
    r"zgodnie z (?:prośbą|życzeniem|twoją prośbą)|ten opis|ten prompt",
    r"dej(?:te)? (?:mi )?vědět|doufám|pokud (?:chcete|chceš|potřebujete)|tento popis",
    r"umarım|istersen(?:iz)?|(?:lütfen )?bana (?:bildir|haber)\w*|istediğin(?:iz)? gibi",
    r"bu açıklama",
    # Russian, Ukrainian
    r"дай(?:те)? (?:мне )?знать|(?:я )?надеюсь|если (?:вам|вы|тебе|ты|хотите|хочешь|нужн\w+)",
    r"как (?:вы|ты) (?:и )?(?:просил|хотел|пожелал)\w*|по ваш\w+ (?:просьбе|запросу)",
    r"это описание|этот промпт",
    r"дай(?:те)? (?:мені )?знати|сподіваюс[ья]|якщо (?:вам|ви|хочете)|цей опис",
    # Arabic, Hindi
    r"آمل أن|أتمنى أن|إذا (?:كنت|أردت)|كما طلبت|هذا الوصف",
    r"आशा है|उम्मीद है|यदि आप|अगर आप|जैसा आपने|यह विवरण",
)
# Languages that set no spaces between words.
_RUN_ON = (
    "希望(?:这|這|您|你|能|对|對|符合)|如果?(?:您|你)(?:需要|想|有|希望|觉得|覺得)",
    "如(?:有|需)(?:其他|任何|需要|修改|调整|調整|更多|进一步|進一步)",
    "(?:如|按照?|根据|根據|应|應)(?:您|你)的?(?:要求|所愿|所願|需求|请求|請求|意思|描述|提示)",
    "(?:请|請)(?:告诉|告訴|随时|隨時|告知|让我|讓我)",
    "(?:这|這|此|该|該)(?:个|個|段|条|條)?(?:描述|提示)|以上(?:是|为|為|描述|提示)",
    "(?:何か)?(?:ご質問|ご要望|ご希望|変更|修正)(?:が(?:あれ|あり|必要)|の通り|どおり)",
    "お気軽に|必要(?:でしたら|であれば|があれば)|この(?:説明|プロンプト|描写)(?:は|で)|お楽しみください",
    "(?:추가|수정|변경|필요|궁금)[^.。\n]{0,30}(?:알려|말씀)|도움이 되|(?:요청|말씀)하신",
    "이 (?:설명|프롬프트|묘사)[은는]",
)
ASIDE = (
    rf"(?:{NOTE}|{_TELLS}|(?:{'|'.join(_ENGLISH)})"
    rf"|(?:{'|'.join(_OTHERS)})(?!\w)|(?:{'|'.join(_RUN_ON)}))"
)
