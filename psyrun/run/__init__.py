"""One run, from prepared tasks to the summary."""
