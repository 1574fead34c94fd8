"""Processes: how they start, what they load and change, and how they end."""
