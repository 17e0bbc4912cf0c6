#!/bin/bash
# End-to-end tests of socle train and socle finetune: what a run leaves behind, that it repeats to the bit however it was
# interrupted, what is refused and how, and adapters in the program and the server.
#
# usage: tests/test_train.sh PROGRAM     (or the build folder that holds it)
# Prints a line for each test and ends with "N passed, N failed, N skipped"; exits non-zero when one failed.
# Moments at which runs are killed are drawn by chance from $TEST_SEED (default: another one each time; it is printed).
set -u
program=${1:?usage: tests/test_train.sh PROGRAM}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
[ -x "$socle" ] || { echo "no program at $program"; exit 1; }
build=$(dirname "$socle")
cd "$(dirname "$0")/.." || exit 1
root=$PWD
tmp=$(mktemp -d) || exit 1
mounted='' server=''
# shellcheck disable=SC2317  # called by the trap
clean_up() {
    [ -n "$server" ] && kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null
    [ -n "$mounted" ] && umount "$tmp/small" 2>/dev/null
    rm -rf "$tmp"
}
trap clean_up EXIT
export LC_ALL=C HOME=$tmp
unset SOCLE_CPU SOCLE_NOW NO_COLOR http_proxy https_proxy all_proxy
san=
grep -aqE '__(asan|tsan)_init' "$socle" && san=1
RANDOM=${TEST_SEED:=$((RANDOM % 32000))}
echo "# TEST_SEED=$TEST_SEED"

passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $1"
    [ $# -gt 1 ] && printf '%s\n' "$2" | sed 's/^/    /'
}
skip() { skipped=$((skipped + 1)); echo "ok - $1 # skipped: $2"; }

# check DESCRIPTION COMMAND...: passes when the command succeeds.
check() {
    local description=$1
    shift
    if "$@" >"$tmp/check" 2>&1; then ok "$description"; else not_ok "$description" "$(head -c 600 "$tmp/check")"; fi
}

# expect CODE PATTERN DESCRIPTION ARGUMENTS...: socle with these arguments ends with this code, and its standard error
# (standard output when the code is 0) matches the pattern, unless that is empty. Both are left in $tmp/out and $tmp/err.
expect() {
    local code=$1 pattern=$2 description=$3 got stream
    shift 3
    timeout 120 "$socle" "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
    got=$?
    [ "$code" -eq 0 ] && stream=$tmp/out || stream=$tmp/err
    if [ "$got" -ne "$code" ]; then
        not_ok "$description" "exit code $got, expected $code: $(grep -v '^step ' "$tmp/err" | head -c 1500)"
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$stream"; then
        not_ok "$description" "expected /$pattern/, found: $(grep -v '^step ' "$stream" | head -c 600)"
    elif [ "$code" -ne 0 ] && ! grep -q '^socle: ' "$tmp/err"; then
        not_ok "$description" "no 'socle: ' message: $(head -c 600 "$tmp/err")"
    else
        ok "$description"
    fi
}
said() { grep -Eq -- "$1" "$tmp/err"; }

is_json() {
    { printf '{"text": "", "document": ' && tr '\n' ' ' <"$1" && printf '}\n'; } | "$socle" tokenize --jsonl >/dev/null
}
# lines_are_json FILE: each is an object.
lines_are_json() {
    ! grep -qv '^{.*}$' "$1" && sed 's/^{/{"text": "", /' "$1" | "$socle" tokenize --jsonl >/dev/null
}
json_number() { sed -n 's/.*"'"$2"'": *\(-\{0,1\}[0-9][0-9.e+-]*\).*/\1/p' "$1" | head -1; }
less() { awk -v a="${1:-x}" -v b="${2:-x}" 'BEGIN { exit !(a ~ /^[0-9]/ && b ~ /^[0-9]/ && a + 0 < b + 0) }'; }
point() { printf '%s/checkpoints/step-%08d.gguf' "$1" "$2"; } # point FOLDER STEP: that checkpoint's file
# The log without what clocks say.
log_of() { sed 's/,"seconds":[^}]*//' "$1/log.jsonl"; }
# Losses of the first step and of the last one.
first_loss() { sed -n 's/.*"loss":\([0-9.e-]*\),.*/\1/p' "$1/log.jsonl" | head -1; }
last_loss() { sed -n 's/.*"loss":\([0-9.e-]*\),.*/\1/p' "$1/log.jsonl" | tail -1; }
learns() { less "$(last_loss "$1")" "$(first_loss "$1")"; }
every_step_once() { [ "$(sed -n 's/^{"step":\([0-9]*\),"loss".*/\1/p' "$1/log.jsonl")" = "$(seq "$2")" ]; } # FOLDER STEPS
same_log() { [ "$(log_of "$1")" = "$(log_of "$2")" ]; }
sums_of() { (cd "$1" && find . -type f -exec sha256sum {} + | sort); }
nothing_unfinished() { [ -z "$(find "$1" -name '*.part')" ]; }
# The same run: last checkpoint, result and log.
same_run() { # same_run DESCRIPTION FOLDER OTHER STEPS
    check "$1: the same bits" cmp "$(point "$2" "$4")" "$(point "$3" "$4")"
    check "... the same result" cmp "$2/model.gguf" "$3/model.gguf"
    check "... every step is in the log once" every_step_once "$3" "$4"
    check "... the same log" same_log "$2" "$3"
    check "... nothing unfinished is left" nothing_unfinished "$3"
}

# ---- what is learnt

cd "$tmp" || exit 1
for i in $(seq 90); do
    for who in girl wolf king; do
        echo "Once upon a time the $who number $((i * 7 % 13)) went to the forest and said: I am the $who of the house."
    done
done >tale.txt
expect 0 '300 tokens' "a vocabulary" tokenizer train tale.txt --vocab 300 -o vocab.gguf
cat >tale.conf <<'EOF'
tokenizer = vocab.gguf
layers = 2
width = 32
heads = 4
kv-heads = 2
feed-forward = 64
context = 32
batch = 2
data = tale.txt
lines = 5
holdout-every = 10
evaluate-every = 4
evaluate-tokens = 200
steps = 12
save-every = 3
keep = 0
warmup = 2
rate = 1e-2
EOF
train=(train tale.conf)

# ---- a run, and what it leaves

expect 0 '^Model +[0-9]+ weights' "--dry-run" "${train[@]}" -o dry --dry-run
check "... tells memory and time" grep -Eq '^A step .* tokens/s' "$tmp/out"
check "... and writes nothing" test ! -e dry
expect 0 '"seconds_per_step"' "--dry-run --json" "${train[@]}" -o dry --dry-run --json
check "... is JSON" is_json "$tmp/out"
check "... and writes nothing" test ! -e dry

expect 0 '^Done after step 12; the best held-out loss is [0-9.]+, of step' "train from nothing" "${train[@]}" -o base
check "... the held-out loss is shown as it goes" grep -Eq '^step 4: held-out loss [0-9.]+, [0-9.]+ a byte' "$tmp/out"
check "... files" test "$(cd base && find . -type f | sort | tr '\n' ' ')" = "./checkpoints/step-00000000.gguf \
./checkpoints/step-00000003.gguf ./checkpoints/step-00000006.gguf ./checkpoints/step-00000009.gguf \
./checkpoints/step-00000012.gguf ./log.jsonl ./loss.svg ./manifest.json ./model.gguf "
check "... lines of the log are JSON" lines_are_json base/log.jsonl
check "... every step once" every_step_once base 12
check "... and evaluations" test "$(grep -c '"held_out"' base/log.jsonl)" -eq 3
check "... the loss falls" learns base
check "... manifest.json is JSON" is_json base/manifest.json
check "... with numbers as they were given" grep -q '"rate": 0.01,' base/manifest.json
check "... with a digest of each checkpoint" test "$(grep -c '"weights": "[0-9a-f]\{64\}"' base/manifest.json)" -eq 5
check "... no file is named by its folder" sh -c "! grep -qF '$tmp' base/manifest.json base/log.jsonl"
check "... loss.svg" grep -q '<svg' base/loss.svg
expect 0 'family +llama' "the result can be inspected" inspect base/model.gguf
expect 0 '' "... and run" run -m base/model.gguf -p 'Once upon' -n 8
head -c 2000 tale.txt >some.txt
expect 0 '' "... and measured" perplexity -m base/model.gguf -f some.txt --json
check "... better than by chance" less "$(json_number "$tmp/out" perplexity)" 290
expect 0 '' "a checkpoint is a model, too" run -m "$(point base 12)" -p 'Once upon' -n 8
expect 0 'Done after step 2' "... to train on from" train --model "$(point base 12)" --data some.txt -o further --steps 2 \
    -c 32 --batch 2
expect 0 '2 steps repeated' "... and to repeat that" train --model "$(point base 12)" --data some.txt -o further --steps 2 \
    -c 32 --batch 2 --verify
check "... whose result has no moments" test "$(grep -ac 'train\.[mv]\.' further/model.gguf)" -eq 0

expect 0 '"end": "done"' "--json" "${train[@]}" -o json --json --sample-every 6
check "... is JSON, and nothing else" is_json "$tmp/out"
check "... with the best step" test -n "$(json_number "$tmp/out" best_step)"
expect 0 '^step 6 writes: Once' "samples" "${train[@]}" -o samples --sample-every 6 --sample-prompt Once
check "... are in the log" test "$(grep -c '"sample":"Once' samples/log.jsonl)" -eq 2
check "... change no bit" cmp "$(point base 12)" "$(point samples 12)"
expect 0 '^Done' "--keep" "${train[@]}" -o kept --keep 1
check "... the first and the newest" test "$(cd kept/checkpoints && echo *)" = "step-00000000.gguf step-00000012.gguf"
expect 0 '^Ended, as nothing got better, after step [0-9]+' "--patience" "${train[@]}" -o patience --patience 2 \
    --rate 2 --schedule constant --evaluate-every 1 --steps 40
ended=$(sed -n 's/^Ended, as nothing got better, after step \([0-9]*\).*/\1/p' "$tmp/out")
check "... leaves a checkpoint there" test -f "$(point patience "${ended:-0}")"
expect 0 "after step ${ended:-x}" "... and is over when resumed" "${train[@]}" -o patience --patience 2 --rate 2 \
    --schedule constant --evaluate-every 1 --steps 40 --resume
expect 0 '^Done after step 3\.' "on from a model" train -m base/model.gguf -d tale.txt -o on -c 32 -b 2 -s 3 --rate 1e-3
check "... from its loss" less "$(first_loss on)" "$(first_loss base)"
printf '{"text": "The king said"}\n{"text": "Once upon a time the wolf"}\n' >texts.jsonl
sed '/^lines/d; /^holdout/d' tale.conf >short.conf
expect 0 '^Done' "JSON Lines" train short.conf -o jsonl --data texts.jsonl --format jsonl

# ---- kinds of models and steps

variants() {
    echo "qwen2 --family qwen2"
    echo "qwen3 --family qwen3 --head-size 16 --untied --type Q8_0"
    echo "experts --experts 4 --experts-used 2 --activations bf16 --optimizer muon --accumulate 2"
    echo "qwen3moe --family qwen3moe --experts 4 --experts-used 2 --dropout 0.1"
    echo "muon --optimizer muon --schedule wsd --decay-steps 4"
    echo "bf16 --activations bf16 --dropout 0.1 --accumulate 3"
}
while read -r name options; do
    # shellcheck disable=SC2086  # options are words
    expect 0 '^Done' "train $options" "${train[@]}" -o "v-$name" $options
    check "... the loss falls" learns "v-$name"
    if [ -z "$san" ]; then
        # shellcheck disable=SC2086
        "$socle" "${train[@]}" -o "w-$name" $options --threads 1 --cpu base >/dev/null 2>&1
        check "... the same bits in plain C" cmp "$(point "v-$name" 12)" "$(point "w-$name" 12)"
    fi
    expect 0 '' "... the result runs" run -m "v-$name/model.gguf" -p Once -n 4
done < <(variants)
expect 0 'Q8_0' "--type of the result" inspect v-qwen3/model.gguf
check "the rate of wsd stays up, then falls" test "$(grep -c '"rate":0.01,' v-muon/log.jsonl)" -ge 6

# ---- the same bits

levels=$("$socle" doctor --quick --json 2>/dev/null | tr -d ' \n' | sed -n 's/.*"levels":\[\([^]]*\)\].*/\1/p' | grep -o '"name":"[^"]*"' | cut -d'"' -f4)
[ -n "$levels" ] || levels=$("$socle" doctor --quick | sed -n '/^  levels /,/^  [a-km-z]/p' | sed 's/^  levels//' | awk '{ print $1 }' | grep -E '^(base|avx|sse|neon|dot|i8mm|rvv|vsx)')
[ -n "$san" ] && levels=base # test_kernels has the others
for way in '--threads 1' '--threads 2' '--threads 3' '--memory 1 --batch 2' ''; do
    rm -rf other
    # shellcheck disable=SC2086
    "$socle" "${train[@]}" -o other $way >/dev/null 2>"$tmp/err"
    check "the same bits with ${way:-nothing else}" cmp "$(point base 12)" "$(point other 12)"
done
for level in $levels; do
    rm -rf other
    "$socle" "${train[@]}" -o other --cpu "$level" >/dev/null 2>"$tmp/err"
    check "the same bits with --cpu $level" cmp "$(point base 12)" "$(point other 12)"
done
check "... of several levels" test "$(echo "$levels" | wc -w)" -ge 1
wide=(train tale.conf --batch 16 --layers 4 --steps 3)
"$socle" "${wide[@]}" -o wide >/dev/null 2>&1
expect 0 'parts are computed again' "little memory" "${wide[@]}" -o narrow --memory 1 --dry-run
"$socle" "${wide[@]}" -o narrow --memory 1 >/dev/null 2>&1
check "what is computed again has the same bits" cmp "$(point wide 3)" "$(point narrow 3)"
"$socle" "${wide[@]}" -o rounded --memory 1 --activations bf16 >/dev/null 2>&1
expect 2 "memory" "what is rounded depends on memory, which must stay" "${wide[@]}" -o rounded --memory 2 --activations bf16 --resume

# ---- interrupted

[ -n "$san" ] && steps=40 kills=3 || steps=160 kills=6
long=(train tale.conf --steps "$steps" --evaluate-every 7)
"$socle" "${long[@]}" -o whole >/dev/null 2>&1

begun() { # begun FOLDER STEP: waits (at most 20 s) until the log is that long
    for _ in $(seq 2000); do
        [ "$(grep -c '"loss"' "$1/log.jsonl" 2>/dev/null || echo 0)" -ge "$2" ] && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.01
    done
    return 1
}

# interrupt SIGNAL FOLDER TIMES OPTIONS...: runs it with so many interruptions, then to its end.
interrupt() {
    local signal=$1 folder=$2 times=$3 resume='' step
    shift 3
    for i in $(seq "$times"); do
        "$socle" "$@" -o "$folder" $resume >"$tmp/out" 2>"$tmp/err" </dev/null &
        pid=$!
        step=$((steps * i / (times + 2) + RANDOM % 3))
        begun "$folder" "$step"
        sleep "0.00$((RANDOM % 10))"
        kill "-$signal" "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        code=$?
        [ -e "$(point "$folder" 0)" ] && resume=--resume
    done
    timeout 120 "$socle" "$@" -o "$folder" $resume >"$tmp/out" 2>"$tmp/err"
}
interrupt KILL killed "$kills" "${long[@]}"
same_run "killed and resumed" whole killed "$steps"
"$socle" "${long[@]}" -o every --save-every 1 --keep 3 >/dev/null 2>&1
interrupt KILL often "$kills" "${long[@]}" --save-every 1 --keep 3
same_run "killed while checkpoints are written" every often "$steps"
check "... checkpoints that are too old are gone" test "$(find often/checkpoints -type f | wc -l)" -eq 4
looks=("${long[@]}" --evaluate-every 1 --evaluate-tokens 0)
[ -n "$san" ] && looks=("${long[@]}" --evaluate-every 1 --evaluate-tokens 2000)
"$socle" "${looks[@]}" -o looked >/dev/null 2>&1
interrupt INT looks 4 "${looks[@]}"
same_run "stopped in evaluations" looked looks "$steps"

stop_with() { # stop_with SIGNAL CODE
    rm -rf stopped
    interrupt_once "$1"
    check "SIG$1: exit code $2" test "$code" -eq "$2"
    step=$(sed -n 's/^Stopped at step \([0-9]*\); --resume goes on from there\.$/\1/p' "$tmp/err")
    check "... a sentence, and a checkpoint at that step" test -f "$(point stopped "${step:-x}")"
    expect 0 '^Done' "... and it goes on" "${long[@]}" -o stopped --resume
    same_run "stopped by SIG$1" whole stopped "$steps"
}
interrupt_once() {
    "$socle" "${long[@]}" -o stopped ${2:+"$2"} >"$tmp/out" 2>"$tmp/err" </dev/null &
    pid=$!
    begun stopped 5
    kill "-$1" "$pid" 2>/dev/null
    wait "$pid"
    code=$?
}
stop_with TERM 143
# A shell without job control has its jobs ignore SIGINT, which socle does not.
stop_with INT 130
rm -rf stopped
interrupt_once INT --json
check "stopped with --json: exit code 130" test "$code" -eq 130
check "... is JSON" is_json "$tmp/out"
check "... that says so" grep -q '"end": "stopped"' "$tmp/out"
expect 0 "^Done after step $steps" "a run that is done, resumed" "${long[@]}" -o whole --resume

# ---- damaged checkpoints

flip() { # flip FILE OFFSET: one byte, to another
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "\\$(printf %o $((255 - byte)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
newest=$(point base 12)
size=$(stat -c %s "$newest")
damage() { # damage PATTERN DESCRIPTION COMMAND...: of the newest checkpoint of a copy
    local pattern=$1 description=$2
    shift 2
    rm -rf hurt && cp -r base hurt
    "$@"
    expect 0 '^Done after step 12' "$description" "${train[@]}" -o hurt --resume
    check "... is named" said "$pattern"
    check "... the one before it is gone on from" said 'going on from the checkpoint before it'
    check "... to the same bits" cmp "$newest" "$(point hurt 12)"
}
damage "step-00000012.gguf: the tensor '[^']*' is damaged: its checksum" "a checkpoint with another byte" flip "$(point hurt 12)" $((size - 5000))
damage 'step-00000012.gguf: .*truncated' "a checkpoint that was cut short" truncate -s $((size / 2)) "$(point hurt 12)"
damage 'step-00000012.gguf: is empty' "an empty checkpoint" truncate -s 0 "$(point hurt 12)"
at=$(grep -abo 'socle.train.state' "$newest" | head -1 | cut -d: -f1)
damage 'step-00000012.gguf: .*numbers of the run are damaged' "a checkpoint with another step" flip "$(point hurt 12)" $((at + 17 + 4 + 4 + 8))
at=$(grep -abo 'socle.train.settings' "$newest" | head -1 | cut -d: -f1)
damage 'step-00000012.gguf: .*numbers of the run are damaged' "a checkpoint with other settings" flip "$(point hurt 12)" $((at + 20 + 4 + 8 + 3))
for _ in $(seq $((san ? 4 : 12))); do # anywhere: the bits are the same, or something is said
    rm -rf hurt && cp -r base hurt
    at=$((RANDOM * 32768 + RANDOM))
    flip "$(point hurt 12)" $((at % size))
    timeout 60 "$socle" "${train[@]}" -o hurt --resume >/dev/null 2>"$tmp/err"
    code=$?
    if [ $code -eq 0 ] && cmp -s base/model.gguf hurt/model.gguf && every_step_once hurt 12; then ok "a byte flipped at $((at % size))"
    else not_ok "a byte flipped at $((at % size))" "exit code $code: $(head -c 600 "$tmp/err")"; fi
done
rm -rf hurt && cp -r base hurt && truncate -s 100 hurt/checkpoints/*
expect 3 'no checkpoint is whole; the oldest: hurt/checkpoints/step-00000000.gguf' "no checkpoint is whole" "${train[@]}" -o hurt --resume

# ---- what is not gone on with

before=$(sums_of base)
expect 2 'base: there is a run in this folder already; go on with it \(--resume\)' "a new run in an old run's folder" "${train[@]}" -o base
expect 2 "begun with other settings.*'rate' was 0.01, and is 0.02" "--resume with another rate" "${train[@]}" -o base --resume --rate 2e-2
expect 2 "'steps' was 12, and is 13" "--resume with more steps" "${train[@]}" -o base --resume --steps 13
expect 2 'begun with other settings, or for another model' "--resume with another shape" "${train[@]}" -o base --resume --layers 3
{ cat tale.txt && echo more; } >more.txt
expect 2 'begun with other data' "--resume with other data" "${train[@]}" -o base --resume --data more.txt
check "none of these changed anything" test "$before" = "$(sums_of base)"
mkdir -p nothing
expect 2 'nothing: there is no checkpoint to go on from' "--resume of an empty folder" "${train[@]}" -o nothing --resume
expect 2 'nowhere: there is no checkpoint to go on from' "--resume of no folder" "${train[@]}" -o nowhere --resume
check "... is not made" test ! -e nowhere
expect 5 'tale.txt.*Not a directory' "a folder that is a file" "${train[@]}" -o tale.txt
expect 5 'no/such: cannot make this folder' "a folder in no folder" "${train[@]}" -o no/such

# ---- repeating

expect 0 '^12 steps repeated: every bit' "--verify" "${train[@]}" -o base --verify
expect 0 '^3 steps repeated' "--verify --from --to" "${train[@]}" -o base --verify --from 6 --to 9
expect 2 'base: step 7 has no checkpoint' "--verify from a step without a checkpoint" "${train[@]}" -o base --verify --from 7
expect 2 'base: step 13 has no checkpoint' "--verify up to a step without a checkpoint" "${train[@]}" -o base --verify --to 13
expect 2 'nothing to repeat from step 9 to 6' "--verify backwards" "${train[@]}" -o base --verify --from 9 --to 6
expect 2 'no checkpoint' "--verify of nothing" "${train[@]}" -o nothing --verify
rm -rf hurt && cp -r base hurt && cp "$(point v-bf16 9)" "$(point hurt 9)"
expect 3 "steps 0 to 9 do not give this checkpoint.*'token_embd.weight' differs in row 0" "--verify of steps that were others" \
    "${train[@]}" -o hurt --verify --to 9
rm -rf hurt && cp -r base hurt && flip "$(point hurt 12)" $((size - 5000))
expect 3 "step-00000012.gguf: the tensor '.*' is damaged" "--verify of a damaged checkpoint" "${train[@]}" -o hurt --verify
check "--verify changed nothing" test "$before" = "$(sums_of base)"
mkdir -p one/checkpoints && cp "$(point base 0)" one/checkpoints
expect 2 'repeating takes two checkpoints, but there are 1' "--verify of one checkpoint" "${train[@]}" -o one --verify

# ---- no space left

rm -rf full && cp -r base full && rm "$(point full 12)" "$(point full 9)"
before=$(sums_of full/checkpoints)
(
    ulimit -f 40 # in blocks of 1 KiB
    "$socle" "${train[@]}" -o full --resume >"$tmp/out" 2>"$tmp/err"
)
check "past the largest file that is allowed: exit code 5" test $? -eq 5
check "... the file is named" said '^socle: full/(checkpoints/step-[0-9]+|model).gguf: cannot write'
check "... earlier checkpoints stay" test "$before" = "$(sums_of full/checkpoints)"
expect 0 '^Done' "... it can be gone on with" "${train[@]}" -o full --resume
same_run "after a full disk" base full 12
mkdir -p small
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=900k tmpfs small 2>/dev/null; then
    mounted=yes
    expect 5 'small/run/.*: cannot write: No space left' "a disk that fills up" "${train[@]}" -o small/run
    check "... nothing unfinished is left" nothing_unfinished small/run
    check "... checkpoints are whole" test "$(find small/run/checkpoints -name '*.gguf' | wc -l)" -ge 1
    mount -o remount,size=8m small
    expect 0 '^Done' "... with more room it can be gone on with" "${train[@]}" -o small/run --resume
    same_run "after a disk that was full" base small/run 12
    umount small && mounted=
else
    skip "a disk that fills up" "a small file system cannot be mounted"
fi

# ---- data and options that are refused

: >empty
printf ' \n\n' >white
wrong=("${train[@]}" -o wrong)
expect 3 'empty: is empty' "an empty file" "${wrong[@]}" --data empty
expect 3 'white: has no documents: nothing but white space' "nothing but white space" "${wrong[@]}" --data white
expect 5 'nothing: is a directory' "a folder as data" "${wrong[@]}" --data nothing
expect 5 'missing: cannot open: No such file' "data that are not there" "${wrong[@]}" --data missing
expect 5 'missing: cannot open' "held-out data that are not there" "${wrong[@]}" --held-out missing
expect 3 'all are held out' "everything held out" "${wrong[@]}" --holdout-every 1
expect 3 'none is held out' "nothing held out" "${wrong[@]}" --holdout-every 1000 --holdout-first 500
expect 2 'number 5, expected less than 5' "a held-out document behind its kind" "${wrong[@]}" --holdout-every 5 --holdout-first 5
expect 2 'a rate of 0' "a rate of 0" "${wrong[@]}" --rate 0
expect 2 "expected a number, found 'nan'" "a rate that is no number" "${wrong[@]}" --rate nan
expect 2 'a momentum of 1' "a momentum of 1" "${wrong[@]}" --momentum 1
expect 2 'clipping at a norm of -1' "a negative norm" "${wrong[@]}" --clip -1
expect 2 'expected a share from 0 to 1' "a negative rate at the end" "${wrong[@]}" --rate-end -1
expect 2 'width of 30 is no multiple of 4 heads' "heads that do not divide the width" "${wrong[@]}" --width 30
expect 2 '4 heads are no multiple of 3 kv heads' "key heads that do not divide the heads" "${wrong[@]}" --kv-heads 3
expect 2 "family 'gpt9' cannot be made: expected llama, qwen2, qwen3 or qwen3moe" "an unknown family" "${wrong[@]}" --family gpt9
expect 2 "expected one of adamw, muon, found 'sgd'" "an unknown optimizer" "${wrong[@]}" --optimizer sgd
expect 2 "'Q9' is no format" "an unknown type" "${wrong[@]}" --type Q9
expect 2 'one of at least two' "experts that are not used" "${wrong[@]}" --experts 4
expect 2 'patience needs held-out data' "patience without held-out data" "${wrong[@]}" --patience 2 --holdout-every 0
expect 2 "no room for an answer" "a sample's prompt that fills the context" "${wrong[@]}" --sample-every 1 --sample-prompt "$(head -c 900 tale.txt)"
expect 2 "a model to go on from has its vocabulary and shape" "a shape for a model that has one" "${wrong[@]}" -m base/model.gguf
expect 2 "the model's context is 32" "a context larger than the model's" train -m base/model.gguf -d tale.txt -o wrong -c 64
expect 2 '512|context' "a context larger than the bundled model's" train -m "$root/share/tales.gguf" -d tale.txt -o wrong -c 1024
expect 3 'tale.txt: not a GGUF file' "a vocabulary that is none" "${wrong[@]}" --tokenizer tale.txt
expect 2 'no data' "no data" train -o wrong
expect 2 '--out' "no folder" train --data tale.txt
printf '{"text": "a king"}\n{"text" "b"}\n' >bad.jsonl
expect 3 'bad.jsonl: line 2: .* at column 1[0-9]:' "JSON that is none: line and column" train short.conf -o wrong --data bad.jsonl --format jsonl
printf '{"txt": "a"}\n' >bad.jsonl
expect 3 'bad.jsonl: line 1: expected a text under "text", found no such key; there are "txt"' "a key that is missing" \
    train short.conf -o wrong --data bad.jsonl --format jsonl
rm -rf wrong
for i in $(seq 300); do cat texts.jsonl; done >bad.jsonl
echo '{"text": 1}' >>bad.jsonl
expect 3 'bad.jsonl: line 601: expected a text under "text", found a number' "a mistake in the last line is told at the beginning" \
    train short.conf -o wrong --data bad.jsonl --format jsonl --steps 1
expect 3 'bad.jsonl: line 601' "... by --dry-run, too" train short.conf -o wrong --data bad.jsonl --format jsonl --dry-run
check "what is refused writes nothing" test ! -e wrong
sed 's/^layers/layrs/' tale.conf >wrong.conf
expect 3 "wrong.conf:2: no option is called 'layrs': did you mean 'layers'\?" "a configuration with an unknown name" train wrong.conf -o wrong
sed 's/^layers.*/layers = two/' tale.conf >wrong.conf
expect 3 "wrong.conf:2: 'layers': expected .*, found 'two'" "a configuration with a wrong value" train wrong.conf -o wrong
expect 5 'none.conf: cannot open' "a configuration that is not there" train none.conf -o wrong

# ---- numbers that are none

expect 8 "step [0-9]+: the loss is not finite; the first number that is none comes from .* by the tensor '[^']*'" \
    "a rate that blows up: exit code 8, with step and tensor" "${train[@]}" -o blown --save-every 1 --rate 9.9 --clip 0 --warmup 0 --schedule constant --weight-decay 3e4 --steps 50
check "... the last checkpoint stays" test "$(find blown/checkpoints -type f | wc -l)" -ge 2
check "... and is named so" said 'The last checkpoint is as it was'
cp base/model.gguf nan.gguf
head -c 64 /dev/zero | tr '\0' '\377' | dd of=nan.gguf bs=1 seek=$(($(stat -c %s nan.gguf) - 256)) conv=notrunc 2>/dev/null
expect 8 "step 1: .* not finite.*'[a-z0-9_.]+weight'" "a model with a weight that is no number" train -m nan.gguf -d tale.txt -o blown2 -c 32 -b 2 -s 3
check "... leaves no result" test ! -e blown2/model.gguf

# ---- finetune

if "$build/tests/add_template" "$root/share/tales.gguf" "$root/tests/data/chatml.jinja" chat.gguf 2>/dev/null; then
    for _ in 1 2 3 4; do
        echo '{"messages": [{"role": "user", "content": "Who lives here?"}, {"role": "assistant", "content": "The old fox."}]}'
    done >chats.jsonl
    how=(finetune -m chat.gguf -c 64 --batch 1 --accumulate 1 --rank 4 --alpha 8 --rate 1e-2 --warmup 1
        --steps 12 --save-every 4 --keep 0)
    tune=("${how[@]}" --data chats.jsonl)
    expect 0 'of which [0-9]+ are trained' "finetune --dry-run" "${tune[@]}" -o tuned --dry-run
    check "... writes nothing" test ! -e tuned
    expect 0 '^Done after step 12. tuned/adapter.gguf is the result' "finetune" "${tune[@]}" -o tuned
    check "... the loss falls" less "$(last_loss tuned)" "$(first_loss tuned)"
    expect 0 'family +llama' "an adapter can be inspected" inspect tuned/adapter.gguf
    answer() { "$socle" run -m chat.gguf "$@" -p 'Who lives here?' -n 6 --temperature 0 -q 2>"$tmp/err"; }
    check "... and gives the answer" test "$(answer --adapter tuned/adapter.gguf | head -c 12)" = "The old fox."
    check "... that the model does not" test "$(answer | head -c 12)" != "The old fox."
    printf '\001\0\0\0\002\0\0\0\003\0\0\0\004\0\0\0' >ids.i32
    logits() { "$socle" logits -m chat.gguf --tokens ids.i32 --out "$@" || not_ok "logits $*"; }
    logits plain.f32
    logits none.f32 --adapter tuned/adapter.gguf=0
    logits all.f32 --adapter tuned/adapter.gguf
    check "an adapter at scale 0: the bits without it" cmp plain.f32 none.f32
    check "... at scale 1: others" sh -c "! cmp -s plain.f32 all.f32"
    logits halves.f32 --adapter tuned/adapter.gguf=0.5 --adapter tuned/adapter.gguf=0.5
    check "two adapters: others, too" sh -c "test -s halves.f32 && ! cmp -s plain.f32 halves.f32"
    logits one.f32 --adapter tuned/adapter.gguf --adapter tuned/adapter.gguf=0
    check "... one of them at scale 0: the bits of the other" cmp all.f32 one.f32

    rm -rf again && cp -r tuned again && rm "$(point again 12)" "$(point again 8)" again/adapter.gguf
    expect 0 '^Done' "finetune --resume" "${tune[@]}" -o again --resume --threads 1
    check "... the same bits" cmp "$(point tuned 12)" "$(point again 12)"
    check "... the same adapter" cmp tuned/adapter.gguf again/adapter.gguf
    expect 0 '^4 steps repeated' "finetune --verify" "${tune[@]}" -o tuned --verify --from 4 --to 8
    expect 2 "'rank' was 4, and is 8" "finetune --resume with another rank" "${tune[@]}" -o tuned --resume --rank 8
    "$build/tests/add_template" "$root/share/tales.gguf" "$root/tests/data/chatml.jinja" other.gguf
    flip other.gguf $(($(stat -c %s other.gguf) - 4000))
    expect 2 'begun with other settings, or for another model' "finetune --resume for a model with another byte" "${tune[@]}" -m other.gguf -o tuned --resume
    expect 0 '^Done' "finetune --targets" "${tune[@]}" -o targets --targets attn_q,attn_v --steps 1
    check "... changes these alone" test "$("$socle" inspect targets/adapter.gguf --tensors | grep -c 'lora_a')" -eq \
        "$("$socle" inspect targets/adapter.gguf --tensors | grep -cE 'attn_[qv].weight.lora_a')"
    expect 2 "no weight that 'attn_z' names" "finetune --targets of a name that is none" "${tune[@]}" -o wrong2 --targets attn_q,attn_z
    expect 2 'a rank of at least 1' "finetune --rank 0" "${tune[@]}" -o wrong2 --rank 0
    expect 2 'name the model' "finetune without a model" finetune --data chats.jsonl -o wrong2
    expect 4 'no chat template, which conversations need' "conversations without a template" finetune -m "$root/share/tales.gguf" --data chats.jsonl -o wrong2
    expect 3 'made for another model' "an adapter for another model" run -m base/model.gguf --adapter tuned/adapter.gguf -p Once
    expect 0 '^Done' "an adapter for a text model" finetune -m base/model.gguf --format text --data some.txt -o near \
        --steps 1 -c 32 --batch 2 --accumulate 1
    expect 3 'made for another model' "... is refused by a model of the same shape" run -m "$(point base 0)" \
        --adapter near/adapter.gguf -p Once
    expect 0 '' "... and taken by its own model in another format" quantize base/model.gguf near.gguf Q8_0
    expect 0 '' "... that is to say, run by it" run -m near.gguf --adapter near/adapter.gguf -p Once -n 4
    expect 3 'this is no LoRA adapter' "an adapter that is a model" run -m chat.gguf --adapter chat.gguf -p Once
    expect 5 'none.gguf: cannot open' "an adapter that is not there" run -m chat.gguf --adapter none.gguf -p Once

    echo '{"messages": [{"role": "user", "content": "a"}]}' >question.jsonl
    expect 3 'question.jsonl: line 1: .* no message of the assistant' "a conversation without an answer" "${how[@]}" -o wrong2 --data question.jsonl
    echo "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"$(head -c 600 tale.txt | tr '\n' ' ')\"}]}" >long.jsonl
    rm -rf wrong2
    expect 3 'long.jsonl: line 1: the conversation has [0-9]+ tokens' "a conversation longer than the context" "${how[@]}" -o wrong2 --data long.jsonl --steps 1
    expect 0 '^Done' "... is cut with --long cut" "${how[@]}" -o wrong2 --data long.jsonl --steps 1 --long cut
    rm -rf wrong2
    expect 3 'all conversations are longer' "... is skipped with --long skip" "${how[@]}" -o wrong2 --data long.jsonl --steps 1 --long skip
    expect 0 '^Done' "... others are learnt from" "${tune[@]}" -o wrong2 --data long.jsonl --steps 1 --long skip
    echo '{"messages": [{"role": "usr", "content": "a"}]}' >role.jsonl
    expect 3 'role.jsonl: line 1: messages\[0\].role: .*found "usr"' "a role that is none" "${how[@]}" -o wrong2 --data role.jsonl

    for _ in 1 2; do echo '{"prompt": "Who lives here?", "chosen": "The fox.", "rejected": "A king."}'; done >pairs.jsonl
    expect 0 'step 6: held-out loss [0-9.]+, 100.0 % preferred rightly' "preferences" finetune -m chat.gguf --data pairs.jsonl --format preference \
        --held-out pairs.jsonl --evaluate-every 3 --batch 2 --accumulate 1 -c 64 --steps 6 --rank 4 --rate 5e-3 --warmup 1 -o preferred
    check "... the loss falls" learns preferred
    expect 2 'an even number of windows, not 3' "preferences in an odd number of windows" "${how[@]}" -o wrong2 --data pairs.jsonl --format preference --batch 3
    expect 2 'learnt by an adapter' "preferences without an adapter" "${train[@]}" -o wrong2 --format preference
else
    skip "finetune" "no build/tests/add_template"
fi

# ---- adapters in the server

n=0
ask() { # ask BODY: sets $status, leaves the answer in body
    n=$((n + 1))
    status=$(curl -sS -m 60 -o body -w '%{http_code}' --data-binary "$1" -H 'Content-Type: application/json' "$url/v1/chat/completions" 2>curl.err)
}
content() { sed -n 's/.*"content":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "${1:-body}"; }
question='"messages": [{"role": "user", "content": "Who lives here?"}], "max_tokens": 6, "temperature": 0'
if ! "$socle" --help | grep -q '^  serve '; then skip "adapters in the server" "built without the server"
elif ! command -v curl >/dev/null; then skip "adapters in the server" "no curl"
elif [ ! -e tuned/adapter.gguf ]; then skip "adapters in the server" "no adapter"
else
    cp preferred/adapter.gguf fox.gguf
    # LeakSanitizer cannot work in the sandbox.
    "$socle" serve --port 0 -m chat.gguf --adapter tuned/adapter.gguf --adapter fox.gguf=0 ${san:+--sandbox off} >serve.out 2>serve.err </dev/null &
    server=$!
    for _ in $(seq 600); do
        url=$(sed -n 's/^Listening on \([^ ]*\).*/\1/p' serve.out)
        [ -n "$url" ] && break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    check "a server with adapters starts" test -n "$url"
    quote() { sed 's/\\/\\\\/g; s/"/\\"/g'; }
    tuned=$(answer --adapter tuned/adapter.gguf | quote) plain=$(answer | quote) fox=$(answer --adapter fox.gguf | quote)
    both=$(answer --adapter tuned/adapter.gguf=0.5 --adapter fox.gguf=0.5 | quote)
    gives() { # gives DESCRIPTION ANSWER LORA
        ask "{$question$3}"
        if [ "$status" = 200 ] && [ "$(content)" = "$2" ]; then ok "$1"
        else not_ok "$1" "status $status, expected '$2', found: $(head -c 400 body curl.err)"; fi
    }
    gives "a request that says nothing has the adapters' own scales" "$tuned" ''
    gives "a request without adapters" "$plain" ', "lora": []'
    gives "an adapter at scale 0" "$plain" ', "lora": [{"id": 0, "scale": 0}]'
    gives "an adapter by its number" "$fox" ', "lora": [{"id": 1, "scale": 1}]'
    gives "an adapter by its name" "$fox" ', "lora": [{"id": "fox"}]'
    gives "an adapter by the name of a file in a folder" "$tuned" ', "lora": [{"id": "adapter"}]'
    gives "two adapters, halved" "$both" ', "lora": [{"id": 0, "scale": 0.5}, {"id": 1, "scale": 0.5}]'
    refused() {
        ask "{$question$2}"
        if [ "$status" = 400 ] && grep -q '"param":"lora"' body; then ok "$1"
        else not_ok "$1" "status $status: $(head -c 400 body)"; fi
    }
    refused "an adapter that is not there" ', "lora": [{"id": 2}]'
    refused "a name that is none" ', "lora": [{"id": "wolf"}]'
    refused "an adapter without an id" ', "lora": [{"scale": 1}]'
    refused "adapters that are no array" ', "lora": {"id": 0}'
    jobs=()
    for i in 0 1 2 3 4 5; do # at once
        case $((i % 3)) in 0) lora='' ;; 1) lora=', "lora": []' ;; 2) lora=', "lora": [{"id": "fox"}]' ;; esac
        curl -sS -m 60 -o "at-once$i" --data-binary "{$question$lora}" -H 'Content-Type: application/json' "$url/v1/chat/completions" 2>/dev/null &
        jobs+=($!)
    done
    wait "${jobs[@]}"
    right=0
    for i in 0 1 2 3 4 5; do
        case $((i % 3)) in 0) want=$tuned ;; 1) want=$plain ;; 2) want=$fox ;; esac
        [ "$(content "at-once$i")" = "$want" ] && right=$((right + 1))
    done
    check "six at once: each gets its own adapters" test "$right" -eq 6
    check "... which differ" test "$tuned" != "$plain" -a "$fox" != "$plain"
    kill -TERM "$server"
    wait "$server"
    code=$?
    server=
    check "the server ends properly" sh -c "cat serve.err; test $code -eq 0"
    check "... and says nothing of faults" sh -c "! grep -E -A30 'Sanitizer|runtime error' serve.err"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
