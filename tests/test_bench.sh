#!/bin/bash
# bench/: the comparison's figures, table and chart from a result made up by hand, a whole comparison against a
# stand-in for llama-bench, and the models of random weights.
#
# usage: tests/test_bench.sh PROGRAM     (or the build folder that holds it)
set -u
program=${1:?usage: tests/test_bench.sh PROGRAM}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C
passed=0 failed=0

check() { # check DESCRIPTION COMMAND...
    local what=$1
    shift
    if "$@" >"$tmp/check" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what"
        head -5 "$tmp/check" "$tmp/err" 2>/dev/null | sed 's/^/    /'
    fi
}
refused() { # refused PATTERN COMMAND...: it fails and says so
    local pattern=$1
    shift
    ! "$@" >"$tmp/out" 2>"$tmp/err" && grep -q -- "$pattern" "$tmp/err" && ! grep -q Traceback "$tmp/err"
}
is_xml() { python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1"; }

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    echo "ok - bench # skipped: Python 3.9 or later is not there"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# ---- figures, table and chart

bench/compare.py --from tests/data/bench_result.json --json "$tmp/again.json" --svg "$tmp/chart.svg" >"$tmp/table" 2>"$tmp/err"
check "a result is shown again" test $? -eq 0
# Rounds of 100:50, 200:100, 90:90 (disturbed): medians of the quiet two.
check "disturbed rounds do not count beside quiet ones" grep -Eq '^  prompt 512 +tok/s +150\.00 +75\.00 +2\.00x .* 1 of 3 disturbed' "$tmp/table"
# 1e9 bytes a token at 5 and 4 tokens a second of 10 GB/s; 1e9 multiply-adds of 100 G/s.
check "shares of the limits" grep -Eq '^  generate 64 +tok/s +5\.00 +4\.00 +1\.25x +50% +40% +5% +4%$' "$tmp/table"
check "a failed run leaves a gap" grep -Eq '^  generate 64 @4096 +tok/s +3\.00 +- +- +' "$tmp/table"
check "for the start, less is better" grep -Eq '^  start +s +0\.50 +1\.00 +2\.00x$' "$tmp/table"
check "the machine's limits with their spread" grep -q 'reads memory at 10.0 GB/s (least 10.0, most 20.0)' "$tmp/table"
check "the table fits in 110 columns" awk 'length($0) > 110 { bad = 1 } END { exit bad }' "$tmp/table"
check "the chart is XML" is_xml "$tmp/chart.svg"
check "... and escapes names" grep -q 'a &lt;b&gt; &amp; c.gguf' "$tmp/chart.svg"
check "what was written is shown alike" diff <(bench/compare.py --from "$tmp/again.json") "$tmp/table"

# ---- a whole comparison

mkdir "$tmp/peer"
cat >"$tmp/peer/llama-bench" <<'STAND_IN'
#!/bin/sh
echo "$*" >>"$(dirname "$0")/calls"
echo '[{"build_commit": "stand-in", "avg_ts": 2.5}]'
STAND_IN
chmod +x "$tmp/peer/llama-bench"
compare() { bench/compare.py --program "$socle" -t 1 --prompt 8 --generate 4 --rounds 2 "$@"; }
compare share/tales.gguf --peer "$tmp/peer" --depths 16,4096 --peer-options "-fa on" --json "$tmp/result.json" \
    --svg "$tmp/result.svg" >"$tmp/table" 2>"$tmp/err"
check "a comparison" test $? -eq 0
check "... has all tests" test "$(grep -Ec '^  (prompt 8|generate 4|generate 4 @16|start) ' "$tmp/table")" -eq 4
check "... with the peer's speed" grep -Eq '^  generate 4 @16 .* 2\.50 ' "$tmp/table"
check "... says what the context cannot hold" grep -q 'left out: generate 4 @4096: the model was made for 512' "$tmp/err"
check "... runs the peer in every round" test "$(grep -c '' "$tmp/peer/calls")" -eq 8
check "... with the same sizes and threads" grep -q -- '-p 0 -n 4 -d 16 -r 1 -t 1 -o json -fa on' "$tmp/peer/calls"
check "... and its chart is XML" is_xml "$tmp/result.svg"
compare --peer none --only prompt >"$tmp/table" 2>"$tmp/err"
check "alone, with the bundled model" grep -Eq '^  prompt 8 ' "$tmp/table"
check "a file that is no model" refused 'compare.py: .*' bench/compare.py --program "$socle" --peer none "$0"
check "a peer that is not there" refused 'no such program' bench/compare.py --program "$socle" --peer "$tmp/none"
check "a program that is not there" refused 'make. builds it' bench/compare.py --program "$tmp/none"
check "a kind of test that is not known" refused 'is none of' bench/compare.py --only speed

# ---- models of random weights

for format in F16 Q8_0 Q4_K; do
    bench/make_model.py small $format "$tmp/small.gguf"
    check "a model of random weights in $format runs" "$socle" bench -m "$tmp/small.gguf" -p 4 -n 2 -r 1 --no-limits
done
check "a shape that is not known" refused 'usage' bench/make_model.py none F16 "$tmp/none.gguf"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
