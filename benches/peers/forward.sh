#!/usr/bin/env bash
# The path of forwarded messages beside plain reverse proxies, on this machine and in one run: nginx and HAProxy (Debian's
# packages) and the gateway, each before the same upstream, which is another nginx that answers a constant.
# Usage: benches/peers/forward.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-5}"
folder="$(mktemp -d)"
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"; }
trap stop EXIT
cargo build --release --workspace --bins --quiet
load=target/release/portcullis-load

nginx_conf() { # NAME PORT BODY
    cat > "$folder/$1.conf" <<CONF
daemon off; worker_processes 1; pid $folder/$1.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000; client_body_temp_path $folder/$1-b; proxy_temp_path $folder/$1-p;
  fastcgi_temp_path $folder/$1-f; uwsgi_temp_path $folder/$1-u; scgi_temp_path $folder/$1-s;
  $3
}
CONF
    nginx -c "$folder/$1.conf" & pids+=($!)
}
answer='{"messaging_product":"whatsapp","contacts":[{"input":"+1","wa_id":"1"}],"messages":[{"id":"wamid.x"}]}'
nginx_conf upstream 9101 "server { listen 127.0.0.1:9101; location / { default_type application/json; return 200 '$answer'; } }"
nginx_conf proxy 9102 "upstream u { server 127.0.0.1:9101; keepalive 64; }
  server { listen 127.0.0.1:9102; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; } }"
nginx_pid="${pids[1]}"
cat > "$folder/haproxy.cfg" <<CONF
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:9103
  default_backend b
backend b
  server u 127.0.0.1:9101
CONF
haproxy -db -f "$folder/haproxy.cfg" & pids+=($!); haproxy_pid=$!
cat > "$folder/portcullis.toml" <<CONF
[server]
listen = "127.0.0.1:9104"
[storage]
url = "sqlite://portcullis.db"
[meta]
upstream = "http://127.0.0.1:9101"
app_secret = "app-secret"
[[tenants]]
id = "demo"
tokens = ["demo-secret"]
replicas = 2
[[tenants.senders]]
id = "support"
phone_number_id = "106540352242922"
callback_url = "http://127.0.0.1:9101/in"
CONF
PORTCULLIS_LOG=warn target/release/portcullis serve --config "$folder/portcullis.toml" >/dev/null & pids+=($!); gate_pid=$!
until curl -fs http://127.0.0.1:9104/readyz >/dev/null; do sleep 0.1; done
seq 46732000000 100 46738399999 | target/release/portcullis import - --sender support --url http://127.0.0.1:9104 --token demo-secret --format plain >/dev/null 2>&1
until curl -fs http://127.0.0.1:9102/ >/dev/null && curl -fs http://127.0.0.1:9103/ >/dev/null; do sleep 0.1; done

run() { # NAME PORT PID MORE…
    "$load" --name "$1" --url "http://127.0.0.1:$2" --pid "$3" --seconds "$seconds" "${@:4}"
}
# Of numbers of which none is blocked, so that all are forwarded everywhere.
for round in 1 2 3; do
    echo "round $round, messages, as many as are answered:"
    run nginx 9102 "$nginx_pid" --workload messages --numbers 99
    run haproxy 9103 "$haproxy_pid" --workload messages --numbers 99
    run portcullis 9104 "$gate_pid" --workload messages --numbers 99
    run "portcullis webhook" 9104 "$gate_pid" --workload webhook --numbers 99
    echo "round $round, messages, 5,000 a second:"
    run nginx 9102 "$nginx_pid" --workload messages --numbers 99 --rate 5000
    run haproxy 9103 "$haproxy_pid" --workload messages --numbers 99 --rate 5000
    run portcullis 9104 "$gate_pid" --workload messages --numbers 99 --rate 5000
done
