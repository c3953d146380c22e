"""What the caller can mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors.base import ParleyError


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


class PromptTooLong(InputTooLong):
    """The message is too long for the model, with all that has to stand beside it."""

    code = "context_length_exceeded"  # as OpenAI's API calls it


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


class RetryRefused(Conflict):
    """Only the last turn of a thread can be tried again, and only one that failed or was cancelled
    before it did anything."""

    code = "retry_refused"


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
