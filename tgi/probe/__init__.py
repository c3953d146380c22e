"""Finds out which model server stands at an address, and what of Parley's needs holds there."""
