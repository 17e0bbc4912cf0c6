# For tests of socle serve (test_serve*.sh): starts and stops servers, asks them, and counts.
#
# Sets $socle, $build, $root, $tmp, $model (continues texts), $chat (converses; empty without build/tests/add_template)
# and $san (the program has sanitizers). Servers end by their process number, at the latest when the script does.
program=${1:?usage: $0 PROGRAM, or the build folder that holds it}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
[ -x "$socle" ] || { echo "no program at $program"; exit 1; }
build=$(dirname "$socle")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$PWD
skip_all() {
    echo "ok - $(basename "$0") # skipped: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
"$socle" --help | grep -q '^  serve ' || skip_all "built without the server"
command -v curl >/dev/null || skip_all "no curl"

tmp=$(mktemp -d) || exit 1
servers=()
# shellcheck disable=SC2317  # called by the trap
clean_up() {
    for p in "${servers[@]+"${servers[@]}"}"; do kill -KILL "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
    rm -rf "$tmp"
}
trap clean_up EXIT
export LC_ALL=C HOME=$tmp
unset SOCLE_CPU SOCLE_NOW NO_COLOR XDG_STATE_HOME http_proxy https_proxy all_proxy
model=$root/share/tales.gguf
chat=
"$build/tests/add_template" "$model" tests/data/chatml.jinja "$tmp/chat.gguf" 2>/dev/null && chat=$tmp/chat.gguf
san=
grep -aqE '__(asan|tsan)_init' "$socle" && san=1

passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $1"
    [ $# -gt 1 ] && printf '%s\n' "$2" | sed 's/^/    /'
}
skip() { skipped=$((skipped + 1)); echo "ok - $1 # skipped: $2"; }
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

# check DESCRIPTION COMMAND...: passes when the command succeeds.
check() {
    local description=$1
    shift
    if "$@" >"$tmp/check" 2>&1; then ok "$description"; else not_ok "$description" "$(head -c 600 "$tmp/check")"; fi
}

# start OPTIONS...: a server; sets $pid, $url and $log (what it says on standard error). LeakSanitizer cannot work in the
# sandbox, so that with sanitizers servers are outside of it unless the options say otherwise.
n_started=0
start() {
    local out
    n_started=$((n_started + 1))
    out=$tmp/server$n_started.out log=$tmp/server$n_started.err
    if [ -n "$san" ] && [[ " $* " != *" --sandbox "* ]]; then set -- "$@" --sandbox off; fi
    : >"$out"
    "$socle" serve --port 0 "$@" >"$out" 2>"$log" </dev/null &
    pid=$!
    servers+=("$pid")
    for _ in $(seq 600); do
        url=$(sed -n 's/^Listening on \([^ ]*\).*/\1/p' "$out")
        [ -n "$url" ] && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    not_ok "a server starts: $*" "$(head -c 600 "$log")"
    return 1
}

# stop DESCRIPTION: ends the last server as systemd would; it must end properly and leave nothing behind.
stop() {
    local code
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
    code=$?
    if [ "$code" -eq 0 ] && ! grep -Eq 'Sanitizer|runtime error' "$log"; then ok "$1"
    else not_ok "$1" "exit code $code: $(head -c 2000 "$log")"; fi
}

# ask ROUTE [BODY] [CURL'S OPTIONS...]: sets $status and leaves the answer in $tmp/body, its head in $tmp/head. A body that
# begins with '@' is a file's.
ask() {
    local route=$1 body=${2:-}
    shift
    [ $# -gt 0 ] && shift
    [ -n "$body" ] && set -- --data-binary "$body" -H 'Content-Type: application/json' "$@"
    status=$(curl -sS -m 60 -o "$tmp/body" -D "$tmp/head" -w '%{http_code}' "$@" "$url$route" 2>"$tmp/curl")
}

# expect STATUS PATTERN DESCRIPTION ROUTE [BODY] [CURL'S OPTIONS...]: the answer has the status and matches the pattern.
expect() {
    local want=$1 pattern=$2 description=$3
    shift 3
    : >"$tmp/body"
    ask "$@"
    if [ "$status" != "$want" ]; then
        not_ok "$description" "status $status, expected $want: $(head -c 400 "$tmp/body" "$tmp/curl")"
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$tmp/body"; then
        not_ok "$description" "expected /$pattern/, found: $(head -c 600 "$tmp/body")"
    else
        ok "$description"
    fi
}

# has DESCRIPTION PATTERN [FILE]: the last answer (or a file) matches.
has() {
    if grep -Eq -- "$2" "${3:-$tmp/body}"; then ok "$1"
    else not_ok "$1" "expected /$2/, found: $(head -c 600 "${3:-$tmp/body}")"; fi
}

# The number behind a name in the last answer's JSON.
number() { sed -n 's/.*"'"$1"'":\(-\{0,1\}[0-9][0-9.e+-]*\).*/\1/p' "${2:-$tmp/body}" | tail -1; }
# What differs between two answers to the same request: names that are drawn, times, and what the cache knew.
plain() {
    sed -E 's/"(id|item_id|call_id)":"[^"]*"/"\1":""/g; s/"(created|created_at)":[0-9]+/"\1":0/g;
            s/"(cached_tokens|cache_read_input_tokens|input_tokens)":[0-9]+/"\1":0/g' "$@"
}
# A text of so many repetitions.
repeat() { printf "%*s" "$1" '' | sed "s/ /$2/g"; }
