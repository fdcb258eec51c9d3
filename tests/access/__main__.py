"""Boot a rehearsal with a cluster, provision it twice, try access to it, and take it down: ``make test-access``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.access.conftest import INSTANCE
from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.server import suite


def twice(instance: Instance) -> None:
    """Run site.yml, and again: the second run has nothing to do.

    Raises:
        Refusal: a run failed, or the second one changed something.
    """
    suite.provision(instance, what="site.yml, run 1")
    again = suite.provision(instance, what="site.yml, run 2")
    if again.recap()["changed"]:
        raise Refusal(f"the second run of site.yml changed something:\n{again.output[-4000:]}")


if __name__ == "__main__":
    folder = Path(__file__).parent
    sys.exit(suite.main(folder, twice, instance=INSTANCE, description=__doc__, stack="rehearsal-2.5.0"))
