"""Flags as Minikube takes them: `--name=value`, `--name value`, `-x value`, and MINIKUBE_NAME in the environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .outcome import FAILURE, Exit

TEXT, SWITCH, LIST = "text", "switch", "list"


@dataclass(frozen=True)
class Flag:
    """A flag that a command takes.

    Attributes:
        name: without dashes.
        kind: `text` (one value), `switch` (true or false) or `list` (values with commas, or given again).
        short: its one letter, or nothing.
        values: the only values taken, or () for any.
    """

    name: str
    kind: str = TEXT
    short: str = ""
    values: tuple[str, ...] = ()


PROFILE = Flag("profile", short="p")
START = (
    PROFILE,
    Flag("driver", values=("docker",)),
    Flag("container-runtime", short="c", values=("containerd",)),
    Flag("kubernetes-version"),
    Flag("cpus"),
    Flag("memory", short="m"),
    Flag("base-image"),
    Flag("image-repository"),
    Flag("ports", LIST),
    Flag("listen-address"),
    Flag("mount", SWITCH),
    Flag("mount-string"),
    Flag("apiserver-ips", LIST),
    Flag("apiserver-names", LIST),
    Flag("wait", LIST),
    Flag("wait-timeout"),
    Flag("interactive", SWITCH),
    Flag("preload", SWITCH),
    Flag("cache-images", SWITCH),
    Flag("install-addons", SWITCH),
    Flag("keep-context", SWITCH),
    Flag("embed-certs", SWITCH),
    Flag("delete-on-failure", SWITCH, values=("false",)),
    Flag("force", SWITCH),
    Flag("output", short="o", values=("text", "json")),
)
COMMANDS: dict[str, tuple[Flag, ...]] = {
    "version": (Flag("short", SWITCH), Flag("output", short="o", values=("json",))),
    "start": START,
    "status": (PROFILE, Flag("output", short="o", values=("text", "json"))),
    "stop": (PROFILE, Flag("output", short="o", values=("text", "json"))),
    "delete": (PROFILE, Flag("output", short="o", values=("text", "json"))),
    "ip": (PROFILE,),
    "ssh": (PROFILE, Flag("native-ssh", SWITCH)),
    "kubectl": (PROFILE,),
    "image load": (PROFILE, Flag("daemon", SWITCH)),
    "image ls": (PROFILE, Flag("format", values=("short",))),
    "image pull": (PROFILE,),
    "profile list": (PROFILE, Flag("output", short="o", values=("table", "json")), Flag("light", SWITCH, short="l")),
    "update-context": (PROFILE,),
    "logs": (PROFILE, Flag("length", short="n"), Flag("file")),
}
WITH_ARGUMENTS = ("ssh", "kubectl", "image load", "image pull")


@dataclass
class Call:
    """A command line, read.

    Attributes:
        command: one of COMMANDS.
        given: values by flag name; only those that were given (in the environment counts).
        arguments: what follows the flags.
    """

    command: str
    given: dict[str, str | list[str]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """Return a flag's value."""
        value = self.given.get(name, default)
        return ",".join(value) if isinstance(value, list) else value

    def listed(self, name: str) -> list[str]:
        """Return the values of a list flag."""
        value = self.given.get(name, [])
        return value if isinstance(value, list) else [value]

    def on(self, name: str, default: bool = False) -> bool:
        """Return a switch."""
        return self.text(name, "true" if default else "false") == "true"


def refuse(message: str) -> Exit:
    """Say what is not taken, as cobra does, and return the end with code 1."""
    print(f"Error: {message}", file=sys.stderr)
    return Exit(FAILURE)


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Call:
    """Read a command line.

    Raises:
        Exit: a command, a flag or a value that the stand-in does not take; it has been said.
    """
    words = list(argv)
    name = _command(words)
    call = Call(name)
    flags = COMMANDS[name]
    for flag in flags:
        value = environ.get(f"MINIKUBE_{flag.name.upper().replace('-', '_')}")
        if value and flag.name != "profile":
            _store(call, flag, value)
    if "profile" in {flag.name for flag in flags} and environ.get("MINIKUBE_PROFILE"):
        call.given["profile"] = environ["MINIKUBE_PROFILE"]
    seen: set[str] = set()
    while words:
        word = words.pop(0)
        if word == "--":
            call.arguments += words
            break
        if not word.startswith("-") or word == "-":
            call.arguments.append(word)
            if name in ("ssh", "kubectl"):
                call.arguments += words
                break
            continue
        flag, value = _flag(name, flags, word, words)
        if flag.name not in seen:
            call.given.pop(flag.name, None)
        seen.add(flag.name)
        _store(call, flag, value)
    if call.arguments and name not in WITH_ARGUMENTS:
        raise refuse(f'unknown argument "{call.arguments[0]}" for "minikube {name}"')
    return call


def _command(words: list[str]) -> str:
    """Take the command's words off the front, wherever `-p NAME` stands."""
    front: list[str] = []
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-p", "--profile") and words:
            front += [word, words.pop(0)]
        elif word.startswith(("--profile=", "-p")):
            front.append(word)
        else:
            raise refuse(f"unknown flag: {word}")
    if not words:
        raise refuse(f"a command is needed, one of: {', '.join(COMMANDS)}")
    name = words.pop(0)
    if f"{name} " in {f"{command.split()[0]} " for command in COMMANDS if " " in command}:
        if not words:
            raise refuse(f'"minikube {name}" needs a command')
        name = f"{name} {words.pop(0)}"
    if name not in COMMANDS:
        raise refuse(f'unknown command "{name}" for "minikube" (a stand-in that takes: {", ".join(COMMANDS)})')
    words[:0] = front
    return name


def _flag(command: str, flags: Sequence[Flag], word: str, words: list[str]) -> tuple[Flag, str]:
    """Return the flag that a word names and its value, taken from the next word where needed."""
    name, equals, value = word.partition("=")
    if not name.startswith("--") and len(name) > 2:
        name, equals, value = name[:2], "=", word[2:].removeprefix("=")
    flag = next((each for each in flags if name in (f"--{each.name}", each.short and f"-{each.short}")), None)
    if flag is None:
        raise refuse(f"unknown flag: {name}\n(`minikube {command}` of this stand-in takes: {_listed(flags)})")
    if not equals and flag.kind == SWITCH:
        return flag, "true"
    if not equals:
        if not words:
            raise refuse(f"flag needs an argument: {name}")
        value = words.pop(0)
    return flag, value


def _listed(flags: Sequence[Flag]) -> str:
    return ", ".join(f"--{flag.name}" for flag in flags)


def _store(call: Call, flag: Flag, value: str) -> None:
    """Keep a value.

    Raises:
        Exit: the flag does not take it.
    """
    if flag.kind == SWITCH:
        value = {"1": "true", "t": "true", "0": "false", "f": "false"}.get(value.lower(), value.lower())
        if value not in ("true", "false"):
            raise refuse(f'invalid argument "{value}" for "--{flag.name}" flag: a boolean is needed')
    if flag.values and value not in flag.values:
        raise refuse(f'this stand-in takes --{flag.name}={" or ".join(flag.values)} only, not "{value}"')
    if flag.kind == LIST:
        have = call.given.setdefault(flag.name, [])
        assert isinstance(have, list)  # lists are stored by this function only
        have += [part for part in value.split(",") if part]
    else:
        call.given[flag.name] = value
