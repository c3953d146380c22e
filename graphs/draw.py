"""Draws the graph as Mermaid text and as a PNG, both offline.

The layout is the plain layered one: a node stands one row below the lowest node that leads to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from langchain_core.runnables.graph import Graph
from PIL import Image, ImageDraw, ImageFont

from graphs import chat

BEGIN, END = "<!-- graph:begin -->", "<!-- graph:end -->"

SCALE = 2
NODE_WIDTH, NODE_HEIGHT, COLUMN, ROW, MARGIN = 130, 38, 190, 84, 40
FONT_SIZE = 15
INK, PAPER, FILL, SOFT = "#1f2933", "#ffffff", "#e8f0fe", "#7b8794"
Drawing = ImageDraw.ImageDraw
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow; dashed when a condition decides."""

    source: str
    target: str
    conditional: bool


def structure() -> tuple[list[str], list[Edge]]:
    """Return the nodes and edges of the conversation graph, in their order of definition."""
    drawable: Graph = chat.build().compile().get_graph()
    edges = [Edge(e.source, e.target, e.conditional) for e in drawable.edges]
    return list(drawable.nodes), edges


def mermaid() -> str:
    """Return the graph as a Mermaid flowchart."""
    nodes, edges = structure()
    lines = ["flowchart TD"]
    lines += [f"    {_id(n)}(({_label(n)}))" if _is_end(n) else f"    {n}[{n}]" for n in nodes]
    for edge in edges:
        arrow = "-.->" if edge.conditional else "-->"
        lines.append(f"    {_id(edge.source)} {arrow} {_id(edge.target)}")
    return "\n".join(lines) + "\n"


def insert(readme: str) -> str:
    """Return the text of a README with the picture between its two markers brought up to date.

    Raises ValueError when the markers are missing.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"the markers {BEGIN} and {END} are missing")
    head, rest = readme.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    return f"{head}{BEGIN}\n```mermaid\n{mermaid()}```\n{END}{tail}"


def png() -> bytes:
    """Return the graph as a PNG picture."""
    nodes, edges = structure()
    places = layout(nodes, edges)
    width = max(x for x, _ in places.values()) + NODE_WIDTH // 2 + 3 * MARGIN
    height = max(y for _, y in places.values()) + NODE_HEIGHT + MARGIN
    image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    drawing = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE * SCALE)
    for edge in edges:
        _draw_edge(drawing, places, edge)
    for node in nodes:
        _draw_node(drawing, font, node, places[node])
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def layout(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, tuple[int, int]]:
    """Return the centre of each node, in pixels before scaling."""
    rows = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for edge in edges:
            rows[edge.target] = max(rows[edge.target], rows[edge.source] + 1)
    by_row: dict[int, list[str]] = {}
    for node in nodes:
        by_row.setdefault(rows[node], []).append(node)
    widest = max(len(row) for row in by_row.values())
    places = {}
    for row, members in by_row.items():
        start = MARGIN + NODE_WIDTH // 2 + (widest - len(members)) * COLUMN // 2
        for column, node in enumerate(members):
            places[node] = (start + column * COLUMN, MARGIN + row * ROW)
    return places


def _draw_node(drawing: Drawing, font: Font, node: str, place: tuple[int, int]) -> None:
    x, y = place
    box = _scaled((x - NODE_WIDTH / 2, y), (x + NODE_WIDTH / 2, y + NODE_HEIGHT))
    radius = (NODE_HEIGHT / 2 if _is_end(node) else 8) * SCALE
    drawing.rounded_rectangle(box, radius, fill=FILL, outline=INK, width=SCALE)
    middle = (x * SCALE, (y + NODE_HEIGHT / 2) * SCALE)
    drawing.text(middle, _label(node), fill=INK, font=font, anchor="mm")


def _draw_edge(drawing: Drawing, places: dict[str, tuple[int, int]], edge: Edge) -> None:
    (x0, y0), (x1, y1) = places[edge.source], places[edge.target]
    start, end = (x0, y0 + NODE_HEIGHT), (x1, y1)
    if y1 - y0 > ROW:  # past other rows: around them, at the side
        points = _curve(start, end, bend=COLUMN * 0.75 if x1 >= x0 else -COLUMN * 0.75)
    else:
        points = _curve(start, end, bend=0)
    scaled = [(x * SCALE, y * SCALE) for x, y in points]
    step = 2 if edge.conditional else 1  # dashed: every other stretch
    for i in range(0, len(scaled) - 1, step):
        drawing.line([scaled[i], scaled[i + 1]], fill=SOFT, width=SCALE)
    x, y = end[0] * SCALE, end[1] * SCALE
    tip = 6 * SCALE
    drawing.polygon([(x, y), (x - tip * 0.6, y - tip), (x + tip * 0.6, y - tip)], fill=SOFT)


def _curve(
    start: tuple[float, float], end: tuple[float, float], *, bend: float, steps: int = 40
) -> list[tuple[float, float]]:
    (x0, y0), (x3, y3) = start, end
    lean = (y3 - y0) * 0.5
    x1, y1, x2, y2 = x0 + bend, y0 + lean, x3 + bend, y3 - lean
    points = []
    for i in range(steps + 1):
        t = i / steps
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        points.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return points


def _scaled(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float, float, float]:
    return (a[0] * SCALE, a[1] * SCALE, b[0] * SCALE, b[1] * SCALE)


def _is_end(node: str) -> bool:
    return node.startswith("__")


def _label(node: str) -> str:
    return {"__start__": "START", "__end__": "END"}.get(node, node)


def _id(node: str) -> str:
    return _label(node).lower() + "_" if _is_end(node) else node
