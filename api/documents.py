"""Documents over HTTP: put in, looked at, taken out. Reading them happens in the background."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import mimetypes
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, BinaryIO, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from uuid_utils.compat import uuid7

from api import document_models as models
from api.caller import Caller, CallerDep
from api.ids import canonical
from api.state import ServicesDep
from core.errors import (
    DocumentEmpty,
    DocumentError,
    DocumentNotFound,
    IngestionNotFound,
    InvalidInput,
)
from core.text import accept
from knowledge import catalog, ingestions, jobs, uploads
from knowledge.access import Access, names
from knowledge.filter import Filter, Reader
from knowledge.ingestions import ACTIVE, Conn, Item, options_of
from knowledge.store import remove_document

MAX_NAME_CHARACTERS = 200
IN_MEMORY_BYTES = 1 << 20  # a larger upload goes through a temporary file
_EXAMPLE = "0b1d3c1e-5b0e-5f2e-8f52-2a1f5f3f7c11"

router = APIRouter(prefix="/v1", tags=["documents"], responses=models.ERRORS)

Names = Annotated[list[str] | None, Query()]


async def _name(name: Annotated[str, Path(examples=["handbook.pdf"])]) -> str:
    accept(name, what="name", limit=MAX_NAME_CHARACTERS)
    if not name.isprintable() or name in {".", ".."}:
        raise InvalidInput("The name has characters that cannot be printed.", param="name")
    return name


async def _document_id(document_id: Annotated[str, Path(examples=[_EXAMPLE])]) -> UUID:
    return canonical(document_id, DocumentNotFound)


async def _ingestion_id(ingestion_id: Annotated[str, Path(examples=[_EXAMPLE])]) -> UUID:
    return canonical(ingestion_id, IngestionNotFound)


Name = Annotated[str, Depends(_name)]
DocumentId = Annotated[UUID, Depends(_document_id)]
IngestionId = Annotated[UUID, Depends(_ingestion_id)]


@router.put(
    "/documents/{name}",
    status_code=202,
    responses=models.PUT,
    openapi_extra=models.BYTES,
)
async def put_document(
    name: Name,
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    owner: Names = None,
    group: Names = None,
    label: Names = None,
) -> models.Ingestion:
    """Upload a document, or a new version of the one with this name.

    It is read in the background; `Location` tells how that goes. The same bytes under the same
    name again are no work. With `owner` or `group`, repeated for more, only these may read it;
    what is not given stays as it was. `label` narrows searches.
    """
    access = _access(owner, group, label)
    async with _received(request) as body:
        if not body.size_bytes:
            raise DocumentEmpty("The upload is empty.")
        suffix = _suffix(name, request.headers.get("content-type", ""))
        upload = _Upload(name, uploads.uri_of(name), access, suffix, body)
        async with services.database.transaction(caller.tenant_id) as conn:
            ingestion_id, new = await _queued(conn, caller, upload)
            found = await _ingestion(conn, caller, ingestion_id)
    response.headers["Location"] = f"/v1/ingestions/{ingestion_id}"
    if not new and found.state == "done":
        response.status_code = 200
    return found


@router.get("/documents")
async def list_documents(
    services: ServicesDep,
    caller: CallerDep,
    label: Names = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most this many.")] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> models.DocumentPage:
    """Return the documents that you may read, by uri; with `label`, those that carry it."""
    after = _read_cursor(cursor) if cursor else ""
    labels = _access(None, None, label).labels or ()
    async with services.database.transaction(caller.tenant_id) as conn:
        found = await catalog.page(
            conn,
            tenant_id=caller.tenant_id,
            filter=Filter(reader=Reader(caller.user_id, caller.groups), labels=labels),
            after=after,
            limit=limit + 1,
        )
    page = [models.Document.model_validate(document) for document in found[:limit]]
    following = _write_cursor(page[-1].uri) if len(found) > limit else None
    return models.DocumentPage(documents=page, next=following)


@router.get("/documents/{document_id}")
async def read_document(
    document_id: DocumentId, services: ServicesDep, caller: CallerDep
) -> models.Document:
    """Return what is known about a document; its text is in the passages that cite it."""
    async with services.database.transaction(caller.tenant_id) as conn:
        return models.Document.model_validate(await _owned(conn, caller, document_id))


@router.delete("/documents/{document_id}", status_code=204)
async def delete_document(
    document_id: DocumentId, services: ServicesDep, caller: CallerDep
) -> None:
    """Delete a document: no answer rests on it any more, and what was to be read of it is not."""
    async with services.database.transaction(caller.tenant_id) as conn:
        found = await _owned(conn, caller, document_id)
        await ingestions.outdate(conn, [found.uri], tenant_id=caller.tenant_id, working_too=True)
        await remove_document(conn, tenant_id=caller.tenant_id, uri=found.uri)


@router.get("/ingestions/{ingestion_id}")
async def read_ingestion(
    ingestion_id: IngestionId, services: ServicesDep, caller: CallerDep
) -> models.Ingestion:
    """Return how far the reading of a document is.

    `parked` means that it could not be read, for the reason in `error`; upload a better file
    under the same name, or let an operator run `python -m knowledge jobs retry`.
    """
    async with services.database.transaction(caller.tenant_id) as conn:
        return await _ingestion(conn, caller, ingestion_id)


@dataclass(frozen=True, slots=True)
class _Body:
    """What was sent."""

    content: BinaryIO
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class _Upload:
    """A document that somebody wants to be read."""

    name: str
    uri: str
    access: Access
    suffix: str
    body: _Body


@asynccontextmanager
async def _received(request: Request) -> AsyncIterator[_Body]:
    """Give the body of a request as a file; the edge has its size in check."""
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as spooled:
        content = cast(BinaryIO, spooled)

        def keep(piece: bytes) -> None:
            digest.update(piece)
            content.write(piece)

        async for piece in request.stream():
            size += len(piece)
            await asyncio.to_thread(keep, piece)
        content.seek(0)
        yield _Body(content, size, digest.digest())


async def _queued(conn: Conn, caller: Caller, upload: _Upload) -> tuple[UUID, bool]:
    """Return the ingestion of an upload, and whether it is a new one."""
    tenant_id = caller.tenant_id
    known = await ingestions.newest(conn, upload.uri, tenant_id=tenant_id)
    if known is not None and known.content_sha256 == upload.body.sha256:
        same = known.options == options_of(upload.access, suffix=upload.suffix)
        there = await catalog.find(conn, upload.uri, tenant_id=tenant_id) is not None
        if same and (known.state in ACTIVE or (known.state == "done" and there)):
            return known.ingestion_id, False
    [ingestion_id] = await jobs.enqueue(
        conn,
        [Item(upload.uri, upload.name, upload.body.size_bytes)],
        tenant_id=tenant_id,
        batch_id=uuid7(),
        access=upload.access,
        priority=jobs.INTERACTIVE,
        suffix=upload.suffix,
        content_sha256=upload.body.sha256,
    )
    await uploads.store(conn, ingestion_id, upload.body.content, tenant_id=tenant_id)
    return ingestion_id, True


async def _owned(conn: Conn, caller: Caller, document_id: UUID) -> catalog.Stored:
    """Return the document when the caller may read it."""
    found = await catalog.get(
        conn,
        document_id,
        tenant_id=caller.tenant_id,
        filter=Filter(reader=Reader(caller.user_id, caller.groups)),
    )
    if found is None:
        raise DocumentNotFound
    return found


async def _ingestion(conn: Conn, caller: Caller, ingestion_id: UUID) -> models.Ingestion:
    found = await ingestions.get(conn, ingestion_id, tenant_id=caller.tenant_id)
    if found is None:
        raise IngestionNotFound
    document_id = await catalog.find(
        conn,
        found.uri,
        tenant_id=caller.tenant_id,
        filter=Filter(reader=Reader(caller.user_id, caller.groups)),
    )
    error = None
    if found.code is not None:
        error = models.IngestionError(code=found.code, message=found.message or "")
    return models.Ingestion(
        ingestion_id=found.ingestion_id,
        name=found.shown,
        uri=found.uri,
        state=found.state,
        outcome=found.outcome,
        attempts=found.attempts,
        chunks=found.chunks,
        document_id=document_id,
        error=error,
        created_at=found.created_at,
        finished_at=found.finished_at,
    )


def _access(owners: list[str] | None, groups: list[str] | None, labels: list[str] | None) -> Access:
    """Return who may read it, as far as the request says."""
    try:
        return Access(
            *(
                None if given is None else names(given, what=what)
                for given, what in ((owners, "owner"), (groups, "group"), (labels, "label"))
            )
        )
    except DocumentError as error:
        raise InvalidInput(error.message) from error


def _suffix(name: str, content_type: str) -> str:
    """Return the ending that a name lacks, by the media type; the content has the last word."""
    if PurePath(name).suffix:
        return ""
    return mimetypes.guess_extension(content_type.partition(";")[0].strip().lower()) or ""


def _write_cursor(uri: str) -> str:
    return base64.urlsafe_b64encode(uri.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        found = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("The cursor is none of ours.", param="cursor") from error
    return accept(found, what="cursor")
