"""What Parley can do besides answering: typed functions, each with a declaration of its effects."""
