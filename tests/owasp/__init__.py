"""One file for each item of the OWASP Top 10 for LLM applications (2025), named after it.

Each shows what stands in the way of it, in a real turn in a real database. More of the same is in
the tests of the rooms; these are for whoever asks "and what about LLM07?".
"""
