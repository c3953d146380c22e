"""Just enough of the protobuf wire format to write an ONNX file.

The onnx package would do it too, at 17 MB for one 25 KB file that changes never.
Source: the encoding page of the Protocol Buffers documentation.
"""

from __future__ import annotations

import struct

_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types

Value = int | float | str | bytes


def message(*fields: tuple[int, Value]) -> bytes:
    """Return a message of (number, value) fields, written in the order given.

    An int becomes a varint, a float 32 bits, text and bytes (a nested message) length-delimited.
    """
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: Value) -> bytes:
    match value:
        case int():
            return _varint(number << 3 | _VARINT) + _varint(value)
        case float():
            return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)
        case str():
            return _field(number, value.encode())
        case bytes():
            return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number is written as its two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
