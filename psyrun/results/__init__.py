"""What came out of a run, for its analysis."""
