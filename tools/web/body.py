"""The body of a response, within a cap that counts what it unpacks to."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping

import httpx

from tools.tool import TryDifferently

MOST_BYTES = 2_000_000
# What we say that we take; what comes otherwise is refused and never handed to a decoder.
ACCEPT_ENCODING = "gzip, identity"
GZIP = 16 + zlib.MAX_WBITS


class BodyRefused(TryDifferently):
    """The body of a response is too large, or packed in a way that we did not ask for."""


async def read(response: httpx.Response, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the body, unpacked; raises BodyRefused once it has more than `most_bytes`.

    No more than that is ever unpacked: a bomb of gzip costs as much memory as its cap.
    """
    body = bytearray()
    async for piece in _unpacked(response, most_bytes):
        body += piece
        if len(body) > most_bytes:
            raise BodyRefused(f"The answer has more than {most_bytes:,} bytes.")
    return bytes(body)


def media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the type of a body in lower case, and the charset it declares; "" for none."""
    kind, *parameters = headers.get("content-type", "").split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    found = [value for key, _, value in pairs if key.strip().lower() == "charset"]
    return kind.strip().lower(), found[0].strip().strip("\"'").lower() if found else ""


async def _unpacked(response: httpx.Response, most_bytes: int) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise BodyRefused("The answer is packed in a way that was not asked for.")
    unpacker, received = zlib.decompressobj(GZIP), 0
    async for piece in response.aiter_raw():
        received += len(piece)
        if received > most_bytes:  # of nothing: members that unpack to no byte
            raise BodyRefused(f"The answer has more than {most_bytes:,} bytes.")
        while piece:
            if unpacker.eof:  # one file of gzip may follow another
                unpacker = zlib.decompressobj(GZIP)
            try:
                yield unpacker.decompress(piece, most_bytes + 1)
            except zlib.error as error:
                raise BodyRefused("The answer is not gzip, though it says so.") from error
            piece = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof and received:
        raise BodyRefused("The answer is cut off.")
