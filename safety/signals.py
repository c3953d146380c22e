"""The signals of an attempt to talk the assistant out of its rules: a table of patterns.

Strong signals block alone. Weak ones are ordinary English that adds up: "stay in character"
is a wish; with "no ethical guidelines" and "never refuse" it is a jailbreak.
Patterns see the skeleton of a text (see normalise).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """A pattern and how much it says."""

    name: str
    weight: int
    pattern: re.Pattern[str]


def _signal(name: str, weight: int, *alternatives: str) -> Signal:
    return Signal(name, weight, re.compile("|".join(f"(?:{part})" for part in alternatives)))


# Every repetition is bounded, so matching stays linear in the length of the text.
def _gap(most: int) -> str:
    """Return a pattern for at most that many words in between."""
    return rf"(?:\W{{1,4}}[\w']{{1,20}}){{0,{most}}}?\W{{1,4}}"


# An order to the reader: not "should I ignore", "don't forget", "how to ignore", not quoted.
# First of all a look at the next letter: six look-behinds at each place would cost 0.3 ms.
_ORDER = (
    r"\b(?=[bdfiov])(?<!\bi )(?<!\bwe )(?<!\bthey )(?<!\bpeople )(?<!n't )(?<!\bnot )(?<!\bnever )"
    r"""(?<!how to )(?<!['"“‘«])"""
)
_DROP = r"(?:ignore|disregard|forget|discard)\b"
_BREAK = r"(?:ignore|disregard|forget|discard|override|bypass|violate)\b"
_EARLIER = r"(?:previous(?:ly)?|prior|earlier|above|preceding|initial|original)"
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directives?|directions?|programming|training)"
)
_TELL = (
    r"\b(?:reveal|show|print|output|display|repeat|recite|share|leak|dump|translate|encode|"
    r"summari[sz]e|disclose|expose|give me|tell me|copy|write out|what (?:is|are|were))\b"
)
_OURS = r"(?:system|initial|hidden|starting|original|secret|internal|first|developer|pre-?set)"
_PROMPT = r"(?:prompts?|instructions?|directives)"
_FREE = (
    r"(?:no|without|free (?:of|from)|freed from|ignor\w{1,4}|bypass\w{0,4}|br(?:eak|oken) free"
    r" (?:of|from)|not (?:be )?(?:bound|limited|restricted|constrained|confined) by)"
)
_LIMITS = (
    r"(?:restrictions?|limits|limitations|filters?|censorship|guidelines|constraints|boundaries|"
    r"policy|policies|confines|morals?|ethics|rules)"
)
_WICKED = r"(?:unfiltered|uncensored|unrestricted|amoral|unethical|evil|immoral|unhinged)"
_MACHINE = r"(?:ai|chatbot|bot|assistant|language model|gpt|version|persona|responses?|answers?)"
_WHO = r"(?:you|ai|gpt|chatbot|bot|model|he|she|it|they|who|character)"
_HARMFUL = r"(?:illegal|unethical|immoral|amoral|harmful|offensive|dangerous|derogatory|explicit)"

SIGNALS: tuple[Signal, ...] = (
    _signal(
        "override",
        4,
        rf"{_ORDER}{_DROP}{_gap(3)}{_EARLIER}{_gap(2)}{_RULES}\b",
        rf"{_ORDER}{_BREAK}{_gap(2)}(?:your|openai's?){_gap(2)}{_RULES}\b",
        rf"{_ORDER}{_DROP} (?:all|any|every)(?: of)?(?: the| these| those)? {_RULES}\b",
        rf"{_ORDER}{_DROP}{_gap(3)}{_RULES}{_gap(3)}(?:were given|you have|you were|so far)\b",
        rf"{_ORDER}forget (?:all|about all|everything)\b.{{0,40}}"
        r"\b(?:rules|instructions|told|above)\b",
        rf"{_ORDER}(?:ignore|forget) (?:all|everything)\b.{{0,30}}"
        r"\b(?:before (?:this|that)|above|core)\b",
    ),
    _signal(
        "override_named", 2, rf"\b{_DROP}{_gap(3)}{_EARLIER}{_gap(2)}(?:instruction|prompt)s?\b"
    ),
    _signal(
        "override_translated",
        4,
        r"\b(?:ignorier|vergiss|missacht)\w{0,4}\b.{0,30}\b(?:vorherig|bisherig|vorig|obig|vorangeg)"
        r"\w{1,10} (?:anweisung|instruktion|regel|befehl)",
        r"\b(?:ignor|oubli)\w{1,5}\b.{0,20}\b(?:instructions|consignes|règles)"
        r" (?:précédentes|antérieures)",
        r"\b(?:ignor|olvid)\w{1,5}\b.{0,25}\b(?:instrucciones|órdenes|reglas)"
        r" (?:anteriores|previas)",
        r"\b(?:ignor|esque|desconsider)\w{1,5}\b.{0,25}\b(?:instruções|regras)"
        r" (?:anteriores|prévias)",
        r"\b(?:ignor|dimentic)\w{1,5}\b.{0,25}\b(?:istruzioni|regole) (?:precedenti|anteriori)",
        r"(?:忽略|无视|忘记|忽視|無視).{0,8}(?:之前|以上|先前|前面|上述).{0,6}(?:指令|指示|提示|规则|規則)",
        r"(?:以前|前|上記|これまで).{0,4}(?:指示|命令|ルール).{0,4}(?:無視|忘れ)",
        r"이전.{0,4}(?:지시|명령).{0,6}무시",
        r"पिछले निर्देश.{0,12}अनदेख",
        r"تجاهل.{0,10}(?:التعليمات|الأوامر) السابقة",
    ),
    _signal(
        "extraction",
        4,
        rf"{_TELL}{_gap(4)}your{_gap(2)}{_OURS} {_PROMPT}\b",
        rf"{_TELL}{_gap(2)}(?:your|the (?:full|exact|entire)) system ?(?:prompt|instructions)\b",
        rf"\byour {_OURS} {_PROMPT}\b.{{0,40}}\b(?:verbatim|word for word|base64|rot13)",
        r"\brepeat (?:everything|all|the (?:text|words|content))\b.{0,20}\babove\b.{0,40}"
        r"\b(?:verbatim|word for word|starting with|you are)\b",
        r"\bwhat were you told (?:before|at the)\b",
    ),
    _signal("extraction_hint", 2, r"\bsystem prompt\b", r"\byour (?:guidelines|instructions)\b"),
    _signal(
        "known_jailbreak",
        4,
        r"\bdo anything now\b",
        r"\b(?:dan|jailbr(?:eak|oken)|unfiltered|amoral) ?mode\b.{0,30}"
        r"\b(?:enabled|activated|on)\b",
        r"\b(?:developer|dan|jailbreak) ?mode (?:output|response)\b",
        r"\b(?:you are|act as|acting as|become|pretend to be|simulate) (?:a )?dan\b(?! [a-z]{3})",
        r"\[.{0,3}(?:jailbr\w{1,6}|dan|gpt|chatgpt|classic)\]?:?.{0,120}"
        r"\[.{0,3}(?:jailbr|dan|gpt|classic|developer mode)",
        r"\(.{0,2}(?:jailbreak|developer mode output|normal output)\)",
        r"\bchatgpt with \w{1,20} mode\b",
        r"\bstay (?:a |as )?dan\b",
    ),
    _signal(
        "unbound_persona",
        3,
        rf"\b{_WICKED}\b[^.]{{0,40}}\b{_MACHINE}\b",
        rf"\byou (?:are|have been|will be)\b.{{0,40}}\b(?:{_WICKED}|jailbroken|freed)\b",
        rf"\b{_WHO}\b[^.?]{{0,40}}\b{_FREE}{_gap(6)}{_LIMITS}\b",
        r"\b(?:bypass|ignore|circumvent)\b.{0,30}\b(?:content|usage|safety|ethical)\b.{0,12}"
        r"\b(?:polic|guideline|filter)",
        r"\byou are no longer (?:chatgpt|an ai|bound)\b",
    ),
    _signal(
        "vendor_policy", 2, r"\bopenai'?s? (?:content |usage )?(?:polic|guideline|restriction|rule)"
    ),
    _signal(
        "no_refusal",
        2,
        r"\b(?:never|not|cannot|can't|won't|without|don't|nor) (?:ever |be able to )?"
        r"(?:refus|declin|reject|deny|denial|say no\b"
        r"|apologi[sz]|break(?:ing)? character|warn|argue|censor)",
        r"\bas an ai\b.{0,80}\b(?:never|not|don't|avoid)|\b(?:never|not|don't|avoid)\b.{0,40}"
        r"\bas an ai\b",
        r"\b(?:comply|answer|respond|obey)\b.{0,40}\bwithout (?:hesitation|question|warning"
        r"|disclaimer|refus)",
        rf"\bno matter how (?:\w{{1,20}} ){{0,6}}?{_HARMFUL}",
        r"\b(?:i'm|i am) sorry\b.{0,60}\bi apologi[sz]e",
    ),
    _signal(
        "any_harm",
        2,
        rf"\b{_HARMFUL}\b[^.]{{1,12}}\b{_HARMFUL}\b",
        r"\b(?:regardless|irrespective|without (?:regard|concern)s?|(?:doesn't|not) care)\b.{0,40}"
        r"\b(?:legal|ethic|moral|law|harm)",
        r"\b(?:legality|morality|ethics)\b.{0,20}\b(?:legality|morality|ethics|safety)\b",
    ),
    _signal(
        "persona",
        1,
        r"\b(?:from now on|you are now|you will now|pretend|act as|acting as|role-?play|immerse"
        r" yourself|simulate|new persona|in character|in the role|you're going to act)\b",
    ),
    _signal(
        "token_game",
        2,
        r"\b\d{1,3} tokens\b.{0,200}\b(?:lose|deduct|die|cease|punish)",
        r"\b(?:lose|deduct)\b.{0,30}\btokens\b",
    ),
    _signal(
        "template_tokens",
        2,
        r"<\|(?:im start|im end|system|user|assistant|endoftext|start header id|eot id"
        r"|begin of text)\|>",
        r"\[/?inst\]|<</?sys>>|<(?:start|end) of turn>|<system prompt>",
    ),
)
