"""The command `neurobatch`. Imports wait until a subcommand needs them, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from neurobatch.batch import arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code: 0 done, 1 refused or differs, 2 wrong usage (`smoke` has more)."""
    args = arguments.parse(parser(), argv)
    code: int = args.run(args)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="neurobatch", description="A Neurodesk batch workstation: helpers for operators."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    docs = commands.add_parser("role-docs", help="write the roles' READMEs from their argument specs")
    docs.add_argument("--check", action="store_true", help="write nothing; exit 1 if a README is out of date")
    docs.set_defaults(run=_role_docs)

    pages = commands.add_parser(
        "docs", help="write the generated parts of docs/: preflight's sentences, the stacks, the picture"
    )
    pages.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    pages.set_defaults(run=_docs)

    _add_preflight(commands)
    stack = commands.add_parser("stack", help="look at stacks: tested sets of versions")
    verbs = stack.add_subparsers(required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="name the stacks that there are")
    listing.set_defaults(run=_stack_list)
    show = verbs.add_parser("show", help="print a stack, merged with what it derives from")
    show.add_argument("name", help="e.g. kfp-2.0.0")
    show.add_argument("--json", action="store_true", help="print JSON instead of YAML")
    show.set_defaults(run=_stack_show)
    for verb in (listing, show):
        verb.add_argument(
            "--stack-dir",
            action="append",
            default=[],
            metavar="DIR",
            help="a directory with a site's stacks (repeatable)",
        )
    _add_cluster_rights(commands)
    _add_smoke(commands)
    arguments.add(commands)
    return top


def _add_preflight(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    preflight = commands.add_parser(
        "preflight",
        help="judge an inventory and its servers; touch nothing",
        description="Judge the inventory, then each server through one SSH connection. Touches nothing.",
        epilog="exit codes: 0 accepted, 1 refused, 2 wrong usage, 3 a server could not be judged",
    )
    preflight.add_argument("-i", "--inventory", required=True, metavar="PATH", help="e.g. inventories/mylab")
    preflight.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    preflight.add_argument(
        "ansible", nargs="*", metavar="-- OPTION", help="options for ansible-playbook, after --: -- -K --limit lab"
    )
    preflight.set_defaults(run=_preflight)


def _preflight(args: argparse.Namespace) -> int:
    from neurobatch.preflight import command  # noqa: PLC0415

    return command.run(args)


def _add_smoke(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    smoke = commands.add_parser(
        "smoke",
        help="prove the installation: run three steps as pods",
        description="Submit the smoke pipeline and watch it. The last line says how it ended, and what broke first.",
        epilog="exit codes: 0 succeeded, 1 failed, 2 wrong usage, 3 the API does not answer, 4 not over in time",
    )
    smoke.add_argument("--endpoint", required=True, metavar="URL", help="e.g. http://127.0.0.1:31380/pipeline")
    smoke.add_argument("--image", required=True, help="image that the steps run on: the stack's runtime image")
    smoke.add_argument(
        "--compiled-for", default="", metavar="STACK", help="which compiled pipeline (default: by the API's release)"
    )
    smoke.add_argument(
        "--claim", action="append", default=[], type=_pair, metavar="OLD=NEW", help="mount claim NEW in place of OLD"
    )
    smoke.add_argument(
        "--deadline", type=float, default=600, metavar="S", help="seconds for the whole run (default %(default)s)"
    )
    smoke.add_argument(
        "--grace", type=float, default=20, metavar="S", help="seconds a pod may wait for what looks in vain"
    )
    smoke.add_argument("--kubeconfig", default="", metavar="FILE", help="show step logs and say why a pod waits")
    smoke.add_argument("--kubectl", default="kubectl", metavar="FILE", help="the kubectl to use")
    smoke.add_argument("--namespace", default="kubeflow", help="namespace of the pods (default %(default)s)")
    smoke.add_argument("--report", default="", metavar="DIR", help="write report.html and report.json there")
    smoke.add_argument("--json", action="store_true", help="print one JSON object; progress goes to standard error")
    smoke.set_defaults(run=_smoke)


def _add_cluster_rights(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rights = commands.add_parser(
        "cluster-rights",
        help="print an account for an existing cluster, for its administrator to apply",
        description="Print a service account with the rights that an installation needs, and no others, as YAML.",
    )
    rights.add_argument("--namespace", default="kubeflow", help="of Kubeflow Pipelines (default %(default)s)")
    rights.add_argument("--output", type=Path, metavar="FILE", help="write it there instead of printing it")
    rights.set_defaults(run=_cluster_rights)


def _cluster_rights(args: argparse.Namespace) -> int:
    import yaml  # noqa: PLC0415

    from neurobatch import clusters  # noqa: PLC0415

    text = yaml.safe_dump_all(clusters.account(args.namespace, "cvmfs"), sort_keys=False, width=120)
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _pair(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new:
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW")
    return old, new


def _smoke(args: argparse.Namespace) -> int:
    from neurobatch.kfp import command  # noqa: PLC0415

    return command.run(args)


def _role_docs(args: argparse.Namespace) -> int:
    from neurobatch import roledocs  # noqa: PLC0415

    return _write(roledocs.outdated(), "role-docs", check=args.check)


def _docs(args: argparse.Namespace) -> int:
    from neurobatch import docpages  # noqa: PLC0415

    return _write(docpages.outdated(), "docs", check=args.check)


def _write(stale: Mapping[Path, str], command: str, *, check: bool) -> int:
    """Write what is out of date, or only say so; return the exit code."""
    for path, text in stale.items():
        if check:
            print(f"{path} is out of date: run `neurobatch {command}`", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(path)
    return 1 if stale and check else 0


def _stack_list(args: argparse.Namespace) -> int:
    from neurobatch import stacks  # noqa: PLC0415

    try:
        rows = [stacks.resolve(name, args.stack_dir) for name in stacks.known(args.stack_dir)]
    except stacks.StackError as error:
        return _refuse(error)
    for row in rows:
        print(f"{row['name']}  ({row['origin']})  {row['description']}")
    return 0


def _stack_show(args: argparse.Namespace) -> int:
    from neurobatch import stacks  # noqa: PLC0415

    try:
        stack = stacks.resolve(args.name, args.stack_dir)
    except stacks.StackError as error:
        return _refuse(error)
    if args.json:
        print(json.dumps(stack, indent=2))
    else:
        import yaml  # noqa: PLC0415

        print(yaml.safe_dump(stack, sort_keys=False, allow_unicode=True, width=120), end="")
    return 0


def _refuse(error: Exception) -> int:
    print(f"neurobatch: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
