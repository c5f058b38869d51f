"""Faults injected into real servers, by seeds, and what must hold afterwards; `make soak` runs it."""
