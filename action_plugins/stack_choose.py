"""Choose a server's stack and its order of CVMFS servers on the controlling machine, without a connection.

The rules: neurobatch.choice, neurobatch.preflight.cvmfs.order.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from neurobatch import choice, scope, specs, stacks
from neurobatch.preflight import cvmfs


class ActionModule(ActionBase):  # type: ignore[misc]
    """Return stack (merged), why (a sentence), findings, cvmfs_servers and the record to write; or fail and say why."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"record", "answers", "strata"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Choose by the variables in scope, the server's `record`, the probe's `answers` and `strata`, or none."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        seen = task_vars or {}
        options = specs.settable(specs.load())
        names = (options.keys() & seen.keys()) & scope.NAMES
        values = {name: self._templar.template(seen[name]) for name in names}
        value = scope.reader(self._templar, values, options)
        wish = scope.wish(value)
        old, strata = self._task.args.get("record"), self._task.args.get("strata")
        try:
            chosen = choice.choose(wish, old, self._task.args.get("answers"))
        except stacks.StackError as error:
            return {**result, "failed": True, "msg": str(error)}
        servers, record = value("cvmfs_servers"), chosen.record
        if value("cvmfs_rank_servers"):
            kept = (old or {}).get("cvmfs_servers")
            asked = {"wanted": servers, "order": cvmfs.order(servers, kept, strata, time.time())}
            servers = asked["order"]
            # Only what was measured is remembered, and only on a server that has a stack, or gets one now.
            if strata is not None and asked != kept and (record or old):
                record = {**(record or old), "cvmfs_servers": asked}
        return {
            **result,
            "stack": chosen.stack,
            "why": chosen.why,
            "findings": [asdict(finding) for finding in chosen.findings],
            "cvmfs_servers": servers,
            "record": record,
        }
