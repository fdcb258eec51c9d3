"""From what a failed step leaves behind to one sentence: what broke, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What a pod waits for in vain, in the words of Kubernetes: no patience makes a claim or corrects a name.
_VAIN = re.compile(
    r'persistentvolumeclaim "[^"]+" not found|ImagePullBackOff|ErrImageNeverPull|InvalidImageName'
    r"|CreateContainerConfigError"
)

#: What a text means: pattern, cause (groups of the pattern in braces) and remedy. The first that fits is taken.
MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r'persistentvolumeclaim "?([^"\s]+)"? (?:is )?not found',
        "the claim {0} does not exist",
        "the role cvmfs_csi makes the claims (site.yml --tags cvmfs_csi), --claim names another one",
    ),
    (
        r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \S+ is not bound",
        "a claim is not bound to a volume",
        "look at `kubectl -n kubeflow describe pvc`",
    ),
    (
        r'(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)[^"]*"([^"\s]+)"',
        "the image {0} cannot be had",
        "check its name and that a registry or mirror that the cluster reaches has it",
    ),
    (
        r"(?:image (\S+?):? )?(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)",
        "the image {0} cannot be had",
        "check its name and that a registry or mirror that the cluster reaches has it",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|access key|(?:status code:?|HTTP) 403",
        "the object store refuses the key of the secret mlpipeline-minio-artifact",
        "the key of the object store and the secret differ; the role kubeflow_pipelines brings them together",
    ),
    (r"SMOKE: (.+)", "{0}", ""),
)


def in_vain(text: str) -> bool:
    """Return whether something that waits for this reason waits in vain, unless somebody helps soon."""
    return bool(_VAIN.search(text))


def reason(*texts: str, log: Sequence[str] = ()) -> str:
    """Return the first broken thing that the texts or the step's last lines name, with its remedy where one is known.

    Args:
        texts: what the API and Kubernetes say of the step, the most telling first.
        log: the step's last lines.

    What a step prints for the purpose (``SMOKE: …``) is more telling than "exit code 11": the lines are looked at, too.
    """
    for pattern, cause, remedy in MEANINGS:
        for text in (*texts, *reversed(log)):
            found = re.search(pattern, text, re.IGNORECASE)
            if found:
                words = cause.format(*(group or "of the step" for group in found.groups())).strip().rstrip(".")
                return f"{words}; {remedy}" if remedy else words
    said = [text for text in texts if text]
    last = f"; its last line: {log[-1]}" if log else ""
    return (said[0].rstrip(".") if said else "the API gives no reason") + last
