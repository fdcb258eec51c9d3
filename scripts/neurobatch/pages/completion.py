"""The shells' completions of the verbs for batches, made from their parser by shtab; `make docs` writes the files.

They are files and not made when asked for, so that no place where the command runs needs shtab.
"""

from __future__ import annotations

from pathlib import Path

from neurobatch.batch import only

FOLDER = Path(only.__file__).with_name("completion")
#: Where names of runs go, the shell asks the command for them.
PREAMBLE = {
    "bash": """\
_neurobatch_runs() {
  compgen -W "$(neurobatch list --names 2>/dev/null)" -- "$1"
}
""",
    "zsh": """\
_neurobatch_runs() {
  local -a runs
  runs=(${(f)"$(neurobatch list --names 2>/dev/null)"})
  compadd -a runs
}
""",
}
HEAD = "# Written by `make docs` from the command's own parser (neurobatch/pages/completion.py).\n"


def outdated() -> dict[Path, str]:
    """Return each shell's file with the text that it should have."""
    import shtab  # noqa: PLC0415 - in the development environment alone

    return {
        FOLDER / f"neurobatch.{shell}": _made(shtab.complete(only.parser(), shell, preamble=text), shell)
        for shell, text in PREAMBLE.items()
    }


def _made(text: str, shell: str) -> str:
    """Return shtab's text with our head; zsh wants its own first line to stay the first."""
    if shell == "bash":
        return HEAD + text
    first, _, rest = text.partition("\n")
    return f"{first}\n{HEAD}{rest}"
