"""The command ``psy``, as ``python -m psyrun.cli``."""

import sys

from psyrun.cli.main import main

sys.exit(main())
