"""The bodies of the generated rules: split, process and merge.

They are run as ``python -P -m psyrun.steps STEP …``.
"""
