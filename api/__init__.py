"""What faces the world: HTTP, SSE; the only place that reads settings and builds things."""
