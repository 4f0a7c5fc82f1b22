# shellcheck shell=bash
# The root file system that all devices share: made once, then only read.

# ebtables for cuts comes with iptables; ping and curl are for the tests.
BASE_PACKAGES=docker.io,docker-cli,docker-compose,iptables,iproute2,procps,ca-certificates,curl,iputils-ping${LAB_PACKAGES:+,$LAB_PACKAGES}
# Linux 6.16 took away a socket option that CRIU before 4.2 asks for, so that it
# cannot dump any container with a TCP socket. Debian 13 has 4.1.1: take sid's.
BASE_RECIPE="2 $BASE_PACKAGES criu/sid"

base_dir() { echo "$LAB_CACHE/base-$(cksum <<<"$BASE_RECIPE$(cat "$HERE"/base/*)" | command cut -d' ' -f1)"; }

install_tools() {
    local tool missing=()
    for tool in ip:iproute2 unshare:util-linux nsenter:util-linux flock:util-linux setsid:util-linux; do
        command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
    done
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

apt_install() {
    [ "$(id -u)" = 0 ] || die "$* must be installed: run apt-get install $* as root, then try again"
    command -v apt-get >/dev/null || die "this is no Debian: install $* yourself, then run it again"
    say "installing $*"
    update_apt
    local log
    log=$(DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" 2>&1 </dev/null) ||
        die "apt-get cannot install $*: ${log##*E: }"
}

APT_UPDATED=
update_apt() {
    [ -z "$APT_UPDATED" ] || return 0
    # One unreachable archive of several need not matter: what follows will tell.
    apt-get update -qq >/dev/null 2>&1 || say "apt-get update complains; going on"
    APT_UPDATED=1
}

# The archive that this machine's apt takes Debian from.
mirror() {
    [ -z "${LAB_MIRROR:-}" ] || { echo "$LAB_MIRROR"; return; }
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1
}

# Makes a Debian 13 root file system with the host's own apt settings (proxy,
# certificate authorities, credentials), which are taken out again at the end.
#   debian_root DIR INCLUDE [OPTION OF MMDEBSTRAP...]
debian_root() {
    local target=$1 include=$2 uri conf; shift 2
    command -v mmdebstrap >/dev/null || apt_install mmdebstrap
    update_apt
    uri=$(mirror)
    [ -n "$uri" ] || die "apt knows no Debian archive: set LAB_MIRROR to one, such as your country's mirror"
    conf=$(mktemp)
    { apt-config dump | grep -E '^Acquire::(http|https|Retries|ForceIPv)' || true
        echo 'Acquire::Languages "none";'
        # sid's release file expires within a week of a mirror's last update
        echo 'Acquire::Check-Valid-Until "false";'; } >"$conf"
    # sid is there for packages that are asked for by name/sid, and for no other.
    # shellcheck disable=SC2016
    mmdebstrap --quiet --mode=root --variant=minbase --skip=check/empty --include="$include" \
        --aptopt="$conf" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --setup-hook='printf "Package: *\nPin: release n=sid\nPin-Priority: 50\n" >"$1/etc/apt/preferences.d/sid"' \
        --setup-hook='for f in auth.conf auth.conf.d; do [ ! -e /etc/apt/$f ] || cp -rT /etc/apt/$f "$1/etc/apt/$f"; done' \
        "$@" \
        --customize-hook='rm -rf "$1"/etc/apt/auth.conf* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list "$1"/etc/apt/preferences.d/sid "$1"/etc/resolv.conf "$1"/var/log/* "$1"/var/cache/*' \
        trixie "$target" "deb $uri trixie main" "deb $uri sid main" >"$conf.log" 2>&1 || {
        tail -n 20 "$conf.log" >&2; rm -f "$conf" "$conf.log"
        die "cannot make a Debian root from $uri: see above; another mirror is set with LAB_MIRROR"; }
    rm -f "$conf" "$conf.log"
}

# Every device holds a shared lock on the base it runs on (see device-init).
remove_bases() {
    local dir used=0
    for dir in "$LAB_CACHE"/base-*; do
        [ -d "$dir" ] || continue
        if flock -n -x "$dir" true; then rm -rf "$dir"; else used=1; fi
    done
    return $used
}

# A base counts only under its final name, which it gets when it is complete.
prepare_base() {
    local base partial
    base=$(base_dir)
    [ ! -d "$base" ] || return 0
    lock "$LAB_CACHE" "lab that prepares the base"
    if [ ! -d "$base" ]; then
        say "preparing the devices' file system (once, about half a minute)"
        partial=$LAB_CACHE/partial
        rm -rf "$partial"
        debian_root "$partial" "$BASE_PACKAGES,criu/sid"
        # CRIU binds the file that a container's init was started from, and a bind
        # of a link fails: Debian's docker-init is one.
        cp --remove-destination "$partial/usr/bin/tini-static" "$partial/usr/bin/docker-init"
        mkdir -p "$partial/etc/docker" "$partial/etc/criu"
        cp "$HERE/base/daemon.json" "$partial/etc/docker/"
        cp "$HERE/base/runc.conf" "$partial/etc/criu/"
        local version; version=$(chroot "$partial" criu --version | head -n 1)
        [[ $version =~ ([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] >= 402)) ||
            die "the mirror gave CRIU '$version', 4.2 or newer is needed: try another with LAB_MIRROR"
        remove_bases || true
        mv "$partial" "$base"
    fi
    exec {LOCK}<&-
}
