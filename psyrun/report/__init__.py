"""Pictures of sweeps: plots in the terminal and in files.

They are public as `psyrun.plot` and as the command ``psy plot``.
"""
