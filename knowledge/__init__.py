"""Documents become passages, passages get found."""
