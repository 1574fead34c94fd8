"""The work folder of a task: its paths, and a module for each kind of record."""
