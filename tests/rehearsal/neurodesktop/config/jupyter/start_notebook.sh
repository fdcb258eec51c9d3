# Runs first at every start of the container, before the user is set up.

if [ -z "$GRANT_SUDO" ]; then
    export GRANT_SUDO=yes
fi
if [ "$NB_UID" != 1000 ] || [ "$NB_GID" != 100 ]; then
    if [ -z "$CHOWN_HOME" ]; then
        export CHOWN_HOME=yes
    fi
    if [ -z "$CHOWN_HOME_OPTS" ]; then
        export CHOWN_HOME_OPTS=-R
    fi
fi
