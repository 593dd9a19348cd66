#!/usr/bin/env bash
# From an empty folder to the first view, with the tarball of `npm pack`: init, install, types, test, a further function from each
# template, dev, emit, get, one Ctrl-C. With a folder as its argument the tarball is left there.
set -eu
cd "$(dirname "$0")/.."
home=$(mktemp -d)
group=
trap '[ -z "$group" ] || kill -KILL -- -$group 2>/dev/null || true; rm -rf "$home"' EXIT
said() { echo "$1: $((SECONDS - since)) s"; since=$SECONDS; }
since=$SECONDS

npm pack --silent --pack-destination "$home" >/dev/null
tarball=$(echo "$home"/millrace-*.tgz)
said 'npm pack'

cd "$home"
begun=$SECONDS
npx --yes -p "$tarball" millrace init app >"$home/said"
cd app
npm install --silent --no-audit --no-fund
said 'init and npm install'

# In a project of its own group, so that one signal reaches all that npm has started.
MILLRACE_HTTP_PORT=0 setsid npm run dev >"$home/out" 2>&1 &
group=$!
url=
for _ in $(seq 600); do
  url=$(grep -oE 'http://127\.0\.0\.1:[1-9][0-9]*' "$home/out" | head -n 1 || true)
  [ -z "$url" ] || break
  sleep 0.1
done
[ -n "$url" ] || { cat "$home/out"; echo 'the host did not say where it listens'; exit 1; }
export MILLRACE_URL=$url
token=$(npx millrace emit clicks alice '{"page":"/home"}' --json | sed -nE 's/.*"token":"([^"]+)".*/\1/p')
value=$(npx millrace get click-count alice --after "$token")
[ "$value" = '{"count":1,"lastPage":"/home"}' ] || { cat "$home/out"; echo "found $value"; exit 1; }
said 'dev, emit, get'
echo "from an empty folder to the first view: $((SECONDS - begun)) s"

npx millrace new orders --template filter >/dev/null
for _ in $(seq 300); do
  npx millrace functions orders --json 2>/dev/null | grep -q '"state":"running"' && break
  sleep 0.1
done
npx millrace topology | grep -q '\[orders\]' || { cat "$home/out"; echo 'the new function does not run'; exit 1; }
kill -INT -- -$group
wait $group || true
group=
if grep -q 'rror' "$home/out"; then cat "$home/out"; exit 1; fi

for template in session loop enrich schema; do npx millrace new "my-$template" --template "$template" >/dev/null; done
npm install --silent --no-audit --no-fund
npx millrace check
npm run --silent types
said 'new, check, types'
npm test --silent >"$home/tests" 2>&1 || { cat "$home/tests"; exit 1; }
grep -E '^# (pass|fail)|^. (pass|fail)' "$home/tests"
said 'npm test'
[ $# -eq 0 ] || cp "$tarball" "$1"
