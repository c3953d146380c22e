"""From what a loader read to what is stored: checked, named, cut into chunks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from core.settings import KnowledgeSettings
from embeddings.base import Embedder
from knowledge.access import Access, named
from knowledge.checks import check
from knowledge.chunk.cut import Size, cut
from knowledge.files import File, lines_of
from knowledge.load.document import Document
from knowledge.store import Chunk, DocumentRow, Known, digest, searchable
from knowledge.summary import Outcome

RECIPE = 2  # raise it when loaders or chunks change, and everything is ingested anew


@dataclass(frozen=True, slots=True)
class Work:
    """A document on its way into the database."""

    row: DocumentRow
    chunks: list[Chunk]
    digests: list[bytes]  # of the chunks
    shown: str
    outcome: Outcome

    def texts(self) -> dict[bytes, str]:
        """Return what is embedded for the chunks, by digest: equal ones once."""
        pairs = zip(self.digests, self.chunks, strict=True)
        return {found: searchable(self.row.title, chunk) for found, chunk in pairs}


@dataclass(frozen=True, slots=True)
class Opened:
    """A document whose access is known, and whether it has to be stored anew."""

    document: Document
    uri: str
    content_sha256: bytes
    access: Access


def opened(
    file: File, document: Document, *, access: Access, settings: KnowledgeSettings
) -> Opened:
    """Return what decides whether a document is stored as it is; raises DocumentError.

    access: what the whole ingestion says; the document's own row has the last word.
    """
    check(document)
    document, own = named(document)
    uri = lines_of(file.uri) + document.fragment if document.fragment else file.uri
    return Opened(document, uri, _content_sha256(document, settings), own.over(access))


async def prepared(
    source: Opened,
    embedder: Embedder,
    *,
    settings: KnowledgeSettings,
    shown: str,
    before: Known | None,
) -> Work:
    """Return a document cut into chunks."""
    document, access = source.document, source.access
    size = Size(settings.chunk_tokens, settings.overlap_tokens, settings.chunking)
    title, chunks = await cut(document, embedder, size)
    row = DocumentRow(
        uri=source.uri,
        title=title,
        media_type=document.media_type,
        content_sha256=source.content_sha256,
        embedding_model=embedder.name,
        bytes=document.bytes,
        metadata=document.metadata,
        language=document.language,
        author=document.author,
        modified_at=document.modified or document.created,
        owners=access.owners,
        groups=access.groups,
        labels=access.labels,
    )
    digests = [digest(embedder.name, title, chunk) for chunk in chunks]
    return Work(row, chunks, digests, shown, "changed" if before else "added")


def _content_sha256(document: Document, settings: KnowledgeSettings) -> bytes:
    """Return a hash of everything that decides what is stored, the way of cutting included."""
    how = (RECIPE, settings.chunking, settings.chunk_tokens, settings.overlap_tokens)
    content = orjson.dumps([how, document], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).digest()
