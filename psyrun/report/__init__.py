"""Pictures of sweeps: plots in the terminal and in files, and a page of HTML.

Plots are public as `psyrun.plot` and as the command ``psy plot``, the page as ``psy
report``.
"""
