"""Sends notices to the operator's webhook, signed, until they have arrived.

At least once: a process that dies between the answer and its note leaves the notice to be sent
again, under the same id. Signed as https://www.standardwebhooks.com says, so that its libraries
verify it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import orjson

from core.cancel import beside
from core.errors import OperatorError
from core.settings import WebhookSettings
from db.listen import Listener
from db.pool import Database
from tools import notices
from tools.notices import Notice

AT_ONCE = 16
LOOK_SECONDS = 5.0  # for those whose time has come; new ones announce themselves
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retries:
    """When a notice is sent again: 18 attempts, the last about a day after the first."""

    first_seconds: float = 5.0  # doubled each time
    most_seconds: float = 4 * 3600.0
    attempts: int = 18
    margin_seconds: float = 20.0  # beyond the timeout, then a notice taken is taken again

    def wait(self, attempts: int) -> float:
        """Return the seconds to wait after so many attempts, spread so that they do not meet."""
        seconds = min(self.first_seconds * 2.0 ** (attempts - 1), self.most_seconds)
        return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, hides nothing


class NotDelivered(Exception):
    """Why an attempt failed, in words of ours: the answer's are not kept."""


class Sender:
    """Sends what is due; without a URL it forgets it, since nobody is to be told."""

    def __init__(
        self,
        database: Database,
        client: httpx.AsyncClient,
        settings: WebhookSettings,
        retries: Retries | None = None,
    ) -> None:
        self._database = database
        self._client = client
        self._settings = settings
        self._retries = retries or Retries()

    async def run(self) -> None:
        """Send until cancelled."""
        async with Listener(self._database.url) as listener:
            wake = asyncio.Event()
            async with beside(hear(listener, wake)):
                while True:
                    wake.clear()
                    try:
                        while await self.send_due() == AT_ONCE:
                            pass
                    except OperatorError as error:
                        log.warning("notices could not be sent: %s", error.code)
                    except Exception:
                        # The edge of this task: nobody would start it again.
                        log.exception("notices could not be sent")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await wake.wait()

    async def send_due(self) -> int:
        """Send notices whose time has come; return how many there were, AT_ONCE at most."""
        taken_for = self._settings.timeout_seconds + self._retries.margin_seconds
        async with self._database.connection() as conn:
            due = await notices.take(conn, taken_for, most=AT_ONCE)
        for error in await asyncio.gather(*map(self._send, due), return_exceptions=True):
            if isinstance(error, Exception):  # it stays taken for a while, and comes again
                log.error("a notice could not be sent", exc_info=error)
        return len(due)

    async def _send(self, notice: Notice) -> None:
        why = ""
        if self._settings.url is not None:
            try:
                await self._post(self._settings.url, notice)
            except NotDelivered as error:
                why = str(error)
        async with self._database.transaction(notice.tenant_id) as conn:
            if self._settings.url is None:
                await notices.drop(conn, notice)
            elif not why:
                await notices.delivered(conn, notice)
            elif notice.attempts < self._retries.attempts:
                await notices.again(conn, notice, self._retries.wait(notice.attempts), why)
            else:
                log.error("notice %s was given up: %s", notice.notice_id, why)
                await notices.give_up(conn, notice, why)

    async def _post(self, url: str, notice: Notice) -> None:
        """Post a notice once; raises NotDelivered."""
        assert self._settings.secret is not None
        body = orjson.dumps(
            {
                "type": notice.kind,
                "id": str(notice.notice_id),
                "tenant": notice.tenant_id,
                "created_at": notice.created_at.isoformat(),
                "data": notice.body,
            }
        )
        now = str(int(time.time()))
        secret = self._settings.secret.get_secret_value()
        headers = {
            "content-type": "application/json",
            "user-agent": "Parley",
            "webhook-id": str(notice.notice_id),
            "webhook-timestamp": now,
            "webhook-signature": sign(secret, str(notice.notice_id), now, body),
        }
        seconds = self._settings.timeout_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except TimeoutError as error:
            raise NotDelivered(f"no answer in {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise NotDelivered(f"not reached: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}")


@asynccontextmanager
async def sending(database: Database, settings: WebhookSettings) -> AsyncIterator[None]:
    """Send notices while the block runs; what is under way at its end is sent again later."""
    client = httpx.AsyncClient(
        follow_redirects=False,  # the notice is for the address that the operator named
        timeout=settings.timeout_seconds,
        trust_env=settings.url is not None and httpx.URL(settings.url).host not in LOOPBACK,
    )
    async with client, beside(Sender(database, client, settings).run()):
        yield


def sign(secret: str, notice_id: str, timestamp: str, body: bytes) -> str:
    """Return the value of `webhook-signature`.

    secret: the key itself, or as Standard Webhooks writes keys, `whsec_` and its base64.
    """
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{notice_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def hear(listener: Listener, wake: asyncio.Event) -> None:
    """Set `wake` at each new notice."""
    async for _ in listener.listen(notices.CHANNEL):
        wake.set()
