# shellcheck shell=bash
# A device: its own namespaces over an overlay of the base. What it writes, and
# its engine's data, stay in LAB_DIR/<name> when its power is cut.

devices() { [ ! -d "$LAB_DIR" ] || find "$LAB_DIR" -mindepth 2 -maxdepth 2 -name upper -printf '%P\n' | sed 's,/.*,,' | sort -V; }
devices_up() { local name; for name in $(devices); do ! is_up "$name" || echo "$name"; done; }

need_name() {
    [[ $1 =~ ^(pi[1-9][0-9]?|builder)$ ]] ||
        die "$2: '$1' is no device: they are pi1, pi2, ... (see lab status)"
}
need_device() {
    need_name "$1" "$2"
    [ -d "$LAB_DIR/$1" ] || die "$2: there is no $1: start it with lab boot $1"
}
need_up() {
    need_name "$1" "$2"
    is_up "$1" || die "$2: $1 is not up: start it with lab boot $1"
}

# A process is remembered by number and start time, so that a number which was
# given to another process since (after a restart of the machine) is no match.
start_time() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra fields <<<"${stat##*) }"
    [ "${fields[0]}" != Z ] && echo "${fields[19]}"
}
remember() { echo "$1 $(start_time "$1") $(cat /proc/sys/kernel/random/boot_id)" >"$2.new" && mv "$2.new" "$2"; }
is_running() {
    local pid start boot
    [ -f "$1" ] && read -r pid start boot <"$1" &&
        [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$start" = "$(start_time "$pid")" ]
}
pid_at() { command cut -d' ' -f1 "$1"; }
pid_of() { pid_at "$LAB_DIR/$1/pid"; }
is_up() { is_running "$LAB_DIR/$1/pid"; }

last_words() { tail -n 1 "$LAB_DIR/$1/console.log" 2>/dev/null; }

start_device() {
    local name=$1 dir=$LAB_DIR/$1 i starter pid
    if is_busy "$name"; then die "$name: something of its last run is still there: run lab down $name first"; fi
    mkdir -p "$dir"/{upper,work,root,docker}
    rm -f "$dir/pid"
    remove_group "$name"
    make_group "$name"
    apply_limit "$name"
    (
        join_group "$name"
        [ -z "${LOCK:-}" ] || exec {LOCK}<&-
        # The caller's directory is not the device's.
        unset TMPDIR
        exec setsid unshare --mount --pid --uts --ipc --net --cgroup --fork --propagation private \
            bash "$HERE/device-init" "$name" "$dir" "$(base_dir)" "$(address "$name")" "$LAB_NET" \
            </dev/null >"$dir/console.log" 2>&1
    ) &
    starter=$!
    for i in $(seq 250); do
        [ -s "$dir/pid.init" ] && break
        kill -0 "$starter" 2>/dev/null || break
        sleep 0.02
    done
    [ -s "$dir/pid.init" ] || die "$name did not start ($(last_words "$name")): see $dir/console.log"
    pid=$(cat "$dir/pid.init")
    rm "$dir/pid.init"
    remember "$pid" "$dir/pid"
    to_leaf "$name" "$starter"
    plug_in "$name" "$pid" || { kill_device "$name"; die "$name: no cable: see the message above, then lab boot $name"; }
    for i in $(seq 600); do
        is_up "$name" || die "$name died while starting ($(last_words "$name")): see $dir/console.log"
        if nsenter -t "$pid" -m -r curl -sf --unix-socket /run/docker.sock http://docker/_ping >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    die "$name: its Docker does not answer: see $dir/upper/var/log/dockerd.log"
}

wait_gone() {
    local i
    for i in $(seq "$2"); do
        is_up "$1" || is_busy "$1" || return 0
        sleep 0.05
    done
    return 1
}

# The kernel ends every process of a device with its first one.
kill_device() {
    ! is_up "$1" || kill -KILL "$(pid_of "$1")"
    thaw_group "$1"
    wait_gone "$1" 200 || { say "$1 does not die: look for processes in state D with: ps -eo pid,stat,comm"; return 1; }
    rm -f "$LAB_DIR/$1/pid"
}

stop_device() {
    kill -TERM "$(pid_of "$1")"
    wait_gone "$1" 1200 || die "$1 has not shut down in a minute: cut its power with lab kill $1"
    rm -f "$LAB_DIR/$1/pid"
}

retire_device() { kill_device "$1" && remove_group "$1"; }
remove_device() { retire_device "$1" && rm -rf "${LAB_DIR:?}/$1"; }

# In the device's namespaces, under its limits, ended when the caller is.
enter_device() {
    local name=$1; shift
    join_group "$name"
    exec nsenter -t "$(pid_of "$name")" -m -p -u -i -n -C -r -w \
        setpriv --pdeathsig TERM \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}
run_in() { (enter_device "$@"); }
