"""Text by others, checked before a model reads it: passages of documents, results of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from core.turn import CallResult, Passage, TurnState
from nodes.context import Context
from safety.findings import noted
from safety.leaving import Leaving
from safety.verdict import About, Finding, Verdict
from tools.registry import parse

ORDER_WORDS = 4  # a title of fewer gives nobody an order
PLANTED = "untrusted"  # the check for instructions in what is data
FORBIDDEN = "not sent"  # the flag of arguments that a policy blocks
WITHHELD = "The result was withheld: {0} forbids it."


async def passages(
    found: Sequence[Passage], context: Context
) -> tuple[list[Passage], list[dict[str, Any]]]:
    """Return the passages as a model may read them, and what the checks found.

    What a policy blocks is left out. What is doubtful carries flags, and taints the turn whoever
    wrote it. Raises CheckFailed.
    """
    verdicts = await asyncio.gather(*(_document(passage, context) for passage in found))
    kept: list[Passage] = []
    findings: list[dict[str, Any]] = []
    for passage, (heading, body) in zip(found, verdicts, strict=True):
        findings += noted(heading, passage["title"], context.run_id)
        findings += noted(body, passage["text"], context.run_id)
        if heading.refusal or body.refusal:
            continue
        passage = Passage(**{**passage, "title": heading.text, "text": body.text})
        if flags := doubtful([*heading.findings, *body.findings]):
            passage["flags"] = flags
        kept.append(passage)
    return kept, findings


async def result(found: CallResult, context: Context) -> tuple[CallResult, list[dict[str, Any]]]:
    """Return a tool's result as a model may read it, and what the checks found.

    Raises CheckFailed.
    """
    guard = context.services.guard
    verdict = await guard.check("tool_result", found["text"], context.about())
    findings = noted(verdict, found["text"], context.run_id)
    if verdict.refusal is not None:
        text = WITHHELD.format(verdict.refusal)
        return CallResult(**{**found, "text": text, "code": "result_withheld"}), findings
    seen = CallResult(**{**found, "text": verdict.text})
    if flags := doubtful(verdict.findings):
        seen["flags"] = flags
    return seen, findings


async def arguments(state: TurnState, context: Context) -> TurnState:
    """Return what the checks found in the arguments of the calls that wait; raises CheckFailed.

    Arguments are never edited: what a policy redacts or blocks is not sent at all.
    """
    guard, results = context.services.guard, state.get("results", {})
    flags = dict(state.get("argument_flags", {}))
    findings = list(state.get("findings", []))
    for call in state["steps"][-1]["calls"]:
        parsed = parse(call["arguments"])
        if call["call_id"] in results or call["call_id"] in flags or isinstance(parsed, str):
            continue
        text = "\n".join(said(parsed))
        verdict = await guard.check("tool_arguments", text, context.about())
        findings += noted(verdict, text, context.run_id)
        if found := flagged(verdict.findings):
            forbidden = any(one.action != "warn" for one in verdict.findings)
            flags[call["call_id"]] = [*([FORBIDDEN] if forbidden else []), *found]
    return TurnState(argument_flags=flags, findings=findings)


def refused(flags: Sequence[str]) -> CallResult:
    """Return why a call is not made whose arguments hold what must not be sent."""
    what = ", ".join(one for one in flags if one != FORBIDDEN)
    text = f"The arguments hold what must not be sent ({what}). Leave it out."
    return CallResult(status="refused", text=text, code="arguments_withheld", sources=[])


def said(value: Any) -> Iterator[str]:
    """Yield every text in arguments, names included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from said(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from said(inner)
    elif value is not None:
        yield str(value)


def leaving(rules: str, passages: Sequence[Passage], state: TurnState, context: Context) -> About:
    """Return what the checks of an answer know: our rules, and the texts whose links it may repeat.

    What is doubtful lends no links.
    """
    texts = [state["text"]]
    texts += [one["text"] for one in passages if not one.get("flags")]
    texts += [one["text"] for one in state.get("results", {}).values() if not one.get("flags")]
    return context.about(protected=rules, sources=tuple(texts))


def found(safe: Leaving, raw: str, context: Context) -> list[dict[str, Any]]:
    """Return what the checks found in an answer while it streamed."""
    return noted(Verdict("", safe.findings), raw, context.run_id)


def flagged(findings: Sequence[Finding]) -> list[str]:
    """Return what was found as a reviewer reads it."""
    return list(dict.fromkeys(f"{one.check}: {one.detail}" for one in findings))


def doubtful(findings: Sequence[Finding]) -> list[str]:
    """Return the findings that make a text one by strangers, whoever wrote it."""
    return flagged([one for one in findings if one.check == PLANTED])


async def _document(passage: Passage, context: Context) -> tuple[Verdict, Verdict]:
    guard, about, title = context.services.guard, context.about(), passage["title"]
    heading = Verdict(title)
    if len(title.split()) >= ORDER_WORDS:
        heading = await guard.check("document", title, about)
    return heading, await guard.check("document", passage["text"], about)
