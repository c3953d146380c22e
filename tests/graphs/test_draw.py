"""The picture of the graph."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from graphs import draw
from graphs.__main__ import app


def test_the_picture_has_every_node_and_edge() -> None:
    """Mermaid names the thirteen nodes, and conditional edges are dotted."""
    text = draw.mermaid()
    nodes, edges = draw.structure()
    assert len(nodes) == 15
    assert text.count("->") == len(edges)
    assert "screen -.-> refuse" in text
    assert "retrieve --> generate" in text


def test_no_two_boxes_overlap_and_no_arrow_crosses_one() -> None:
    """Boxes stand apart, and the way of an arrow keeps clear of those it does not join."""
    nodes, edges = draw.structure()
    places, ways = draw.layout(nodes, edges)
    for (ax, ay), (bx, by) in combinations(places.values(), 2):
        assert abs(ax - bx) >= draw.NODE_WIDTH or abs(ay - by) >= draw.NODE_HEIGHT
    for edge, way in ways.items():
        for x, y in way[1:-1]:
            for node, (left, top) in places.items():
                inside = abs(x - left) < draw.NODE_WIDTH / 2 and 0 < y - top < draw.NODE_HEIGHT
                assert not inside, (edge, node)


def test_the_command_writes_both_files_offline(tmp_path: Path) -> None:
    """A PNG that opens, and the Mermaid text."""
    result = CliRunner().invoke(app, ["draw", "--out", str(tmp_path), "--readme", "none.md"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "graph.mmd").read_text(encoding="utf-8") == draw.mermaid()
    image = Image.open(BytesIO((tmp_path / "graph.png").read_bytes()))
    assert image.format == "PNG"
    assert len(image.getcolors(1 << 20) or []) > 3


def test_a_readme_without_markers_is_refused() -> None:
    """Rather than a picture in the wrong place."""
    with pytest.raises(ValueError, match="markers"):
        draw.insert("# Parley")
