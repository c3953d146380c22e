"""How much memory a model needs: its weights, and what each conversation keeps of its tokens.

Sources: the layers of each kind of model in Hugging Face's transformers; the cache of keys and
values as grouped attention has it, Ainslie et al. 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from core.errors import InvalidInput

_TABLE = Path(__file__).with_name("sizes.yaml")
GIB = 2**30
USABLE = 0.9  # of a GPU; the rest is for activations, CUDA's graphs and what is between blocks
SHARDS = (1, 2, 4, 8, 16)

Quantize = Literal["none", "fp8", "eetq", "awq", "gptq"]
# Bits of a weight in a linear layer. Embeddings, the last layer and norms keep 16.
# AWQ and GPTQ: 4, and for each group of 128 a scale of 16 and a zero point of 4.
BITS: Mapping[Quantize, float] = MappingProxyType(
    {"none": 16, "fp8": 8, "eetq": 8, "awq": 4 + 20 / 128, "gptq": 4 + 20 / 128}
)
KvDtype = Literal["16bit", "fp8"]
_KV_BYTES: Mapping[KvDtype, int] = MappingProxyType({"16bit": 2, "fp8": 1})
_KINDS = frozenset({"llama", "mistral", "mixtral", "qwen2", "qwen3"})


_SHOWN: tuple[Quantize, ...] = ("none", "fp8", "awq")  # where nobody says which
HEADINGS = (
    "model",
    "quantised",
    "weights",
    "a token keeps",
    "a conversation keeps",
    "GPUs",
    "conversations at once",
    "tokens at once",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model its memory depends on."""

    kind: str  # model_type of its config.json
    layers: int
    hidden: int
    inner: int  # width of the feed-forward layers
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool  # the last layer is the embedding
    experts: int  # 1: no mixture
    biased: bool  # queries, keys and values have a bias
    max_context: int  # tokens
    quantized: Quantize | None = None  # the weights are stored in this form, and no other

    @property
    def linear(self) -> int:
        """Parameters of the layers that quantisation makes smaller."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.inner * self.experts)

    @property
    def other(self) -> int:
        """Parameters that keep 16 bits."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        layer = 2 * self.hidden
        if self.biased:
            layer += self.head_dim * (self.heads + 2 * self.kv_heads)
        if self.kind == "qwen3":
            layer += 2 * self.head_dim  # norms of queries and keys
        if self.experts > 1:
            layer += self.hidden * self.experts  # which expert
        return embeddings + self.layers * layer + self.hidden

    def weights_bytes(self, quantize: Quantize) -> float:
        """Return the bytes of all weights."""
        return self.linear * BITS[quantize] / 8 + self.other * 2

    def kv_bytes(self, dtype: KvDtype = "16bit") -> int:
        """Return the bytes that one token keeps: a key and a value per layer and key-value head."""
        return 2 * self.layers * self.kv_heads * self.head_dim * _KV_BYTES[dtype]

    def divides(self, shards: int) -> bool:
        """Return whether so many GPUs can share the heads evenly."""
        return self.heads % shards == 0 and self.kv_heads % shards == 0


@dataclass(frozen=True, slots=True)
class Fit:
    """A model on GPUs of one size."""

    shards: int
    weights_bytes: float  # of all GPUs together, as is the rest
    sequence_bytes: int  # of one conversation at the full context
    tokens: int  # that all conversations together may keep: MAX_BATCH_TOTAL_TOKENS
    sequences: int  # at the full context, at once


def fit(
    shape: Shape,
    *,
    context: int,
    gpu_gib: float,
    quantize: Quantize = "none",
    kv_dtype: KvDtype = "16bit",
    shards: int | None = None,
) -> Fit:
    """Return how a model fits; without `shards`, on the fewest GPUs that hold one conversation.

    context: tokens of prompt and answer. Raises InvalidInput when it does not fit at all, when
    the context is longer than the model's, or the heads cannot be shared by so many GPUs.
    """
    if not 0 < context <= shape.max_context:
        raise InvalidInput(f"The context is 1 to {shape.max_context} tokens for this model.")
    if shards is not None and not shape.divides(shards):
        raise InvalidInput(
            f"{shape.heads} heads and {shape.kv_heads} key-value heads "
            f"cannot be shared by {shards} GPUs."
        )
    weights, per_token = shape.weights_bytes(quantize), shape.kv_bytes(kv_dtype)
    for count in [shards] if shards else filter(shape.divides, SHARDS):
        tokens = int((count * gpu_gib * GIB * USABLE - weights) // per_token)
        if tokens >= context:
            return Fit(count, weights, per_token * context, tokens, tokens // context)
    raise InvalidInput(
        f"{weights / GIB:.1f} GiB of weights and {per_token * context / GIB:.1f} GiB for one "
        f"conversation do not fit on {count} x {gpu_gib:g} GiB."
    )


def rows(
    model: str,
    *,
    context: int,
    gpu_gib: float,
    quantize: Quantize | None = None,
    kv_dtype: KvDtype = "16bit",
    shards: int | None = None,
) -> list[tuple[str, ...]]:
    """Return a line under HEADINGS for each way to quantise that fits.

    Raises InvalidInput when none does, and what `shape_of` and `fit` raise.
    """
    shape = shape_of(model)
    if shape.quantized and quantize not in {None, shape.quantized}:
        raise InvalidInput(f"The weights of {model} are stored as {shape.quantized}.")
    only = quantize or shape.quantized
    lines: list[tuple[str, ...]] = []
    failed: InvalidInput | None = None
    for way in (only,) if only else _SHOWN:
        try:
            found = fit(
                shape,
                context=context,
                gpu_gib=gpu_gib,
                quantize=way,
                kv_dtype=kv_dtype,
                shards=shards,
            )
        except InvalidInput as error:
            failed = error
            continue
        lines.append(
            (
                model,
                "" if way == "none" else way,
                f"{found.weights_bytes / GIB:.1f} GiB",
                f"{shape.kv_bytes(kv_dtype) / 2**10:g} KiB",
                f"{found.sequence_bytes / 2**20:,.0f} MiB",
                str(found.shards),
                str(found.sequences),
                f"{found.tokens:,}",
            )
        )
    if not lines and failed:
        raise failed
    return lines


def shape_of(model: str) -> Shape:
    """Return the shape of a model: by its name in sizes.yaml, or of a config.json at this path.

    Raises InvalidInput for a name that is not there, and for a config that is not understood.
    """
    path = Path(model)
    if path.is_file():
        try:
            return read(yaml.safe_load(path.read_text(encoding="utf-8")))  # JSON is YAML too
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{model} is no JSON.") from error
    table: dict[str, Any] = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    if model not in table:
        known = ", ".join(table)
        raise InvalidInput(f"{model} is no config.json, and none of the known models: {known}.")
    return read(table[model])


def read(config: Any) -> Shape:
    """Return the shape that a config.json of Hugging Face describes; raises InvalidInput."""
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in _KINDS:
        raise InvalidInput(
            f"A model of type {kind!r} is not understood; these are: {', '.join(sorted(_KINDS))}."
        )
    try:
        heads = _count(config, "num_attention_heads")
        hidden = _count(config, "hidden_size")
        return Shape(
            kind=kind,
            layers=_count(config, "num_hidden_layers"),
            hidden=hidden,
            inner=_count(config, "intermediate_size"),
            heads=heads,
            kv_heads=_count(config, "num_key_value_heads", heads),
            head_dim=_count(config, "head_dim", hidden // heads),
            vocabulary=_count(config, "vocab_size"),
            tied=bool(config.get("tie_word_embeddings", False)),
            experts=_count(config, "num_local_experts", 1),
            biased=kind == "qwen2",
            max_context=_count(config, "max_position_embeddings"),
            quantized=_quantized(config),
        )
    except KeyError as error:
        raise InvalidInput(f"The config has no usable {error.args[0]}.") from error


def _quantized(config: dict[str, Any]) -> Quantize | None:
    made = config.get("quantization_config")
    if not made:
        return None
    method = made.get("quant_method") if isinstance(made, dict) else None
    for known in BITS:
        if method == known:
            return known
    raise InvalidInput(f"Weights quantised by {method!r} are not understood.")


def _count(config: dict[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise KeyError(key)
    return value
