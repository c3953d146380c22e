"""HTTP services as tools: only operations that the operator declared, each with its effect."""
