from __future__ import annotations

import subprocess
import sys


def test_check() -> None:
    """`python -m embeddings graph --check` agrees with the file in the repository."""
    command = [sys.executable, "-m", "embeddings", "graph", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("minilm.onnx: ")
