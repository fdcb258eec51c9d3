"""Files that a user names."""

from __future__ import annotations

from pathlib import Path

from neurobatch.batch.refusal import RefusalError


def content_of(path: Path, what: str = "") -> bytes:
    """Return what is in a file.

    Args:
        path: the file.
        what: what it should be, for people, such as "notebook"; empty: just a file.

    Raises:
        RefusalError: there is none, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RefusalError(f"There is no {what or 'file'} {path}.") from None
    except OSError as error:
        named = f"The {what} {path}" if what else str(path)
        raise RefusalError(f"{named} cannot be read: {error.strerror}.") from error
