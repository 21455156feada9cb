#!/usr/bin/env bash
# Compares message forwarding: the gateway, and plain reverse proxies (nginx and HAProxy, from Debian's packages), on this machine in
# one run, with the same upstream, which is another nginx that responds with a constant.
# Usage: benches/peers/forward.sh [--json FILE] [--install] [SECONDS]
#   --json FILE   also write a flat object of name -> number: requests per second, times in nanoseconds
#   --install     install missing packages (Debian's; their services are not left running)
#   SECONDS       duration of each of the three rounds per server; default 5
. "$(dirname "$0")/servers.sh"

has nginx nginx || { echo "nginx is required as the upstream" >&2; exit 1; }
has haproxy haproxy && haproxy=1 || haproxy=''

answer='{"messaging_product":"whatsapp","contacts":[{"input":"+1","wa_id":"1"}],"messages":[{"id":"wamid.x"}]}'
declare -A port=([upstream]=9101 [nginx]=9102 [haproxy]=9103 [portcullis]=9104)
# The upstream is not measured, so it shares the client's CPU.
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

# send SERVER NUMBER: sends a message to NUMBER through SERVER, and prints the status.
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
[ "$status" = 400 ] || { echo "the gateway responded with $status instead of 400 for a blocked number" >&2; exit 1; }

# ask NAME SERVER WORKLOAD MORE…: measures messages to numbers that are not blocked, so that all are forwarded.
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
        printf "client: portcullis-load, 16 connections; medians of three rounds\n"
        printf "%-24s %12s %14s %10s %10s %16s %16s\n", "forwarded", "requests/s", "server CPU ns", "p50 µs", "p99 µs", "p50 µs at 5,000", "p99 µs at 5,000"
        for (i = 1; i <= count; i++) {
            name = names[i]
            printf "%-24s %12.0f %14.0f %10.0f %10.0f %16s %16s\n", name, value[name, "requests"], value[name, "cpu"],
                value[name, "p50"] / 1000, value[name, "p99"] / 1000, at(name, "p50"), at(name, "p99")
        }
    }
    function at(name, what) { return (name, what "-at-5000") in value ? sprintf("%.0f", value[name, what "-at-5000"] / 1000) : "" }'
write_json
