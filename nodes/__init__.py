"""One step of a turn per module, its prompts beside it."""
