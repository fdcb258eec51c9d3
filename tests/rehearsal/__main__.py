"""Entry point of ``python -m tests.rehearsal``."""

import sys

from tests.rehearsal.cli import main

sys.exit(main())
