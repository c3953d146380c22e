from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import EmbeddingUnavailable
from embeddings.base import Embedder
from embeddings.minilm import MAX_TOKENS, MiniLM
from embeddings.weights import PACKAGE, WEIGHTS, locate

# First six numbers, as printed by sentence-transformers 6.2.0 on torch 2.13.0 (CPU) with the
# model of the package. The first text is the model card's own example, whose values
# (0.0677, 0.0635, 0.0487, 0.0793, 0.0374, 0.0027) other projects publish too.
REFERENCE = {
    "This is an example sentence": [0.067657, 0.063496, 0.048713, 0.079305, 0.037448, 0.002653],
    "hello world": [-0.034477, 0.031023, 0.006735, 0.026109, -0.039362, -0.160302],
    "Die Straße führt nach Zürich 🚲, naïve café — 東京": [
        0.063607, 0.061932, 0.0603, 0.005676, 0.022896, 0.01505,
    ],
    "word " * 400: [-0.008124, -0.095586, -0.038673, 0.049662, -0.043794, 0.02372],
}  # fmt: skip


@pytest.mark.parametrize("text", REFERENCE)
async def test_reference(embedder: MiniLM, text: str) -> None:
    """Vectors are those of sentence-transformers, also beyond ASCII and beyond 256 tokens."""
    vector = await embedder.query(text)
    np.testing.assert_allclose(vector[:6], REFERENCE[text], atol=2e-6)


async def test_unit_length(embedder: MiniLM) -> None:
    """Vectors are float32, (texts, 384), of unit length, also for the empty text."""
    vectors = await embedder.passages(["", "a", "a b c " * 500])
    assert vectors.shape == (3, embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


async def test_batch_independence(embedder: MiniLM) -> None:
    """A text's vector is the same, bit by bit, alone and among others, as query and as passage."""
    texts = ["short", "a much longer text about rivers " * 20, "x"]
    together = await embedder.passages(texts)
    for text, row in zip(texts, together, strict=True):
        assert np.array_equal((await embedder.passages([text]))[0], row)
        assert np.array_equal(await embedder.query(text), row)


async def test_no_texts(embedder: MiniLM) -> None:
    """No texts make no vectors."""
    assert (await embedder.passages([])).shape == (0, 384)


async def test_meaning(embedder: MiniLM) -> None:
    """A paraphrase without a common word is nearer than a sentence about something else."""
    query, near, far = await embedder.passages(
        [
            "How do I fix a flat bicycle tyre?",
            "Repairing punctures in wheels",
            "The king was crowned",
        ]
    )
    assert query @ near > query @ far + 0.2


async def test_truncation(embedder: MiniLM) -> None:
    """Vectors read the first 256 tokens with [CLS] and [SEP]; what follows changes nothing."""
    most = MAX_TOKENS - 2
    exact, longer, shorter = await embedder.passages(
        ["river " * most, "river " * most + "king " * 50, "river " * (most - 1) + "king"]
    )
    assert np.array_equal(exact, longer)
    assert not np.array_equal(exact, shorter)


async def test_loop_is_free(embedder: MiniLM) -> None:
    """The event loop goes on turning while texts are embedded."""
    turns = 0
    done = asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await embedder.passages(["a long text about the sea " * 40] * 8)
    done.set()
    await turning
    assert turns > 8 * 2  # more often than the embedding itself came back to the loop


async def test_query_remembers(embedder: MiniLM) -> None:
    """A question asked again, or by two at once, is embedded once and gives the same array."""
    first, second = await asyncio.gather(
        embedder.query("asked twice"), embedder.query("asked twice")
    )
    assert first is second
    assert await embedder.query("asked twice") is first
    assert not first.flags.writeable


async def test_cancelled_query(embedder: MiniLM) -> None:
    """Who stops waiting for a vector does not take it from the others."""
    impatient = asyncio.create_task(embedder.query("asked by two, left by one"))
    patient = asyncio.create_task(embedder.query("asked by two, left by one"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).shape == (384,)
    assert impatient.cancelled()


async def test_weird_text(embedder: MiniLM) -> None:
    """No text is refused: lone surrogates, NUL, controls, emoji, combining marks, one huge word."""
    texts = ["\ud800", "\x00\x01\x7f", "👩‍👩‍👧‍👦 \u202e\u0301", "a" * 50_000, "[SEP] [PAD] [CLS]"]
    assert np.isfinite(await embedder.passages(texts)).all()


def test_tokens(embedder: MiniLM) -> None:
    """Tokens are counted over the whole text, and each says where it lies."""
    text = "Zürich, unbelievably!"
    spans = embedder.offsets(text)
    assert len(spans) == embedder.count_tokens(text)
    assert [text[a:b] for a, b in spans] == ["Zürich", ",", "un", "bel", "ie", "va", "bly", "!"]
    assert embedder.count_tokens("word " * 5000) == 5000
    assert embedder.count_tokens("") == 0


def test_is_an_embedder(embedder: MiniLM) -> None:
    """MiniLM is an Embedder."""
    assert isinstance(embedder, Embedder)


def test_package_missing() -> None:
    """Without the package that carries the weights the error says what to do."""
    with pytest.raises(EmbeddingUnavailable, match="not_installed_here") as caught:
        MiniLM.load(package="not_installed_here")
    assert "requirements.lock" in (caught.value.hint or "")


def test_weights_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without its weights is refused by name."""
    _package(tmp_path, monkeypatch, "gt_hollow")
    with pytest.raises(EmbeddingUnavailable, match=WEIGHTS):
        MiniLM.load(package="gt_hollow")


def test_wrong_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are not the published ones are refused, whatever the package is called."""
    folder = _package(tmp_path, monkeypatch, "gt_tampered")
    (folder / WEIGHTS).write_bytes(b"not the model")
    with pytest.raises(EmbeddingUnavailable, match="SHA-256"):
        MiniLM.load(package="gt_tampered")


async def test_symlinked_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose files are symlinks, as uv can install it, works."""
    folder = _package(tmp_path, monkeypatch, "gt_linked")
    for file in locate().iterdir():
        (folder / file.name).symlink_to(file)
    model = MiniLM.load(1, package="gt_linked")
    try:
        assert (await model.query("hello world"))[0] == pytest.approx(-0.034477, abs=2e-6)
    finally:
        model.close()


def test_package_not_imported() -> None:
    """Loading never imports the package, and importing the module loads neither runtime."""
    script = (
        "import sys, embeddings.minilm as m\n"
        "assert not {'onnxruntime', 'tokenizers', 'torch'} & set(sys.modules)\n"
        f"m.MiniLM.load(1).close()\nassert {PACKAGE!r} not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Return the empty model folder of a package on the import path."""
    folder = tmp_path / name / "model"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("raise ImportError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder
