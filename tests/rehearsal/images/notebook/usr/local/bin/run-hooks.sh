#!/bin/bash
# Usage: source run-hooks.sh FOLDER. Sources its *.sh and executes its other executables, in name order.
# A hook that fails is reported and does not stop the start, as in docker-stacks.
if [ "$#" -ne 1 ] || [ ! -d "$1" ]; then
    echo "run-hooks: exactly one existing folder is needed, got: $*" >&2
    return 1 2>/dev/null || exit 1
fi
echo "Running hooks in: $1 as $(id -un):$(id -gn)"
for hook in "$1"/*; do
    case "$hook" in
        *.sh)
            echo "Sourcing shell script: $hook"
            # shellcheck disable=SC1090
            source "$hook" || echo "run-hooks: $hook failed, going on" >&2
            ;;
        *)
            if [ -d "$hook" ]; then
                echo "Ignoring folder: $hook"
            elif [ -x "$hook" ]; then
                echo "Running executable: $hook"
                "$hook" || echo "run-hooks: $hook failed, going on" >&2
            else
                [ -e "$hook" ] && echo "Ignoring what is not executable: $hook"
            fi
            ;;
    esac
done
echo "Done running hooks in: $1"
