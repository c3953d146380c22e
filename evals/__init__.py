"""How good are the answers, and what do they cost: cases as data, scorers, benchmarks, reports."""
