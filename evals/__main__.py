"""`python -m evals run NAME` asks how good the answers are; `bench NAME` asks what they cost."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from embeddings.minilm import MiniLM
from evals import actions, answers, intent, questions, retrieval, safety, support
from evals.bench import approvals as bench_approvals
from evals.bench import guards as bench_guards
from evals.bench import ingest as bench_ingest
from evals.bench import model as bench_model
from evals.bench import outage as bench_outage
from evals.bench import search as bench_search
from evals.bench import turn as bench_turn

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables
    help="Evaluations and benchmarks.",
    no_args_is_help=True,
)
run = typer.Typer(
    help="How good are the answers?", no_args_is_help=True, pretty_exceptions_enable=False
)
bench = typer.Typer(help="What does it cost?", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(run, name="run")
app.add_typer(bench, name="bench")

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")]


@run.callback()
def _runs() -> None:
    """How good are the answers?"""


@bench.callback()
def _benches() -> None:
    """What does it cost?"""


@run.command("answers")
def run_answers(
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of a set, or of the sets.")
    ],
    json_file: JsonFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Ask only so many.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
) -> None:
    """Questions over a corpus: right passage cited, answer in the text, abstention."""
    report(asyncio.run(answers.run(data, sample=sample, seed=seed)), json_file)


@run.command("actions")
def run_actions(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    json_file: JsonFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Replay only so many.")] = None,
) -> None:
    """Gold actions through policy, approval and ledger: does each happen once, none unapproved?"""
    report(asyncio.run(actions.run(data, sample=sample)), json_file)


@run.command("support")
def run_support(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the set.")],
    json_file: JsonFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Take only so many.")] = None,
) -> None:
    """Does the check of answers let through what their sources say, and nothing else?"""
    report(asyncio.run(support.run(data, sample=sample)), json_file)


@run.command("safety")
def run_safety(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    json_file: JsonFile = None,
) -> None:
    """Attempts, requests for harm and planted instructions found; harmless texts left alone."""
    found = asyncio.run(safety.run(data))
    if not found:
        raise SystemExit(f"{data} holds none of the sets that the guards are measured on.")
    report(found, json_file)


@run.command("intent")
def run_intent(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    json_file: JsonFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Ask only so many.")] = None,
) -> None:
    """Intents told apart, follow-ups, split questions and second searches, ours beside others."""
    report(asyncio.run(_understanding(data, sample)), json_file)


async def _understanding(data: Path, sample: int | None) -> dict[str, Any]:
    with closing(await asyncio.to_thread(MiniLM.load)) as embedder:
        found = await intent.run(data, embedder, sample=sample)
        return {**found, **await questions.run(data, embedder, sample=sample)}


@run.command("retrieval")
def run_retrieval(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    json_file: JsonFile = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Ask only so many.")] = None,
) -> None:
    """Right passage first? Ours beside BM25, vectors, RRF and fusion, over several sets."""
    report(asyncio.run(retrieval.run(data, sample=sample)), json_file)


@bench.command("ingest")
def run_bench_ingest(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the set.")],
    json_file: JsonFile = None,
    documents: Annotated[int, typer.Option(min=1, help="So many of them.")] = 1000,
) -> None:
    """What ingestion costs beside the model, first and again, beside a naive loop."""
    report(asyncio.run(bench_ingest.run(data, documents=documents)), json_file)


@bench.command("approvals")
def run_bench_approvals(
    json_file: JsonFile = None,
    decisions: Annotated[int, typer.Option(min=16, help="Of each kind.")] = 200,
    pending: Annotated[int, typer.Option(min=1, max=1000, help="In the list.")] = 1000,
) -> None:
    """From a decision to its effect, and a long list of what waits."""
    found = bench_approvals.run(decisions=decisions, pending=pending)
    report(asyncio.run(found), json_file)


@bench.command("guards")
def run_bench_guards(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    json_file: JsonFile = None,
    answers: Annotated[int, typer.Option(min=20, help="So many paragraphs are streamed.")] = 200,
) -> None:
    """What the stream gate costs a chunk, and the checks of each direction a text."""
    report(asyncio.run(bench_guards.run(data, answers=answers)), json_file)


@bench.command("model")
def run_bench_model(
    json_file: JsonFile = None,
    rounds: Annotated[int, typer.Option(min=1, help="Answers that each of them reads.")] = 300,
) -> None:
    """What our chat model costs beside plain httpx, and beside langchain-openai if it is there."""
    report(asyncio.run(bench_model.run(rounds=rounds)), json_file)


@bench.command("outage")
def run_bench_outage(
    json_file: JsonFile = None,
    streams: Annotated[int, typer.Option(min=2, help="Turns at the same time.")] = 50,
) -> None:
    """What users notice when model servers die in the middle of their answers."""
    report(asyncio.run(bench_outage.run(streams=streams)), json_file)


@bench.command("turn")
def run_bench_turn(
    json_file: JsonFile = None,
    turns: Annotated[int, typer.Option(min=10, help="Length of the conversation.")] = 100,
) -> None:
    """What a turn costs, beside a bare LangGraph app with the stock saver."""
    report(asyncio.run(bench_turn.run(turns=turns)), json_file)


@bench.command("search")
def run_bench_search(
    json_file: JsonFile = None,
    chunks: Annotated[int, typer.Option(min=1000, help="Size of the corpus.")] = 100_000,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of sets; none: made-up words."),
    ] = None,
    questions: Annotated[int, typer.Option(min=10, help="Per stage.")] = 200,
) -> None:
    """What a search costs, stage by stage, and what its index misses."""
    found = bench_search.run(chunks=chunks, data=data, questions=questions)
    report(asyncio.run(found), json_file)


def report(result: dict[str, Any], json_file: Path | None) -> None:
    """Print `result` as a table and write it to `json_file`."""
    table = Table("figure", "value", "95 % interval", "n")
    for name, value in flat(result):
        if isinstance(value, dict) and "low" in value:
            spread = f"{value['low']:.3f}-{value['high']:.3f}"
            table.add_row(name, f"{value['value']:.3f}", spread, str(value["n"]))
        else:
            table.add_row(name, str(value), "", "")
    Console().print(table)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")


def plain(result: dict[str, Any]) -> dict[str, Any]:
    """Return the report with plain numbers under the figures' names, intervals beside them."""
    figures = flat(result)
    spread = {n: v for n, v in figures if isinstance(v, dict) and "low" in v}
    numbers = {n: v["value"] if n in spread else v for n, v in figures}
    return {**numbers, "spread": spread}


def flat(result: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the figures of a nested report with dotted names."""
    rows: list[tuple[str, Any]] = []
    for name, value in result.items():
        if isinstance(value, dict) and "low" not in value:
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


if __name__ == "__main__":
    app()
