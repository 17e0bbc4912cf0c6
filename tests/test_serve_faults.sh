#!/bin/bash
# Socle serve when things go wrong: load, limits, keys, clients that misbehave, a full disk, signals. test_serve.sh has
# the interfaces.
#
# usage: tests/test_serve_faults.sh PROGRAM     (or the build folder that holds it)
# Prints a line for each test and ends with "N passed, N failed, N skipped"; exits non-zero when one failed.
set -u
. "$(dirname "$0")/serve_helpers.sh"
n_asked=0 n_faults=0
port() { echo "${url##*:}"; }
running() { ask /status.json && number n_running; }

# quiet DESCRIPTION: within 5 s the server computes nothing any more, and is healthy.
quiet() {
    for _ in $(seq 50); do
        [ "$(running)" = 0 ] && break
        sleep 0.1
    done
    check "$1" test "$(running)" = 0
}

# ---- bits do not depend on load

# 64 requests of all kinds into $tmp/asked, as a configuration of curl's. Answers are shorter with sanitizers.
mix() {
    local i n route body hello tools=''
    mkdir -p "$tmp/asked"
    for i in $(seq 0 63); do
        n=$((i % 7 + (san ? 4 : 16)))
        hello='"messages": [{"role": "user", "content": "Tale '$((i / 16))' of a king."}]'
        tools='"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type":
            "object", "properties": {"a": {"enum": [1, 2, 3]}}, "required": ["a"], "additionalProperties": false}}}]'
        route=/v1/chat/completions
        case $((i % 8)) in
        0) route=/v1/completions body="\"prompt\": \"Once upon a time\", \"seed\": $i, \"n\": 2" ;;
        1) body="$hello, \"seed\": $i, \"logprobs\": true, \"top_logprobs\": 3" ;;
        2) body="$hello, \"seed\": $i, \"stream\": true" ;;
        3) body="$hello, \"seed\": $i, $tools, \"parallel_tool_calls\": false" ;;
        4) route=/v1/messages body="$hello, \"temperature\": 0" ;;
        5) route=/v1/responses body="\"input\": \"Tale of a queen.\", \"seed\": $i, \"max_output_tokens\": $n" ;;
        6) route=/v1/completions body="\"prompt\": \"The $(repeat $((i % 5 * 8)) 'old ')king\", \"seed\": $i, \"echo\": true, \"logprobs\": 2" ;;
        7) body="$hello, \"seed\": $i, \"guided_regex\": \"[a-z]+( [a-z]+)*\", \"frequency_penalty\": 1" ;;
        esac
        printf '{%s, "max_tokens": %d}' "$body" $n >"$tmp/asked/$i.json"
        [ "$i" -eq 0 ] || echo next
        printf 'url = "%s%s"\ndata-binary = "@%s"\noutput = "OUT/%d"\n' "$url" "$route" "$tmp/asked/$i.json" "$i"
    done >"$tmp/mix.curl"
}

# answers NAME CURL'S OPTIONS...: all of them into $tmp/NAME, without what differs by nature.
answers() {
    local name=$1
    shift
    mkdir -p "$tmp/$name"
    sed "s|OUT|$tmp/$name|" "$tmp/mix.curl" >"$tmp/$name.curl"
    curl -s -S -m 240 "$@" -K "$tmp/$name.curl" 2>"$tmp/curl"
    for i in $(seq 0 63); do plain "$tmp/$name/$i" >"$tmp/$name/$i.plain"; done
    n_asked=$((n_asked + 64))
}

same() {
    local i n=0 different=
    for i in $(seq 0 63); do
        if grep -q '"error":{' "$tmp/$1/$i"; then different="$different $i: $(head -c 200 "$tmp/$1/$i")"
        elif cmp -s "$tmp/$1/$i.plain" "$tmp/$2/$i.plain"; then n=$((n + 1))
        else different="$different $i"; fi
    done
    echo "different:$different"
    [ "$n" -eq 64 ]
}

if [ -z "$chat" ]; then skip "64 at once" "no build/tests/add_template"
else
    start -m "$chat" || finish || exit 1
    mix
    answers once -Z --parallel-immediate --parallel-max 64
    answers alone
    check "64 mixed requests at once are answered as alone" same once alone
    answers again -Z --parallel-immediate --parallel-max 64
    check "... and at once again, with everything cached" same again alone
    stop "... the server ends properly"
    start -m "$chat" --running 3 --threads 1 --batch 32 --cache-tokens 1024
    mix
    answers few -Z --parallel-immediate --parallel-max 64
    check "... and with 3 running, 1 thread, batches of 32" same few alone
    stop "... the server ends properly"
fi

# ---- limits

long='{"prompt": "Once upon a time", "max_tokens": '$((san ? 80 : 400))', "ignore_eos": true, "n": 4}'
start -m "$model" --max-body 1 --running 1 --waiting 2 --timeout 30 --connections 700 --cors https://chat.example.org || finish || exit 1
head -c 2000000 /dev/zero | tr '\0' ' ' >"$tmp/large"
expect 413 '"error".*2000000' "a body that is too large" /v1/completions "@$tmp/large"
expect 413 '"error"' "... and does not say so before" /v1/completions "@$tmp/large" -H 'Transfer-Encoding: chunked' -H 'Content-Length:'
expect 413 '"type":"request_too_large"' "... of messages" /v1/messages "@$tmp/large"
head -c 1000000 "$tmp/large" >"$tmp/spaces" && printf '{"content": "a"}' >>"$tmp/spaces"
expect 200 '"count":1' "... one that is not" /tokenize "@$tmp/spaces"
expect 204 '' "OPTIONS from a page that is let in" /v1/completions '' -X OPTIONS -H 'Origin: https://chat.example.org'
has "... says so" '^Access-Control-Allow-Origin: https://chat.example.org' "$tmp/head"
ask /health '' -H 'Origin: https://evil.example.org'
check "... and not to others" sh -c "! grep -qi '^access-control' '$tmp/head'"

mkdir "$tmp/queue"
askers=()
for i in $(seq 12); do
    curl -s -m 60 -o "$tmp/queue/$i" -D "$tmp/queue/$i.head" -w '%{http_code}\n' "$url/v1/completions" -d "${long/4\}/1\}}" >"$tmp/queue/$i.code" &
    askers+=($!)
done
wait "${askers[@]}"
n_asked=$((n_asked + 12))
check "a full queue: only 200 and 429" test "$(cat "$tmp"/queue/*.code | grep -cvE '200|429')" -eq 0
check "... some of each" test "$(cat "$tmp"/queue/*.code | sort -u | wc -l)" -eq 2
busy=$(grep -l 429 "$tmp"/queue/*.code | head -1)
has "... with Retry-After" '^Retry-After: [0-9]' "${busy%.code}.head"
has "... with a code" '"type":"rate_limit_error".*"code":"rate_limit_exceeded"' "${busy%.code}"

# ---- clients that misbehave

trap '' PIPE # a server may close while we write

# raw BYTES [SECONDS]: sends them as they are (printf's escapes) and leaves what comes back in $tmp/body.
raw() {
    n_faults=$((n_faults + 1)) before_raw=$SECONDS
    {
        # shellcheck disable=SC2059  # the bytes are a format of escapes
        printf "$1" >&3 && timeout "${2:-0.5}" cat <&3
    } 3<>"/dev/tcp/127.0.0.1/$(port)" >"$tmp/body" 2>/dev/null
}
raw 'garbage\r\n\r\n'
raw '\0\1\2\3\377\376\r\n\r\n'
raw 'GET / HTTP/9.9\r\nHost: a\r\n\r\n'
raw 'GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n'
has "a length below zero is refused" '^HTTP/1.1 400'
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n'
has "a length past every number is refused" '^HTTP/1.1 4(00|13)'
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n{}'
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n'
has "chunks without a length are refused" '^HTTP/1.1 400'
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n'
raw 'GET /health HTTP/1.1\r\n\r\n'
has "HTTP/1.1 without Host is refused" '^HTTP/1.1 400'
raw 'GET /health HTTP/1.0\r\n\r\n'
has "HTTP/1.0 is answered" '"status":"ok"'
raw "GET /$(repeat 9000 a) HTTP/1.1\r\nHost: a\r\n\r\n"
raw "GET /health HTTP/1.1\r\nHost: a\r\n$(for i in $(seq 3000); do printf 'X-Header-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\r\\n' "$i"; done)\r\n"
raw 'GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n'
has "no way out of the pages" '^HTTP/1.1 404'
raw 'GET /%%00/%%2e%%2e/ HTTP/1.1\r\nHost: a\r\n\r\n'
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"prompt"' 0.2
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1' 0.1
raw 'GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n'
check "two requests in one go are both answered" test "$(grep -c '"status":"ok"' "$tmp/body")" -eq 2
expect 400 'depth' "nesting without end" /v1/completions "$(repeat 100000 '[')"
expect 200 '"status":"ok"' "healthy after all of that" /health

for i in $(seq 20); do
    curl -s -m "0.$((i % 5 + 1))" -o "$tmp/left" "$url/v1/completions" -d "${long%\}}, \"stream\": $((i % 2 ? 1 : 0))}" \
        -d '' 2>/dev/null
    curl -s -N -m "0.$((i % 3 + 1))" -o "$tmp/left" "$url/v1/completions" -d "${long%\}}, \"stream\": true}" 2>/dev/null
    n_faults=$((n_faults + 2))
done
quiet "clients that leave take their work with them"

idle=()
for i in $(seq 600); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$(port)" && idle+=("$fd")
    [ $((i % 3)) -eq 0 ] && printf 'POST /v1/completions HTTP/1.1\r\nHost: a\r\n' >&"$fd"
done 2>/dev/null
n_faults=$((n_faults + ${#idle[@]}))
check "600 connections that say nothing or half a request" test "${#idle[@]}" -eq 600
expect 200 '"status":"ok"' "... leave room for others" /health
expect 200 '"text"' "... to be answered" /v1/completions '{"prompt": "a", "max_tokens": 2}'
for fd in "${idle[@]}"; do exec {fd}>&-; done
expect 200 '"status":"ok"' "healthy after they left" /health

# Bodies that do not end: 16 times the largest is held at most.
idle=()
for i in $(seq 20); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$(port)" && idle+=("$fd")
    printf 'POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n' >&"$fd"
    head -c 999999 "$tmp/spaces" >&"$fd"
done 2>/dev/null
n_faults=$((n_faults + 20))
expect 503 '"error"' "bodies that do not end: there is a bound" /tokenize "@$tmp/spaces"
has "... with Retry-After" '^Retry-After: [0-9]' "$tmp/head"
for fd in "${idle[@]}"; do exec {fd}>&-; done
sleep 0.2
expect 200 '"count":1' "... and room when they left" /tokenize "@$tmp/spaces"
stop "the server ends properly"

start -m "$model" --idle 1 || finish || exit 1
raw 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"prompt"' 6
check "a client that stops in the middle is left after --idle seconds" test "$SECONDS" -lt "$((before_raw + 5))"
# drip TEXT: sends a character every half second, and says after how many seconds the connection was ended (9: it was not).
drip() {
    local fd i begin=$SECONDS text=$1
    exec {fd}<>"/dev/tcp/127.0.0.1/$(port)"
    printf '%s' "${2:-}" >&"$fd"
    for ((i = 0; i < 18; i++)); do
        printf '%s' "${text:i:1}" >&"$fd" || break
        read -r -t 0.5 -u "$fd" _
        [ $? -gt 128 ] || break # not a timeout: the end
    done 2>/dev/null
    exec {fd}>&-
    echo $((SECONDS - begin))
}
n_faults=$((n_faults + 2))
check "a client that drips a head is left, too" test "$(drip 'GET /health HTTP/1.1 and so on')" -lt 7
body='POST /tokenize HTTP/1.1'$'\r\n''Host: a'$'\r\n''Content-Length: 100'$'\r\n\r\n'
check "... and one that drips a body" test "$(drip '{"content": "dripping' "$body")" -lt 7
expect 200 '"count":1' "... others are served" /tokenize '{"content": "a"}'
stop "... the server ends properly"

(ulimit -n 40 && exec "$socle" serve --port 0 -m "$model" ${san:+--sandbox off}) >"$tmp/few.out" 2>"$tmp/few.err" &
pid=$! log=$tmp/few.err
servers+=("$pid")
for _ in $(seq 300); do grep -q Listening "$tmp/few.out" && break; sleep 0.05; done
url=$(sed -n 's/^Listening on \([^ ]*\).*/\1/p' "$tmp/few.out")
idle=()
for i in $(seq 60); do exec {fd}<>"/dev/tcp/127.0.0.1/$(port)" && idle+=("$fd"); done 2>/dev/null
n_faults=$((n_faults + 60))
sleep 0.3
for fd in "${idle[@]}"; do exec {fd}>&-; done
expect 200 '"status":"ok"' "more connections than file descriptors: healthy when they left" /health
stop "... and ends properly"

start -m "${chat:-$model}" --timeout 0.05
expect 504 '"error"' "an answer that takes too long" /v1/completions "$long"
if [ -n "$chat" ] && [ -z "$san" ]; then
    cut='"ignore_eos": true, "stream": true'
    expect 200 '^data: .*"error":\{"message":"the answer was not complete' "... and whose stream has begun" /v1/completions \
        "{\"prompt\": \"Once\", \"max_tokens\": 400, $cut}"
    expect 200 '^event: error' "... by the Responses interface" /v1/responses "{\"input\": \"Once\", $cut}"
    has "... with what went wrong" '"code":"server_error","message":"the answer was not complete.*"type":"error"'
    expect 200 '^event: error' "... by Anthropic's" /v1/messages \
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Once\"}], \"max_tokens\": 400, $cut}"
fi
expect 200 '"count":1' "... others do not" /tokenize '{"content": "a"}'
stop "... the server ends properly"

# ---- keys

db=$tmp/keys/keys.db
key() { "$socle" key add "$@" --db "$db" 2>/dev/null; }
anna=$(key anna) bob=$(key bob --requests-per-minute 2) carl=$(key carl --scopes embeddings) dora=$(key dora --scopes chat,admin)
eve=$(key eve --concurrency 1) fred=$(key fred --tokens-per-day 4)
start -m "$model" --keys "$db" || finish || exit 1
short='{"prompt": "Once upon a time", "max_tokens": 4}'
with() { printf 'Authorization: Bearer %s' "$1"; }
expect 200 '"status":"ok"' "/health needs no key" /health
expect 401 '"code":"invalid_api_key"' "no key" /v1/completions "$short"
has "... the scheme" '^WWW-Authenticate: Bearer' "$tmp/head"
expect 401 '"code":"invalid_api_key"' "a wrong key" /v1/completions "$short" -H "$(with sk-socle-1)"
expect 401 '"error"' "a key that is no text" /v1/completions "$short" -H "$(printf 'Authorization: Bearer \377\376')"
expect 401 '"type":"authentication_error"' "... of messages" /v1/messages "$short"
expect 401 '"error"' "... of models" /v1/models
expect 200 '"text"' "a key" /v1/completions "$short" -H "$(with "$anna")"
expect 200 '"text"' "a key as x-api-key" /v1/completions "$short" -H "x-api-key: $anna"
expect 403 '"type":"permission_error"' "a key for something else" /v1/completions "$short" -H "$(with "$carl")"
expect 200 '"embedding":' "... for which it is good" /v1/embeddings '{"input": "a"}' -H "$(with "$carl")"
expect 403 '"type":"permission_error"' "... and others are not" /v1/embeddings '{"input": "a"}' -H "$(with "$dora")"
expect 403 '"error"' "... for /metrics" /metrics '' -H "$(with "$anna")"
expect 200 'socle_requests_total' "... an administrator's" /metrics '' -H "$(with "$dora")"
ask /v1/completions "$short" -H "$(with "$bob")" && ask /v1/completions "$short" -H "$(with "$bob")"
expect 429 '"code":"rate_limit_exceeded"' "too many requests a minute" /v1/completions "$short" -H "$(with "$bob")"
has "... when to come again" '^Retry-After: [0-9]' "$tmp/head"
expect 200 '"text"' "the day's last tokens" /v1/completions "$short" -H "$(with "$fred")"
expect 429 '"error"' "... and no more" /v1/completions "$short" -H "$(with "$fred")"
curl -s -N -m 60 -H "$(with "$eve")" "$url/v1/completions" -d "${long%\}}, \"stream\": true}" >"$tmp/revoked" &
reader=$!
for _ in $(seq 100); do [ -s "$tmp/revoked" ] && break; sleep 0.02; done
expect 429 '"error"' "two at once" /v1/completions "$short" -H "$(with "$eve")"
one=$(key one --concurrency 1)
for i in $(seq 60); do printf 'url = "%s/v1/completions"\noutput = "%s"\n' "$url" "$tmp/left"; done >"$tmp/serial.curl"
sleep 1.2
check "one at a time is never two at once" sh -c "test \$(curl -s -m 60 -K '$tmp/serial.curl' -H '$(with "$one")' -d '$short' \
    -w '%{http_code}\n' | grep -c 200) -eq 60"
check "a key is revoked while it streams" "$socle" key revoke eve --db "$db"
n_faults=$((n_faults + 1))
wait "$reader"
has "... the stream goes on to its end" '^data: \[DONE\]' "$tmp/revoked"
sleep 1.2
expect 401 '"error"' "... and was the last" /v1/completions "$short" -H "$(with "$eve")"
for i in $(seq 30); do ask /v1/completions "$short" -H "$(with "$anna")"; done
n_asked=$((n_asked + 30))
sleep 1.3
kill -KILL "$pid"
wait "$pid" 2>/dev/null
n_faults=$((n_faults + 1))
"$socle" key list --json --days 1 --db "$db" >"$tmp/usage"
check "kill -9: usage was kept" test "$(grep -o '"requests": *[0-9]*' "$tmp/usage" | head -1 | tr -dc 0-9)" -eq 32
start -m "$model" --keys "$db" || finish || exit 1
expect 200 '"text"' "... keys are intact" /v1/completions "$short" -H "$(with "$anna")"
expect 401 '"error"' "... revoked ones, too" /v1/completions "$short" -H "$(with "$eve")"
stop "the server ends properly"
"$socle" key list --json --days 1 --db "$db" >"$tmp/usage"
check "a proper end loses no usage" test "$(grep -o '"requests": *[0-9]*' "$tmp/usage" | head -1 | tr -dc 0-9)" -eq 33

# ---- a full disk under the database

mkdir "$tmp/small"
if mount -t tmpfs -o size=256k none "$tmp/small" 2>/dev/null; then
    trap 'umount -l "$tmp/small" 2>/dev/null; clean_up' EXIT
    small=$("$socle" key add small --db "$tmp/small/keys.db" 2>/dev/null)
    start -m "$model" --keys "$tmp/small/keys.db" || finish || exit 1
    ask /v1/completions "$short" -H "$(with "$small")" && sleep 1.2
    head -c 300000 /dev/zero >"$tmp/small/fill" 2>/dev/null
    n_faults=$((n_faults + 1))
    for i in $(seq 5); do
        expect 200 '"text"' "a full disk: request $i is answered" /v1/completions "$short" -H "$(with "$small")"
        sleep 0.5
    done
    rm "$tmp/small/fill"
    sleep 1.5
    stop "... the server ends properly"
    "$socle" key list --json --days 1 --db "$tmp/small/keys.db" >"$tmp/usage"
    check "... and wrote what it had kept" test "$(grep -o '"requests": *[0-9]*' "$tmp/usage" | head -1 | tr -dc 0-9)" -eq 6
    umount "$tmp/small"
else
    skip "a full disk" "needs the right to mount"
fi

# ---- TLS

if command -v openssl >/dev/null && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$tmp/tls.key" -out "$tmp/tls.pem" 2>/dev/null; then
    start -m "$model" --tls-cert "$tmp/tls.pem" --tls-key "$tmp/tls.key" || finish || exit 1
    expect 200 '"text"' "https" /v1/completions "$short" --cacert "$tmp/tls.pem"
    expect 200 'DONE' "... a stream" /v1/completions "${short%\}}, \"stream\": true}" --cacert "$tmp/tls.pem"
    raw 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n'
    check "... plain HTTP gets nothing" sh -c "! grep -q status '$tmp/body'"
    raw '\26\3\1\0\5garbage'
    expect 200 '"status":"ok"' "... healthy after that" /health '' --cacert "$tmp/tls.pem"
    stop "... ends properly"
    echo damaged >"$tmp/wrong.pem"
    check "a damaged certificate is said at the start" sh -c "! timeout 20 '$socle' serve --port 0 -m '$model' \
        --tls-cert '$tmp/wrong.pem' --tls-key '$tmp/tls.key' --sandbox off"
else
    skip "TLS" "no openssl"
fi

# ---- signals and confinement

# end_while_answering N: SIGTERM while four clients are each written N answers. False when these were complete before
# the kept connection was answered, so that nothing can be said of it.
end_while_answering() {
    local kept i
    start -m "$model" || return
    for i in 1 2 3 4; do curl -s -N -m 60 "$url/v1/completions" -d "${long%\}}, \"n\": $1, \"stream\": true}" >"$tmp/end$i" & done
    for _ in $(seq 100); do [ -s "$tmp/end4" ] && [ -s "$tmp/end1" ] && break; sleep 0.02; done
    exec {kept}<>"/dev/tcp/127.0.0.1/$(port)"
    printf 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n' >&"$kept"
    sleep 0.1
    kill -TERM "$pid"
    n_faults=$((n_faults + 1))
    sleep 0.2
    printf 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n' >&"$kept" 2>/dev/null
    timeout 1 cat <&"$kept" >"$tmp/kept"
    exec {kept}>&-
    for i in 1 2 3 4; do grep -q '^data: \[DONE\]' "$tmp/end$i" || return 0; done
    wait "$pid"
    return 1
}
for n in 4 16 64; do end_while_answering $n && break; done
has "SIGTERM: a connection that is kept is told" "HTTP/1.1 503" "$tmp/kept"
check "... new ones are refused" sh -c "! curl -s -m 5 '$url/health'"
wait "$pid"
check "... the server ends with exit code 0" test $? -eq 0
for i in 1 2 3 4; do
    for _ in $(seq 20); do grep -q DONE "$tmp/end$i" && break; sleep 0.05; done
    has "... after answer $i was written" '^data: \[DONE\]' "$tmp/end$i"
done
check "... and without a word of sanitizers" sh -c "! grep -E 'Sanitizer|runtime error' '$log'"

start -m "$model" || finish || exit 1
curl -s -N -m 60 "$url/v1/completions" -d "${long%\}}, \"n\": 16, \"stream\": true}" >"$tmp/twice" &
for _ in $(seq 100); do [ -s "$tmp/twice" ] && break; sleep 0.02; done
kill -TERM "$pid"
sleep 0.1
kill -TERM "$pid" 2>/dev/null
n_faults=$((n_faults + 1))
for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
check "SIGTERM twice ends at once" sh -c "! kill -0 $pid 2>/dev/null"

if [ -z "$san" ]; then
    start -m "$model" --keys "$db" --sandbox on || finish || exit 1
    has "the sandbox says what it confines" 'Landlock|files|programs' "$log"
    expect 200 '"text"' "... and requests are answered in it" /v1/completions "$short" -H "$(with "$anna")"
    check "... no file of others can be read" sh -c "grep -q 'Seccomp:.*2' /proc/$pid/status"
    stop "... ends properly"
fi

echo "# $n_asked requests compared or counted, $n_faults faults injected, beside the single ones above"
finish
