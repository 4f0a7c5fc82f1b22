# shellcheck shell=bash
# What lab and images share.

LAB_CACHE=${LAB_CACHE:-/var/cache/poise-lab}

die() { echo "${0##*/}: $*" >&2; exit 1; }
say() { echo "${0##*/}: $*" >&2; }

#   lock DIR WHAT
# The directory itself is the lock, so that nothing is left over; who had it
# before may have removed it while we waited.
lock() {
    local dir=$1 what=$2
    while :; do
        mkdir -p "$dir"
        exec {LOCK}<"$dir"
        flock -n "$LOCK" || { say "waiting for another $what"; flock -w 600 "$LOCK" ||
            die "$dir has been locked for ten minutes: find who holds it with: fuser -v $dir"; }
        [ "$dir" -ef "/proc/self/fd/$LOCK" ] && return
        exec {LOCK}<&-
    done
}
