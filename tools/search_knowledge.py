"""The knowledge base as a tool: what the caller may read, with where it stands."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from core.text import scrub
from core.turn import Passage
from db.pool import Database
from knowledge.filter import Filter, Reader
from knowledge.search import Search
from tools.tool import Caller, Declaration, Output, Tool, typed

DESCRIPTION = (
    "Searches the documents that the user may read, by meaning and by words. "
    "Returns passages, the best first, each with its source."
)


class Question(BaseModel):
    """What is looked for."""

    query: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(scrub)]
    limit: Annotated[int, Field(ge=1, le=20)] = 5


def tool(database: Database, search: Search) -> Tool:
    """Return the tool. Whoever wrote the documents is a stranger to whoever acts on them."""

    async def run(question: Question, caller: Caller, key: str) -> Output:
        found = await search(
            database,
            question.query,
            tenant_id=caller.tenant_id,
            limit=question.limit,
            filter=Filter(reader=Reader(caller.user_id, caller.groups)),
        )
        text = "\n\n".join(written(number, passage) for number, passage in enumerate(found, 1))
        sources = tuple(dict.fromkeys(passage["uri"] for passage in found))
        return Output(text or "Nothing was found.", sources=sources)

    declaration = Declaration("none", "pure", reads_private=True, reads_untrusted=True)
    return typed("search_knowledge", DESCRIPTION, Question, run, declaration)


def written(number: int, passage: Passage) -> str:
    """Return a passage under a heading that says where it stands."""
    place = [passage["title"] or passage["uri"]]
    if passage["section"]:
        place.append(passage["section"])
    if passage["page"] is not None:
        place.append(f"page {passage['page']}")
    return f"[{number}] {', '.join(place)} ({passage['uri']})\n{passage['text']}"
