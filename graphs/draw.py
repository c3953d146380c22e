"""Draws the graph as Mermaid text and as a PNG, both offline.

The layout is the layered one of Sugiyama et al. 1981: a node stands one row below the lowest node
that leads down to it, an arrow over several rows keeps a lane free in each, and every row is
ordered by where its neighbours stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

from langchain_core.runnables.graph import Graph
from PIL import Image, ImageDraw, ImageFont

from graphs import chat

BEGIN, END = "<!-- graph:begin -->", "<!-- graph:end -->"

SCALE = 2
NODE_WIDTH, NODE_HEIGHT, LANE_WIDTH, GAP, ROW, MARGIN = 130, 38, 24, 36, 84, 40
FONT_SIZE = 15
INK, PAPER, FILL, SOFT = "#1f2933", "#ffffff", "#e8f0fe", "#7b8794"
Point = tuple[float, float]
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
    places, ways = layout(nodes, edges)
    reach = [x for way in ways.values() for x, _ in way]
    width = max([*reach, *(x + NODE_WIDTH / 2 for x, _ in places.values())]) + MARGIN
    height = max(y for _, y in places.values()) + NODE_HEIGHT + MARGIN
    image = Image.new("RGB", (round(width * SCALE), round(height * SCALE)), PAPER)
    drawing = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE * SCALE)
    for edge, way in ways.items():
        _draw_edge(drawing, way, dashed=edge.conditional)
    for node in nodes:
        _draw_node(drawing, font, node, places[node])
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def layout(
    nodes: Sequence[str], edges: Sequence[Edge]
) -> tuple[dict[str, Point], dict[Edge, list[Point]]]:
    """Return the top centre of each node and the way of each edge, in pixels before scaling.

    An edge to a node that was defined before goes up; it is laid out as if it went down. One
    from a node to itself has no way.
    """
    order = {node: place for place, node in enumerate(nodes)}
    ends = {
        edge: tuple(sorted((edge.source, edge.target), key=order.__getitem__))
        for edge in edges
        if edge.source != edge.target
    }
    height = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for upper, lower in ends.values():
            height[lower] = max(height[lower], height[upper] + 1)
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for node in nodes:
        rows[height[node]].append(node)
    lanes: dict[Edge, list[str]] = {}
    for edge, (upper, lower) in ends.items():
        between = range(height[upper] + 1, height[lower])
        lanes[edge] = [f"{edge.source}>{edge.target}@{row}" for row in between]
        for row, lane in zip(between, lanes[edge], strict=True):
            rows[row].append(lane)
    chains = {edge: [upper, *lanes[edge], lower] for edge, (upper, lower) in ends.items()}
    _order(rows, [pair for chain in chains.values() for pair in pairwise(chain)])
    places = _place(rows, frozenset(nodes))
    ways = {}
    for edge, chain in chains.items():
        tops = [places[member] for member in chain]
        way = [(tops[0][0], tops[0][1] + NODE_HEIGHT)]
        for x, y in tops[1:-1]:
            way += [(x, y), (x, y + NODE_HEIGHT)]
        way.append(tops[-1])
        ways[edge] = way if chain[0] == edge.source else way[::-1]
    return {node: places[node] for node in nodes}, ways


def _order(rows: list[list[str]], links: list[tuple[str, str]]) -> None:
    """Order each row by the mean place of its neighbours, from the top and from the bottom."""
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            place = {m: i / max(1, len(r) - 1) for r in rows for i, m in enumerate(r)}
            mean = {}
            for member in row:
                near = [place[a] for a, b in links if b == member]
                near += [place[b] for a, b in links if a == member]
                mean[member] = sum(near) / len(near)
            row.sort(key=mean.__getitem__)


def _place(rows: list[list[str]], nodes: frozenset[str]) -> dict[str, Point]:
    """Return the top centre of every member; rows are centred, lanes are narrow."""
    widths = [[NODE_WIDTH if m in nodes else LANE_WIDTH for m in row] for row in rows]
    widest = max(sum(width) + GAP * (len(width) - 1) for width in widths)
    places = {}
    for number, (row, width) in enumerate(zip(rows, widths, strict=True)):
        x = MARGIN + (widest - sum(width) - GAP * (len(width) - 1)) / 2
        for member, wide in zip(row, width, strict=True):
            places[member] = (x + wide / 2, float(MARGIN + number * ROW))
            x += wide + GAP
    return places


def _draw_node(drawing: Drawing, font: Font, node: str, place: Point) -> None:
    x, y = place
    box = _scaled((x - NODE_WIDTH / 2, y), (x + NODE_WIDTH / 2, y + NODE_HEIGHT))
    radius = (NODE_HEIGHT / 2 if _is_end(node) else 8) * SCALE
    drawing.rounded_rectangle(box, radius, fill=FILL, outline=INK, width=SCALE)
    middle = (x * SCALE, (y + NODE_HEIGHT / 2) * SCALE)
    drawing.text(middle, _label(node), fill=INK, font=font, anchor="mm")


def _draw_edge(drawing: Drawing, way: list[Point], *, dashed: bool) -> None:
    line = [point for a, b in pairwise(way) for point in _curve(a, b)]
    scaled = [(x * SCALE, y * SCALE) for x, y in line]
    for number, stretch in enumerate(pairwise(scaled)):
        if not dashed or number // 3 % 2 == 0:
            drawing.line(stretch, fill=SOFT, width=SCALE)
    x, y = scaled[-1]
    tip = 6 * SCALE if way[0][1] < way[-1][1] else -6 * SCALE
    drawing.polygon([(x, y), (x - tip * 0.6, y - tip), (x + tip * 0.6, y - tip)], fill=SOFT)


def _curve(start: Point, end: Point, *, steps: int = 40) -> list[Point]:
    """Return a smooth way from one row down to the next; it leaves and arrives upright."""
    (x0, y0), (x1, y1) = start, end
    points = []
    for i in range(steps + 1):
        t = i / steps
        points.append((x0 + (x1 - x0) * t * t * (3 - 2 * t), y0 + (y1 - y0) * t))
    return points


def _scaled(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float, float, float]:
    return (a[0] * SCALE, a[1] * SCALE, b[0] * SCALE, b[1] * SCALE)


def _is_end(node: str) -> bool:
    return node.startswith("__")


def _label(node: str) -> str:
    return {"__start__": "START", "__end__": "END"}.get(node, node)


def _id(node: str) -> str:
    return _label(node).lower() + "_" if _is_end(node) else node
