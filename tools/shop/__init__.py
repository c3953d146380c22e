"""A small shop: orders to look up, refund, cancel and send elsewhere, and tickets to open."""
