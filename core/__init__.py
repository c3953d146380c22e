"""The words everyone shares: turn state, events, errors, settings, telemetry; imports nothing of ours."""
