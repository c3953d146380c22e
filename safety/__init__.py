"""Guards over the text that goes in and comes out; guardrails-ai lives here only."""
