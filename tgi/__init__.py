"""The model servers: chat model, profiles, failures, the embedded server."""
