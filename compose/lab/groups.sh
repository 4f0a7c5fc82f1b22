# shellcheck shell=bash
# Control groups: one per device, in every hierarchy (version 1 has several,
# version 2 one). An empty device name means the lab's own group.

CG=/sys/fs/cgroup
is_v2() { [ -f $CG/cgroup.controllers ]; }
hierarchies() { if is_v2; then echo $CG; else awk '$3 == "cgroup" { print $2 }' /proc/mounts; fi; }
group() { echo "$1/$LAB_NAME${2:+/$2}"; }

make_group() {
    local h dir c wanted
    for h in $(hierarchies); do
        for dir in "$(group "$h" '')" "$(group "$h" "$1")"; do
            mkdir -p "$dir"
            # a new cpuset is empty and takes no process before it is filled
            if [ -f "$dir/cpuset.cpus" ] && ! is_v2; then
                cat "${dir%/*}/cpuset.cpus" >"$dir/cpuset.cpus"
                cat "${dir%/*}/cpuset.mems" >"$dir/cpuset.mems"
            fi
        done
        if is_v2; then
            for dir in "$h" "$(group "$h" '')"; do
                wanted=
                for c in cpu cpuset io memory pids; do
                    if grep -qw "$c" "$dir/cgroup.controllers"; then wanted+="+$c "; fi
                done
                echo "$wanted" >"$dir/cgroup.subtree_control" ||
                    die "cannot share out $dir: processes sit in it; start the lab from a service or a login shell"
            done
        fi
    done
}

# Where a process that is added to a device belongs: version 2 wants leaves.
leaf() { local g; g=$(group "$1" "$2"); if [ -d "$g/init" ]; then echo "$g/init"; else echo "$g"; fi; }

join_group() {
    local h
    for h in $(hierarchies); do echo "$BASHPID" >"$(leaf "$h" "$1")/cgroup.procs"; done
}

# Version 2: what started a device must leave its group before the device can
# share it out. It can't start there, since the group it is in at the start is
# what the device sees as the root.
to_leaf() {
    is_v2 || return 0
    mkdir -p "$(group $CG "$1")/init"
    echo "$2" >"$(group $CG "$1")/init/cgroup.procs"
}

# Whether anything still runs in a device, in its containers as well.
is_busy() {
    local h dir
    h=$(hierarchies | head -n 1)
    dir=$(group "$h" "$1")
    [ -d "$dir" ] && find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -q .
}

# A paused container's processes can't die before they are thawed (control groups version 1; in version 2 they can).
thaw_group() {
    local h dir state
    for h in $(hierarchies); do
        dir=$(group "$h" "$1")
        [ -d "$dir" ] || continue
        find "$dir" -name freezer.state 2>/dev/null | while read -r state; do echo THAWED >"$state" 2>/dev/null || true; done
    done
}

remove_group() {
    local h dir i
    for h in $(hierarchies); do
        dir=$(group "$h" "$1")
        for i in $(seq 100); do
            [ -d "$dir" ] || break
            find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
        done
        [ ! -d "$dir" ] || { say "cannot remove $dir: see which processes are in its cgroup.procs"; return 1; }
    done
}

bytes_of() {
    [[ ${1,,} =~ ^([0-9]+)([kmg]?)b?$ ]] || return 1
    case ${BASH_REMATCH[2]} in
    k) echo $((BASH_REMATCH[1] << 10)) ;; m) echo $((BASH_REMATCH[1] << 20)) ;;
    g) echo $((BASH_REMATCH[1] << 30)) ;; *) echo "${BASH_REMATCH[1]}" ;;
    esac
}

apply_limit() {
    local cpus=0 memory=0 quota file
    [ ! -f "$LAB_DIR/$1/limit" ] || read -r cpus memory <"$LAB_DIR/$1/limit"
    quota=$(awk -v c="$cpus" 'BEGIN { print int(c * 100000) }')
    if is_v2; then
        file=$(group $CG "$1")
        if [ "$quota" = 0 ]; then echo "max 100000"; else echo "$quota 100000"; fi >"$file/cpu.max"
        if [ "$memory" = 0 ]; then echo max; else echo "$memory"; fi >"$file/memory.max"
    else
        file=$(group "$(hierarchy_of cpu)" "$1")
        if [ "$quota" = 0 ]; then echo -1; else echo "$quota"; fi >"$file/cpu.cfs_quota_us"
        file=$(group "$(hierarchy_of memory)" "$1")
        if [ "$memory" = 0 ]; then echo -1; else echo "$memory"; fi >"$file/memory.limit_in_bytes"
    fi 2>/dev/null || die "limit: $1 uses more than that already: stop some of its containers, or kill and boot it"
}

# Version 1: the mount whose options name a controller.
hierarchy_of() { awk -v c="$1" '$3 == "cgroup" && ("," $4 ",") ~ ("," c ",") { print $2; exit }' /proc/mounts; }
