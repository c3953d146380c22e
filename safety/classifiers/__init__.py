"""Linear models over a text's embedding, its words and marks: what they see, how they learn."""
