"""What is to be done for a task: its plan and its Snakefile."""
