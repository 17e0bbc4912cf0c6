#!/bin/bash
# The pages of web/ in a real Chromium, from a server of scripted answers (tests/web/mock.py). tests/web/test_web.py can be
# asked about a running server, too.
#
# usage: tests/test_web.sh PROGRAM     (or the build folder that holds it)
# SOCLE_PYTHON (default: python3) needs playwright; without it, or without Chromium, this is skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp) || exit 1
trap 'rm -f "$tmp"' EXIT
timeout 600 "${SOCLE_PYTHON:-python3}" tests/web/test_web.py >"$tmp" 2>&1 </dev/null
if grep -q '^skipped: ' "$tmp"; then
    echo "ok - the pages in Chromium # skipped: $(sed -n 's/^skipped: //p' "$tmp")"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
cat "$tmp"
passed=$(sed -n 's/^\([0-9]*\) of [0-9]* checks of the pages passed$/\1/p' "$tmp")
all=$(sed -n 's/^[0-9]* of \([0-9]*\) checks of the pages passed$/\1/p' "$tmp")
echo "${passed:-0} passed, $((${all:-1} - ${passed:-0})) failed, 0 skipped"
[ -n "$passed" ] && [ "$passed" -eq "$all" ]
