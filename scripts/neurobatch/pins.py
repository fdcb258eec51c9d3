"""Fill the hashes and digests of a stack file where there is a network, leaving its comments and its order alone.

What is written was computed here from a whole download; where the publisher gives a sum, it was compared first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from neurobatch import needs, stacks
from neurobatch.doors import through
from neurobatch.images import qualified
from neurobatch.mirrors import Mirror, MirrorError, read
from neurobatch.remote import fetch
from neurobatch.remote.network.door import Door
from neurobatch.remote.network.probe import answers

#: The folder of KFP's archive that is used, and over which its pin is computed.
TREE = "manifests/kustomize"


class PinError(RuntimeError):
    """A pin cannot be computed; the text is one sentence with the remedy."""


class Source:
    """Where to download from: the doors of the machine that this runs on."""

    def __init__(self, artifact_mirror: str = "", mirrors: Mapping[str, Mirror] | None = None, proxy: str = "") -> None:
        """Keep the settings; nothing is asked yet."""
        self.artifact_mirror, self.mirrors, self.proxy = artifact_mirror, mirrors or {}, proxy

    def value(self, key: str, stack: Mapping[str, Any]) -> str:
        """Return the pin for one key of a stack, from a download.

        Raises:
            PinError: it cannot be had, or is not what its publisher says.
        """
        if key == "neurodesktop.base_image_digest":
            return self._digest(stack["neurodesktop"]["base_image"])
        if key == "kubeflow_pipelines.tree_sha256":
            return self._file(stack["kubeflow_pipelines"]["url"], "", tree=TREE)
        tool = stack["tools"][key.split(".")[1]]
        return self._file(tool["url"], tool["sum_url"] or "")

    def _file(self, url: str, sum_url: str, tree: str = "") -> str:
        door = Door(self.proxy, [], fetch.SILENCE)
        address = through(url, self.artifact_mirror)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "download"
            try:
                found = fetch.download(door, address, target)
                published = fetch.published_sum(door, through(sum_url, self.artifact_mirror)) if sum_url else found
                if tree:
                    unpacked = Path(folder) / "tree"
                    fetch.unpack({"url": address, "tree": tree, "sha256": None}, target, unpacked)
                    return fetch.tree_sum(unpacked)
            except SystemExit as refusal:  # how a program on a server ends with a sentence
                raise PinError(str(refusal)) from None
        if found != published:
            raise PinError(f"{address} has SHA-256 {found}, but its publisher says {published}: do not use this file")
        return found

    def _digest(self, image: str) -> str:
        name = qualified(image)
        settings = {
            host: {"url": mirror.url, "username": mirror.username, "password": mirror.password, "ca": mirror.ca}
            for host, mirror in self.mirrors.items()
        }
        target = {"id": name, "image": name}
        answer = answers({"targets": [target], "registries": settings, "proxy": self.proxy})[name]
        if not answer.get("digest"):
            reason = answer.get("detail") or "its registry names no digest"
            raise PinError(f"the digest of {name} cannot be had ({reason}): give a mirror with --registry-mirror")
        return str(answer["digest"])


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a stack file's text with ``values`` (dotted key to text) in place of what stands there now.

    Raises:
        KeyError: the file has no such key.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    edits = []
    for key, value in values.items():
        node: Any = root
        for part in key.split("."):
            children = {name.value: child for name, child in node.value}
            node = children[part]
        edits.append((node.start_mark.index, node.end_mark.index, value))
    for start, end, value in sorted(edits, reverse=True):
        text = f"{text[:start]}{value}{text[end:]}"
    return text


def holds(text: str, key: str) -> bool:
    """Tell whether a stack file itself has a key, whatever its parent has."""
    data: Any = yaml.safe_load(text)
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def pin(name: str, stack_dirs: Sequence[str], source: Source, *, check: bool = False) -> int:
    """Fill what a stack lacks and say so, or compare what it has with the network; return the exit code."""
    stack = stacks.resolve(name, stack_dirs)
    path = stacks.known(stack_dirs)[name].path
    text = path.read_text(encoding="utf-8")
    missing = needs.unpinned(stack)
    keys = [key for key in needs.pins(stack) if key not in missing] if check else missing
    values, failed = {}, 0
    for key in keys:
        started = time.monotonic()
        try:
            values[key] = source.value(key, stack)
        except PinError as error:
            print(f"{key}: {error}", file=sys.stderr)
            failed += 1
            continue
        said = values[key] if not check else _compared(values[key], needs.pins(stack)[key])
        failed += check and values[key] != needs.pins(stack)[key]
        print(f"{key}: {said} ({time.monotonic() - started:.1f} s)")
    if not check:
        _write(path, text, values)
        print(f"{path}: {len(values)} filled, {len(keys) - len(values)} could not be had")
    return 1 if failed else 0


def _compared(found: str, stands: str | None) -> str:
    return "as the stack says" if found == stands else f"DIFFERS: the stack says {stands}, the network {found}"


def _write(path: Path, text: str, values: Mapping[str, str]) -> None:
    """Write the values whose keys stand in the file; print the others, which its parent has, to be added by hand."""
    own = {key: value for key, value in values.items() if holds(text, key)}
    if own:
        path.write_text(fill(text, own), encoding="utf-8")
    others = {key: value for key, value in values.items() if key not in own}
    if others:
        print(f"{path.name} inherits these; add them to it:\n{_tree(others)}")


def _tree(values: Mapping[str, str]) -> str:
    """Return dotted keys and their values as YAML."""
    root: dict[str, Any] = {}
    for key, value in values.items():
        at = root
        *above, last = key.split(".")
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
    return yaml.safe_dump(root, sort_keys=False, width=200).rstrip()


def _mirrors(pairs: Iterable[str]) -> dict[str, Mirror]:
    return read(dict(pair.partition("=")[::2] for pair in pairs))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/pin-stack",
        description="Download what a stack names, and write the hashes and digests that it lacks into its file.",
        epilog="exit codes: 0 done, 1 something could not be had or differs, 2 wrong usage",
    )
    parser.add_argument("stack", nargs="+", help="names, e.g. kfp-2.0.0")
    parser.add_argument("--check", action="store_true", help="write nothing; compare what is filled with the network")
    parser.add_argument("--stack-dir", action="append", default=[], metavar="DIR", help="a directory with site stacks")
    parser.add_argument("--artifact-mirror", default="", metavar="URL", help="as the variable artifact_mirror")
    parser.add_argument("--proxy", default="", metavar="URL", help="as the variable proxy_url")
    parser.add_argument(
        "--registry-mirror", action="append", default=[], metavar="HOST=URL", help="as an entry of registry_mirrors"
    )
    args = parser.parse_args(argv)
    try:
        source = Source(args.artifact_mirror, _mirrors(args.registry_mirror), args.proxy)
        return max(pin(name, args.stack_dir, source, check=args.check) for name in args.stack)
    except (stacks.StackError, MirrorError) as error:
        print(f"pin-stack: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
