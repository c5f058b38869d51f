"""The test suite: behaviour against real servers."""
