"""all-MiniLM-L6-v2 in this process, by onnxruntime, off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import EmbeddingUnavailable
from core.text import scrub
from embeddings.base import QUERY_TOKENS, Encoded, Vector, Vectors
from embeddings.weights import PACKAGE, TOKENIZER, WEIGHTS, locate

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # has no stubs
    from tokenizers import Tokenizer

T = TypeVar("T")

GRAPH = Path(__file__).parent / "minilm.onnx"
MAX_TOKENS = 256  # with [CLS] and [SEP]; what the model was published with
REMEMBERED_QUERIES = 256  # recent questions: 15 KB each, 50 KB at most, plus the text


class MiniLM:
    """384 numbers a text: mean of the token vectors, unit length, cut at 256 tokens.

    Make it with `load`, once a process (about 0.4 s), and `close` it at the end.
    """

    name = "all-MiniLM-L6-v2"
    dimensions = 384

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._queries: OrderedDict[str, Future[Encoded]] = OrderedDict()

    @classmethod
    def load(cls, threads: int = 0, *, package: str = PACKAGE) -> Self:
        """Return the model, its weights verified and memory-mapped.

        threads: texts embedded at a time; 0 is one per core. Each text runs on one thread:
        two threads with a text each do more than two threads sharing one (55 against 50 a second).
        Raises EmbeddingUnavailable.
        """
        folder = locate(package)
        try:
            # On Linux too it reports to its makers at the first import, unless told not to.
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
            import onnxruntime  # half of the start-up time: only who loads pays
            from tokenizers import Tokenizer

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            # onnxruntime refuses external data behind a symlink (uv can install that way).
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path",
                str((folder / WEIGHTS).resolve().parent),
            )
            session = onnxruntime.InferenceSession(
                GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # onnxruntime and tokenizers raise bare Exceptions
            raise EmbeddingUnavailable(
                f"The embedding model could not be loaded: {error}",
                hint="Install the locked packages again; onnxruntime has no wheels for musl.",
            ) from error
        # The file asks for 128 tokens with padding; the model was published with 256 without.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(session, tokenizer, threads or _cores())

    async def query(self, text: str) -> Vector:
        """Return the vector (384,) of a question, from memory when it was asked lately."""
        return (await self.encoded_query(text)).vector

    async def encoded_query(self, text: str) -> Encoded:
        """Return a question with its tokens, from memory when it was asked lately.

        Two that ask for the same text at once share one computation.
        """
        future = self._queries.get(text)
        if future is None or future.cancelled() or (future.done() and future.exception()):
            future = self._queries[text] = self._pool.submit(self._encode, text, QUERY_TOKENS)
        self._queries.move_to_end(text)
        while len(self._queries) > REMEMBERED_QUERIES:
            self._queries.popitem(last=False)
        # The shield: whoever stops waiting must not cancel the computation for the others.
        return await asyncio.shield(asyncio.wrap_future(future))

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (n, 384) of `texts`, in their order."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for index, vector in enumerate(await self._each(self._embed, texts)):
            vectors[index] = vector
        return vectors

    async def encoded(self, texts: Sequence[str]) -> list[Encoded]:
        """Return `texts` with the vectors of their tokens: 768 bytes a token, 196 KB a text."""
        return await self._each(self._encode, texts)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the whole text, without [CLS] and [SEP]."""
        return len(self._tokenizer.encode(scrub(text), add_special_tokens=False).ids)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return where each token of the whole text lies: [start, stop) in characters."""
        return list(self._tokenizer.encode(scrub(text), add_special_tokens=False).offsets)

    def close(self) -> None:
        """Stop the threads; what is still waiting is cancelled."""
        self._pool.shutdown(cancel_futures=True)

    async def _each(self, make: Callable[[str], T], texts: Sequence[str]) -> list[T]:
        """Return what `make` returns for each text, made in the threads of the pool.

        At most one text per thread is in flight, so a query never waits for a whole document.
        """
        made: dict[int, T] = {}
        waiting = iter(enumerate(texts))
        loop = asyncio.get_running_loop()

        async def work() -> None:
            for index, text in waiting:
                made[index] = await loop.run_in_executor(self._pool, make, text)

        await asyncio.gather(*(work() for _ in range(min(self._threads, len(texts)))))
        return [made[index] for index in range(len(texts))]

    def _embed(self, text: str) -> Vector:
        """Return the vector of one text; runs in a thread of the pool."""
        return self._run(["embedding"], self._ids(text))[0]

    def _encode(self, text: str, most: int = MAX_TOKENS) -> Encoded:
        """Return one text with its first `most` tokens; runs in a thread of the pool."""
        ids = self._ids(text)
        vector, tokens = self._run(["embedding", "tokens"], ids)
        kept = np.array(tokens[:most], np.float16)  # a copy: a slice would hold on to the rest
        places = np.asarray(ids[:most], np.int32)
        for array in (kept, places):
            array.setflags(write=False)  # shared by everybody who asks for the same query
        return Encoded(vector, places, kept)

    def _ids(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(scrub(text)).ids
        if len(ids) > MAX_TOKENS:
            ids = [*ids[: MAX_TOKENS - 1], ids[-1]]  # [SEP] stays last
        return list(ids)

    def _run(self, outputs: list[str], ids: list[int]) -> list[NDArray[np.float32]]:
        try:
            found = self._session.run(outputs, {"ids": np.asarray(ids, np.int64)})
        except Exception as error:  # onnxruntime raises bare Exceptions
            raise EmbeddingUnavailable(f"The embedding model failed: {error}") from error
        arrays = [np.asarray(array, np.float32) for array in found]
        for array in arrays:
            array.setflags(write=False)
        return arrays


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
