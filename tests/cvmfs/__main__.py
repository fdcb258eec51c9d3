"""Boot a rehearsal with a cluster, give it the tools, try them, and take it down: ``make test-cvmfs``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cvmfs.conftest import INSTANCE, ROLES
from tests.rehearsal.instance import Instance
from tests.server import suite


def up_to_the_tools(instance: Instance) -> None:
    """Run the roles up to the tools."""
    suite.provision(instance, "--tags", ROLES, what="site.yml, up to the tools")


if __name__ == "__main__":
    sys.exit(suite.main(Path(__file__).parent, up_to_the_tools, instance=INSTANCE, description=__doc__))
