"""Errors become answers here, in one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core import errors
from core.errors import ParleyError

STATUS: Mapping[type[ParleyError], int] = {
    ParleyError: 500,
    # the caller can mend it
    errors.UserError: 400,
    errors.InvalidInput: 422,
    errors.EmptyInput: 422,
    errors.InputTooLong: 422,
    errors.PromptTooLong: 422,
    errors.BodyTooLarge: 413,
    errors.MediaTypeRefused: 415,
    errors.UnsupportedParameter: 400,
    errors.NotFound: 404,
    errors.ThreadNotFound: 404,
    errors.RunNotFound: 404,
    errors.ModelNotFound: 404,
    errors.DocumentNotFound: 404,
    errors.IngestionNotFound: 404,
    errors.ApprovalNotFound: 404,
    errors.Conflict: 409,
    errors.RunActive: 409,
    errors.RunEnded: 409,
    errors.RunCancelled: 409,
    errors.RetryRefused: 409,
    errors.KeyInFlight: 409,
    errors.ApprovalDecided: 409,
    errors.ApprovalChanged: 409,
    errors.ApprovalClaimed: 409,
    errors.ApprovalExpired: 410,
    errors.KeyReused: 422,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.HostRefused: 403,
    # a document
    errors.DocumentError: 422,
    errors.DocumentUnreadable: 422,
    errors.DocumentEncrypted: 422,
    errors.DocumentUnsupported: 415,
    errors.DocumentEmpty: 422,
    errors.DocumentInvalid: 422,
    errors.DocumentTooLarge: 413,
    # the operator can mend it
    errors.OperatorError: 503,
    errors.SettingsInvalid: 503,
    errors.PromptInvalid: 503,
    errors.AddressRefused: 503,
    errors.PortInUse: 503,
    errors.ServerStopping: 503,
    errors.DatabaseUnavailable: 503,
    errors.DatabaseBusy: 503,
    errors.DatabaseUnusable: 503,
    errors.DataFolderUnusable: 503,
    errors.RoleTooPowerful: 503,
    errors.SchemaOutdated: 503,
    errors.CheckpointRefused: 503,
    errors.EmbeddingUnavailable: 503,
    errors.RerankerUnavailable: 503,
    errors.CacheFailed: 503,
    errors.VectorEngineUnavailable: 503,
    errors.ClusterUnavailable: 503,
    errors.ModelError: 502,
    errors.ModelUnavailable: 503,
    errors.ModelOverloaded: 503,
    errors.ModelTimeout: 504,
    errors.ModelRejected: 502,
    errors.StreamCut: 502,
    errors.AnswerMisfit: 502,
    errors.AdapterMissing: 503,
    errors.RemoteUnavailable: 502,
    errors.RemoteUnreachable: 502,
    errors.CheckFailed: 503,
    errors.TurnTimeout: 504,
    errors.LeaseLost: 503,
    errors.RunAbandoned: 503,
}

RETRY_AFTER_SECONDS = 2  # one lease heartbeat, or one breath of a busy pool
UNEXPECTED = "Something went wrong here; the log knows more under this request id."
OPENAI_PATHS = ("/v1/chat/", "/v1/models")

_BY_CODE = {kind.code: kind for kind in STATUS}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the shape of the dialect that was spoken to."""
    app.add_exception_handler(ParleyError, _on_parley_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def status_of(error: ParleyError) -> int:
    """Return the HTTP status for `error`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def from_event(error: Mapping[str, Any]) -> ParleyError:
    """Return the error that a `run.failed` event tells of: {code, message}."""
    kind = _BY_CODE.get(str(error.get("code")), ParleyError)
    return kind(str(error.get("message") or "") or None)


def answer(path: str, request_id: str | None, error: ParleyError) -> JSONResponse:
    """Return the response for `error` to a request for `path`."""
    status = status_of(error)
    if path.startswith(OPENAI_PATHS):
        # OpenAI has no 422: what is wrong with the request is a 400 there.
        status = 400 if status == 422 else status
        body = {"error": openai_body(error, status)}
    else:
        body = {"error": native_body(error, request_id)}
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 413:
        headers["Connection"] = "close"  # the rest of the body is not read
    return JSONResponse(body, status, headers)


def native_body(error: ParleyError, request_id: str | None) -> dict[str, Any]:
    """Return what stands under `error` in an answer of ours."""
    body: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, errors.UserError) and error.param:
        body["param"] = error.param
    if isinstance(error, errors.ApprovalDecided) and error.approval is not None:
        body["approval"] = jsonable_encoder(dict(error.approval))
    return body | {"request_id": request_id}


def openai_body(error: ParleyError, status: int | None = None) -> dict[str, Any]:
    """Return what stands under `error` in an answer of OpenAI's API."""
    status = status or status_of(error)
    message = f"{error.message} {error.hint}" if error.hint else error.message
    return {
        "message": message,
        "type": "invalid_request_error" if status < 500 else "server_error",
        "param": error.param if isinstance(error, errors.UserError) else None,
        "code": error.code,
    }


def unexpected(path: str, request_id: str | None) -> JSONResponse:
    """Return the answer to what nobody expected: an id to look for in the log, nothing else."""
    return answer(path, request_id, ParleyError(UNEXPECTED))


async def _on_parley_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParleyError)
    status = status_of(error)
    if status >= 500:
        log.warning("request failed", extra={"code": error.code, "status": status})
    return answer(request.url.path, _request_id(request), error)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return answer(request.url.path, _request_id(request), explain(error.errors()))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ParleyError):
        # FastAPI wraps whatever goes wrong while a body is read; the cause says what it was.
        return await _on_parley_error(request, error.__cause__)
    code = _HTTP_CODES.get(error.status_code, "bad_request")
    body: dict[str, Any] = {"code": code, "message": str(error.detail)}
    if request.url.path.startswith(OPENAI_PATHS):
        body |= {"type": "invalid_request_error", "param": None}
    else:
        body |= {"hint": "GET /docs lists the routes.", "request_id": _request_id(request)}
    return JSONResponse({"error": body}, error.status_code, error.headers)


def explain(problems: Any) -> errors.InvalidInput:
    """Return the first of pydantic's `problems` in our words; what was sent is not repeated."""
    problem = problems[0]
    where = [part for part in problem["loc"] if part not in {"body", "query", "path", "header"}]
    name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in where).lstrip(".")
    if problem["type"] == "missing" and not name:
        return errors.InvalidInput("The request needs a JSON body.")
    if problem["type"] == "extra_forbidden":
        return errors.UnsupportedParameter(f"There is no parameter `{name}`.", param=name)
    message = f"{name or 'The body'}: {problem['msg']}."
    return errors.InvalidInput(message, param=name or None)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
