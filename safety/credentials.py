"""Keys and tokens in an answer, found by the formats their makers gave them.

Only formats with a fixed prefix or a fence of their own are looked for: a password in a
sentence looks like any other word, and guessing by randomness would redact checksums and ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from safety.fold import fold
from safety.verdict import Edit, Hit, Severity, apply


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of credential and how to recognise it."""

    kind: str
    severity: Severity
    pattern: re.Pattern[str]


def _format(kind: str, pattern: str, severity: Severity = "high") -> Format:
    # Tokens are ASCII; without the flag \w and \b would reach into the words around them.
    return Format(kind, severity, re.compile(pattern, re.ASCII))


# Bounded repetitions throughout: the longest match is a private key of 16 kB.
FORMATS: tuple[Format, ...] = (
    _format(
        "private_key",
        # Up to its end; where that is missing, as far as it looks like key material.
        r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:(?!-----(?:END|BEGIN) )[\s\S]){0,16000}-----END [A-Z0-9 ]{1,40}-----"
        r"|(?:(?:\s|\\[nr]){1,8}(?:[A-Za-z-]{4,20}: [^\n\\]{1,100}|[A-Za-z0-9+/=]{16,4096})){1,400}"
        r"(?:(?:\s|\\[nr]){1,8}[A-Za-z0-9+/=]{1,76}(?=\s|\\|$)){0,2})",
        "critical",
    ),
    _format("aws_key_id", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    _format(
        "aws_secret",
        r"(?i:aws.{0,20}secret.{0,20}?[\s\"'=:]{1,5})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    _format("github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})"),
    _format("gitlab_token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,64}"),
    _format("slack_token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _format(
        "slack_webhook",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,120}",
    ),
    _format("stripe_key", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}"),
    _format("google_key", r"\bAIza[\w-]{35}(?![\w-])"),
    _format("google_oauth_token", r"\bya29\.[\w-]{30,250}"),
    _format("anthropic_key", r"\bsk-ant-[\w-]{24,200}"),
    _format("openai_key", r"\bsk-(?:proj-|svcacct-|admin-)?[\w-]{0,100}T3BlbkFJ[\w-]{20,100}"),
    _format("openai_like_key", r"\bsk-(?:proj-|or-v1-|lf-)?[A-Za-z0-9]{32,160}(?![\w-])"),
    _format("huggingface_token", r"\bhf_[A-Za-z0-9]{34,40}\b"),
    _format("package_registry_token", r"\b(?:npm_[A-Za-z0-9]{36}\b|pypi-AgE[\w-]{50,250})"),
    _format("sendgrid_key", r"\bSG\.[\w-]{22}\.[\w-]{43}"),
    _format("twilio_key", r"\bSK[0-9a-f]{32}\b"),
    _format("telegram_token", r"\b\d{8,10}:AA[\w-]{33}(?![\w-])"),
    _format("azure_account_key", r"\bAccountKey=[A-Za-z0-9+/]{86}=="),
    _format("json_web_token", r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,6000}\.[\w-]{10,2000}"),
    _format(
        "password_in_url",
        r"(?<=://)[\w.~%+-]{1,64}:(?!(?:password|pass|secret|x{3,}|\*{3,})@)[^\s:@/'\"<>{}$]{4,128}"
        r"(?=@[\w.-]{1,253})",
    ),
)
_SHORTEST = 15  # characters, of a Slack token; a password in a URL may be shorter
# Makers' own documentation uses these; an answer may repeat them.
_EXAMPLE = re.compile(r"EXAMPLE", re.IGNORECASE)


# What has a blank in it: a key's block, and the words around an AWS secret.
_OPENS = re.compile(
    r"(?:-----BEGIN(?: [A-Z0-9]{0,10}){0,5}"
    r"|-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END )[\s\S])*"
    r"(?:-----END(?: [A-Z0-9]{0,10}){0,5})?"
    r"|(?i:aws)[\s\S]{0,52})\Z"
)


class Credentials:
    """Finds credentials; a `Detector`."""

    name = "credentials"
    opens = _OPENS

    def find(self, text: str) -> list[Hit]:
        """Return the credentials in `text`, in order, none overlapping another."""
        hits: list[Hit] = []
        found = sorted(find(text), key=lambda one: (one[1].start, -one[1].end))
        for kind, edit in found:
            if not hits or edit.start >= hits[-1].end:
                hits.append(Hit(kind.kind, kind.severity, edit.start, edit.end, edit.replacement))
        return hits


def redact(text: str) -> str:
    """Return `text` without credentials; for traces and logs, which no check stands before."""
    return apply(text, (edit for _, edit in find(text)))


def find(text: str) -> list[tuple[Format, Edit]]:
    """Return each credential in `text` with the edit that takes it out.

    Invisible characters and look-alike forms inside a token do not hide it.
    """
    if len(text) < _SHORTEST and text.isascii() and "://" not in text:
        return []  # most of what a stream asks about is a word
    folded = fold(text)
    return [
        (kind, Edit(*folded.span(*match.span()), f"[redacted {kind.kind.replace('_', ' ')}]"))
        for kind in FORMATS
        for match in kind.pattern.finditer(folded.text)
        if not _EXAMPLE.search(match.group())
    ]
