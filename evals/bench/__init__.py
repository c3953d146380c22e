"""Benchmarks: what a turn costs, always beside a plain alternative in the same run."""
