#!/usr/bin/env bash
# Installs the Debian package in a fresh Debian 12, starts its unit's command line as the unit's user, blocks a number by curl, upgrades
# from an earlier version, reloads, removes and purges. Needs root, debootstrap and a mirror; takes one to three minutes.
#
#   packaging/test-deb.sh target/debian/portcullis_0.1.0-1_amd64.deb [EARLIER.deb]
#
# Without EARLIER.deb, the same package with a lower version is taken. Set DEBIAN_CHROOT=FOLDER to keep a Debian for the next run.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,/^set/{/^#/p}' "$0"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "run it as root" >&2; exit 2; }
if [ -z "${PORTCULLIS_TEST_DEB_UNSHARED:-}" ]; then
    # Mounts and processes of this test end with it.
    PORTCULLIS_TEST_DEB_UNSHARED=1 exec unshare --mount --pid --fork --kill-child --mount-proc -- "$0" "$@"
fi

deb=$(realpath "$1")
work=$(mktemp -d /tmp/portcullis-deb.XXXXXX)
root=$work/root
trap 'umount -R "$root/proc" "$root/dev" 2>/dev/null || true; rm -rf "$work"' EXIT
passed=0
ok() { passed=$((passed + 1)); printf 'ok   %s\n' "$*"; }
fail() {
    printf 'FAIL %s\n' "$*" >&2
    [ ! -s "$work/log" ] || tail -n 20 "$work/log" >&2
    exit 1
}
# check WHAT COMMAND…: the command succeeds.
check() {
    local what=$1
    shift
    "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "$what"; }
    ok "$what"
}
# same WHAT EXPECTED FOUND
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"; ok "$1"; }
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
modes() { inside stat -c '%A %U:%G' "$1"; }

echo "== Debian"
if [ -n "${DEBIAN_CHROOT:-}" ] && [ -d "$DEBIAN_CHROOT/etc" ]; then
    cp -a "$DEBIAN_CHROOT" "$root"
else
    debootstrap --variant=minbase --include=curl,ca-certificates bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap"; }
    [ -z "${DEBIAN_CHROOT:-}" ] || cp -a "$root" "$DEBIAN_CHROOT"
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Where apt finds packages is this machine's affair.
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
[ ! -d /etc/apt/apt.conf.d ] || cp -n /etc/apt/apt.conf.d/*prox* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
ok "a Debian $(cat "$root/etc/debian_version") without systemd"

echo "== the package before"
mkdir "$root/packages"
version=$(dpkg-deb -f "$deb" Version)
if [ $# -ge 2 ]; then
    cp "$2" "$root/packages/earlier.deb"
else
    dpkg-deb -R "$deb" "$work/earlier"
    sed -i 's/^Version: .*/Version: 0.0.9-1/' "$work/earlier/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/earlier" "$root/packages/earlier.deb" >/dev/null
fi
earlier=$(dpkg-deb -f "$root/packages/earlier.deb" Version)
cp "$deb" "$root/packages/portcullis.deb"

echo "== install $earlier"
check "apt install ./portcullis.deb" inside apt-get install -y --no-install-recommends /packages/earlier.deb
same "its version is installed" "$earlier" "$(inside dpkg-query -W -f '${Version}' portcullis)"
check "the program runs" inside portcullis --version
same "the user has no shell" "/usr/sbin/nologin" "$(inside getent passwd portcullis | cut -d: -f7)"
same "the configuration is root's and the gateway's" "-rw-r----- root:portcullis" "$(modes /etc/portcullis/portcullis.toml)"
same "so is its folder" "drwxr-x--- root:portcullis" "$(modes /etc/portcullis)"
same "the state is the gateway's" "drwxr-x--- portcullis:portcullis" "$(modes /var/lib/portcullis)"
check "the unit is enabled" test -L "$root/etc/systemd/system/multi-user.target.wants/portcullis.service"
check "the socket is not" test ! -e "$root/etc/systemd/system/sockets.target.wants/portcullis.socket"
for file in man/man1/portcullis.1.gz man/man1/portcullis-serve.1.gz bash-completion/completions/portcullis \
    zsh/vendor-completions/_portcullis fish/vendor_completions.d/portcullis.fish doc/portcullis/copyright \
    portcullis/prometheus/alerts.yml portcullis/grafana/portcullis.json; do
    # A minimal Debian may leave out documentation.
    check "the package has $file" grep -qx "/usr/share/$file" "$root/var/lib/dpkg/info/portcullis.list"
done

echo "== start the unit's command line"
unit=$root/usr/lib/systemd/system/portcullis.service
setting() { sed -n "s/^$1=//p" "$unit" | tail -n 1; }
read -ra command <<<"$(setting ExecStart)"
user=$(setting User):$(setting Group)
port=18480
config=$root/etc/portcullis/portcullis.toml
sed -i "s/^listen = .*/listen = \"127.0.0.1:$port\"/; s/^# admin_token = .*/admin_token = \"admin-secret\"/; /^# end\$/d" "$config"
cat >>"$config" <<'TOML'
[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "SE"

[[tenants.senders]]
id = "support"
# end
TOML
# What systemd would do: RuntimeDirectory=, UMask=, NOTIFY_SOCKET.
install -d -o "$(inside id -u portcullis)" -g "$(inside id -g portcullis)" -m 0750 "$root/run/portcullis"
start() {
    rm -f "$root/run/notify" "$work/notified"
    python3 - "$root/run/notify" "$work/notified" <<'PYTHON' &
import os, socket, sys
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
with open(sys.argv[2], "a", buffering=1) as file:
    while True:
        file.write(told.recv(4096).decode() + "\n")
PYTHON
    listener=$!
    local n=0
    until [ -S "$root/run/notify" ]; do n=$((n + 1)); [ $n -lt 100 ] || fail "no socket for notifications"; sleep 0.1; done
    (umask 0077; exec chroot --userspec="$user" "$root" env -i PATH=/usr/bin:/bin NOTIFY_SOCKET=/run/notify "${command[@]}") \
        >>"$work/log" 2>&1 &
    gateway=$!
    child=$gateway
    n=0
    until grep -qs '^READY=1' "$work/notified"; do
        n=$((n + 1))
        [ $n -lt 300 ] && kill -0 "$gateway" 2>/dev/null || fail "the gateway does not say that it is ready"
        sleep 0.1
    done
}
stop() {
    kill -TERM "$gateway"
    local code=0
    if [ "$gateway" = "$child" ]; then
        wait "$gateway" || code=$?
    else
        # One that took over: whose child it is, it ends all the same.
        local n=0
        while kill -0 "$gateway" 2>/dev/null; do
            n=$((n + 1))
            [ $n -lt 600 ] || fail "it does not end"
            sleep 0.1
        done
    fi
    kill "$listener"
    wait "$listener" 2>/dev/null || true
    same "it ends well after SIGTERM" 0 "$code"
    check "and said so to systemd" grep -q '^STOPPING=1' "$work/notified"
}
api() {
    inside curl -sS --fail-with-body --max-time 10 -H "Authorization: Bearer $1" -H 'Content-Type: application/json' \
        "http://127.0.0.1:$port$2" "${@:3}"
}
sender=/portcullis/v1/senders/support
blocked() {
    local answer
    answer=$(api acme-secret $sender/check -d '{"number": "+46732001122", "direction": "outbound"}')
    case "$answer" in *'"verdict":"block"'*) ok "$1" ;; *) fail "$1: $answer" ;; esac
}
start
ok "it is ready, and tells systemd"
same "it runs as its user" portcullis "$(inside stat -c %U "/proc/$gateway")"
check "portcullis status says so" inside portcullis status --url "http://127.0.0.1:$port"
check "a number is blocked by curl" api acme-secret $sender/entries -d '{"number": "073-200 11 22", "reason": "asked us to stop"}'
blocked "it is blocked at the next check"
check "Prometheus can scrape it" api admin-secret /metrics
same "the ledger is its own" "-rw------- portcullis:portcullis" "$(modes /var/lib/portcullis/portcullis.db)"
same "so is the key" "-rw------- portcullis:portcullis" "$(modes /var/lib/portcullis/portcullis.key)"

echo "== upgrade to $version"
check "apt install of the new version" inside apt-get install -y --no-install-recommends /packages/portcullis.deb
same "its version is installed" "$version" "$(inside dpkg-query -W -f '${Version}' portcullis)"
blocked "the process of the old version serves meanwhile"
check "the configuration was kept" grep -q '^id = "acme"' "$config"
same "and its mode" "-rw-r----- root:portcullis" "$(modes /etc/portcullis/portcullis.toml)"
if inside portcullis serve --help | grep -q -e --take-over; then
    (
        until [ -e "$work/enough" ]; do
            api acme-secret $sender/check -d '{"number": "+46732001122", "direction": "outbound"}' | grep -q '"verdict":"block"' ||
                echo "a check failed"
            echo . >>"$work/count"
        done
    ) >"$work/checks" 2>&1 &
    checks=$!
    kill -USR2 "$gateway"
    n=0
    until grep -q '^MAINPID=' "$work/notified"; do
        n=$((n + 1))
        [ $n -lt 300 ] || fail "no process takes over"
        sleep 0.1
    done
    code=0
    wait "$gateway" || code=$?
    same "the old process ends once a new one has taken over" 0 "$code"
    gateway=$(sed -n 's/^MAINPID=//p' "$work/notified" | tail -n 1)
    touch "$work/enough"
    wait "$checks"
    same "none of $(wc -l <"$work/count") checks failed meanwhile" "" "$(cat "$work/checks")"
    same "the new process is of the gateway's user" portcullis "$(inside stat -c %U "/proc/$gateway")"
else
    stop
    start
fi
blocked "the new version knows the block"

echo "== reload"
sed -i '/^# end$/d' "$config"
printf '[[tenants]]\nid = "other"\ntokens = ["other-secret"]\n\n[[tenants.senders]]\nid = "support"\n# end\n' >>"$config"
case "$(setting ExecReload)" in */kill\ -HUP*) kill -HUP "$gateway" ;; *) fail "ExecReload= is not SIGHUP" ;; esac
n=0
until api other-secret $sender/entries >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -lt 100 ] || fail "the reload is not applied"
    sleep 0.1
done
ok "a tenant is added"
check "systemd was told of the reload" grep -q '^RELOADING=1' "$work/notified"
stop

echo "== remove"
check "apt remove" inside apt-get remove -y portcullis
check "the program is gone" test ! -e "$root/usr/bin/portcullis"
check "the configuration is there" test -e "$config"
check "the ledger is there" test -e "$root/var/lib/portcullis/portcullis.db"
check "installed again" inside apt-get install -y --no-install-recommends /packages/portcullis.deb
start
blocked "it goes on where it was"
stop

echo "== purge"
inside apt-get purge -y portcullis >"$work/purge" 2>&1 || { cat "$work/purge" >&2; fail "apt purge"; }
ok "apt purge"
check "it says what it leaves" grep -q "are left in /var/lib/portcullis" "$work/purge"
check "the configuration is gone" test ! -e "$root/etc/portcullis"
check "the units are gone" test ! -e "$root/etc/systemd/system/multi-user.target.wants/portcullis.service"
check "the ledger and the key are left" test -e "$root/var/lib/portcullis/portcullis.db" -a -e "$root/var/lib/portcullis/portcullis.key"
echo "left by the package:"
inside find / -xdev \( -user portcullis -o -path '*portcullis*' \) -not -path '/proc/*' -not -path '/packages*' -not -path '/run/*' -not -path '/dev/*' | sed 's/^/  /'
echo "$passed passed, 0 failed"
