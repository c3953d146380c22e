"""Turns as Langfuse traces; needs a self-hosted Langfuse 4.59 or later."""

from core.langfuse.build import tracer

__all__ = ["tracer"]
