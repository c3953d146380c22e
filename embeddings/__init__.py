"""Text becomes vectors: the embedding model, and the graph file that runs it without torch."""
