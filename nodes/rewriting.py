"""Rules that make a follow-up a question of its own, from the last questions and answers.

Each kind of leaning has one rule: a correction, "the second one", "what about X", a bare "why?",
a comparison, a pronoun. They put words of the conversation into the question and leave its own
words alone, because retrieval needs the right words more than good grammar.
Measured by `evals run intent` on evals/followups.yaml; see docs/decisions/0016.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodes import cues
from nodes.antecedents import Embed, Exchange, antecedent, item_of, replaced
from nodes.phrases import content_words, phrases

SHORT = 3  # content words of what may be a fragment
MAX_CHARACTERS = 400  # who writes more says what it is about


async def rewrite(
    text: str, talk: Sequence[Exchange], embed: Embed, *, leaning: bool
) -> tuple[str, str]:
    """Return the question that `text` asks after `talk`, and by which rule; "whole" when by none.

    embed: chooses which phrase of the last question an ellipsis stands for, in few short texts.
    leaning: it is taken for a follow-up by its meaning, so it may not stay a fragment.
    """
    asked: list[Exchange] = []
    for exchange in talk:  # each question may have been a follow-up of those before it
        whole, why = await _rewrite(exchange.question, asked, embed, leaning=False)
        if content_words(whole) and (why != "whole" or not cues.is_chatter(whole)):
            asked.append(Exchange(whole, exchange.answer))
    return await _rewrite(text, asked, embed, leaning=leaning)


async def _rewrite(
    text: str, asked: Sequence[Exchange], embed: Embed, *, leaning: bool
) -> tuple[str, str]:
    if len(text) > MAX_CHARACTERS:
        return text, "whole"
    if switch := cues.SWITCH.match(text):
        rest = text[switch.end() :].strip()
        return (rest[:1].upper() + rest[1:], "switch") if content_words(rest) else (text, "whole")
    if not asked:
        return text, "whole"
    lead = cues.LEAD.match(text)
    rest = text[lead.end() :].strip() if lead else text.strip()
    if not re.search(r"\w", rest):
        return text, "whole"
    found = await _corrected(text, asked[-1], embed) or _counted(rest, asked)
    if (
        (found is None and not cues.is_clause(rest))
        or cues.ABOUT.match(rest)
        or cues.BARE.match(rest)
    ):
        found = found or await _completed(rest, asked[-1], embed, led=bool(lead) or leaning)
    found = found or await _compared(rest, asked[-1], embed)
    if found is None and (cues.person(rest) or cues.refers(rest)):
        found = resolved(rest, asked), "reference"
    if found is None and leaning and len(content_words(rest)) < SHORT:
        found = f"{rest.rstrip('?. ')}: {asked[-1].question}", "fragment"
    if found is None and lead and len(content_words(rest)) < 2:
        found = _with_topic(rest, asked[-1], ""), "topic"
    if found is None and lead and cues.is_clause(rest):
        found = rest, "lead"
    return found or (text, "whole")


async def _corrected(text: str, last: Exchange, embed: Embed) -> tuple[str, str] | None:
    """No, I meant X: the last question with X in it."""
    match = cues.CORRECTION.match(text)
    wanted = text[match.end() :].strip(" .!?") if match else ""
    if match is None or not content_words(wanted) or len(wanted.split()) > cues.FRAGMENT_WORDS:
        return None
    return await replaced(last.question, wanted, embed, match["not"] or ""), "correction"


def _counted(text: str, asked: Sequence[Exchange]) -> tuple[str, str] | None:
    """The second one: what stands there in the last list."""
    match = cues.ORDINAL.search(text)
    item = item_of(match, asked) if match else ""
    if match is None or not item:
        return None
    named = f"{text[: match.start()]}{item}{text[match.end() :]}"
    if cues.is_clause(text):
        return _with_topic(named, asked[-1], item, names_only=True), "ordinal"
    return f"{named.rstrip('?. ')}? {asked[-1].question}", "ordinal"


async def _completed(
    text: str, last: Exchange, embed: Embed, *, led: bool
) -> tuple[str, str] | None:
    """A bare "why?", "tell me more", "what about X": the last question, with X in it."""
    if cues.BARE.match(text):
        return f"{text.rstrip('?. ')}: {last.question}", "bare"
    if cues.MORE.search(text) and len(content_words(text)) < SHORT:
        return f"{last.question} {text}", "more"
    about = cues.ABOUT.match(text)
    wanted = (text[about.end() :] if about else text).strip(" .!?")
    if not content_words(wanted) or len(wanted.split()) > cues.FRAGMENT_WORDS:
        return None
    if not (about or led or len(content_words(wanted)) < SHORT) or cues.person(wanted):
        return None
    if cues.refers(wanted) and not wanted.casefold().startswith("the one"):
        return None
    return await replaced(last.question, wanted, embed), "ellipsis"


async def _compared(text: str, last: Exchange, embed: Embed) -> tuple[str, str] | None:
    """Is X quieter, is it cheaper at X: the last question with X in it, and this one."""
    match = cues.COMPARED.match(text) if cues.COMPARES.search(text) else None
    if match is None and (not cues.compares(text) or cues.person(text) or cues.refers(text)):
        return None
    named = phrases(text)
    if match is None and not named:
        return _with_topic(text, last, ""), "comparison"
    other = match["other"] if match else named[0].text
    return f"{await replaced(last.question, other, embed)} {text}", "comparison"


def resolved(text: str, asked: Sequence[Exchange]) -> str:
    """Return `text` with its pronouns exchanged for what they stand for."""
    used = ""
    if match := cues.person(text):
        used = antecedent(asked, person=True)
        own = match["word"].casefold() in {"his", "hers"} or (
            match["word"].casefold() == "her" and bool(re.match(r"\s+[a-z]", text[match.end() :]))
        )
        text = _put(text, match, used, own=own)
    if match := cues.refers(text):
        used = antecedent(asked, person=False, noun=match.groupdict().get("noun") or "")
        groups = match.groupdict()
        if groups.get("noun"):
            noun = groups["noun"]
            used = used if noun.casefold() in used.casefold() else f"{used} {noun}"
        own = bool(groups.get("own"))
        short = " is" if groups.get("short") else ""
        place = "at " if match.re is cues.PLACE else ""
        text = _put(text, match, f"{place}{used}{short}", own=own)
    return text


def _put(text: str, match: re.Match[str], name: str, *, own: bool) -> str:
    if not name:
        return text
    ending = "'s" if own and not name.endswith("'s") else ""
    return f"{text[: match.start()]}{name}{ending}{text[match.end() :]}"


def _with_topic(text: str, last: Exchange, item: str, *, names_only: bool = False) -> str:
    """Return `text` with the words of the last question that name its topic, not said twice."""
    said = {word.rstrip("s") for word in content_words(f"{text} {item}")}
    names = [p.text for p in phrases(last.question) if p.kind == "name" or not names_only]
    extra = [n for n in names if not {w.rstrip("s") for w in content_words(n)} & said]
    return f"{text} ({', '.join(extra)})" if extra else text
