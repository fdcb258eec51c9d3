"""Values of the roles' variables as one host sees them, for action plugins: what the inventory says, or the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.template import trust_as_template

from neurobatch import stacks
from neurobatch.choice import Wish
from neurobatch.needs import Doors
from neurobatch.specs import Option

Value = Callable[[str], Any]
#: What decides which stack and which order of CVMFS servers a server gets, and the way that its downloads take.
NAMES = frozenset(
    {"artifact_mirror", "cvmfs_rank_servers", "cvmfs_servers", "neurodesktop_image", "neurodesktop_repo",
     "pip_index_url", "proxy_exceptions", "proxy_url", "registry_mirrors", "stack", "stack_dirs", "stack_fallback"}
)  # fmt: skip


def reader(templar: Any, values: Mapping[str, Any], options: Mapping[str, Option]) -> Value:
    """Return what gives a variable's value, or its documented default.

    Args:
        templar: Ansible's, of the task.
        values: those that are set, templated.
        options: `neurobatch.specs.settable`.
    """

    def value(name: str) -> Any:
        if name in values:
            return values[name]
        default = options[name].spec.get("default")
        return templar.template(trust_as_template(default)) if isinstance(default, str) else default

    return value


def doors(value: Value) -> Doors:
    """Return the way out that the variables describe."""
    return Doors(
        artifact_mirror=value("artifact_mirror"),
        registry_mirrors=value("registry_mirrors"),
        pip_index_url=value("pip_index_url"),
        proxy_url=value("proxy_url"),
        proxy_exceptions=tuple(value("proxy_exceptions")),
        repo=value("neurodesktop_repo"),
        image=value("neurodesktop_image"),
    )


def wish(value: Value) -> Wish:
    """Return which stack the variables ask for."""
    folders = value("stack_dirs")
    return Wish(value("stack"), value("stack_fallback"), doors(value), lambda name: stacks.resolve(name, folders))
