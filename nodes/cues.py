"""How a message leans on the conversation before it: the words that give it away.

English. Every pattern takes time linear in a short text, and texts here are short.
"""

from __future__ import annotations

import re

from nodes.phrases import ASKING, AUXILIARY, PREPOSITIONS, content_words, listed, phrases, tokens

FRAGMENT_WORDS = 6

SWITCH = re.compile(
    r"^\W*(?:by the way|btw|(?:and )?(?:now )?(?:another|a different|an unrelated|new) "
    r"(?:question|topic|subject)|(?:to )?chang(?:e|ing) (?:the )?(?:subject|topic)|"
    r"on another (?:note|topic)|something (?:else|different)|unrelated)\b[\s,:;.–-]*",
    re.IGNORECASE,
)
CORRECTION = re.compile(
    r"^\W*(?:(?:no|nope|sorry|wait|actually|oops|hm+|rather|i(?:['’]m| am) sorry)\b[\s,.;:–-]*)*"
    r"(?:i (?:actually |really )?(?:meant?|was (?:asking|thinking) (?:about|of)|"
    r"wanted (?:to (?:know|ask) about)?)|not (?P<not>[^,.;]{2,40}?)(?:[,;]| but)|"
    r"(?:no|sorry|nope|wait)[\s,.;:–-]+(?=\S))\s*",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"^\W*(?:(?:and|or|but|so|ok|okay|then|also|well|now|yes|right|great|thanks|thank you)\b"
    r"[\s,.:;–-]*)+",
    re.IGNORECASE,
)
ABOUT = re.compile(
    r"^(?:what|how) about\b\s*|^what of\b\s*|^(?:is it|does it|do they|is that) the same "
    r"(?:for|with|in|at|on|to)\b\s*|^(?:the )?same (?:question )?(?:for|with)\b\s*",
    re.IGNORECASE,
)
MORE = re.compile(
    r"\b(?:tell me more|more (?:details?|about (?:it|that|this))|go on|continue|elaborate|"
    r"explain (?:it|that|this)|in more detail|(?:an |some )?examples?(?: of (?:it|that))?[?.!]*$|"
    r"summari[sz]e (?:it|that|this)|what do you mean|is that (?:true|right|correct|all))",
    re.IGNORECASE,
)
ORDINAL = re.compile(
    r"\b(?:the )?(?:(?P<nth>first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th|final)"
    r"(?: (?:one|option|item|of (?:them|these|those|the (?:two|three)))\b|(?=\s*[?.!]*$))"
    r"|(?P<pair>former|latter)(?: one)?\b|(?P<other>other)(?: one| two| ones)?\b)",
    re.IGNORECASE,
)
_PERSON = re.compile(r"\b(?P<word>he|she|him|his|her|hers)\b(?!['’])", re.IGNORECASE)
_THING = re.compile(
    r"\b(?:(?P<own>its|their|theirs)|(?P<word>it|they|them|those|these)(?!['’]))\b|"
    r"(?P<short>\bit)['’]s\b",
    re.IGNORECASE,
)
_POINT = re.compile(
    r"\b(?:(?P<det>this|that|these|those|such(?: an?)?|the same) (?P<noun>[a-z][\w-]+)|"
    r"(?P<bare>that|this)(?=\s*(?:[?.!,]|$)))",
    re.IGNORECASE,
)
PLACE = re.compile(
    r"\b(?<!is )(?<!are )(?<!was )(?<!were )(?:over )?there(?=\s*(?:[?.!,]|$))", re.IGNORECASE
)
# "it" that stands for nothing: it is possible to, does it take long to
_EMPTY = re.compile(
    r"\bit (?:is |was |be )?(?:\w+ )?(?:possible|allowed|necessary|legal|safe|normal|common|true|"
    r"better|important|worth|required|okay|ok|take|takes|rain|snow|mean)\b.*\b(?:to|that|if|when)\b",
    re.IGNORECASE,
)
# Between a noun and the pronoun that stands for it in the same sentence.
_JOINT = re.compile(r"[,;]|\b(?:and|or|but|when|if|because|before|after|while|so|that|which)\b")
COMPARES = re.compile(
    r"\b(?:\w{2,}er|more|less|fewer|better|worse|most|least|difference|differ|compare[ds]?|"
    r"both|either|as \w+ as)\b",
    re.IGNORECASE,
)
_NO_COMPARATIVE = listed(
    """after under over other ever never whether user server number water paper order offer power
    answer letter member computer customer consider remember per together another former rather
    however either neither river summer winter owner layer"""
)
COMPARED = re.compile(
    r"^(?:is|are|was|were|does|do|did|will|would) (?:it|they|that|this)\b.*?"
    r"\b(?:for|at|with|in|on|of|than) (?P<other>.+?)\W*$",
    re.IGNORECASE,
)
BARE = re.compile(
    r"^(?:(?:and |but )?(?:why|when|where|how|who|whom|"
    r"how (?:much|many|long|often|far|old|come|so)|"
    r"since when|until when|by whom|with whom|for (?:how long|whom|what)|in (?:what|which) \w+|"
    r"why not|which(?: one)?|whose|(?:\w+ )?(?:by|for|with|to|from) (?:whom|what)|"
    r"(?:after|before|for|in|since|until|at|to|by|on|up to) (?:how (?:many|much|long)|what|which)"
    r"(?: \w+){0,2})(?: (?:exactly|is that|was that|though|then|so|precisely|is it|"
    r"did that happen|at most|at least))*)\W*$",
    re.IGNORECASE,
)


def corrects(text: str) -> bool:
    """Return whether a message takes something back and says what was meant instead."""
    match = CORRECTION.match(text)
    if match is None:
        return False
    wanted = text[match.end() :]
    strong = re.search(r"mean|wanted|asking|thinking", match.group()) or match["not"]
    named = any(p.kind in {"name", "number", "quoted"} for p in phrases(wanted))
    return len(wanted.split()) <= FRAGMENT_WORDS and bool(strong or named)


def is_clause(text: str) -> bool:
    """Return whether this is a whole question, not a fragment of one."""
    words = [token.plain for token in tokens(text)]
    if len(words) < 3:
        return False
    asks = words[0] in ASKING or words[0] in AUXILIARY
    asks = asks or (words[0] in PREPOSITIONS and words[1] in ASKING)
    if asks and any(word in AUXILIARY for word in words):
        return True
    return words[0] in ASKING and words[1] not in PREPOSITIONS


def is_chatter(text: str) -> bool:
    """Return whether a message was no question: thanks, yes, hello."""
    return "?" not in text and len(content_words(text)) < 2


def compares(text: str) -> bool:
    """Return whether a question compares with something it does not name."""
    return comparative(text) and len(phrases(text)) < 2


def comparative(text: str) -> bool:
    """Return whether there is a word in `text` that compares: quieter, more, both."""
    return any(m.group().casefold() not in _NO_COMPARATIVE for m in COMPARES.finditer(text))


def person(text: str) -> re.Match[str] | None:
    """Return the first "he" or "she" (group: word) that follows no name in the same sentence."""
    match = _PERSON.search(text)
    if match and any(p.kind == "name" for p in phrases(text[: match.start()])):
        return None
    return match


def refers(text: str) -> re.Match[str] | None:
    """Return the first word that stands for a thing not named before it in the same sentence.

    Its groups: own (its, their), noun (as in "that plan"), short (it's).
    """
    if _EMPTY.search(text):
        return None
    for pattern in (_THING, PLACE, _POINT):
        if match := pattern.search(text):
            named = [p for p in phrases(text[: match.start()]) if p.kind != "number"]
            owns = bool(match.groupdict().get("own"))  # "does Kettle keep its index"
            own = any(owns or _JOINT.search(text[p.end : match.start()]) for p in named)
            if not own or pattern is PLACE:
                return match
    return None
