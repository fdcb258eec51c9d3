#!/bin/bash
# Default command: JupyterLab, behind start.sh. DOCKER_STACKS_JUPYTER_CMD and NOTEBOOK_ARGS as in docker-stacks.
set -e
# shellcheck disable=SC2086  # NOTEBOOK_ARGS holds several words on purpose
exec /usr/local/bin/start.sh jupyter "${DOCKER_STACKS_JUPYTER_CMD:-lab}" ${NOTEBOOK_ARGS} "$@"
