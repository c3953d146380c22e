"""A scripted model as a child process, started like the embedded server."""

from __future__ import annotations

import sys

from tests.tgi.scripted import ScriptedModel
from tgi.embedded.serve import announce, end_with_parent, listen, serve
from tgi.embedded.server import create_app

if __name__ == "__main__":
    end_with_parent(sys.stdin.fileno())
    bound = listen("127.0.0.1", 0)
    announce(bound)
    serve(create_app(ScriptedModel()), bound)
