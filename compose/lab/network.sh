# shellcheck shell=bash
# A switch of its own for the lab: a bridge in a namespace that nothing of the
# host's is plugged into. A process holds the namespace; it ends with it.

SWITCH=$LAB_DIR/switch

start_switch() {
    is_running "$SWITCH" && return
    setsid unshare --net sleep infinity </dev/null >/dev/null 2>&1 {LOCK}<&- &
    # the namespace is there once it differs from ours
    local pid=$! i
    for i in $(seq 100); do
        [ /proc/self/ns/net -ef "/proc/$pid/ns/net" ] || break
        [ "$i" -lt 100 ] || die "cannot make a network namespace: does the kernel allow it? try: unshare --net true"
        sleep 0.02
    done
    remember "$pid" "$SWITCH"
    in_switch sh -c 'ip link set lo up && ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up' ||
        die "cannot make a bridge: load the module with: modprobe bridge"
}

stop_switch() {
    if is_running "$SWITCH"; then kill -KILL "$(pid_at "$SWITCH")"; fi
    rm -f "$SWITCH"
}

in_switch() { nsenter --net="/proc/$(pid_at "$SWITCH")/ns/net" "$@"; }

# piK has the address K; the builder of the images has one that no pi can have.
number() { case $1 in builder) echo 250 ;; *) echo "${1#pi}" ;; esac; }
address() { echo "$LAB_NET.$(number "$1")"; }
hardware_address() {
    local part
    IFS=. read -ra part <<<"$(address "$1")"
    printf '02:00:%02x:%02x:%02x:%02x' "${part[@]}"
}

# A veth pair whose far end is the device's eth0: it goes when the device dies.
plug_in() {
    # of a device that died just now the near end may still be there
    in_switch ip link delete "$1" 2>/dev/null || true
    in_switch ip link add "$1" type veth peer name eth0 address "$(hardware_address "$1")" netns "$2" &&
        in_switch ip link set "$1" master br0 &&
        if is_cut "$1"; then in_switch ip link set "$1" down; else in_switch ip link set "$1" up; fi &&
        apply_pair_cuts
}

# The file of cuts has a line each: one device (cable out) or two.
cuts() { [ ! -f "$LAB_DIR/cuts" ] || cat "$LAB_DIR/cuts"; }
is_cut() { cuts | grep -qx "$1"; }

add_cut() {
    local pair=$1
    [ -z "$2" ] || pair=$(printf '%s\n' "$1" "$2" | sort | xargs)
    cuts | grep -qx "$pair" || echo "$pair" >>"$LAB_DIR/cuts"
    is_running "$SWITCH" || return 0
    if [ -n "$2" ]; then apply_pair_cuts; elif is_up "$1"; then in_switch ip link set "$1" down; fi
}

mend_cuts() {
    rm -f "$LAB_DIR/cuts"
    is_running "$SWITCH" || return 0
    local name
    for name in $(devices_up); do in_switch ip link set "$name" up; done
    apply_pair_cuts
}

# What a device sends is dropped on its way out of the other's port, broadcasts
# as well. The tool is the base's, so that the host need not have it.
apply_pair_cuts() {
    local a b
    {
        echo '*filter'
        while read -r a b; do
            [ -n "$b" ] || continue
            echo "-A FORWARD -s $(hardware_address "$a") -o $b -j DROP"
            echo "-A FORWARD -s $(hardware_address "$b") -o $a -j DROP"
        done < <(cuts)
    } | in_switch chroot "$(base_dir)" /usr/sbin/ebtables-restore ||
        die "cannot cut between two devices: the kernel has no nf_tables for bridges"
}
