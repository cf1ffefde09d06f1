#!/usr/bin/env bash
# http_soak.sh [REQUESTS [CONNECTIONS [NAME=MODEL]]]: sends pictures to a freshly started server in two halves and
# compares its resident memory after each. Fails if a request fails, or if memory grew by more than 2 % in the second
# half. Defaults: 20000 requests, 32 connections, digits=digits, the built-in model. Needs wrk; $PICTURE is the file that
# is sent. With SqueezeNet and a photo of the test data (DATA):
#   PICTURE=DATA/images/imagenet/n02504013_Indian_elephant.JPEG \
#       bench/http_soak.sh 200000 32 squeezenet1.1=DATA/models/squeezenet1.1
set -euo pipefail
cd "$(dirname "$0")/.."
requests=${1:-20000} connections=${2:-32} model=${3:-digits=digits}
picture=${PICTURE:-docs/examples/seven.jpg}
half=$((requests / 2))
log=$(mktemp) script=$(mktemp --suffix=.lua) report=$(mktemp)

# Whatever ends the script ends its children. A trap is run only between commands, so none that takes long is run in
# the foreground: `wait` can be interrupted.
clean_up() {
    local children
    mapfile -t children < <(jobs -p)
    kill "${children[@]}" 2>/dev/null || true
    wait
    rm -f "$log" "$script" "$report"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

build/release/cnnserve serve --port 0 --model "$model" 2>"$log" &
server=$!
until grep -q '^cnnserve ready on' "$log"; do
    kill -0 "$server" || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -nE 's/^cnnserve ready on (http[^ ]*[0-9]).*/\1/p' "$log")

# wrk ends by time, or when it is interrupted: the script does that once all answers have come.
cat >"$script" <<'LUA'
local file = assert(io.open(os.getenv("PICTURE"), "rb"))
local body = file:read("*a")
file:close()
local wanted, answers, threads = tonumber(os.getenv("WANTED")), 0, {}
failed = 0
request = function() return wrk.format("POST", nil, {["Content-Type"] = "image/jpeg"}, body) end
response = function(status)
    answers = answers + 1
    if status ~= 200 then failed = failed + 1 end
    if answers == wanted then
        wrk.thread:stop()
        os.execute("wrk=$PPID; (sleep 0.2; kill -INT $wrk) &") -- while execute waits, SIGINT is ignored
    end
end
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency)
    local refused, e = threads[1]:get("failed"), summary.errors
    io.write(string.format(
        "%d requests, %d not 200, errors: %d connect, %d read, %d write, %d timeout; %.0f requests/s, p99 %.1f ms\n",
        summary.requests, refused, e.connect, e.read, e.write, e.timeout,
        summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000))
    os.exit((refused + e.connect + e.read + e.write + e.timeout) > 0 and 1 or 0)
end
LUA

memory() { awk '/^VmRSS/ {print $2}' "/proc/$server/status"; }
send() {
    local status=0
    PICTURE=$picture WANTED=$half timeout 3600 \
        wrk -t 1 -c "$connections" -d 3600s -s "$script" "$url/v1/classify" >"$report" &
    wait $! || status=$?
    grep 'requests, ' "$report" || status=1
    return "$status"
}

echo "VmRSS at the start: $(memory) kB"
status=0
send || status=1
first=$(memory)
echo "VmRSS after $half requests: $first kB"
send || status=1
second=$(memory)
echo "VmRSS after $((half * 2)) requests: $second kB, $(awk "BEGIN {printf \"%.3f\", $second / $first}") of the first half's"
curl -fsS "$url/v1/models/${model%%=*}" | grep -oE '"(weights|session)_bytes":[0-9]+' | awk -F : -v resident="$second" '
    {bytes += $2}
    END {printf "of them %.1f MB packed weights and arenas, %.1f MB all else\n", bytes / 1e6, (resident * 1024 - bytes) / 1e6}'
((status == 0 && second * 50 <= first * 51)) || { echo "FAILED" >&2; exit 1; }
