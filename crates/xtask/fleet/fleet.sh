#!/usr/bin/env bash
# Starts a fleet on this machine: a primary and a standby of PostgreSQL, three gateways, and HAProxy before them, each in a network
# namespace of its own with an address of its own. Prints the addresses and what to try, and stops all of it at the end of its input or
# at Ctrl-C.
#
# Usage: fleet.sh PROGRAM FOLDER. PROGRAM is the gateway; FOLDER is emptied, and has the logs afterwards.
set -euo pipefail
program="${1:?the path of the gateway}" folder="${2:?a folder}"
PATH="$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin)"

fail() { echo "fleet: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "network namespaces need root: run it with sudo"
for needed in ip haproxy initdb setpriv curl; do
    command -v "$needed" >/dev/null || fail "$needed is missing: apt-get install iproute2 haproxy postgresql util-linux curl"
done

# The namespaces, and the last number of each one's address. All hang on one bridge.
declare -A hosts=([db1]=11 [db2]=12 [eu1]=21 [eu2]=22 [eu3]=23 [lb]=31)
network=10.213.77
switch=pcf-switch
declare -a pids=()

in_host() { ip netns exec "pcf-$1" "${@:2}"; }
# PostgreSQL refuses to run as root.
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

clean_up() {
    trap - EXIT INT TERM
    for name in "${!hosts[@]}"; do
        # Also what somebody has stopped with SIGSTOP.
        ip netns pids "pcf-$name" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns delete "pcf-$name" 2>/dev/null || true
    done
    ip netns delete "$switch" 2>/dev/null || true
    ip link delete pcf-here 2>/dev/null || true
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

clean_up
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$folder"
mkdir -p "$folder"
chmod 755 "$folder"

ip netns add "$switch"
ip -n "$switch" link add bridge type bridge
ip -n "$switch" link set bridge up
connect() { # NAME-IN-SWITCH ADDRESS NAMESPACE…
    ip -n "$switch" link set "$1" master bridge
    ip -n "$switch" link set "$1" up
}
ip link add pcf-here type veth peer name here netns "$switch"
ip address add "$network.1/24" dev pcf-here
ip link set pcf-here up
connect here
for name in "${!hosts[@]}"; do
    ip netns add "pcf-$name"
    ip -n "pcf-$name" link add eth0 type veth peer name "$name" netns "$switch"
    ip -n "pcf-$name" address add "$network.${hosts[$name]}/24" dev eth0
    ip -n "pcf-$name" link set eth0 up
    ip -n "pcf-$name" link set lo up
    connect "$name"
done

# start HOST COMMAND…: in the host's namespace, with a log in the folder.
start() {
    ip netns exec "pcf-$1" "${@:2}" >"$folder/$1.log" 2>&1 &
    pids+=($!)
}
# await WHAT COMMAND…: for a minute at most.
await() {
    local attempt
    for attempt in {1..600}; do
        "${@:2}" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "$1 is not ready; the logs are in $folder"
}

postgres() { # HOST
    start "$1" setpriv --reuid 65534 --regid 65534 --clear-groups \
        postgres -D "$folder/$1" -c listen_addresses="$network.${hosts[$1]}" -c unix_socket_directories="$folder/$1.socket" \
        -c max_connections=200 -c wal_receiver_timeout=5s -c wal_sender_timeout=5s
    await "$1" pg_isready -q -h "$folder/$1.socket"
}
for host in db1 db2; do install -d -o 65534 -g 65534 -m 700 "$folder/$host" "$folder/$host.socket"; done
as_nobody initdb --auth=trust --username=portcullis --encoding=UTF8 --locale=C -D "$folder/db1" >/dev/null
printf 'host all all %s.0/24 trust\nhost replication all %s.0/24 trust\n' "$network" "$network" >>"$folder/db1/pg_hba.conf"
postgres db1
sql() { psql -qAtX -U portcullis -d "$1" -h "$folder/db1.socket" -c "$2"; }
sql postgres "CREATE DATABASE portcullis"
in_host db2 setpriv --reuid 65534 --regid 65534 --clear-groups \
    pg_basebackup -R -X stream -c fast -U portcullis -h "$network.${hosts[db1]}" -D "$folder/db2"
postgres db2
# A commit is acknowledged once the standby has it.
sql postgres "ALTER SYSTEM SET synchronous_standby_names = '*'"
sql postgres "SELECT pg_reload_conf()" >/dev/null

key="$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
options=--new-ledger
for host in eu1 eu2 eu3; do
    mkdir -p "$folder/$host"
    (umask 077 && echo "$key" >"$folder/$host/portcullis.key")
    cat >"$folder/$host/portcullis.toml" <<CONFIG
[server]
listen = "$network.${hosts[$host]}:8480"
admin_token = "admin-secret"
trusted_proxies = ["$network.${hosts[lb]}"]

[storage]
url = "postgres://portcullis@$network.${hosts[db1]},$network.${hosts[db2]}/portcullis?sslmode=disable"

[fleet]
node = "$host"

[[tenants]]
id = "demo"
tokens = ["demo-secret"]

[[tenants.senders]]
id = "support"
CONFIG
    start "$host" "$program" serve --config "$folder/$host/portcullis.toml" $options
    await "$host" curl -sf "http://$network.${hosts[$host]}:8480/readyz"
    options=
done

cat >"$folder/haproxy.cfg" <<CONFIG
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    option http-buffer-request
    retries 1
    retry-on conn-failure empty-response 503
frontend gateways
    bind $network.${hosts[lb]}:8480
    option forwardfor
    http-request disable-l7-retry unless { path_beg /portcullis/v1/ } !{ path_beg /portcullis/v1/route /portcullis/v1/admin/ }
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 500ms fall 2 rise 1
$(for host in eu1 eu2 eu3; do echo "    server $host $network.${hosts[$host]}:8480"; done)
CONFIG
start lb haproxy -f "$folder/haproxy.cfg"
await lb curl -sf "http://$network.${hosts[lb]}:8480/readyz"

cat <<TEXT
The fleet is ready; logs and data are in $folder.

  through the balancer   http://$network.${hosts[lb]}:8480
  the gateways           http://$network.${hosts[eu1]}:8480, http://$network.${hosts[eu2]}:8480, http://$network.${hosts[eu3]}:8480
  the database           psql -U portcullis -h $network.${hosts[db1]} portcullis (primary), -h $network.${hosts[db2]} (standby)

Try:

  api() { curl -sS -H 'Authorization: Bearer demo-secret' -H 'Content-Type: application/json' "\$@"; }
  api http://$network.${hosts[eu1]}:8480/portcullis/v1/senders/support/entries -d '{"number": "+46 73-200 11 22"}'
  api http://$network.${hosts[eu2]}:8480/portcullis/v1/senders/support/check -d '{"number": "+46732001122", "direction": "outbound"}'

Break it:

  ip -n $switch link set db1 down                             # cut the primary off; up brings it back
  ip netns pids pcf-db1 | xargs kill -STOP                    # freeze it; -CONT lets it go on, -KILL ends it
  psql -U portcullis -h $network.${hosts[db2]} -c 'SELECT pg_promote()' postgres   # let the standby take over
  ip -n $switch link set eu2 down                             # cut a gateway off
  curl -s http://$network.${hosts[eu2]}:8480/readyz

Ctrl-C stops all of it.
TEXT
# Until Ctrl-C, or the end of the input of a script.
if [ -t 0 ]; then
    while :; do sleep 3600 & wait $!; done
else
    cat >/dev/null
fi
