# Shared code of check.sh and forward.sh, which source this file. Arguments: [--json FILE] [--install] [SECONDS].
#
# Servers listen on 127.0.0.1 and on Unix sockets, keep their data in a temporary directory, and are stopped when the script exits
# for any reason. The machine's own services are not touched.
set -euo pipefail
called_from="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Some of Debian's servers are only in root's path, and some in no path.
look_further() { PATH="$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin)"; }
look_further

seconds=5 json='' wants_install=''
while [ $# -gt 0 ]; do
    case "$1" in
        --json)
            json="${2:?--json needs a file}"
            [ "${json:0:1}" = / ] || json="$called_from/$json"
            shift
            ;;
        --install) wants_install=1 ;;
        *[!0-9]* | '') echo "usage: $0 [--json FILE] [--install] [SECONDS]" >&2; exit 2 ;;
        *) seconds="$1" ;;
    esac
    shift
done

folder="$(mktemp -d)"
# Servers may run as other users and need access.
chmod 711 "$folder"
results="$folder/results"
: > "$results"
declare -A pids=()

stop_servers() {
    local pid attempt
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        for attempt in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    pids=()
}
trap 'stop_servers; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The server and the client each have a CPU to themselves, if there are two. A server starts one thread per available CPU, so all
# servers have one.
server_core=0
client_core=$(($(nproc) > 1 ? 1 : 0))

# start NAME COMMAND…: starts a server, whose process id is then ${pids[NAME]}.
start() {
    taskset -c "$server_core" "${@:2}" > "$folder/$1.log" 2>&1 &
    pids[$1]=$!
}

# await NAME COMMAND…: waits until COMMAND succeeds. Fails after two minutes, or if the server has exited.
await() {
    local until=$((SECONDS + 120))
    until "${@:2}" > /dev/null 2>&1; do
        if ! kill -0 "${pids[$1]}" 2>/dev/null || [ "$SECONDS" -ge "$until" ]; then
            { echo "$1 did not become ready. Is its port in use? Its log:"; tail -n 5 "$folder/$1.log"; } >&2
            exit 1
        fi
        sleep 0.1
    done
}

# has PROGRAM PACKAGE: whether the program is installed. Installs it only with --install.
has() {
    if ! type -P "$1" > /dev/null && [ -n "$wants_install" ]; then install_package "$2"; fi
    if ! type -P "$1" > /dev/null; then
        echo "skipping $2, which is not installed; --install installs it" >&2
        return 1
    fi
}

# Installs a Debian package without starting its services, now or later.
install_package() {
    local policy=/usr/sbin/policy-rc.d made=''
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
        made=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" >&2 || true
    if [ -n "$made" ]; then rm "$policy"; fi
    if [ -d /run/systemd/system ]; then systemctl disable --quiet "$1" 2>/dev/null || true; fi
    look_further
}

# start_nginx NAME BODY: BODY is the contents of the http block.
start_nginx() {
    cat > "$folder/$1.conf" <<CONF
daemon off; worker_processes 1; pid $folder/$1.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path $folder/$1-b; proxy_temp_path $folder/$1-p;
  fastcgi_temp_path $folder/$1-f; uwsgi_temp_path $folder/$1-u; scgi_temp_path $folder/$1-s;
  $2
}
CONF
    start "$1" nginx -e stderr -c "$folder/$1.conf"
}

# start_haproxy BODY: BODY is the frontends and backends.
start_haproxy() {
    cat > "$folder/haproxy.cfg" <<CONF
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  http-reuse always
$1
CONF
    start haproxy haproxy -db -f "$folder/haproxy.cfg"
}

# start_portcullis PORT SIZE [CONFIGURATION [SENDER CONFIGURATION]]: a gateway with a demo tenant that has SIZE blocked numbers.
start_portcullis() {
    mkdir -p "$folder/portcullis-$2"
    cat > "$folder/portcullis-$2/portcullis.toml" <<CONF
[server]
listen = "127.0.0.1:$1"
lame_duck_seconds = 0
[storage]
url = "sqlite://portcullis.db"
${3:-}
[[tenants]]
id = "demo"
tokens = ["demo-secret"]
[[tenants.senders]]
id = "support"
phone_number_id = "106540352242922"
${4:-}
CONF
    PORTCULLIS_LOG=warn start portcullis target/release/portcullis serve --config "$folder/portcullis-$2/portcullis.toml"
    await portcullis curl -fs "http://127.0.0.1:$1/readyz"
    members "$2" | target/release/portcullis import - --sender support --url "http://127.0.0.1:$1" --token demo-secret \
        --format plain > "$folder/import.log" 2>&1 || { tail -n 5 "$folder/import.log" >&2; exit 1; }
}

# The last number of each hundred is blocked: see benches/numbers.rs.
first=46732000000
members() { # SIZE
    seq $((first + 99)) 100 $((first + $1 * 100 - 1))
}

# record NAME KEY…: records these keys of the flat JSON object on stdin as NAME/KEY. Fails if there were errors: a server that
# responds with errors is fast.
record() {
    local object
    object="$(tr -d '{}" \n' | tr ',:' '\n ')"
    awk -v name="$1" -v keys="${*:2}" '
        BEGIN { split(keys, list, " "); for (k in list) wanted[list[k]] = 1 }
        $1 == "refused" && $2 > 0 { print name ": " $2 " responses were errors" > "/dev/stderr"; failed = 1; exit 1 }
        $1 in wanted { print name "/" $1, $2; found++ }
        END { if (!failed && !found) { print name ": nothing was measured" > "/dev/stderr"; exit 1 } }
    ' <<< "$object" >> "$results"
}

# The median of each name, in order of first appearance.
medians() {
    awk '
        !($1 in count) { order[++names] = $1 }
        { values[$1, ++count[$1]] = $2 }
        END {
            for (i = 1; i <= names; i++) {
                name = order[i]
                for (a = 2; a <= count[name]; a++)
                    for (b = a; b > 1 && values[name, b] + 0 < values[name, b - 1] + 0; b--) {
                        swap = values[name, b]; values[name, b] = values[name, b - 1]; values[name, b - 1] = swap
                    }
                print name, values[name, int((count[name] + 1) / 2)]
            }
        }' "$results"
}

# Writes the medians as a flat object to the file given with --json.
write_json() {
    [ -n "$json" ] || return 0
    mkdir -p "$(dirname "$json")"
    medians | awk 'BEGIN { printf "{" } { printf "%s\n  \"%s\": %s", (NR > 1 ? "," : ""), $1, $2 } END { print "\n}" }' > "$json"
}

cargo build --release --workspace --bins --quiet
