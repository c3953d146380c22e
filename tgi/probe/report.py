"""Probes a server from end to end, and tells what was seen as a table and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from core.errors import SettingsInvalid
from tgi.adapters import Adapter
from tgi.chat_model import TgiChatModel
from tgi.client import Client, Timeouts, pool
from tgi.probe.checks import CHECKS, Outcome, Probed, examine
from tgi.probe.detect import Found, detect
from tgi.profiles import PROFILES

_SIGNS = {"holds": "[green]holds[/]", "fails": "[red]fails[/]", "skipped": "[dim]skipped[/]"}


async def probe(
    url: str,
    *,
    timeouts: Timeouts,
    profile: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    adapter: str | None = None,
    load: int | None = None,
    skip: Collection[str] = (),
) -> AsyncGenerator[Found | Outcome]:
    """Yield what the server is, then what became of each check.

    load: requests at once; None: a few more than it says it takes, or 16 when it does not say.
    Raises ModelError when there is no server, or the key is wrong.
    """
    async with pool(url, timeouts) as http:
        client = Client(http, url, api_key=api_key, timeouts=timeouts)
        found = await detect(client, profile=profile, model=model)
        yield found
        probed = Probed(
            client=client,
            found=found,
            chat=TgiChatModel(client=client, dialect=found.profile, model_name=found.model_name),
            load=load or min((found.slots or 8) + 8, 256),  # the pool holds so many connections
            adapter=Adapter(adapter) if adapter else None,
        )
        for check in CHECKS:
            if check.name in skip:
                yield Outcome(check.name, check.promise, "skipped", "by --skip", 0.0)
            else:
                yield await examine(probed, check)


async def run(
    url: str,
    *,
    profile: str | None,
    model: str | None,
    api_key_env: str | None,
    adapter: str | None,
    load: int | None,
    skip: Collection[str],
    timeouts: Timeouts,
    json_file: TextIO | None,
) -> bool:
    """Probe, show what is seen while it is seen, and return whether everything holds.

    Raises SettingsInvalid for a profile, a check or a variable that there is not.
    """
    if profile is not None and profile not in PROFILES:
        raise SettingsInvalid(f"--profile is one of {', '.join(PROFILES)}.")
    names = [check.name for check in CHECKS]
    if unknown := set(skip) - set(names):
        raise SettingsInvalid(f"--skip {', '.join(sorted(unknown))}: it is one of {names}.")
    if api_key_env is not None and not os.environ.get(api_key_env):
        raise SettingsInvalid(f"--api-key-env: {api_key_env} is not set.")
    seeing = probe(
        url,
        timeouts=timeouts,
        profile=profile,
        model=model,
        api_key=os.environ[api_key_env] if api_key_env else None,
        adapter=adapter,
        load=load,
        skip=skip,
    )
    found: Found | None = None
    outcomes: list[Outcome] = []
    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        async for seen in seeing:
            if isinstance(seen, Found):
                found = seen
                console.print(f"{url}: {seen.profile.server}, model {seen.model_name!r}")
            else:
                outcomes.append(seen)
                live.update(table(outcomes), refresh=True)
    assert found is not None
    if json_file is not None:
        told = as_json(url, found, outcomes)
        json_file.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return all(one.status != "fails" for one in outcomes)


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return the outcomes as a table for the terminal."""
    drawn = Table("check", "", "promise", "seen")
    for one in outcomes:
        drawn.add_row(one.name, _SIGNS[one.status], f"{one.promise}.", escape(one.saw))
    return drawn


def as_json(url: str, found: Found, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return everything that was seen, as plain data."""
    return {
        "url": url,
        "profile": found.profile.name,
        "model": found.model_name,
        "context_tokens": found.context_tokens,
        "checks": [one._asdict() for one in outcomes],
        "holds": all(one.status != "fails" for one in outcomes),
    }
