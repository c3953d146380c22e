"""How the sets are split, and what may be learned from."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from safety.classifiers import gathering, sources


def write(data: Path, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as the file of a set."""
    path = data / sources.SOURCES[name].file
    path.parent.mkdir(parents=True, exist_ok=True)  # two sets may share a folder
    told = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(told) if path.suffix == ".gz" else told)


def test_near_duplicates_stay_on_one_side(tmp_path: Path) -> None:
    """Rows of one cluster are all learned from or all reported on, and no row is in both."""
    rows = [{"text": f"t{n}", "label": 1, "cluster": n % 9} for n in range(90)]
    write(tmp_path, "jailbreak_in_the_wild", rows)
    first, second = sources.halves(tmp_path, "jailbreak_in_the_wild")
    assert len(first) + len(second) == 90
    assert {row["cluster"] for row in first}.isdisjoint({row["cluster"] for row in second})
    assert 40 <= len(first) <= 60


def test_crossed_halves_share_neither_side() -> None:
    """What is reported on shares neither the place nor the content with what is learned from."""
    rows = [{"place": f"p{a}", "what": f"w{b}"} for a in range(8) for b in range(8)]
    one, two = sources.crossed(rows, lambda row: row["place"], lambda row: row["what"])
    assert len(one) == len(two) == 16
    for field in ("place", "what"):
        assert {row[field] for row in one}.isdisjoint({row[field] for row in two})


def test_a_conversation_gives_what_the_user_says(tmp_path: Path) -> None:
    """Each turn of a user is a row of its own, what others say is none, and halves keep them."""
    turns = [
        [{"role": "system", "content": "be brief"}, {"role": "user", "content": "list files"}],
        [{"role": "user", "content": "now sort them"}],
    ]
    write(tmp_path, "bfcl_multi", [{"id": n, "question": turns} for n in range(4)])
    found = sources.rows(tmp_path, "bfcl_multi")
    assert [row["text"] for row in found] == ["list files", "now sort them"] * 4
    first, second = sources.halves(tmp_path, "bfcl_multi")
    assert {row["id"] for row in first}.isdisjoint({row["id"] for row in second})


def test_a_missing_set_is_an_error(tmp_path: Path) -> None:
    """Learning without a set would silently give another model."""
    with pytest.raises(FileNotFoundError, match="jailbreak_in_the_wild"):
        gathering.injection(tmp_path)


def test_share_alike_sets_are_not_learned_from() -> None:
    """A set that may not be learned from says why, and one that may says so."""
    for source in sources.SOURCES.values():
        assert bool(source.learned) != bool(source.left_out), source.name
        if "SA" in source.licence and source.learned:
            assert "only" in source.learned  # a part that is not share-alike


def test_do_not_answer_is_not_learned_from(tmp_path: Path) -> None:
    """Of the unsafe requests, only the rows of HarmBench are examples."""
    turns = [[{"role": "user", "content": "a question"}]]
    fields = {"label": 0, "focus": "f", "triggers": ["t"], "group": "g", "id": "i"}
    fields |= {"question": turns, "instruction": "an order", "user_id": "u", "template": "t"}
    for name in (*gathering.LOOK_ALIKES, *gathering.EVERYDAY):
        write(tmp_path, name, [{"text": f"{name} {n}", **fields} for n in range(4)])
    rows = [
        {"text": f"{source} {n}", "source": source}
        for n in range(40)
        for source in ("harmbench_standard", "do_not_answer")
    ]
    write(tmp_path, "unsafe_requests", rows)
    learned = [one for one in gathering.harmful(tmp_path) if one.source == "unsafe_requests"]
    assert learned
    assert all(one.text.startswith("harmbench") for one in learned)


@pytest.mark.parametrize(
    "name", ["attacks", "benign", "everyday", "harmful", "languages", "documents"]
)
def test_our_examples_are_texts(name: str) -> None:
    """Every example is a text, none stands twice in its file."""

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        return list(value) if isinstance(value, list) else [value]

    found = leaves(sources.own(name))
    assert all(isinstance(one, str) and one.strip() for one in found)
    assert len(found) == len(set(map(str, found)))
