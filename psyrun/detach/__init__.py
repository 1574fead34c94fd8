"""Runs that go on without the terminal that started them, and how to follow them."""
