"""Choose a server's stack on the controlling machine, without a connection. The rules: neurobatch.choice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from neurobatch import choice, scope, specs, stacks


class ActionModule(ActionBase):  # type: ignore[misc]
    """Return stack (merged), why (a sentence), findings (maps) and the record to write; or fail with a sentence."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"record", "answers"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Choose by the variables in scope, the server's `record` and the probe's `answers` (both may be none)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        seen = task_vars or {}
        options = specs.settable(specs.load())
        names = (options.keys() & seen.keys()) & scope.NAMES
        values = {name: self._templar.template(seen[name]) for name in names}
        wish = scope.wish(scope.reader(self._templar, values, options))
        try:
            chosen = choice.choose(wish, self._task.args.get("record"), self._task.args.get("answers"))
        except stacks.StackError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {
            **result,
            "stack": chosen.stack,
            "why": chosen.why,
            "findings": [asdict(finding) for finding in chosen.findings],
            "record": chosen.record,
        }
