"""Benchmarks against programs that nobody here wrote; `make bench` runs them."""
