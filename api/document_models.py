"""Documents and ingestions as clients see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from api.dialects.resources import ErrorAnswer

_DOCUMENT: dict[str, Any] = {
    "document_id": "0b1d3c1e-5b0e-5f2e-8f52-2a1f5f3f7c11",
    "uri": "upload:/handbook.pdf",
    "title": "Handbook of the harbour office",
    "media_type": "application/pdf",
    "language": "en",
    "author": None,
    "chunks": 84,
    "tokens": 21870,
    "bytes": 1204331,
    "owners": [],
    "groups": ["office"],
    "labels": ["handbook"],
    "modified_at": "2026-11-02T08:00:00Z",
    "created_at": "2026-11-20T09:30:02Z",
    "updated_at": "2026-11-20T09:30:02Z",
}
_INGESTION: dict[str, Any] = {
    "ingestion_id": "01937b6e-5d10-7c02-9a0e-5f2f6f0f9d55",
    "name": "handbook.pdf",
    "uri": "upload:/handbook.pdf",
    "state": "done",
    "outcome": "added",
    "attempts": 1,
    "chunks": 84,
    "document_id": _DOCUMENT["document_id"],
    "error": None,
    "created_at": "2026-11-20T09:30:00Z",
    "finished_at": "2026-11-20T09:30:02Z",
}
_WAITING: dict[str, Any] = {
    **_INGESTION,
    "state": "queued",
    "outcome": None,
    "attempts": 0,
    "chunks": 0,
    "document_id": None,
    "finished_at": None,
}

Answers = dict[int | str, dict[str, Any]]
ERRORS: Answers = {
    404: {"model": ErrorAnswer, "description": "There is no such document or ingestion."},
    422: {"model": ErrorAnswer, "description": "The input is not valid."},
    503: {"model": ErrorAnswer, "description": "A service does not answer."},
}
BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file as it is. What it is, its content and its name decide.",
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"},
                "example": "%PDF-1.7 …",
            }
        },
    }
}


class Document(BaseModel):
    """A document of the knowledge base. Without owners and groups everybody may read it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_DOCUMENT]})

    document_id: UUID
    uri: str
    title: str
    media_type: str
    language: str | None
    author: str | None
    chunks: int
    tokens: int
    bytes: int
    owners: list[str]
    groups: list[str]
    labels: list[str]
    modified_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DocumentPage(BaseModel):
    """Documents by uri, and where the next page begins."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"documents": [_DOCUMENT], "next": None}]}
    )

    documents: list[Document]
    next: str | None


class IngestionError(BaseModel):
    """Why a document is parked, was tried again, or lacks some of its lines."""

    code: str
    message: str


class Ingestion(BaseModel):
    """A document on its way into the knowledge base."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WAITING, _INGESTION]})

    ingestion_id: UUID
    name: str
    uri: str
    state: Literal["queued", "working", "done", "parked", "cancelled"]
    outcome: Literal["added", "changed", "unchanged", "removed"] | None
    attempts: int
    chunks: int
    document_id: UUID | None  # once there is one that the caller may read
    error: IngestionError | None
    created_at: datetime
    finished_at: datetime | None


PUT: Answers = {
    200: {"model": Ingestion, "description": "It is there already, with the same bytes."},
    413: {"model": ErrorAnswer, "description": "The document is larger than the limit."},
}
