"""Which pieces of a document could be an instruction to its reader, by their form alone.

Generous on purpose: what is no candidate costs no embedding, and is never found. Most sentences
of most documents are statements, and statements are none.
"""

from __future__ import annotations

import re

from safety.classifiers import cues
from safety.normalise import skeleton
from safety.signals import SIGNALS

_VERBS = """
absorb accept access add adjust adopt advertise advise alter analyse analyze anagram answer append
apply approve arrange ask assemble assist attach augment authorize begin blend block book break
bring build buy calculate call cancel capitalize change check choose click close code collect
combine compare compile complete compose compute configure confirm connect consider construct
convert convince copy create debug decode decrease delete deliver demonstrate deploy describe
design detail determine develop devise disable discuss display disregard distort do donate download
draft draw elaborate email embed emphasise emphasize employ enable encode encourage encrypt end
endorse engage enhance enlist enrich ensure erase establish evaluate examine execute explain
export express extend extract favour feature fetch fill find finish follow forget form format
forward fuse fulfil generate get give grant group guide hand harmonise harmonize have help hint
highlight identify ignore illustrate imagine implement import incorporate increase infuse inform
initiate inject insert install instruct integrate interpret introduce invent invert invite jumble
keep launch leave let link list listen load locate look lower mail make mark mask mention merge
mimic misspell mix mock modify move name narrate note notify obtain offer omit open order outline
override paraphrase pay perform place plan play post predict prepare prescribe present pretend print
produce program promote propose prove provide publish purchase put quote randomise randomize rate
read rearrange recite recommend redirect reference refer reject release remind remove rename render
repeat rephrase replace reply report request respond restart retrieve return reverse review revise
rewrite run save say schedule scramble search sell send separate set share shift show shuffle sign
simulate sketch solve speak spell split start state stop store stress submit subscribe substitute
suggest sum summarise summarize swap switch take talk tease teach tell text think transcribe
archive arm assign ban charge clear comment deactivate deposit dispatch empty enroll enrol file
freeze hire increase kick lock log lower mute order pin post process reduce register rent
reset resume restore revoke scan settle ship subscribe suspend tag top track trade tweet unfollow
unsubscribe wipe
transfer transform translate transmit turn unlock unsubscribe update upgrade upload urge use utilise
utilize verify view visit vote wait warn weave whitelist wire withdraw work write
"""
_ORDER = re.compile(
    r"^\W{0,6}(?:(?:please|kindly|now|then|also|and|first|finally|next|just|simply|always|never|"
    r"important|note|attention|urgent|reminder|p\.?s|do not|don't|do n't|don't hesitate to|"
    r"don't forget to|be sure to|make sure to|make sure|remember to|try to|feel free to|"
    r"let us|let's|you (?:must|should|have to|need to|can|could|may|will))\b\W{0,3}){0,3}"
    rf"(?:{'|'.join(_VERBS.split())})\b(?! ?[:=(])"
)
_SHAPED = re.compile(
    r"^\W{0,6}[a-z]{2,15} (?:(?:every|each|all|any|some|your|my|the following|the subsequent|"
    r"the code|another|both) |(?:a|an|the|this|these|that) .{0,80}\b(?:your|my|answer|response|"
    r"reply)\b)"
)
_ASKS = re.compile(
    r"\?\W{0,3}$|^\W{0,6}(?:what|who|whom|whose|which|where|when|why|how|can you|could you|"
    r"would you|will you|are you|do you)\b"
)
_READER = re.compile(
    r"\byour? (?:[\w-]{1,20} ){0,2}(?:answer|response|reply|output|message|text|code|codebase|"
    r"program|solution|summary|implementation|algorithm|task|instructions?|prompt|final|function|"
    r"model)\b|\b(?:the|this|any|as an?|an?|if you are an?|dear|hey|to the|note to) (?:ai|llm|"
    r"assistant|language model|chatbot|bot|agent|model|summari[sz]er|reader)s?\b|"
    r"\b(?:ai assistants?|llms|chatbots)\b|\bthe user(?:'s)?\b|"
    r"\b(?:in|to|of) (?:the|your) (?:response|reply|answer|summary)\b|"
    r"\bsystem (?:note|prompt|message)\b"
)
_MINE = re.compile(r"\bmy (?:[\w'-]{1,20} ){0,3}[\w-]{2,20}\b")
_YOU = re.compile(r"\byou(?:r|rself)?\b")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}|\b(?:https?://|www\.)\S{3}")
_TO_SOMEBODY = re.compile(
    r"\b(?:send|email|e-mail|mail|forward|share|text|transfer|post)\b.{0,120}\b(?:to|with)\b"
)
_ROW = re.compile(r"^\s{0,8}\||\t.{0,40}\t")
_CODE = re.compile(
    r"```|[;{}]\s{0,4}$|^\s{0,8}(?:def|import|from|class|return|for|if|var|const|let)\b|"
    r"\w\(\w{0,20}\)"
)
_FOREIGN = re.compile(r"[^\x00-\u024f\u2000-\u2bff]")

NAMES: tuple[str, ...] = (
    "order", "shaped", "asks", "reader", "mine", "you", "address", "to_somebody", "row", "code",
    "please", "order+mine", "order+reader", "order+address", "asks+first_word", "short", "signal",
    "foreign", "drop", "rules",
)  # fmt: skip
_ENOUGH = ("order", "please", "shaped", "asks", "reader", "signal", "foreign", "drop", "rules")


def marks(piece: str, *, foreign: bool = False) -> dict[str, bool]:
    """Return which of NAMES hold of a piece. foreign: of a text whose script is not Latin."""
    seen = skeleton(piece)
    words = cues.WORD.findall(seen)
    found = {
        "order": bool(_ORDER.search(seen)),
        "shaped": bool(_SHAPED.search(seen)),
        "asks": bool(_ASKS.search(seen)),
        "reader": bool(_READER.search(seen)),
        "mine": bool(_MINE.search(seen)),
        "you": bool(_YOU.search(seen)),
        "address": bool(_ADDRESS.search(seen)),
        "to_somebody": bool(_TO_SOMEBODY.search(seen)),
        "row": bool(_ROW.search(piece)),
        "code": bool(_CODE.search(piece)),
        "please": seen.startswith("please"),
        "short": len(words) < 4,
        "signal": any(one.weight > 1 and one.pattern.search(seen) for one in SIGNALS),
        "foreign": not foreign and len(words) > 1 and bool(_FOREIGN.search(seen)),
    }
    about = cues.concepts(seen, words)
    found["drop"] = "drop" in about  # ignore, forget, in many languages
    found["rules"] = bool(about & {"rules", "prompt"}) and (found["you"] or "tell" in about)
    found["order+mine"] = found["order"] and found["mine"]
    found["order+reader"] = found["order"] and found["reader"]
    found["order+address"] = found["order"] and found["address"]
    found["asks+first_word"] = found["asks"] and not seen.endswith("?")
    return found


def is_candidate(found: dict[str, bool]) -> bool:
    """Return whether a piece with these marks could be an instruction."""
    return any(found[one] for one in _ENOUGH) or (
        found["to_somebody"] and (found["mine"] or found["address"])
    )


def is_foreign(text: str) -> bool:
    """Return whether a good part of a text is in another script than the Latin one."""
    return len(_FOREIGN.findall(text)) * 5 > len(text)
