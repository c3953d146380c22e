"""Tests of knowledge/chunk."""
