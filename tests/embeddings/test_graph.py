from __future__ import annotations

from pathlib import Path

from embeddings.graph import write
from embeddings.minilm import GRAPH
from embeddings.protobuf import message
from embeddings.weights import WEIGHTS, locate, tensors


def test_reproducible() -> None:
    """The graph file in the repository is what `python -m embeddings graph` writes."""
    assert GRAPH.read_bytes() == write(locate())


def test_offsets() -> None:
    """Each weight lies where the header of model.safetensors says, and none is left out."""
    written = {}
    (graph,) = every(7, GRAPH.read_bytes())
    for initializer in every(5, graph):
        (name,) = every(8, initializer)
        places = [[*every(1, pair), *every(2, pair)] for pair in every(13, initializer)]
        place = {key.decode(): value.decode() for key, value in places}
        if place:
            assert place["location"] == WEIGHTS
            written[name.decode()] = (int(place["offset"]), int(place["length"]))
    header = tensors(locate() / WEIGHTS)
    assert written == {
        name: (tensor.offset, tensor.length)
        for name, tensor in header.items()
        if not name.startswith("pooler.")  # BERT's own pooling, which this model does not use
    }
    assert max(map(sum, written.values())) <= (locate() / WEIGHTS).stat().st_size


def test_is_small() -> None:
    """The repository carries the graph, not the weights."""
    assert GRAPH.stat().st_size < 30_000


def test_wire_format() -> None:
    """Fields are written as the documentation of the wire format shows them."""
    assert message((1, 150)) == bytes.fromhex("089601")
    assert message((2, "testing")) == bytes.fromhex("120774657374696e67")
    assert message((3, message((1, 150)))) == bytes.fromhex("1a03089601")
    assert message((1, -1)) == bytes.fromhex("08ffffffffffffffffff01")
    assert message((2, 1.0)) == bytes.fromhex("150000803f")


def test_tensors(tmp_path: Path) -> None:
    """Offsets count from the first byte of the file; what is not float32 is left out."""
    header = (
        b'{"__metadata__":{},"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}'
    )
    path = tmp_path / WEIGHTS
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert tensors(path) == {"w": ((2, 1), 8 + len(header) + 8, 8)}


def every(number: int, data: bytes) -> list[bytes]:
    """Return the length-delimited fields of a protobuf message that have this number."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        match tag & 7:
            case 0:
                varint()
            case 5:
                at += 4
            case 2:
                size = varint()
                if tag >> 3 == number:
                    found.append(data[at : at + size])
                at += size
            case other:
                raise AssertionError(f"wire type {other}")
    return found
