"""Resolve a stack on the controlling machine, without a connection to any host. The rules: neurobatch.stacks."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from neurobatch import stacks


class ActionModule(ActionBase):  # type: ignore[misc]
    """Return the merged stack under `stack`, or fail with one sentence."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"name", "stack_dirs"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resolve the stack `name` in the shipped directory and in `stack_dirs`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result["stack"] = stacks.resolve(self._task.args["name"], self._task.args.get("stack_dirs", []))
        except stacks.StackError as error:
            result.update(failed=True, msg=str(error))
        return result
