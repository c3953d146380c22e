"""What a large corpus takes: hours, disks and memory, calculated from measured rates."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from core.errors import SettingsInvalid

GIB = 1 << 30
HOUR = 3600
HNSW_MEASURED_CHUNKS = 6_400  # how large the index was when its rate was measured


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured once; docs/guides/scale.md says how. Bytes are per chunk, where nothing else is."""

    tokens_per_core_second: float = 5_000.0  # the embedding model alone, with its token vectors
    share_outside_model: float = 0.16  # of a worker's time: reading, cutting, packing, sending
    index_chunks_per_core_second: float = 500.0  # HNSW in Postgres, m 16, ef_construction 200
    document_bytes: float = 600.0  # of a document, with its indexes
    row_bytes: float = 1_000.0  # vector, digest and what Postgres adds, without text and `late`
    text_bytes_per_token: float = 4.8
    vector_index_bytes: float = 1_183.0  # HNSW over 384 half-precision numbers
    keyword_bytes: float = 460.0  # packed postings
    other_index_bytes: float = 200.0  # keys, digests
    late_bytes_per_token: float = 49.0  # signs of 384 numbers, and what Postgres adds

    @classmethod
    def measured(cls, path: Path, *, cores: int, tokens_per_chunk: float) -> Self:
        """Return the rates with what a report of `python -m evals bench ingest --json` says.

        cores: of the machine that was measured. tokens_per_chunk: of what was embedded there.
        Raises SettingsInvalid for a file that is no such report.
        """
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            model = float(report["model_alone.chunks_per_second"])
            share = float(report["first.share_outside_model"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsInvalid(
                f"{path} is no report of `python -m evals bench ingest --json`."
            ) from error
        if model <= 0 or not share < 1:
            raise SettingsInvalid(f"{path} holds rates that cannot be.")
        # On a noisy machine the share can come out below nothing.
        return replace(
            cls(),
            tokens_per_core_second=model * tokens_per_chunk / cores,
            share_outside_model=max(share, 0.0),
        )


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is to be ingested, and on what."""

    documents: int
    chunks_per_document: float = 8.0
    tokens_per_chunk: float = 200.0
    machine_gib: float = 64.0  # memory of a machine
    usable_share: float = 0.75  # of it: the rest is for the system, connections and sorting
    disk_spare: float = 1.5  # room to vacuum, to write ahead and to grow


@dataclass(frozen=True, slots=True)
class Assumed:
    """Not measured by us. Replace them with what you measure."""

    gpu_chunks_per_second: float = 2_000.0  # Text Embeddings Inference, one GPU of 24 GB
    qdrant_overhead: float = 1.5  # of memory over bare vectors, as its makers advise
    qdrant_payload_bytes: float = 400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes."""

    chunks: int
    embedding_core_hours: float
    other_core_hours: float  # of the workers, beside the model
    index_core_hours: float  # of Postgres, building the vector index as chunks come
    hours_by_cores: dict[int, float]
    hours_by_gpus: dict[int, float]  # from an assumed rate
    disk_gib: dict[str, float]
    disk_with_spare_gib: float
    postgres_memory_gib: float  # vector index and keywords in memory
    postgres_fits: bool  # into one machine; Postgres is never spread over several
    qdrant_memory_gib: float  # from assumed factors
    qdrant_machines: int


def plan(
    corpus: Corpus,
    rates: Rates,
    *,
    cores: Sequence[int] = (16, 64, 256),
    gpus: Sequence[int] = (1, 4),
    assumed: Assumed | None = None,
) -> Plan:
    """Return what a corpus takes.

    hours = tokens / (rate of a core * cores) / (1 - share outside the model) / 3600
    The vector index is built by Postgres meanwhile; where that takes longer on a quarter as many
    cores, it decides. Inserting into HNSW costs the logarithm of its size.
    """
    assumed = assumed or Assumed()
    chunks = math.ceil(corpus.documents * corpus.chunks_per_document)
    embedding = chunks * corpus.tokens_per_chunk / rates.tokens_per_core_second / HOUR
    working = embedding / (1 - rates.share_outside_model)
    slower = max(1.0, math.log(max(chunks, 2)) / math.log(HNSW_MEASURED_CHUNKS))
    indexing = chunks / rates.index_chunks_per_core_second * slower / HOUR
    outside = working - embedding
    disk = {
        "documents": rates.document_bytes / corpus.chunks_per_document,
        "text and vectors": rates.row_bytes + rates.text_bytes_per_token * corpus.tokens_per_chunk,
        "vector index": rates.vector_index_bytes,
        "keywords": rates.keyword_bytes,
        "other indexes": rates.other_index_bytes,
        "token vectors": rates.late_bytes_per_token * corpus.tokens_per_chunk,
    }
    disk_gib = {name: size * chunks / GIB for name, size in disk.items()}
    memory = disk_gib["vector index"] + disk_gib["keywords"]
    qdrant = chunks * (2 * 384 * assumed.qdrant_overhead + assumed.qdrant_payload_bytes) / GIB
    usable = corpus.machine_gib * corpus.usable_share
    return Plan(
        chunks=chunks,
        embedding_core_hours=embedding,
        other_core_hours=outside,
        index_core_hours=indexing,
        hours_by_cores={n: max(working / n, indexing / max(1.0, n / 4)) for n in cores},
        # The cores beside the GPUs do the rest; sixteen each is what such machines have.
        hours_by_gpus={
            n: max(
                chunks / assumed.gpu_chunks_per_second / n / HOUR, (outside + indexing) / (16 * n)
            )
            for n in gpus
        },
        disk_gib=disk_gib,
        disk_with_spare_gib=sum(disk_gib.values()) * corpus.disk_spare,
        postgres_memory_gib=memory,
        postgres_fits=memory <= usable,
        qdrant_memory_gib=qdrant,
        qdrant_machines=max(1, math.ceil(qdrant / usable)),
    )


def described(found: Plan) -> dict[str, Any]:
    """Return a plan as JSON."""
    return asdict(found)
