#!/bin/bash
# The example configuration and the systemd unit of socle serve are what the program and systemd understand.
#
# usage: tests/test_service.sh PROGRAM     (or the build folder that holds it)
set -u
program=${1:?usage: tests/test_service.sh PROGRAM}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export SOCLE_TALES=$PWD/share/tales.gguf LC_ALL=C
passed=0 failed=0 skipped=0
check() { # check DESCRIPTION COMMAND...
    local what=$1
    shift
    if "$@" >"$tmp/check" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what"
        sed 's/^/    /' "$tmp/check" | head -10
    fi
}
skip() { skipped=$((skipped + 1)); echo "ok - $1 # skipped: $2"; }

if "$socle" --help | grep -q '^  serve '; then
    check "the example configuration is right" "$socle" serve --check --config share/serve.conf
    # Every line in it that is commented out, but for what excludes one another.
    sed 's/^#\([a-z]\)/\1/; /^models = /d; /^memory = /d' share/serve.conf >"$tmp/all.conf"
    check "... and so is what it proposes" "$socle" serve --check --config "$tmp/all.conf"
    while read -r key; do
        check "... $key is an option" sh -c "'$socle' serve --help | grep -q -- '--$key '"
    done < <(sed -n 's/^#\([a-z-]*\) = .*/\1/p' share/serve.conf)
    printf 'port = 8080\n\nprot = 8081\n' >"$tmp/wrong.conf"
    "$socle" serve --check --config "$tmp/wrong.conf" >"$tmp/out" 2>"$tmp/err"
    check "a mistake ends with exit code 3" test $? -eq 3
    check "... names file, line and key" grep -q "wrong.conf:3: no option is called 'prot': did you mean 'port'?" "$tmp/err"
else
    skip "the example configuration" "built without the server"
fi

# The program need not be installed to look at the unit.
sed "s|@bindir@/socle|/bin/true|; s|@sysconfdir@|/etc|; s|@datadir@|/usr/share|; /^Documentation=/d" \
    share/systemd/socle.service.in >"$tmp/socle.service"
check "every place in the unit is filled in" sh -c "! grep -n '@[a-z]*@' '$tmp/socle.service'"
if command -v systemd-analyze >/dev/null; then
    check "systemd understands the unit" sh -c "said=\$(systemd-analyze verify '$tmp/socle.service' 2>&1); echo \"\$said\"; test -z \"\$said\""
    exposure=$(systemd-analyze security --offline=true "$tmp/socle.service" 2>/dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\).*/\1/p')
    if [ -n "$exposure" ]; then
        check "... and rates its exposure ($exposure) below 2" awk "BEGIN { exit !($exposure < 2) }"
    else
        skip "the unit's exposure" "systemd-analyze cannot rate a file here"
    fi
else
    skip "systemd understands the unit" "no systemd-analyze"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
