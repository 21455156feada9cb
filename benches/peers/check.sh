#!/usr/bin/env bash
# Compares checks over the network: the gateway, and what could be used instead, on this machine in one run, with the same list.
# 99 of 100 numbers checked are not blocked.
# Usage: benches/peers/check.sh [--json FILE] [--install] [SECONDS]
#   --json FILE   also write a flat object of name -> number: requests and numbers per second, times in nanoseconds
#   --install     install missing packages (Debian's; their services are not left running)
#   SECONDS       duration of each of the three rounds per server; default 5
# CHECK_SIZES overrides the list sizes; CHECK_TOOL=portcullis-load or wrk selects the HTTP client.
. "$(dirname "$0")/servers.sh"

sizes="${CHECK_SIZES:-64000 1000000}"
allow='{"verdict":"allow","direction":"outbound","source":"plugin"}'
has nginx nginx && nginx=1 || nginx=''
has haproxy haproxy && haproxy=1 || haproxy=''
has redis-server redis-server && redis=1 || redis=''
has initdb postgresql && postgres=1 || postgres=''
# wrk reaches about 130,000 requests per second here, portcullis-load 60,000. All servers are measured with the same tool.
has wrk wrk && tool=wrk || tool=portcullis-load
tool="${CHECK_TOOL:-$tool}"

declare -A port=([portcullis]=9111 [constant]=9112 [hash-set]=9113 [nginx]=9114 [haproxy]=9115 [redis]=9116)
at() { echo "http://127.0.0.1:${port[$1]}"; }

start_constants() { # SIZE
    start constant target/release/portcullis-constant --listen "127.0.0.1:${port[constant]}"
    start hash-set target/release/portcullis-constant --listen "127.0.0.1:${port[hash-set]}" --list "$folder/members"
    await constant curl -fs "$(at constant)/?n=1"
    await hash-set curl -fs "$(at hash-set)/?n=1"
}

start_nginx_map() { # SIZE
    sed 's/$/ block;/' "$folder/members" > "$folder/nginx.map"
    # The variable is the raw number in the query.
    start_nginx nginx "map_hash_max_size $((2 * $1)); map_hash_bucket_size 128;
  map \$arg_n \$verdict { default allow; include $folder/nginx.map; }
  server { listen 127.0.0.1:${port[nginx]}; location / {
    default_type application/json; return 200 '{\"verdict\":\"\$verdict\",\"direction\":\"outbound\",\"source\":\"plugin\"}'; } }"
    await nginx curl -fs "$(at nginx)/?n=1"
}

start_haproxy_map() {
    sed 's/$/ block/' "$folder/members" > "$folder/haproxy.map"
    start_haproxy "frontend f
  bind 127.0.0.1:${port[haproxy]}
  http-request return status 200 content-type application/json lf-string '{\"verdict\":\"%[url_param(n),map_str($folder/haproxy.map,allow)]\",\"direction\":\"outbound\",\"source\":\"plugin\"}'"
    await haproxy curl -fs "$(at haproxy)/?n=1"
}

start_redis() {
    mkdir -p "$folder/redis-$1"
    start redis redis-server --port "${port[redis]}" --bind 127.0.0.1 --unixsocket "$folder/redis.sock" \
        --dir "$folder/redis-$1" --save '' --appendonly no --daemonize no
    await redis redis-cli -s "$folder/redis.sock" ping
    sed 's/^/SADD blocked /' "$folder/members" | redis-cli -s "$folder/redis.sock" --pipe > "$folder/redis-fill.log"
}

# PostgreSQL does not run as root.
as_postgres=()
[ "$(id -u)" != 0 ] || as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups)

start_postgres() { # SIZE
    data="$folder/postgres-$1"
    mkdir "$data"
    [ "$(id -u)" != 0 ] || chown postgres "$data"
    "${as_postgres[@]}" initdb -D "$data/data" -U postgres -A trust --no-sync > "$folder/initdb.log" 2>&1 ||
        { tail -n 5 "$folder/initdb.log" >&2; exit 1; }
    start postgres "${as_postgres[@]}" postgres -D "$data/data" -c listen_addresses= -c unix_socket_directories="$data" \
        -c shared_buffers=256MB -c autovacuum=off
    await postgres psql -h "$data" -U postgres -c 'SELECT 1'
    psql -h "$data" -U postgres -q -v ON_ERROR_STOP=1 -c 'CREATE TABLE blocked (number bigint PRIMARY KEY)' \
        -c "INSERT INTO blocked SELECT generate_series($((first + 99)), $((first + $1 * 100 - 1)), 100)" \
        -c 'VACUUM (FREEZE, ANALYZE) blocked'
}

# expect NAME TEXT CURL…: fails unless the response contains TEXT. A server that responds with anything else is not measured.
expect() {
    local answer
    answer="$(curl -s "${@:3}")" || answer="nothing (curl failed)"
    case "$answer" in
        *"$2"*) ;;
        *) echo "$1 responded with $answer instead of $2: ${*:3}" >&2; exit 1 ;;
    esac
}

# prove NAME VERDICT-OF-A-MEMBER get|post: checks the responses for blocked numbers at both ends of the list, and for others.
prove() {
    local number
    for number in $((first + 99)) $((first + size * 100 - 1)); do
        case "$3" in
            get)
                expect "$1" "\"verdict\":\"$2\"" "$(at "$1")/?n=$number"
                expect "$1" "$allow" "$(at "$1")/?n=$((number - 1))"
                ;;
            post)
                expect "$1" "\"verdict\":\"$2\"" "${post[@]}" "$(at "$1")$path" -d "{\"number\":\"$number\",\"direction\":\"outbound\"}"
                expect "$1" "$allow" "${post[@]}" "$(at "$1")$path" -d "{\"number\":\"$((number - 1))\",\"direction\":\"outbound\"}"
                ;;
        esac
    done
}
path=/portcullis/v1/senders/support/check
post=(-H 'Authorization: Bearer demo-secret' -H 'Content-Type: application/json')

# The CPU time that a server and its children have used, in hundredths of a second.
ticks() { # PID
    local pid
    for pid in "$1" $(cat "/proc/$1/task/$1/children"); do sed 's/.*) //' "/proc/$pid/stat"; done |
        awk '{ ticks += $12 + $13 } END { print ticks }'
}

# ask NAME SERVER get|check|batch: measures HTTP requests over 64 connections.
ask() {
    local before pid="${pids[$2]}" count=$((size * 100)) batch=1 object="$folder/object"
    [ "$3" != batch ] || batch=100
    if [ "$tool" = wrk ]; then
        WRK_JSON="$object" drive_wrk 1 "$2" "$3" "$count"
        before="$(ticks "$pid")"
        WRK_JSON="$object" drive_wrk "$seconds" "$2" "$3" "$count"
        awk -F '[:,]' -v ticks=$(($(ticks "$pid") - before)) -v batch=$batch \
            '{ printf "%s,\"cpu\":%.1f,\"numbers\":%.1f}\n", substr($0, 1, length($0) - 1), ticks * 1e7 / $4, $2 * batch }' \
            "$object" > "$object.more"
    else
        taskset -c "$client_core" target/release/portcullis-load --json --url "$(at "$2")" --workload "$3" --path '/?n={number}' \
            --numbers "$count" --connections 64 --seconds "$seconds" --pid "$pid" > "$object.more"
    fi
    record "http/$size/$1" requests numbers cpu p50 p99 < "$object.more"
}

drive_wrk() { # SECONDS SERVER get|check|batch COUNT
    taskset -c "$client_core" wrk -t 1 -c 64 -d "$1s" -s benches/peers/check.lua "$(at "$2")" -- "$3" "$4" > "$folder/wrk.log"
}

# ask_store NAME SERVER QUESTION AT: measures a store, on the same CPU as the client. On two CPUs, each would sleep while waiting for
# the other, and on a virtual machine waking up takes longer than everything else.
ask_store() {
    taskset -c "$server_core" target/release/portcullis-stores "$3" --at "$4" --size "$size" --seconds "$seconds" \
        --pid "${pids[$2]}" > "$folder/object"
    # The suffix /check is removed below.
    record "$1" check cpu p50 p99 < "$folder/object"
}

for size in $sizes; do
    echo "starting servers with $size numbers" >&2
    members "$size" > "$folder/members"
    start_portcullis "${port[portcullis]}" "$size"
    prove portcullis block post
    expect portcullis "\"blocked\":[\"$((first + 99))\"],\"checked\":2" "${post[@]}" "$(at portcullis)$path" \
        -d "{\"numbers\":[\"$((first + 98))\",\"$((first + 99))\"],\"direction\":\"outbound\"}"
    start_constants
    prove constant allow get
    prove constant allow post
    prove hash-set block get
    prove hash-set block post
    if [ -n "$nginx" ]; then start_nginx_map "$size"; prove nginx block get; fi
    if [ -n "$haproxy" ]; then start_haproxy_map; prove haproxy block get; fi
    # The other two are checked by portcullis-stores.
    if [ -n "$redis" ]; then start_redis "$size"; fi
    if [ -n "$postgres" ]; then start_postgres "$size"; fi
    for round in 1 2 3; do
        echo "$size numbers, round $round of 3" >&2
        ask portcullis portcullis check
        ask constant constant check
        ask hash-set hash-set check
        ask constant-get constant get
        ask hash-set-get hash-set get
        if [ -n "$nginx" ]; then ask nginx-map nginx get; fi
        if [ -n "$haproxy" ]; then ask haproxy-map haproxy get; fi
        ask portcullis-batch portcullis batch
        if [ -n "$redis" ]; then
            for question in sismember sismember-pipelined smismember; do
                ask_store "redis/$size/$question-unix" redis $question "$folder/redis.sock"
                ask_store "redis/$size/$question-tcp" redis $question "127.0.0.1:${port[redis]}"
            done
        fi
        if [ -n "$postgres" ]; then
            ask_store "postgres/$size/prepared" postgres prepared "$data"
            ask_store "postgres/$size/any" postgres any "$data"
        fi
    done
    stop_servers
    rm -rf "$folder"/*.map "$folder"/portcullis-* "$folder"/postgres-* "$folder"/redis*
done
# A store's time per check is named after the question alone.
sed -i -E 's!^((redis|postgres)/.*)/check !\1 !' "$results"

medians | awk -v tool="$tool" '
    { split($1, part, "/"); kind = part[1]; row = part[1] "/" part[2] "/" part[3]; value[$1] = $2 }
    !(row in seen) { seen[row] = 1; rows[++count] = row }
    END {
        printf "client: %s, 64 connections; medians of three rounds\n", tool
        printf "%-36s %12s %12s %14s %10s %10s\n", "HTTP", "requests/s", "numbers/s", "server CPU ns", "p50 µs", "p99 µs"
        for (i = 1; i <= count; i++) {
            row = rows[i]
            if (row !~ /^http/) continue
            printf "%-36s %12.0f %12.0f %14.0f %10.0f %10.0f\n", row, value[row "/requests"], value[row "/numbers"],
                value[row "/cpu"], value[row "/p50"] / 1000, value[row "/p99"] / 1000
        }
        printf "\n%-36s %12s %25s %12s %10s\n", "one connection, one CPU", "ns per check", "server CPU ns per check", "p50 µs", "p99 µs"
        for (i = 1; i <= count; i++) {
            row = rows[i]
            if (row ~ /^http/) continue
            printf "%-36s %12.0f %25.0f %12.1f %10.1f\n", row, value[row], value[row "/cpu"], value[row "/p50"] / 1000, value[row "/p99"] / 1000
        }
    }'
write_json
