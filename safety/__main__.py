"""python -m safety: try the checks, look at policies, rehearse a new one, train classifiers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from core.command import run
from core.settings import read as read_settings
from db.connect import connect
from embeddings.minilm import MiniLM
from safety import train
from safety.guard import Guard
from safety.policy import Policies, TenantPolicy, differences
from safety.rehearsal import Rehearsed, rehearse, told
from safety.verdict import About, Direction

app = typer.Typer(
    help="The checks of what goes in and comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables
)
policies = typer.Typer(
    help="What is checked, and how strictly.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(policies, name="policy")

File = Annotated[
    Path | None,
    typer.Option("--policy", exists=True, dir_okay=False, help="Default: as the settings say."),
]
Tenant = Annotated[str, typer.Option(help="Whose policy.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@app.command()
def check(
    text: Annotated[str, typer.Argument(help="What is to be checked; - reads standard input.")],
    direction: Annotated[Direction, typer.Option(help="On which way the text is.")] = "input",
    policy: File = None,
    tenant: Tenant = "default",
    protected: Annotated[
        Path | None, typer.Option(exists=True, help="A file that an output must not give away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what each check sees in a text, and what the policy makes of it.

    Exit status: 0 when the text may go on, 1 when it is blocked.
    """
    text = sys.stdin.read() if text == "-" else text
    about = About(tenant, protected.read_text(encoding="utf-8") if protected else "")

    async def work() -> dict[str, Any]:
        with _guard(policy) as guard:
            verdict = await guard.check(direction, text, about)
            seen = await guard.hits(
                direction, verdict.text if direction == "input" else text, about
            )
            judge = guard.judge(tenant, direction)
            return {
                "policy": guard.policies.of(tenant).digest,
                "checks": {
                    name: [{**asdict(hit), "action": judge(name, hit)} for hit in hits]
                    for name, hits in seen.items()
                },
                "findings": [asdict(finding) for finding in verdict.findings],
                "refused_by": verdict.refusal,
                "text": verdict.text,
            }

    found = run(work())
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _explain(found)
    if found["refused_by"] is not None:
        raise SystemExit(1)


@policies.command("show")
def show(policy: File = None, tenant: Tenant = "default") -> None:
    """Print the policy that holds for a tenant, defaults included."""
    found = _loaded(policy).of(tenant)
    print(f"# {found.digest}")
    print(yaml.safe_dump(found.model_dump(mode="json"), allow_unicode=True, sort_keys=False))


@policies.command("diff")
def diff(
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The proposed file.")],
    old: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="Default: as the settings say."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Default: all that either names.")] = None,
) -> None:
    """Print what differs between two policies, tenant by tenant.

    Exit status: 0 when nothing does, 1 when something does.
    """
    before, after = _loaded(old), _loaded(new)
    names = [tenant] if tenant else ["", *sorted({*before.tenants, *after.tenants})]
    changed = False
    for name in names:
        found = differences(before.of(name), after.of(name))
        if found:
            changed = True
            print(f"{name or 'in general'}: {before.of(name).digest} → {after.of(name).digest}")
        for place, was, becomes in found:
            print(f"  {place}: {was or 'nothing'} → {becomes or 'nothing'}")
    if changed:
        raise SystemExit(1)
    print("no difference")


@policies.command("schema")
def schema() -> None:
    """Print the JSON Schema of a tenant's policy, for editors."""
    print(json.dumps(TenantPolicy.model_json_schema(), indent=2))


@app.command("rehearse")
def rehearse_command(
    policy: Annotated[
        Path, typer.Option("--policy", exists=True, dir_okay=False, help="The proposed file.")
    ],
    tenant: Tenant = "default",
    days: Annotated[int, typer.Option(min=1, help="So far back.")] = 7,
    limit: Annotated[int, typer.Option(min=1, help="So many turns at most.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Replay recorded turns under a proposed policy, and list what would change.

    Exit status: 0 when nothing would, 1 when something would.
    """
    count, changes = Rehearsed(), list[dict[str, Any]]()

    async def work() -> None:
        with _guard(None) as present:
            proposed = present.under(Policies.load(policy))
            async with connect(read_settings().database) as database:
                async for change in rehearse(
                    database,
                    present,
                    proposed,
                    tenant_id=tenant,
                    days=days,
                    limit=limit,
                    count=count,
                ):
                    changes.append({**asdict(change), "kind": change.kind})
                    if not as_json:
                        before, after = told(change.before), told(change.after)
                        place = f"{change.run_id} {change.direction}"
                        print(f"{place}: {change.kind}: {before} → {after}")

    run(work())
    if as_json:
        print(json.dumps({**asdict(count), "changes": changes}, indent=2))
    else:
        print(f"{count.turns} turns, {count.texts} texts, {len(changes)} would change")
    if changes:
        raise SystemExit(1)


app.command("train")(train.command)


def _explain(found: dict[str, Any]) -> None:
    table = Table("check", "saw", "severity", "score", "where", "policy")
    for name, hits in found["checks"].items():
        for hit in hits:
            place = f"{hit['start']}-{hit['end']}" if hit["end"] > hit["start"] else "all of it"
            table.add_row(
                name,
                hit["kind"],
                hit["severity"],
                f"{hit['score']:.3f}",
                place,
                hit["action"] or "ignored",
            )
        if not hits:
            table.add_row(name, "nothing", "", "", "", "")
    console = Console()
    console.print(table)
    refused = found["refused_by"]
    console.print(f"blocked by {refused}" if refused else "may go on", style="bold")
    if refused is None:
        console.print(found["text"], markup=False, highlight=False)
    console.print(f"policy {found['policy']}", style="dim")


@contextmanager
def _guard(policy: Path | None) -> Iterator[Guard]:
    """Give the checks under a policy."""
    with closing(MiniLM.load(1)) as embedder:
        yield Guard.build(embedder, _loaded(policy))


def _loaded(policy: Path | None) -> Policies:
    return Policies.load(policy or read_settings().safety.policy_file)


if __name__ == "__main__":
    app()
