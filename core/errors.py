"""Every failure Parley expects, as one tree.

ParleyError
├── UserError                     the caller can mend it
│   ├── InvalidInput
│   │   ├── EmptyInput
│   │   ├── InputTooLong
│   │   ├── BodyTooLarge
│   │   ├── MediaTypeRefused
│   │   └── UnsupportedParameter
│   ├── NotFound
│   │   ├── ThreadNotFound
│   │   ├── RunNotFound
│   │   ├── ModelNotFound
│   │   ├── DocumentNotFound
│   │   ├── IngestionNotFound
│   │   └── ApprovalNotFound
│   ├── Conflict
│   │   ├── RunActive
│   │   ├── RunEnded
│   │   ├── RunCancelled
│   │   ├── KeyInFlight
│   │   ├── ApprovalDecided
│   │   ├── ApprovalChanged
│   │   └── ApprovalClaimed
│   ├── ApprovalExpired
│   ├── KeyReused
│   ├── NotAuthenticated
│   ├── NotPermitted
│   └── HostRefused
├── DocumentError                 one document cannot be read; the others go on
│   ├── DocumentUnreadable
│   ├── DocumentEncrypted
│   ├── DocumentUnsupported
│   ├── DocumentEmpty
│   ├── DocumentInvalid
│   └── DocumentTooLarge
└── OperatorError                 a service or a setting is wrong; the operator can mend it
    ├── SettingsInvalid
    ├── AddressRefused
    ├── PortInUse
    ├── ServerStopping
    ├── DatabaseUnavailable
    │   └── DatabaseBusy
    ├── DatabaseUnusable
    │   ├── DataFolderUnusable
    │   ├── RoleTooPowerful
    │   ├── SchemaOutdated
    │   └── CheckpointRefused
    ├── EmbeddingUnavailable
    ├── RerankerUnavailable
    ├── VectorEngineUnavailable
    ├── ClusterUnavailable
    ├── CacheFailed
    ├── ModelError
    │   ├── ModelUnavailable
    │   ├── ModelOverloaded
    │   ├── ModelTimeout
    │   ├── ModelRejected
    │   └── StreamCut
    ├── RemoteUnavailable
    │   └── RemoteUnreachable
    ├── CheckFailed
    ├── TurnTimeout
    ├── LeaseLost
    └── RunAbandoned

The docstring of an error is its default message, written for whoever will read it.
`code` is stable: clients and dashboards may rely on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar


class ParleyError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or " ".join((inspect.getdoc(type(self)) or "").split())
        self.hint = hint
        super().__init__(self.message)


class UserError(ParleyError):
    """The request cannot be served as it stands."""

    code = "bad_request"

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param  # which field of the request, as in "messages[1].content"


class InvalidInput(UserError):
    """The input is not valid."""

    code = "invalid_input"


class EmptyInput(InvalidInput):
    """The message is empty."""

    code = "empty_input"


class InputTooLong(InvalidInput):
    """The message is too long."""

    code = "input_too_long"


class BodyTooLarge(InvalidInput):
    """The request is too large."""

    code = "body_too_large"


class MediaTypeRefused(InvalidInput):
    """The body is not JSON; send it with `Content-Type: application/json`."""

    code = "media_type_refused"


class UnsupportedParameter(InvalidInput):
    """This parameter is not supported."""

    code = "unsupported_parameter"


class NotFound(UserError):
    """There is no such thing here."""

    code = "not_found"


class ThreadNotFound(NotFound):
    """There is no such thread."""

    code = "thread_not_found"


class RunNotFound(NotFound):
    """There is no such run in this thread."""

    code = "run_not_found"


class ModelNotFound(NotFound):
    """There is no such model; GET /v1/models lists those there are."""

    code = "model_not_found"


class DocumentNotFound(NotFound):
    """There is no such document."""

    code = "document_not_found"


class IngestionNotFound(NotFound):
    """There is no such ingestion; those that ended are kept for a week."""

    code = "ingestion_not_found"


class ApprovalNotFound(NotFound):
    """There is no such approval."""

    code = "approval_not_found"


class Conflict(UserError):
    """The request conflicts with the present state."""

    code = "conflict"


class RunActive(Conflict):
    """This thread already has an active run: wait for it or cancel it."""

    code = "run_active"


class RunEnded(Conflict):
    """This run has already ended."""

    code = "run_ended"


class RunCancelled(Conflict):
    """The run was cancelled before it had an answer."""

    code = "run_cancelled"


class KeyInFlight(Conflict):
    """The request with this idempotency key is still being served; ask again in a moment."""

    code = "idempotency_key_in_flight"


class ApprovalDecided(Conflict):
    """Somebody else has decided this already."""

    code = "approval_decided"
    approval: Mapping[str, Any] | None = None  # the decision that was first


class ApprovalChanged(Conflict):
    """What is to be decided has changed since you looked; look again."""

    code = "approval_changed"


class ApprovalClaimed(Conflict):
    """Another reviewer is looking at this."""

    code = "approval_claimed"


class ApprovalExpired(UserError):
    """The time to decide this is over; nothing was done."""

    code = "approval_expired"


class KeyReused(UserError):
    """This idempotency key came with another request before."""

    code = "idempotency_key_reused"


class NotAuthenticated(UserError):
    """Say who you are: send `Authorization: Bearer` with an API key."""

    code = "not_authenticated"


class NotPermitted(UserError):
    """Your roles do not allow this."""

    code = "not_permitted"


class HostRefused(UserError):
    """Parley has no accounts yet, so it answers to this machine's own names only."""

    code = "host_refused"


class DocumentError(ParleyError):
    """The document could not be read."""

    code = "document_error"


class DocumentUnreadable(DocumentError):
    """The document is damaged or is not what its name says."""

    code = "document_unreadable"


class DocumentEncrypted(DocumentError):
    """The document is encrypted; remove the password and ingest it again."""

    code = "document_encrypted"


class DocumentUnsupported(DocumentError):
    """This kind of document is not supported."""

    code = "document_unsupported"


class DocumentEmpty(DocumentError):
    """The document holds no text."""

    code = "document_empty"


class DocumentInvalid(DocumentError):
    """What was read of the document does not have the form of one."""

    code = "document_invalid"


class DocumentTooLarge(DocumentError):
    """The document is larger than the limit."""

    code = "document_too_large"


class OperatorError(ParleyError):
    """A service that Parley needs is not working."""

    code = "service_error"


class SettingsInvalid(OperatorError):
    """A setting is missing or wrong."""

    code = "settings_invalid"


class AddressRefused(OperatorError):
    """Parley has no accounts yet, so it serves this machine only: set API_HOST=127.0.0.1."""

    code = "address_refused"


class PortInUse(OperatorError):
    """The port is in use; set API_PORT to a free one."""

    code = "port_in_use"


class ServerStopping(OperatorError):
    """The server is stopping; ask again in a moment."""

    code = "server_stopping"


class DatabaseUnavailable(OperatorError):
    """The database does not answer."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """All database connections are busy; try again in a moment."""

    code = "database_busy"


class DatabaseUnusable(OperatorError):
    """The database cannot be used as it is."""

    code = "database_unusable"


class DataFolderUnusable(DatabaseUnusable):
    """The data folder cannot be used."""

    code = "data_folder_unusable"


class RoleTooPowerful(DatabaseUnusable):
    """The database role could bypass row-level security; connect as parley_app."""

    code = "role_too_powerful"


class SchemaOutdated(DatabaseUnusable):
    """The database schema is older than this version; run `python -m db migrate`."""

    code = "schema_outdated"


class CheckpointRefused(DatabaseUnusable):
    """A stored step of this run holds what no step holds; it was not loaded."""

    code = "checkpoint_refused"


class EmbeddingUnavailable(OperatorError):
    """The embedding model could not be loaded."""

    code = "embedding_unavailable"


class RerankerUnavailable(OperatorError):
    """The reranking server does not answer."""

    code = "reranker_unavailable"


class CacheFailed(OperatorError):
    """The answer cache failed; the turn goes on without it."""

    code = "cache_failed"


class VectorEngineUnavailable(OperatorError):
    """The vector engine does not answer."""

    code = "vector_engine_unavailable"


class ClusterUnavailable(OperatorError):
    """The cluster for ingestion does not work."""

    code = "cluster_unavailable"


class ModelError(OperatorError):
    """The model server failed."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """The model server does not answer."""

    code = "model_unavailable"


class ModelOverloaded(ModelError):
    """The model server is overloaded; try again in a moment."""

    code = "model_overloaded"


class ModelTimeout(ModelError):
    """The model server took too long."""

    code = "model_timeout"


class ModelRejected(ModelError):
    """The model server rejected the request."""

    code = "model_rejected"


class StreamCut(ModelError):
    """The model's answer broke off before its end."""

    code = "stream_cut"


class RemoteUnavailable(OperatorError):
    """A server that a tool talks to did not answer as it should."""

    code = "remote_unavailable"


class RemoteUnreachable(RemoteUnavailable):
    """A server that a tool talks to cannot be reached; nothing was sent."""

    code = "remote_unreachable"


class CheckFailed(OperatorError):
    """A safety check could not run, so the turn was refused."""

    code = "check_failed"


class TurnTimeout(OperatorError):
    """The turn took too long."""

    code = "turn_timeout"


class LeaseLost(OperatorError):
    """Another process has taken this run over."""

    code = "lease_lost"


class RunAbandoned(OperatorError):
    """The run was given up after its process died repeatedly."""

    code = "run_abandoned"
