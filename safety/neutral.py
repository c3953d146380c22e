"""Text by others with the markup taken out of its mouth that models act upon.

Chat templates frame messages with tokens such as <|im_start|>, and a tokenizer takes them for what
they say wherever they stand: a document that holds one could open a message of its own. So the
brackets of such marks become look-alikes that mean nothing. People still read the same.
"""

from __future__ import annotations

import re

# What templates of well-known models, and prompts written by hand, use to say who speaks.
_NAMES = (
    r"s|im_start|im_end|system|user|assistant|human|tool|function|instructions?|prompt|context|"
    r"start_of_turn|end_of_turn|begin_of_text|end_of_text|endoftext|eot_id|eom_id|"
    r"start_header_id|end_header_id|think|thinking|tool_calls?|tool_response|function_calls?|"
    r"function_results?|invoke|source|question|result"
)
_TAG = re.compile(rf"<(?=/?(?:{_NAMES})\b)|<(?=!--)|<(?=\|)|(?<=\|)>|(?<=--)>", re.IGNORECASE)
_INST = re.compile(r"\[(?=/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])")
_SYS = re.compile(r"<<(?=/?SYS>>)")
# A line that opens a turn: "System:", "### Instruction:", "Assistant (to itself):".
_ROLE = re.compile(
    r"^(?P<before>[ \t>]{0,8})(?=(?:#{1,6} ?)?\**(?:system|assistant|user|human|instructions?|"
    r"response|developer|ai)\**(?: \([^()\n]{1,40}\))?\**:)",
    re.IGNORECASE | re.MULTILINE,
)
_SUSPECT = re.compile(r"[<\[]|\|>|-->|:")


def neutralise(text: str) -> str:
    """Return `text` with such marks made harmless; the same the second time."""
    if not _SUSPECT.search(text):
        return text
    return _ROLE.sub(_quoted, tokens(text))


def tokens(text: str) -> str:
    """Return `text` without marks that a tokenizer would obey; its lines stay as they are."""
    if "<" not in text and "[" not in text and "|>" not in text and "-->" not in text:
        return text
    text = _INST.sub("⟦", _SYS.sub("‹‹", text))
    return _TAG.sub(lambda match: "‹" if match.group() == "<" else "›", text)


def _quoted(match: re.Match[str]) -> str:
    return f"{match['before']}· "
