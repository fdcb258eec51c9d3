#!/bin/bash
# What the image's entry does before the given command: hooks, the wanted user, ownership, sudo.
# Behaves as jupyter/docker-stacks of October 2023 where a user of the image could tell the difference.
set -e
log() { [ -n "${JUPYTER_DOCKER_STACKS_QUIET:-}" ] || echo "start.sh: $*"; }

if [ $# -eq 0 ]; then cmd=(bash); else cmd=("$@"); fi

# shellcheck disable=SC1091
source /usr/local/bin/run-hooks.sh /usr/local/bin/start-notebook.d

if [ "$(id -u)" -eq 0 ]; then
    # 1. The user: jovyan is renamed to NB_USER, and made anew when the wanted numbers differ.
    if id jovyan >/dev/null 2>&1 && [ "${NB_USER}" != jovyan ] && ! id "${NB_USER}" >/dev/null 2>&1; then
        log "renaming jovyan to ${NB_USER}"
        usermod --home "/home/${NB_USER}" --login "${NB_USER}" jovyan
    fi
    if [ "${NB_UID}" != "$(id -u "${NB_USER}")" ] || [ "${NB_GID}" != "$(id -g "${NB_USER}")" ]; then
        log "giving ${NB_USER} the numbers ${NB_UID}:${NB_GID}"
        [ "${NB_GID}" = "$(id -g "${NB_USER}")" ] ||
            groupadd --force --gid "${NB_GID}" --non-unique "${NB_GROUP:-${NB_USER}}"
        userdel "${NB_USER}" >/dev/null 2>&1
        useradd --no-log-init --home-dir "/home/${NB_USER}" --shell /bin/bash \
            --uid "${NB_UID}" --gid "${NB_GID}" --groups 100 "${NB_USER}"
    fi
    if [ "${NB_USER}" != jovyan ] && [ ! -e "/home/${NB_USER}" ]; then
        cp -a /home/jovyan/. "/home/${NB_USER}/"
    fi
    # 2. Ownership, only when asked for.
    if [ "${CHOWN_HOME:-}" = 1 ] || [ "${CHOWN_HOME:-}" = yes ]; then
        log "chown ${CHOWN_HOME_OPTS:-} ${NB_UID}:${NB_GID} /home/${NB_USER}"
        # shellcheck disable=SC2086
        chown ${CHOWN_HOME_OPTS:-} "${NB_UID}:${NB_GID}" "/home/${NB_USER}"
    fi
    if [ -n "${CHOWN_EXTRA:-}" ]; then
        for extra in ${CHOWN_EXTRA//,/ }; do
            log "chown ${CHOWN_EXTRA_OPTS:-} ${NB_UID}:${NB_GID} ${extra}"
            # shellcheck disable=SC2086
            chown ${CHOWN_EXTRA_OPTS:-} "${NB_UID}:${NB_GID}" "${extra}"
        done
    fi
    # 3. sudo, only when asked for.
    if [ "${GRANT_SUDO:-}" = 1 ] || [ "${GRANT_SUDO:-}" = yes ]; then
        log "granting ${NB_USER} passwordless sudo"
        echo "${NB_USER} ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/added-by-start-script
    fi
    # 4. Hooks that need the final user and still run as root, then the command as that user.
    source /usr/local/bin/run-hooks.sh /usr/local/bin/before-notebook.d
    log "running as ${NB_USER}: ${cmd[*]}"
    exec sudo --preserve-env --set-home --user "${NB_USER}" \
        LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" PATH="${PATH}" PYTHONPATH="${PYTHONPATH:-}" "${cmd[@]}"
else
    [ -w /home/jovyan ] || log "warning: no write access to /home/jovyan"
    if [ "${GRANT_SUDO:-}" = yes ]; then log "warning: GRANT_SUDO needs the container to be started as root"; fi
    source /usr/local/bin/run-hooks.sh /usr/local/bin/before-notebook.d
    log "running: ${cmd[*]}"
    exec "${cmd[@]}"
fi
