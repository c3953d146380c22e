"""The long run: kills workers a few hundred times, prints what came of it, fails on a double."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import psycopg

from db.embedded import join
from db.migrate import migrate
from db.pool import Database
from tests.faults.crew import Crew, nursing
from tests.faults.remote import Remote
from tests.faults.storm import PACE, Storm, Tally
from tests.faults.story import Stage
from tests.faults.world import EFFECTS, KINDS

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
NAMES = {"book": "our database", "pay": "remote, keyed", "mail": "remote, unkeyed"}


def main() -> None:
    """Read the arguments and exit with 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.kills} kills", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        tally = asyncio.run(storm(Path(folder), given.seed, given.kills))
        report(tally)
        if not tally.holds:
            print((Path(folder) / "workers.log").read_text(encoding="utf-8")[-20_000:])
    sys.exit(not tally.holds)


async def storm(folder: Path, seed: int, kills: int) -> Tally:
    """Return what a storm over a server of its own left behind."""
    postgres = await asyncio.to_thread(join, folder / "postgres", FAST)
    try:
        await migrate(postgres.admin_url)
        async with await psycopg.AsyncConnection.connect(
            postgres.admin_url, autocommit=True
        ) as owner:
            await owner.execute(EFFECTS)
            with Remote() as remote, nursing(folder / "workers.log") as nursery:
                async with (
                    Database.open(postgres.url) as database,
                    Crew.of(nursery, postgres.url, remote.url, PACE) as crew,
                ):
                    return await Storm(Stage(crew, database, remote, owner), seed, kills).rage()
    finally:
        await asyncio.to_thread(postgres.leave)


def report(tally: Tally) -> None:
    """Print what was counted."""
    print(f"{tally.kills} kills, {tally.at_points} of them at named points; {tally.runs} runs")
    print(
        f"{'effect in':<16} {'calls':>6} {'effects':>8} {'requests':>9} {'doubles':>8}"
        f" {'missing':>8} {'unknown':>8}"
    )
    for tool in KINDS:
        print(
            f"{NAMES[tool]:<16} {tally.calls[tool]:>6} {tally.effects[tool]:>8}"
            f" {tally.requests[tool]:>9} {tally.doubles[tool]:>8} {tally.missing[tool]:>8}"
            f" {tally.unknown[tool]:>8}"
        )
    print(
        f"doubles {tally.doubles.total()}, unapproved {len(tally.unapproved)},"
        f" failed {len(tally.failed)}"
    )
    for line in [*tally.failed, *tally.unapproved]:
        print(f"  {line}")


if __name__ == "__main__":
    main()
