"""The verbs of the command line for batches: argparse alone, so that help costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from neurobatch.batch.refusal import EXIT_CODES

_RUN_EXAMPLES = """\
examples:
  neurobatch run bet.ipynb --over participants.tsv --wait
      the notebook once for each row; columns that are parameters of the notebook are set, the first names the subject
  neurobatch run bet.ipynb --over participants.tsv -p threshold=0.4 --output '*.nii.gz' --cpu 2 --memory 8G
      a parameter for all, outputs that must be there afterwards, and what each subject needs
  neurobatch run bet.ipynb -p subject=sub-01 --wait
      once, for one subject
  neurobatch run stats.ipynb --over participants.tsv --after bet-20261121-101500 --wait
      each subject as soon as the same subject of the other run has succeeded
  neurobatch run bet.ipynb -p subject=sub-01 --local --wait
      on this machine's Docker, in the same image, with the same folders

Parameters are papermill's: what the cell tagged "parameters" assigns. The notebook's working folder is the subject's:
results/RUN/SUBJECT/ beside the notebook, where the executed notebook, outputs, log.txt and status.json end up. The same
command again goes on with a run that was interrupted; nothing is submitted twice and nothing is overwritten.
"""


def add(commands: Any) -> None:
    """Add the verbs to the parser of `neurobatch`."""
    run = _verb(commands, "run", "run a notebook as batch jobs, one for each subject", _RUN_EXAMPLES)
    _file(run.add_argument("notebook", metavar="NB.ipynb", help="a notebook in the lab's storage"))
    _rows(run)
    run.add_argument(
        "--output", action="append", default=[], metavar="PATTERN", help="what each subject must write (repeatable)"
    )
    run.add_argument("--image", default="", help="image to run on (default: the installation's runtime image)")
    run.add_argument("--cpu", default="", metavar="N", help="CPUs of a subject, e.g. 2 or 500m")
    run.add_argument("--memory", default="", metavar="N", help="memory of a subject, e.g. 8G")
    run.add_argument("--gpu", type=_count, default=0, metavar="N", help="GPUs of a subject")
    run.add_argument("--timeout", type=_seconds, default=0, metavar="S", help="end a subject that takes longer")
    run.add_argument(
        "--mount",
        action="append",
        default=[],
        type=_pair,
        metavar="CLAIM=DIR",
        help="mount a further claim in each step",
    )
    run.add_argument(
        "--local",
        action="store_true",
        help="run on this machine's Docker in place of the cluster, to try a notebook out; needs no Kubeflow Pipelines",
    )
    _made(run)
    _driving(run)
    _add_pipelines(commands)

    for name, help_text, example in (
        ("resume", "go on with a run that was interrupted", "neurobatch resume bet-20261121-101500 --wait"),
        ("resubmit", "run again what failed, and nothing else", "neurobatch resubmit bet-20261121-101500 --wait"),
    ):
        verb = _verb(commands, name, help_text, f"example:\n  {example}\n")
        _named(verb)
        if name == "resubmit":
            verb.add_argument("--only", action="append", default=[], metavar="SUBJECT", help="only these (repeatable)")
        _driving(verb)

    listing = _verb(
        commands, "list", "list the runs in the storage, the newest first", "example:\n  neurobatch list --json\n"
    )
    listing.add_argument("--names", action="store_true", help="print names alone, one a line")
    listing.add_argument("--limit", type=_count, default=20, metavar="N", help="how many (default %(default)s)")

    status = _verb(
        commands,
        "status",
        "say how each subject of a run stands",
        "example:\n  neurobatch status bet-20261121-101500\n",
    )
    _named(status)

    logs = _verb(
        commands,
        "logs",
        "show what a subject's notebook printed",
        "examples:\n  neurobatch logs bet-20261121-101500 sub-07\n  neurobatch logs bet-20261121-101500 -f\n",
    )
    _named(logs)
    logs.add_argument("subjects", nargs="*", metavar="SUBJECT", help="default: all")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until they are over")

    cancel = _verb(
        commands,
        "cancel",
        "end a run: what runs is stopped, nothing more is submitted",
        "example:\n  neurobatch cancel bet-20261121-101500\n",
    )
    _named(cancel)

    fetch = _verb(
        commands,
        "fetch",
        "bring results back from the object store, e.g. after they were deleted or moved",
        "example:\n  neurobatch fetch bet-20261121-101500 --to /tmp/again\n",
    )
    _named(fetch)
    fetch.add_argument("subjects", nargs="*", metavar="SUBJECT", help="default: all that succeeded")
    _folder(fetch.add_argument("--to", default="", metavar="DIR", help="folder for SUBJECT/… (default: the run's own)"))
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete this command",
        description="Print what makes a shell complete this command: verbs, options, files, names of runs.",
        epilog="examples:\n"
        '  eval "$(neurobatch completion bash)"       now; in ~/.bashrc: in every shell from then on\n'
        "  neurobatch completion zsh > ~/.zfunc/_neurobatch\n\n"
        "exit codes: 0 printed, 2 wrong usage",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=["bash", "zsh"], help="which shell")
    completion.set_defaults(run=_completion)


_SUBMIT_EXAMPLES = """\
examples:
  neurobatch submit pipeline.yaml -p threshold=0.4 --wait
      a pipeline that the kfp SDK has compiled, once
  neurobatch submit pipeline.yaml --over participants.tsv --wait
      once for each row; columns that are parameters of the pipeline are set

The run is noted in results/RUN/ beside the spec (or in the storage, where the spec lies elsewhere), so that status,
cancel, resubmit and --after know it. What its steps print and make is in the pages of Kubeflow Pipelines.
"""
_PIPELINE_EXAMPLES = """\
examples:
  neurobatch pipeline analysis.pipeline --wait
      what Elyra's editor runs, without Elyra: notebooks, Python and R scripts as steps
  neurobatch pipeline analysis.pipeline --over participants.tsv --max-parallel 2 --wait
      once for each row; columns that are parameters of the pipeline (Pipeline Properties) are set

Each node works in results/RUN/SUBJECT/NODE/; what it declares as output is copied to the nodes after it. Nodes for
other components, secrets and tolerations are refused: press Run in the editor for these.
"""


def _add_pipelines(commands: Any) -> None:
    """Add the verbs that take a pipeline in place of a notebook."""
    submit = _verb(commands, "submit", "run a pipeline that was compiled elsewhere", _SUBMIT_EXAMPLES)
    _file(submit.add_argument("spec", metavar="SPEC.yaml", help="what kfp.compiler.Compiler().compile wrote"))
    _rows(submit)
    _made(submit)
    _driving(submit)
    pipeline = _verb(commands, "pipeline", "run a pipeline made in Elyra's editor", _PIPELINE_EXAMPLES)
    _file(pipeline.add_argument("pipeline", metavar="FILE.pipeline", help="a pipeline in the lab's storage"))
    _rows(pipeline)
    pipeline.add_argument("--image", default="", help="for nodes that name none (default: the installation's)")
    pipeline.add_argument("--timeout", type=_seconds, default=0, metavar="S", help="end a node that takes longer")
    _made(pipeline)
    _driving(pipeline)


def _rows(verb: argparse.ArgumentParser) -> None:
    _file(verb.add_argument("--over", default="", metavar="TABLE", help="subjects: a .tsv or .csv with a header"))
    verb.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="set a parameter for all",
    )


def _made(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--name", default="", help="name of the run (default: the file's, and the time)")
    verb.add_argument("--new", action="store_true", help="start over even where an interrupted run could go on")
    after = verb.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="RUN",
        help="submit a subject when the same one of RUN has succeeded, all of RUN where it has none of this name "
        "(repeatable)",
    )
    _runs(after)


def parse(top: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; names of subjects may also come after an option, which argparse does not take by itself."""
    args, left = top.parse_known_args(argv)
    if left and (not hasattr(args, "subjects") or any(word.startswith("-") for word in left)):
        top.parse_args(argv)  # says what is wrong and ends
    if left:
        args.subjects += left
    return args


def _verb(commands: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"{examples}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object; all else goes to standard error")
    place = verb.add_argument_group("where (default: as the installation wrote it)")
    place.add_argument("--endpoint", metavar="URL", help="pipeline API, e.g. http://127.0.0.1:31380/pipeline")
    _folder(place.add_argument("--storage", metavar="DIR", help="the lab's storage as seen here"))
    _file(place.add_argument("--kubeconfig", metavar="FILE", help="to say why a pod waits, where it may be read"))
    verb.set_defaults(run=_command(name), local=False, after=[])
    return verb


def _completion(args: argparse.Namespace) -> int:
    from importlib import resources  # noqa: PLC0415

    folder = resources.files("neurobatch.batch") / "completion"
    print((folder / f"neurobatch.{args.shell}").read_text(encoding="utf-8"), end="")
    return 0


def _file(action: argparse.Action) -> None:
    _completed(action, "_shtab_compgen_files", "_files")


def _folder(action: argparse.Action) -> None:
    _completed(action, "_shtab_compgen_dirs", "_files -/")


def _runs(action: argparse.Action) -> None:
    _completed(action, "_neurobatch_runs", "_neurobatch_runs")


def _completed(action: argparse.Action, bash: str, zsh: str) -> None:
    """Say how shells complete an argument (an attribute that shtab reads, see neurobatch.pages.completion)."""
    action.complete = {"bash": bash, "zsh": zsh}  # type: ignore[attr-defined]


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    def call(args: argparse.Namespace) -> int:
        from neurobatch.batch import command  # noqa: PLC0415

        return command.main(name, args)

    return call


def _named(verb: argparse.ArgumentParser) -> None:
    _runs(verb.add_argument("name", metavar="RUN", help="name of a run, or its folder"))


def _driving(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("how it is driven")
    group.add_argument("--wait", action="store_true", help="stay until all are over, not only until all are submitted")
    group.add_argument(
        "--max-parallel",
        type=_positive,
        default=0,
        metavar="N",
        help="subjects at once (default: what the node can hold)",
    )
    group.add_argument(
        "--deadline", type=_seconds, default=0, metavar="S", help="give up waiting after this; exit code 4"
    )
    group.add_argument(
        "--patience", type=_seconds, default=600, metavar="S", help="how long the API may be away (default %(default)s)"
    )
    group.add_argument(
        "--grace", type=_seconds, default=60, metavar="S", help="how long a pod may wait in vain (default %(default)s)"
    )
    group.add_argument(
        "--start",
        type=_seconds,
        default=3600,
        metavar="S",
        help="how long a step may take to begin (default %(default)s)",
    )
    group.add_argument(
        "--interval", type=_seconds, default=3, metavar="S", help="between two looks (default %(default)s)"
    )


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e8:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return number


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
