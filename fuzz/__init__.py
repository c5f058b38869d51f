"""Damaged mail in any quantity, and what must hold for each; `make fuzz` runs it."""
