"""Gold actions of tau-bench through policy, approval and ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import actions

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "tau_bench"


@pytest.mark.data
async def test_every_gold_action_happens_once_and_approved() -> None:
    """A sample of the retail tasks: nothing twice, nothing else, nothing that nobody approved."""
    if not DATA.exists():
        pytest.skip("../shared/data/tau_bench is not here: the actions eval needs it")
    report = await actions.run(DATA, sample=25)
    counted = report["actions"]
    assert counted["gold"] > 25
    assert report["tasks_made_once"]["value"] == 1
    assert counted["doubled_or_other"] == 0
    assert counted["unapproved"] == 0
    assert report["turns_ended"] == {"run.finished": 25}
    assert report["audit_chain"] == "holds"
