#!/usr/bin/env bash
# A newcomer's first minute: `npm run dev` in the checkout, one click posted, its count read, one Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
data=$(mktemp -d)
out=$data/out
MILLRACE_DATA=$data/store MILLRACE_HTTP_PORT=0 setsid npm run dev >"$out" 2>&1 &
group=$!
trap 'kill -KILL -- -$group 2>/dev/null || true; rm -rf "$data"' EXIT

url=
for _ in $(seq 300); do
  url=$(grep -oE 'http://127\.0\.0\.1:[1-9][0-9]*' "$out" | head -n 1 || true)
  [ -z "$url" ] || break
  sleep 0.1
done
[ -n "$url" ] || { cat "$out"; echo 'the host did not say where it listens'; exit 1; }

token=$(curl -sf -d '{"page":"/home"}' "$url/emitters/clicks/alice" | sed -nE 's/.*"token":"([^"]+)".*/\1/p')
value=$(curl -sf "$url/views/click-count/alice?after=$token")
[ "$value" = '{"count":1,"lastPage":"/home"}' ] || { cat "$out"; echo "found $value"; exit 1; }

kill -INT -- -$group
wait $group || true
grep -q 'rror' "$out" && { cat "$out"; exit 1; }
echo "two commands: $value"
