#!/bin/bash
# A daemon of the old kind: it refuses to start where it finds a trace of a
# former self. $1 is `pid` or `lock`, $2 the trace, the rest the program.
kind=$1 trace=$2
shift 2
if [ "$kind" = lock ]; then
    mkdir "$trace" || { echo "$trace is there: another one is running" >&2; exit 1; }
else
    [ -e "$trace" ] && { echo "$trace is there: another one is running" >&2; exit 1; }
    echo $$ >"$trace"
fi
exec "$@"
