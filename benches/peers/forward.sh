#!/usr/bin/env bash
# The path of forwarded messages beside plain reverse proxies, on this machine and in one run: nginx and HAProxy (Debian's
# packages) and the gateway, each before the same upstream, which is another nginx that answers a constant.
# Usage: benches/peers/forward.sh [--json FILE] [--install] [SECONDS]
#   --json FILE   also one flat object of name -> number: requests a second, times in nanoseconds
#   --install     install the packages that are missing (Debian's; none is left running)
#   SECONDS       how long each is asked, each of three times; 5 unless told
. "$(dirname "$0")/servers.sh"

has nginx nginx || { echo "without nginx there is no upstream: nothing can be measured" >&2; exit 1; }
has haproxy haproxy && haproxy=1 || haproxy=''

answer='{"messaging_product":"whatsapp","contacts":[{"input":"+1","wa_id":"1"}],"messages":[{"id":"wamid.x"}]}'
declare -A port=([upstream]=9101 [nginx]=9102 [haproxy]=9103 [portcullis]=9104)
# The upstream is no part of what is measured: it goes with the client.
measured_core=$server_core server_core=$client_core
start_nginx upstream "server { listen 127.0.0.1:9101; location / { default_type application/json; return 200 '$answer'; } }"
server_core=$measured_core
start_nginx nginx "upstream u { server 127.0.0.1:9101; keepalive 64; }
  server { listen 127.0.0.1:9102; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; } }"
if [ -n "$haproxy" ]; then
    start_haproxy "frontend f
  bind 127.0.0.1:9103
  default_backend b
backend b
  server u 127.0.0.1:9101"
fi
start_portcullis 9104 64000 '[meta]
upstream = "http://127.0.0.1:9101"
app_secret = "app-secret"' 'callback_url = "http://127.0.0.1:9101/in"'
await upstream curl -fs http://127.0.0.1:9101/
await nginx curl -fs http://127.0.0.1:9102/
[ -z "$haproxy" ] || await haproxy curl -fs http://127.0.0.1:9103/

# send SERVER NUMBER: the status of a message to it.
send() {
    curl -s -o "$folder/answer" -w '%{http_code}' -H 'Authorization: Bearer demo-secret' -H 'Content-Type: application/json' \
        "http://127.0.0.1:${port[$1]}/v25.0/106540352242922/messages" \
        -d "{\"messaging_product\":\"whatsapp\",\"to\":\"+$2\",\"type\":\"text\",\"text\":{\"body\":\"Hello\"}}"
}
for server in nginx ${haproxy:+haproxy} portcullis; do
    status="$(send "$server" $first)"
    [ "$status" = 200 ] && [ "$(cat "$folder/answer")" = "$answer" ] ||
        { echo "$server does not forward: $status $(cat "$folder/answer")" >&2; exit 1; }
done
status="$(send portcullis $((first + 99)))"
[ "$status" = 400 ] || { echo "the gateway answered $status for a blocked number, and not 400" >&2; exit 1; }

# ask NAME SERVER WORKLOAD MORE…: of numbers of which none is blocked, so that all are forwarded everywhere.
ask() {
    taskset -c "$client_core" target/release/portcullis-load --json --url "http://127.0.0.1:${port[$2]}" --pid "${pids[$2]}" \
        --seconds "$seconds" --workload "$3" --numbers 99 "${@:4}" > "$folder/object"
}
for round in 1 2 3; do
    echo "round $round of 3" >&2
    for server in nginx ${haproxy:+haproxy} portcullis; do
        ask "$server" "$server" messages
        record "forward/$server" requests cpu p50 p99 < "$folder/object"
        ask "$server" "$server" messages --rate 5000
        record "forward/$server/at-5000" p50 p99 < "$folder/object"
    done
    ask portcullis-webhook portcullis webhook
    record forward/portcullis-webhook requests cpu p50 p99 < "$folder/object"
done
sed -i -E 's!/at-5000/(\S+)!/\1-at-5000!' "$results"

medians | awk '
    { split($1, part, "/"); name = part[2]; value[name, part[3]] = $2 }
    !(name in seen) { seen[name] = 1; names[++count] = name }
    END {
        printf "asked by portcullis-load, 16 connections; medians of three rounds\n"
        printf "%-24s %12s %14s %10s %10s %16s %16s\n", "forwarded", "requests/s", "server CPU ns", "p50 µs", "p99 µs", "p50 µs at 5,000", "p99 µs at 5,000"
        for (i = 1; i <= count; i++) {
            name = names[i]
            printf "%-24s %12.0f %14.0f %10.0f %10.0f %16s %16s\n", name, value[name, "requests"], value[name, "cpu"],
                value[name, "p50"] / 1000, value[name, "p99"] / 1000, at(name, "p50"), at(name, "p99")
        }
    }
    function at(name, what) { return (name, what "-at-5000") in value ? sprintf("%.0f", value[name, what "-at-5000"] / 1000) : "" }'
write_json
