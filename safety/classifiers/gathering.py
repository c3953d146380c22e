"""What the classifiers of users' texts learn from: attempts, requests for harm, and look-alikes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.split import digest
from safety.classifiers import sources
from safety.classifiers.fitting import Example
from safety.classifiers.model import HARMLESS

OWN, QUESTIONS = "own examples", ("clinc150", "banking77")
# What is asked of an agent with tools: orders, names, accounts and passwords.
TASKS = ("bfcl", "bfcl_multi", "tau_bench", "pii")
EVERYDAY = (*QUESTIONS, *TASKS)
LOOK_ALIKES = ("xstest", "notinject", "mitre_frr_benign", "wildguard_benign")
# For requests for harm: XSTest's are the look-alikes, the other sets are those of attempts.
# Everyday texts count for less: what they are about is seldom near to harm.
HARM_WEIGHT, HARM_CONTRAST, HARM_OTHERS, HARM_EVERYDAY = 1.0, 5.0, 0.3, 0.03
OWN_WEIGHT = 0.5  # of our examples: there are more of them than of the look-alikes
EVERYDAY_WEIGHT = 0.15  # of everyday texts: there are many, and most are easy
QUESTIONS_SHARE = 12  # one in so many is learned from
UNSURE = "harm"  # a category that the model of our own examples has to name
KINDS = {"private_people": "privacy", "private_organisations": "privacy"}
# CyberSecEval names the technique; what it is after says more.
TECHNIQUES = {
    "ignore_previous_instructions": "override",
    "token_smuggling": "smuggling",
    "repeated_token_attack": "smuggling",
}


def injection(data: Path) -> list[Example]:
    """Return attempts by kind, and what is none; raises FileNotFoundError."""
    found = [
        _of(row, "jailbreak_in_the_wild", "jailbreak")
        for row in first(data, "jailbreak_in_the_wild")
    ]
    for row in first(data, "cyberseceval_pi"):
        kind = (
            "indirect" if row["type"] == "indirect" else TECHNIQUES.get(row["variant"], "secrets")
        )
        found.append(_of(row, "cyberseceval_pi", kind))
    for row in first(data, "sysprompt_extraction"):
        found.append(_of(row, "sysprompt_extraction", "extraction"))
    found += harmless(data)
    for kind, texts in sources.own("attacks").items():
        found += [_own(text, "secrets" if kind == "roleplay" else kind) for text in texts]
    for texts_by_kind in sources.own("languages").values():
        for kind, texts in texts_by_kind.items():
            found += [_own(text, HARMLESS if kind == "plain" else kind) for text in texts]
    return found


def harmful(data: Path) -> list[Example]:
    """Return requests for harm by category, and what is none; raises FileNotFoundError."""
    found = [
        _of(row, "unsafe_requests", UNSURE)
        for row in first(data, "unsafe_requests")
        if row["source"].startswith("harmbench")
    ]
    found += [_of(row, "xstest", UNSURE) for row in first(data, "xstest") if row["label"] == 1]
    for one in harmless(data):
        other = HARM_EVERYDAY if one.source in EVERYDAY else HARM_OTHERS
        found.append(replace(one, weight=HARM_CONTRAST if one.source == "xstest" else other))
    for kind, texts in sources.own("harmful").items():
        found += [replace(_own(text, KINDS.get(kind, kind)), weight=HARM_WEIGHT) for text in texts]
    return found


def harmless(data: Path) -> list[Example]:
    """Return look-alikes, everyday texts and our own harmless examples."""
    found = [
        _of(row, name, HARMLESS)
        for name in LOOK_ALIKES
        for row in first(data, name)
        if row["label"] == 0
    ]
    for name in EVERYDAY:
        found += [
            replace(_of(row, name, HARMLESS), weight=EVERYDAY_WEIGHT)
            for row in first(data, name)
            if name in TASKS or digest(row["text"])[2] % QUESTIONS_SHARE == 0
        ]
    for file in ("benign", "everyday"):
        for texts in sources.own(file).values():
            found += [_own(text, HARMLESS) for text in texts]
    return found


def first(data: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a set to learn from; raises FileNotFoundError when there are none."""
    found = sources.halves(data, name)[0]
    if not found:
        raise FileNotFoundError(f"{data / sources.SOURCES[name].file} is not there")
    return found


def _of(row: dict[str, Any], name: str, label: str) -> Example:
    return Example(row["text"], label, name, f"{name} {sources.SOURCES[name].group(row)}")


def _own(text: str, label: str) -> Example:
    return Example(text, label, OWN, f"{OWN} {text}", OWN_WEIGHT)
