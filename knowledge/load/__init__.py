"""From a file to its text: one module per kind of document, run in a process of their own."""
