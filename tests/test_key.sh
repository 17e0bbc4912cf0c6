#!/bin/bash
# End-to-end tests of socle key: what a person or a script sees.
#
# usage: tests/test_key.sh PROGRAM     (or the build folder that holds it)
# Prints a line for each test and ends with "N passed, N failed, N skipped"; exits non-zero when one failed.
set -u
program=${1:?usage: tests/test_key.sh PROGRAM}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
[ -x "$socle" ] || { echo "no program at $program"; exit 1; }
cd "$(dirname "$0")/.." || exit 1
if ! "$socle" --help | grep -q '^  key '; then
    echo "ok - socle key # skipped: built without the server"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C HOME=$tmp/home
unset XDG_STATE_HOME NO_COLOR
mkdir "$HOME"

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $1"
    [ $# -gt 1 ] && printf '%s\n' "$2" | sed 's/^/    /'
}

# check DESCRIPTION COMMAND...: passes when the command succeeds.
check() {
    local description=$1
    shift
    if "$@" >"$tmp/check" 2>&1; then ok "$description"; else not_ok "$description" "$(head -5 "$tmp/check")"; fi
}

# expect CODE PATTERN DESCRIPTION ARGUMENTS...: socle key with these arguments ends with this code, and what it says on
# standard error (standard output when the code is 0) matches the pattern. Both are left in $tmp/out and $tmp/err.
expect() {
    local code=$1 pattern=$2 description=$3 got stream
    shift 3
    "$socle" key "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
    got=$?
    [ "$code" -eq 0 ] && stream=$tmp/out || stream=$tmp/err
    if [ "$got" -ne "$code" ]; then
        not_ok "$description" "exit code $got, expected $code: $(head -c 300 "$tmp/err")"
    elif ! grep -Eq -- "$pattern" "$stream"; then
        not_ok "$description" "expected /$pattern/, found: $(head -c 300 "$stream")"
    elif [ "$code" -ne 0 ] && ! grep -q '^socle: ' "$tmp/err"; then
        not_ok "$description" "no 'socle: ' message: $(head -c 300 "$tmp/err")"
    else
        ok "$description"
    fi
}

# Is the file one JSON document? Asked of the program's own reader, as a part of a row.
is_json() {
    { printf '{"text": "", "document": ' && tr '\n' ' ' <"$1" && printf '}\n'; } | "$socle" tokenize --jsonl >/dev/null
}
export SOCLE_TALES=$PWD/share/tales.gguf

# ---- the default place

database=$HOME/.local/state/socle/keys.db
expect 5 'keys.db: cannot open: No such file' "list: no database yet" list
expect 5 'No such file' "revoke: no database yet" revoke alice
check "... and none was made" test ! -e "$HOME/.local"
expect 0 '^sk-socle-[0-9a-f]{64}$' "add prints a key" add alice
check "... and nothing else on standard output" test "$(wc -l <"$tmp/out")" -eq 1
check "... and where it is, on standard error" grep -q "Key 1, 'alice', is in $database" "$tmp/err"
first=$(cat "$tmp/out")
check "the database is for its owner only" test "$(stat -c %a "$database")" = 600
check "... and so is its folder" test "$(stat -c %a "$(dirname "$database")")" = 700
check "the key is nowhere in it" sh -c "! grep -aq '${first#sk-socle-}' '$database'"
expect 0 '1  alice +active +never +never +0 / 0' "list" list
check "... with scopes" grep -q 'chat,embeddings' "$tmp/out"
check "... and not the key" sh -c "! grep -q '${first#sk-socle-}' '$tmp/out'"
XDG_STATE_HOME=$tmp/state expect 0 '^sk-socle-' "XDG_STATE_HOME is honoured" add alice
check "... there it is" test -s "$tmp/state/socle/keys.db"
XDG_STATE_HOME=relative expect 0 '1  alice' "... unless it is relative" list
HOME='' expect 2 'XDG_STATE_HOME nor HOME' "no place to look in" list

# ---- a named place

db=(--db "$tmp/folder/keys.db")
limits=(--requests-per-minute 60 --tokens-per-day 200000 --concurrency 2)
expect 0 '^sk-socle-' "add with everything" add ward-3 --scopes chat,admin --expires 90d "${limits[@]}" "${db[@]}"
check "... is another key" test "$first" != "$(cat "$tmp/out")"
expect 0 '1  ward-3 +active +20[0-9]{2}-' "list of that database" list "${db[@]}"
check "... with limits" grep -q 'chat,admin; 60 requests a minute; 200000 tokens a day; 2 at once' "$tmp/out"
expect 0 '"requests_per_minute": 60' "list --json" list --json "${db[@]}"
check "... is JSON" is_json "$tmp/out"
for field in '"database": ".*keys.db"' '"state": "active"' '"tokens_per_day": 200000' '"revoked": null' \
    '"expires": "20..-..-..T..:..:..Z"' '"generated_tokens": 0' '"days": \[\]'; do
    check "... with $field" grep -q "$field" "$tmp/out"
done
expect 0 '^sk-socle-' "a date, and scopes of its own" add later --expires 2999-12-31 --scopes embeddings "${db[@]}"
expect 0 '2  later +active +2999-12-31' "... which list shows" list "${db[@]}"
if command -v sqlite3 >/dev/null; then
    today=$(($(date +%s) / 86400))
    sqlite3 "${db[1]}" "INSERT INTO usage VALUES (1, $today, 12, 3000, 1000, 400, $(date +%s)),
        (1, $((today - 1)), 1, 1500000, 0, 10, 0), (1, $((today - 9)), 1, 1, 1, 1, 0)"
    expect 0 '12 / 3.4k +14 / 1.5M' "usage of today and in all" list "${db[@]}"
    check "... in the columns of its key" grep -Eq "ward-3 .* $(date -u +%F) +12 / 3.4k" "$tmp/out"
    expect 0 "$(date -u -d yesterday +%F)  1 / 1.5M" "list --days" list --days 2 "${db[@]}"
    check "... of the last days only" test "$(grep -c "^ *20..-..-..  " "$tmp/out")" -eq 2
    expect 0 '"cached_tokens": 1000' "usage in JSON" list --json --days 10 "${db[@]}"
    check "... by day" test "$(grep -c '"day": ' "$tmp/out")" -eq 3
    sqlite3 "${db[1]}" "UPDATE keys SET expires = 5 WHERE id = 2"
    expect 0 'later +expired +1970-01-01' "an expired key" list "${db[@]}"
fi

# ---- revoking

expect 0 "Key 1, 'ward-3', is revoked" "revoke by name" revoke ward-3 "${db[@]}"
expect 0 'ward-3 +revoked' "... which list shows" list "${db[@]}"
expect 2 'was revoked before' "revoke twice" revoke 1 "${db[@]}"
expect 2 "no key is called 'nobody'" "revoke of nobody" revoke nobody "${db[@]}"
expect 0 '^sk-socle-' "the name is free again" add ward-3 "${db[@]}"
expect 0 "Key 3, 'ward-3'" "revoke takes the newer one" revoke ward-3 "${db[@]}"
expect 0 "Key 2, 'later'" "revoke by id" revoke 2 "${db[@]}"

# ---- mistakes

expect 2 "called 'alice' already" "a name that is taken" add alice
expect 2 'needs a name' "an empty name" add ''
expect 2 'digits only' "a name like an id" add 17
expect 2 'printable ASCII' "a name with control characters" add "$(printf 'a\033[31m')"
check "... which do not reach the terminal" test "$(tr -dc '\033' <"$tmp/err" | wc -c)" -eq 0
expect 2 'at most 64' "a name too long" add "$(head -c 65 /dev/zero | tr '\0' a)"
expect 2 "no scope is called 'chats': expected some of chat,embeddings,admin" "an unknown scope" add bob --scopes chats
expect 2 'expected a time from now' "an expiry that is none" add bob --expires soon
expect 2 'expected a time from now' "a day that is not in the calendar" add bob --expires 2999-02-30
expect 2 'not in the future' "an expiry in the past" add bob --expires 2020-01-01
expect 2 'not in the future' "an expiry of now" add bob --expires 0d
expect 2 'expected a whole number' "a limit that is none" add bob --concurrency many
expect 2 'expected add, list or revoke;' "no action"
expect 2 "did you mean 'revoke'" "a mistyped action" revok alice
expect 2 'needs the name' "add without a name" add
expect 2 'needs the name' "revoke without a name" revoke
expect 2 'unexpected' "list with an operand" list alice
expect 2 'belong to' "an option of add elsewhere" list --scopes chat
expect 2 'belongs to' "an option of list elsewhere" revoke alice --json
expect 0 '1  alice' "mistakes added nothing" list
check "... at all" test "$(grep -c active "$tmp/out")" -eq 1

# ---- failures

echo 'not a database of keys, whatever its name says' >"$tmp/text.db"
expect 3 'text.db: .*damaged, or no database' "a file that is none" list --db "$tmp/text.db"
expect 3 'text.db: .*damaged, or no database' "... is not made one" add bob --db "$tmp/text.db"
expect 5 'is a directory' "a folder" list --db "$tmp"
: >"$tmp/empty.db"
expect 3 'is empty' "an empty file" list --db "$tmp/empty.db"
cp "$database" "$tmp/open.db" && chmod 666 "$tmp/open.db"
expect 5 'anybody may write' "a database that anybody may write" list --db "$tmp/open.db"
expect 5 'Not a directory' "a place that cannot be" add bob --db /dev/null/keys.db
if [ -w /dev/full ]; then
    "$socle" key add unseen >/dev/full 2>"$tmp/err"
    check "a key that could not be shown: exit code 5" test $? -eq 5
    check "... is revoked" grep -q 'was revoked again' "$tmp/err"
    expect 0 'unseen +revoked' "... which list shows" list
fi
if [ "$(id -u)" -ne 0 ]; then
    chmod 400 "$database"
    expect 5 'may not be written|Permission denied' "a database that may not be written" add bob
    chmod 600 "$database"
fi
(
    ulimit -f 8 # in blocks of 1 KiB
    "$socle" key add big --db "$tmp/big/keys.db" >"$tmp/out" 2>"$tmp/err"
)
check "no space for the database: exit code 5" test $? -eq 5
check "... a sentence, and no key" test -s "$tmp/err" -a ! -s "$tmp/out"
mkdir "$tmp/many"
for i in 1 2 3 4 5 6 7 8; do "$socle" key add "key $i" --db "$tmp/many/keys.db" >"$tmp/many/$i" 2>"$tmp/many/$i.err" & done
wait
check "eight at once: every one added" test "$("$socle" key list --db "$tmp/many/keys.db" | grep -c active)" -eq 8
check "... and different" test "$(cat "$tmp"/many/[1-8] | sort -u | wc -l)" -eq 8

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
