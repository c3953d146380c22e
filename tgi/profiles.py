"""What the OpenAI-compatible model servers do differently, as data.

Sources: TGI 3.3.6's router and its recorded answers; the API documentation of vLLM,
of llama.cpp's server and of OpenAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of server. The defaults are OpenAI's own behaviour."""

    name: str
    server: str  # as in `ModelRecord.server`, when the server does not say it itself
    identity: Literal["info", "version", "props", "answer"]  # where the real version comes from
    # Where response_format has the schema: `schema` goes with the type json_object.
    schema_key: Literal["value", "json_schema", "schema"] = "json_schema"
    limit_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    max_stop: int | None = None  # stop sequences at most; None: no limit known
    top_p_below_one: bool = False  # 1.0, which means "off", is refused
    presence_penalty: bool = True  # False: it means something else there, so it is never sent
    text_beside_calls: bool = True  # False: text in a message drops the tool calls beside it
    inline_refs: bool = False  # a tool's `$defs` do not arrive
    tool_prompt: bool = False  # tool instructions are appended even after a tool's result
    schema_beside_tools: bool = True  # False: an answer's schema and tools together are refused
    native: bool = False  # it has /generate, with a grammar for the text
    # An adapter is asked for by name as a model, which is listed, or taken without a word; or else
    # by its number in a list of its own.
    adapters: Literal["listed", "unlisted", "numbered"] = "listed"


TGI = Profile(
    name="tgi",
    server="text-generation-inference",
    identity="info",
    schema_key="value",
    max_stop=4,
    top_p_below_one=True,
    presence_penalty=False,
    text_beside_calls=False,
    inline_refs=True,
    tool_prompt=True,
    schema_beside_tools=False,
    native=True,
    adapters="unlisted",
)
VLLM = Profile(name="vllm", server="vllm", identity="version")
LLAMACPP = Profile(
    name="llamacpp",
    server="llama.cpp",
    identity="props",
    schema_key="schema",  # llama-server takes OpenAI's too, llama-cpp-python this one alone
    adapters="numbered",
)
OPENAI = Profile(
    name="openai",
    server="openai",
    identity="answer",
    limit_key="max_completion_tokens",
    max_stop=4,
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (TGI, VLLM, LLAMACPP, OPENAI)}
)
