"""Compressed JSON."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from db import packed
from db.packed import pack, unpack

CRC = 3940400010  # of the dictionary of format 1


@pytest.mark.parametrize(
    "value",
    [[], {}, "", "żółw\x00\u2028", [[1, "token", {"text": "a"}]] * 1000, {"a": [None, 1.5]}],
)
def test_what_was_packed_comes_back(value: Any) -> None:
    """Whatever plain data it is."""
    assert unpack(pack(value)) == value


def test_a_log_becomes_small() -> None:
    """The words that every log is made of cost next to nothing."""
    node = [[n, "node.started", {"node": "classify"}] for n in range(20)]
    assert len(pack(node)) < 100


@pytest.mark.parametrize("bytes_", [b"", b"\x02abc", b"\x01\xff\xff"])
def test_what_cannot_be_read_says_so(bytes_: bytes) -> None:
    """A format of later, or damage, is no nonsense data."""
    with pytest.raises(ValueError, match=r"not known|damaged"):
        unpack(bytes_)


def test_the_dictionary_stays_as_it_is() -> None:
    """What was stored with it could not be read with another one."""
    assert zlib.crc32(packed._DICTIONARY) == CRC
