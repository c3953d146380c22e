"""Writes the ONNX graph of all-MiniLM-L6-v2, whose weights stay where they are.

Every weight is EXTERNAL data: a place (offset, length) in the package's `model.safetensors`.
So the graph file is a few KB, kept in the repository, and nothing is exported or downloaded.

    ids (T,) int64  ->  embedding (384,) float32, unit length
                        tokens (T, 384) float32, the last states that it is the mean of

One text a call, without padding, so there is neither a batch nor a mask: a text's vector
cannot depend on its neighbours, and one text a call is as fast as any batch on a CPU.
Standard operators only; onnxruntime fuses what it likes (its own fused attention was slower).

Source: BERT, Devlin et al. 2018; onnx.proto (ONNX 1.16, operator set 20) for field numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from embeddings.protobuf import message
from embeddings.weights import WEIGHTS, Tensors, tensors

LAYERS, HIDDEN, HEADS = 6, 384, 12
LAYER_NORM_EPSILON = 1e-12
OPERATOR_SET, IR_VERSION = 20, 9

_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_EXTERNAL = 1  # TensorProto.DataLocation


def write(folder: Path) -> bytes:
    """Return the graph over the weights in `folder`; the same weights give the same bytes."""
    return _Graph(tensors(folder / WEIGHTS)).model()


class _Graph:
    """Collects nodes and initialisers while the network is written down from input to output."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[bytes] = []
        self._initializers: dict[str, bytes] = {}

    def model(self) -> bytes:
        """Return the serialised ModelProto."""
        self._network()
        graph = message(
            *((1, node) for node in self._nodes),
            (2, "minilm"),
            *((5, initializer) for initializer in self._initializers.values()),
            (11, _value_info("ids", _INT64, "tokens")),
            (12, _value_info("embedding", _FLOAT, HIDDEN)),
            (12, _value_info("tokens", _FLOAT, "tokens", HIDDEN)),
        )
        return message(
            (1, IR_VERSION),
            (2, "parley"),
            (7, graph),
            (8, message((1, ""), (2, OPERATOR_SET))),
        )

    def _network(self) -> None:
        x = self._embed("ids")
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}."
            x = self._add_norm(x, self._attend(x, prefix), prefix + "attention.output.LayerNorm")
            out = "tokens" if layer == LAYERS - 1 else ""
            fed = self._feed_forward(x, prefix)
            x = self._add_norm(x, fed, prefix + "output.LayerNorm", out=out)
        mean = self._node("ReduceMean", [x, self._ints("first", 0)], [_int("keepdims", 0)])
        self._node("LpNormalization", [mean], [_int("axis", -1), _int("p", 2)], out="embedding")

    def _embed(self, ids: str) -> str:
        zero, one = self._ints("zero", 0), self._ints("one", 1)
        words = self._node("Gather", [self._weight("embeddings.word_embeddings.weight"), ids])
        length = self._node("Shape", [ids])
        positions = self._node(
            "Slice", [self._weight("embeddings.position_embeddings.weight"), zero, length, zero]
        )
        segment = self._node(  # one text has one segment: always row 0
            "Slice", [self._weight("embeddings.token_type_embeddings.weight"), zero, one, zero]
        )
        return self._add_norm(
            words, self._node("Add", [positions, segment]), "embeddings.LayerNorm"
        )

    def _attend(self, x: str, prefix: str) -> str:
        heads = self._ints("heads", -1, HEADS, HIDDEN // HEADS)

        def part(name: str, axes: Sequence[int]) -> str:
            projected = self._linear(x, f"{prefix}attention.self.{name}")
            split = self._node("Reshape", [projected, heads])
            return self._node("Transpose", [split], [_ints("perm", axes)])

        query, key = part("query", (1, 0, 2)), part("key", (1, 2, 0))
        scale = self._float("scale", (HIDDEN // HEADS) ** -0.5)
        scores = self._node("Mul", [self._node("MatMul", [query, key]), scale])
        weights = self._node("Softmax", [scores], [_int("axis", -1)])
        mixed = self._node("MatMul", [weights, part("value", (1, 0, 2))])
        joined = self._node("Transpose", [mixed], [_ints("perm", (1, 0, 2))])
        flat = self._node("Reshape", [joined, self._ints("flat", -1, HIDDEN)])
        return self._linear(flat, f"{prefix}attention.output.dense")

    def _feed_forward(self, x: str, prefix: str) -> str:
        wide = self._node("Gelu", [self._linear(x, f"{prefix}intermediate.dense")])
        return self._linear(wide, f"{prefix}output.dense")

    def _linear(self, x: str, name: str) -> str:
        weights = [self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self._node("Gemm", [x, *weights], [_int("transB", 1)])

    def _add_norm(self, x: str, y: str, name: str, out: str = "") -> str:
        total = self._node("Add", [x, y])
        weights = [self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        attributes = [_int("axis", -1), _float("epsilon", LAYER_NORM_EPSILON)]
        return self._node("LayerNormalization", [total, *weights], attributes, out=out)

    def _node(
        self, operator: str, inputs: list[str], attributes: Sequence[bytes] = (), out: str = ""
    ) -> str:
        out = out or f"{operator}{len(self._nodes)}"
        self._nodes.append(
            message(
                *((1, name) for name in inputs),
                (2, out),
                (3, out),
                (4, operator),
                *((5, attribute) for attribute in attributes),
            )
        )
        return out

    def _weight(self, name: str) -> str:
        """Return `name`, declared as an initialiser that lies in the safetensors file."""
        tensor = self._tensors[name]
        place = {"location": WEIGHTS, "offset": str(tensor.offset), "length": str(tensor.length)}
        self._initializers[name] = message(
            *((1, size) for size in tensor.shape),
            (2, _FLOAT),
            (8, name),
            *((13, message((1, key), (2, value))) for key, value in place.items()),
            (14, _EXTERNAL),
        )
        return name

    def _ints(self, name: str, *values: int) -> str:
        raw = struct.pack(f"<{len(values)}q", *values)
        self._initializers[name] = message((1, len(values)), (2, _INT64), (8, name), (9, raw))
        return name

    def _float(self, name: str, value: float) -> str:
        self._initializers[name] = message((2, _FLOAT), (8, name), (9, struct.pack("<f", value)))
        return name


def _int(name: str, value: int) -> bytes:
    return message((1, name), (3, value), (20, 2))  # AttributeProto of type INT


def _ints(name: str, values: Sequence[int]) -> bytes:
    return message((1, name), *((8, value) for value in values), (20, 7))  # type INTS


def _float(name: str, value: float) -> bytes:
    return message((1, name), (2, value), (20, 1))  # type FLOAT


def _value_info(name: str, kind: int, *sizes: int | str) -> bytes:
    # dim_value or dim_param
    dimensions = [message((1 if isinstance(size, int) else 2, size)) for size in sizes]
    tensor = message((1, kind), (2, message(*((1, dimension) for dimension in dimensions))))
    return message((1, name), (2, message((1, tensor))))
