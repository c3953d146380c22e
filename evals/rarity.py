"""Count how rare the tokens of the embedding model are, for embeddings/rarity.py.

Only articles of the fitted half are counted; of silent tokens only the vocabulary is looked at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tokenizers import Tokenizer

from core.split import in_first_half
from embeddings.rarity import FILE
from embeddings.weights import TOKENIZER, locate
from evals.cases import read


def main(
    data: Annotated[
        list[Path], typer.Option(exists=True, file_okay=False, help="Folder of a set.")
    ],
    output: Annotated[Path, typer.Option(help="Where the table goes.")] = FILE,
) -> None:
    """Write the table: ln(1 + (N - n + .5) / (n + .5)) of each token, in sixteenths."""
    tokenizer = Tokenizer.from_file(str(locate() / TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    size = tokenizer.get_vocab_size()
    silent = np.array([says_nothing(tokenizer.id_to_token(n) or "") for n in range(size)])
    counts, texts = np.zeros(size), 0
    for folder in data:
        for row in read(folder, "corpus"):
            if in_first_half(row["title"]):
                counts[np.unique(tokenizer.encode(f"{row['title']}\n{row['text']}").ids)] += 1
                texts += 1
    rarity = np.log1p((texts - counts + 0.5) / (counts + 0.5))
    np.savez_compressed(output, rarity=np.rint(rarity * 16).astype(np.uint8), silent=silent)
    print(f"{output.name}: {texts} passages, {int((counts > 0).sum())} of {size} tokens seen")


def says_nothing(token: str) -> bool:
    """Return whether a token is a special one or has neither letter nor digit."""
    special = re.fullmatch(r"\[.*\]", token) is not None
    return special or not re.search(r"\w", token.removeprefix("##"))


if __name__ == "__main__":
    typer.run(main)
