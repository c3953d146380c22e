"""Tools of MCP servers that the operator configured: nothing about them is trusted untold."""
