"""The words everyone shares: turn state, events, errors, settings; imports nothing of ours."""
