#!/bin/bash
# End-to-end tests of the socle program: what a person or a script sees.
#
# usage: tests/test_cli.sh PROGRAM     (or the build folder that holds it)
# Prints a line for each test and ends with "N passed, N failed, N skipped"; exits non-zero when one failed.
# $SOCLE_FIXTURES (default: ../shared/fixtures beside the sources) has reference data; without it some tests skip.
set -u
program=${1:?usage: tests/test_cli.sh PROGRAM}
[ -d "$program" ] && program=$program/socle
socle=$(realpath "$program")
[ -x "$socle" ] || { echo "no program at $program"; exit 1; }
cd "$(dirname "$0")/.." || exit 1
root=$PWD
fixtures=${SOCLE_FIXTURES:-$root/../shared/fixtures}
model=$root/share/tales.gguf
tmp=$(mktemp -d) || exit 1
mounted=
# shellcheck disable=SC2317  # called by the trap
clean_up() {
    [ -n "$mounted" ] && umount "$tmp/small" 2>/dev/null
    rm -rf "$tmp"
}
trap clean_up EXIT
export SOCLE_TALES=$model LC_ALL=C
unset SOCLE_CPU SOCLE_NOW NO_COLOR

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
    if "$@" >"$tmp/check" 2>&1; then ok "$description"; else not_ok "$description" "$(head -5 "$tmp/check")"; fi
}

# expect CODE PATTERN DESCRIPTION ARGUMENTS...: socle with these arguments ends with this code, and what it says on
# standard error (standard output when the code is 0) matches the pattern, unless that is empty. Both are left in $tmp/out and $tmp/err.
# Standard input is $input, when that is set.
input=/dev/null
expect() {
    local code=$1 pattern=$2 description=$3 got stream
    shift 3
    "$socle" "$@" <"$input" >"$tmp/out" 2>"$tmp/err"
    got=$?
    [ "$code" -eq 0 ] && stream=$tmp/out || stream=$tmp/err
    if [ "$got" -ne "$code" ]; then
        not_ok "$description" "exit code $got, expected $code: $(head -c 300 "$tmp/err")"
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$stream"; then
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
json_number() { sed -n 's/.*"'"$2"'": *\(-\{0,1\}[0-9][0-9.e+-]*\).*/\1/p' "$1" | head -1; }
between() { awk -v x="${1:-nothing}" -v low="$2" -v high="$3" 'BEGIN { exit !(x ~ /^[0-9]/ && x + 0 >= low && x + 0 <= high) }'; }
empty_folder() { [ -z "$(ls -A "$1")" ]; }

# ---- files to work with

printf 'Once upon a time there was a little girl who lived in a village near the forest. Whenever she went out,
the little girl wore a red riding cloak, so everyone in the village called her Little Red Riding Hood. One
morning, she asked her mother if she could go to visit her grandmother, as it had been a long time since they
had seen each other. "That is a good idea," her mother said. So they packed a nice basket to take to her
grandmother. When the basket was ready, the little girl put on her red cloak and kissed her mother goodbye.\n' >"$tmp/story.txt"
printf '\001\0\0\0\002\0\0\0\003\0\0\0\004\0\0\0' >"$tmp/ids.i32"
for _ in 1 2 3 4 5; do cat "$tmp/ids.i32" "$tmp/ids.i32"; done >"$tmp/ids40.i32"
printf '\377\377\377\177' >"$tmp/outside.i32"
printf 'abc' >"$tmp/odd.i32"
head -c 100000 "$model" >"$tmp/truncated.gguf"
head -c 20 "$model" >"$tmp/head.gguf"
head -c 100000 /dev/urandom >"$tmp/random.gguf"
: >"$tmp/empty.gguf"
mkdir "$tmp/results"

# ---- help, mistakes

expect 0 '^Commands' "socle --help lists the commands" --help
commands=$(sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p' "$tmp/out")
expect 0 '^socle [0-9]+\.[0-9]+' "socle --version" --version
for command in $commands; do
    expect 0 '^Examples' "socle $command --help has examples" "$command" --help
    check "socle $command --help fits in 80 columns" awk 'length($0) > 80 { print; bad = 1 } END { exit bad }' "$tmp/out"
    options=$(sed -n 's/^  \(-.,\|   \) --\([a-z0-9-]*\).*/\2/p' "$tmp/out")
    missing=
    for option in $options; do
        [ "$option" = help ] && continue
        sed 's/\\//g' "man/socle-$command.1" | grep -q -- "--$option" || missing="$missing man:$option"
        grep -q -- "--$option" completions/socle.bash || missing="$missing bash:$option"
        grep -q -- "--$option" completions/_socle || missing="$missing zsh:$option"
        grep -q "from $command.* -l $option" completions/socle.fish || missing="$missing fish:$option"
    done
    check "every option of $command is in its man page and the completions${missing:+:}$missing" test -z "$missing"
done
"$socle" >"$tmp/out" 2>"$tmp/err" </dev/null
check "without a command: exit code 2 and the usage on standard error" test $? -eq 2 -a ! -s "$tmp/out" -a -s "$tmp/err"
expect 2 "did you mean 'tokenize'" "a mistyped command is corrected" tokennize
expect 2 "did you mean '--threads'" "a mistyped option is corrected" bench --thread 2
expect 2 'needs a value' "an option without its value" logits --tokens
expect 2 'expected a whole number' "a value of the wrong kind" bench -r many
expect 2 'unexpected' "an operand too many" inspect a b
expect 2 "level is called" "an unknown instruction-set level" bench --cpu i486 -p 4 -n 0 --no-limits
expect 2 'f16, f32 or q8_0' "an unknown cache type" perplexity --cache f8 -f "$tmp/story.txt"
printf '\033[31m' >"$tmp/escape"
"$socle" "$(cat "$tmp/escape")" >"$tmp/out" 2>"$tmp/err"
check "control characters in arguments do not reach the terminal" test "$(tr -dc '\033' <"$tmp/err" | wc -c)" -eq 0

# ---- files that are no models

for command in inspect tokenize logits; do
    case $command in
    inspect) run=(inspect) ;;
    tokenize) run=(tokenize -m) ;;
    logits) run=(logits --tokens "$tmp/ids.i32" --out "$tmp/results/out.f32" -m) ;;
    esac
    expect 5 'No such file' "$command: a file that is not there" "${run[@]}" "$tmp/nothing.gguf"
    expect 5 'directory' "$command: a directory" "${run[@]}" "$tmp"
    expect 5 'device' "$command: a device" "${run[@]}" /dev/zero
    expect 3 'empty' "$command: an empty file" "${run[@]}" "$tmp/empty.gguf"
    expect 3 'truncated.gguf: ' "$command: a truncated file" "${run[@]}" "$tmp/truncated.gguf"
    expect 3 'head.gguf: ' "$command: the first 20 bytes of a file" "${run[@]}" "$tmp/head.gguf"
    expect 3 'random.gguf: ' "$command: random bytes" "${run[@]}" "$tmp/random.gguf"
done
check "no output file is left after these" empty_folder "$tmp/results"
cp "$model" "$tmp/secret.gguf" && chmod 000 "$tmp/secret.gguf"
if [ "$(id -u)" -eq 0 ]; then skip "a file without permission" "root may read everything"
else expect 5 'Permission denied' "a file without permission" inspect "$tmp/secret.gguf"; fi

# ---- inspect

expect 0 '^  memory ' "inspect: a summary" inspect "$model"
check "inspect: the summary fits in 80 columns" awk '/^Metadata/ { exit bad } length($0) > 80 && !/^  file/ && !/\// { print; bad = 1 } END { exit bad }' "$tmp/out"
check "inspect: no colours in a file" test "$(tr -dc '\033' <"$tmp/out" | wc -c)" -eq 0
expect 0 'token_embd.weight' "inspect --tensors" inspect "$model" --tensors
expect 0 '= linear ' "inspect --program" inspect "$model" --program
expect 0 '"metadata"' "inspect --json" inspect "$model" --json
check "inspect --json is JSON" is_json "$tmp/out"
check "inspect --json counts parameters" between "$(json_number "$tmp/out" n_parameters)" 1000 1e12
expect 2 'positions' "inspect -c: more context than the model has" inspect "$model" -c 1000000
if grep -q 'Socle Tales' "$model"; then
    sed 's/Socle Tales/\x1b[31mTale\x07\x9b/' "$model" >"$tmp/hostile.gguf"
    for option in --json --tensors --program ''; do
        expect 0 . "inspect ${option:-a summary} of a file with control characters" inspect "$tmp/hostile.gguf" $option
        check "... shows none of them" test "$(tr -dc '\033\007' <"$tmp/out" | wc -c)" -eq 0
        [ "$option" = --json ] && check "... and is JSON" is_json "$tmp/out"
    done
fi

# ---- tokenize

printf 'Once upon a time' >"$tmp/text"
input=$tmp/text
expect 0 '^\[[0-9, ]*\]$' "tokenize: one array on one line" tokenize
cp "$tmp/out" "$tmp/ids.json"
expect 0 '^\["' "tokenize --pieces" tokenize --pieces
input=$tmp/ids.json
expect 0 '^Once upon a time$' "tokenize --decode gives the text back" tokenize --decode
check "... and nothing more" cmp "$tmp/out" "$tmp/text"
printf '' >"$tmp/nothing"
input=$tmp/nothing
expect 0 '^\[\]$' "tokenize: no text, no tokens" tokenize
printf '{"text": "a\\u0000b\\n\\ud83e\\udd8a"}\n\n{"text": "", "more": [1]}\n' >"$tmp/rows"
input=$tmp/rows
expect 0 '^\{"ids": \[.*\]\}$' "tokenize --jsonl" tokenize --jsonl
check "... a row for each row" test "$(wc -l <"$tmp/out")" -eq 2
cp "$tmp/out" "$tmp/ids.jsonl"
input=$tmp/ids.jsonl
expect 0 'a\\u0000b\\n' "tokenize --jsonl --decode keeps a NUL" tokenize --jsonl --decode
for row in '{"text": 3}' 'nonsense' '["a"]' '{"text": "a"' '{"text": "\udc00"}'; do
    printf '{"text": "fine"}\n%s\n' "$row" >"$tmp/rows"
    input=$tmp/rows
    expect 2 'line 2: ' "tokenize --jsonl names the line of $row" tokenize --jsonl
    check "... after the rows before it" test "$(wc -l <"$tmp/out")" -eq 1
done
printf '[1, "two"]' >"$tmp/rows"
input=$tmp/rows
expect 2 'token ids' "tokenize --decode of what are no ids" tokenize --decode
for vocabulary in gpt-2 llama-spm llama-bpe; do
    if [ ! -r "$fixtures/tokenizers/$vocabulary.gguf" ]; then
        skip "tokenize: $vocabulary" "no fixtures at $fixtures"
        continue
    fi
    sed 's/.*"ids": \(\[[^]]*\]\).*/{"ids": \1}/' "$fixtures/tokenizers/$vocabulary.jsonl" >"$tmp/expected"
    input=$fixtures/tokenizers/$vocabulary.jsonl
    expect 0 ids "tokenize: $vocabulary" tokenize -m "$fixtures/tokenizers/$vocabulary.gguf" --jsonl
    check "... as the reference has it" cmp "$tmp/out" "$tmp/expected"
done
input=/dev/null

# ---- tokenizer

vocabulary_file=$tmp/story.tok.gguf
train=(tokenizer train "$tmp/story.txt" -o "$vocabulary_file")
expect 0 ': 300 tokens: 1 special, 256 bytes, 43 merged' "tokenizer train: a summary" "${train[@]}" --vocab 300
check "tokenizer train: the summary fits in 80 columns" awk 'length($0) > 80 && !/\// { print; bad = 1 } END { exit bad }' "$tmp/out"
cp "$vocabulary_file" "$tmp/first.gguf"
input=$tmp/story.txt
expect 0 '" the", ' "tokenize works with it" tokenize -m "$vocabulary_file" --pieces
expect 0 '^\[0, [0-9, ]*\]$' "... and begins with its <|endoftext|>" tokenize -m "$vocabulary_file" --special
expect 0 '^\[[0-9, ]*\]$' "... gives ids" tokenize -m "$vocabulary_file"
cp "$tmp/out" "$tmp/story.json"
n_ids=$(tr -cd , <"$tmp/story.json" | wc -c)
input=$tmp/story.json
expect 0 'Once' "... and takes them back" tokenize -m "$vocabulary_file" --decode
check "... to the same bytes" cmp "$tmp/out" "$tmp/story.txt"
input=$tmp/story.txt
expect 0 '"n_text_tokens"' "tokenizer train --json, of standard input" tokenizer train - -o "$vocabulary_file" --vocab 300 --json
check "tokenizer train --json is JSON" is_json "$tmp/out"
check "tokenizer train: standard input gives the same bytes" cmp "$vocabulary_file" "$tmp/first.gguf"
check "tokenizer train counts the text's tokens" test "$(json_number "$tmp/out" n_text_tokens)" -eq $((n_ids + 1))
input=/dev/null
for _ in 1 2 3 4 5 6 7; do cat "$tmp/story.txt"; done >"$tmp/documents.txt"
head -n 10 "$tmp/documents.txt" >"$tmp/others.txt" && tail -n +16 "$tmp/documents.txt" >>"$tmp/others.txt"
awk '{ gsub(/"/, "\\\""); line = line $0 "\\n" } NR % 5 == 0 { print "{\"body\": \"" line "\"}\n"; line = "" }' "$tmp/documents.txt" >"$tmp/documents.jsonl"
expect 0 '6 documents, .*; 1 held out' "tokenizer train --holdout-every" tokenizer train "$tmp/documents.txt" \
    -o "$vocabulary_file" --vocab 310 --lines 5 --holdout-every 7 --holdout-first 2
expect 0 '"n_documents": 6' "tokenizer train: the same documents in a file" tokenizer train "$tmp/others.txt" \
    -o "$tmp/others.gguf" --vocab 310 --lines 5 --json
check "... give the same bytes" cmp "$vocabulary_file" "$tmp/others.gguf"
expect 0 '"n_held_out": 1' "tokenizer train --jsonl" tokenizer train "$tmp/documents.jsonl" -o "$tmp/others.gguf" \
    --vocab 310 --jsonl body --holdout-every 7 --holdout-first 2 --json
check "... gives the same bytes" cmp "$vocabulary_file" "$tmp/others.gguf"
printf '%s' '{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}' >"$tmp/turns.jinja"
expect 0 ': 300 tokens: 4 special' "tokenizer train: special tokens and a template" "${train[@]}" --vocab 300 --pre qwen2 \
    --special '<|im_start|>' --special '<|im_end|>' --eos '<|im_end|>' --pad '<pad>' --no-add-bos --min-count 1 \
    --max-bytes 4 --chat-template "$tmp/turns.jinja"
printf 'a<|im_end|>' >"$tmp/turn"
input=$tmp/turn
expect 0 '^\[[0-9]+, 3\]$' "... have their ids" tokenize -m "$vocabulary_file" --special --parse-special
expect 0 '^\["a", "<"' "... which text does not become" tokenize -m "$vocabulary_file" --pieces
printf '{"messages": [{"role": "user", "content": "Bonjour"}]}' >"$tmp/turn"
expect 0 '^<\|im_start\|>Bonjour<\|im_end\|>$' "... and the template renders" template -m "$vocabulary_file"
input=/dev/null
rm -f "$vocabulary_file"
mkdir "$tmp/nowhere"
train=("${train[@]:0:3}" -o "$tmp/nowhere/out.gguf")
expect 2 'give at most [0-9]+ tokens, 4096 were wanted' "tokenizer train: too little text" "${train[@]}" --vocab 4k
most=$(sed -n 's/.*at most \([0-9]*\) tokens.*/\1/p' "$tmp/err")
expect 2 'expected 257' "tokenizer train: no room for the bytes" "${train[@]}" --vocab 100
expect 2 '.--vocab' "tokenizer train: no number of tokens" "${train[@]}"
expect 2 'o names' "tokenizer train: no result named" tokenizer train "$tmp/story.txt" --vocab 300
expect 2 "did you mean 'train'" "tokenizer: a mistyped action" tokenizer trian "$tmp/story.txt"
expect 2 "expected 'train'" "tokenizer: no action" tokenizer
expect 2 'no text is named' "tokenizer train: no text" tokenizer train -o "$tmp/nowhere/out.gguf" --vocab 300
expect 2 'does not go with' "tokenizer train: lines of JSON" "${train[@]}" --vocab 300 --jsonl a --lines 2
expect 2 'says what one is' "tokenizer train: files held out" "${train[@]}" --vocab 300 --holdout-every 3
expect 2 'less than --holdout-every' "tokenizer train: nothing held out" "${train[@]}" --vocab 300 --lines 1 --holdout-every 3 --holdout-first 3
expect 2 'is a text to read, and the result' "tokenizer train: a text as result" tokenizer train "$tmp/story.txt" -o "$tmp/story.txt" --vocab 300
expect 2 'given twice' "tokenizer train: a special token twice" "${train[@]}" --vocab 300 --special '<a>' --special '<a>'
expect 4 'known: default, gpt-2' "tokenizer train: an unknown pre-tokenizer" "${train[@]}" --vocab 300 --pre gpt-7
expect 9 'bad.jinja|template' "tokenizer train: a malformed template" "${train[@]}" --vocab 300 --chat-template <(printf '{%% for %%}')
expect 3 'nothing: is empty' "tokenizer train: an empty file" tokenizer train "$tmp/nothing" -o "$tmp/nowhere/out.gguf" --vocab 300
printf '\037\213\010\000' >"$tmp/story.gz"
expect 3 'story.gz: is compressed by gzip' "tokenizer train: a compressed file" tokenizer train "$tmp/story.gz" -o "$tmp/nowhere/out.gguf" --vocab 300
expect 3 'standard input: is empty' "tokenizer train: empty standard input" tokenizer train - -o "$tmp/nowhere/out.gguf" --vocab 300
expect 5 'none.txt: cannot open: No such file' "tokenizer train: a text that is not there" \
    tokenizer train "$tmp/story.txt" "$tmp/none.txt" -o "$tmp/nowhere/out.gguf" --vocab 300
expect 5 'is a directory' "tokenizer train: a folder as text" tokenizer train "$tmp" -o "$tmp/nowhere/out.gguf" --vocab 300
expect 5 'directory' "tokenizer train: a folder as result" tokenizer train "$tmp/story.txt" -o "$tmp" --vocab 300
expect 5 'none/out.gguf: cannot' "tokenizer train: a folder that is not there" tokenizer train "$tmp/story.txt" -o "$tmp/none/out.gguf" --vocab 300
for row in '{"text": 3}' '["a"]' '{"other": "a"}'; do
    printf '{"text": "fine"}\n\n%s\n' "$row" >"$tmp/rows.jsonl"
    expect 3 'rows.jsonl: line 3: expected an object with a string "text"' "tokenizer train --jsonl names the line of $row" \
        tokenizer train "$tmp/rows.jsonl" -o "$tmp/nowhere/out.gguf" --vocab 300 --jsonl text
done
printf '{"text": "fine"}\n{"text": nonsense}\n' >"$tmp/rows.jsonl"
expect 3 'rows.jsonl: line 2, column 17: ' "tokenizer train --jsonl names line and column" \
    tokenizer train "$tmp/rows.jsonl" -o "$tmp/nowhere/out.gguf" --vocab 300 --jsonl text
check "tokenizer train: failures leave no file" empty_folder "$tmp/nowhere"
expect 0 ": $most tokens" "tokenizer train: as many tokens as the text gives" "${train[@]}" --vocab "$most"
rm "$tmp/nowhere/out.gguf"
head -c 30000000 /dev/urandom >"$tmp/random.bin"
"$socle" tokenizer train "$tmp/random.bin" -o "$tmp/nowhere/out.gguf" --vocab 1M 2>"$tmp/err" &
sleep 0.3
kill -INT $! 2>/dev/null
wait $!
check "tokenizer train: Ctrl-C ends with 130" test $? -eq 130
check "... and leaves no file" empty_folder "$tmp/nowhere"
rm "$tmp/random.bin"

# ---- template

printf '%s' '{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}' >"$tmp/chat.jinja"
printf '{"bos_token": "<s>", "messages": [{"role": "user", "content": "Bonjour"}]}' >"$tmp/inputs.json"
input=$tmp/inputs.json
expect 0 '^<s>\[user\] Bonjour$' "template: a small one" template --template "$tmp/chat.jinja"
check "... without a line feed" test "$(wc -c <"$tmp/out")" -eq 17
input=/dev/null
expect 0 Bonjour "template: the inputs from a file" template --template "$tmp/chat.jinja" "$tmp/inputs.json"
printf '{%% for %%}' >"$tmp/bad.jinja"
expect 9 'bad.jinja' "template: a malformed one" template --template "$tmp/bad.jinja" "$tmp/inputs.json"
printf 'not JSON' >"$tmp/bad.json"
expect 2 . "template: inputs that are no JSON" template --template "$tmp/chat.jinja" "$tmp/bad.json"
expect 5 'No such file' "template: a file that is not there" template --template "$tmp/none.jinja" "$tmp/inputs.json"
expect 2 'cannot both' "template: a template and a model" template --template "$tmp/chat.jinja" -m "$model"
if [ -r "$fixtures/templates/cases.jsonl" ]; then
    # The expected text is a JSON string; bytes to tokens and back undo the escapes.
    row=$(grep -m 1 '"template": "Qwen-Qwen2.5-7B-Instruct.jinja", "case": "tools"' "$fixtures/templates/cases.jsonl")
    printf '%s' "$row" | sed 's/.*"inputs": \(.*\), "output": .*/\1/' >"$tmp/inputs.json"
    printf '%s' "$row" | sed 's/.*, "output": \(".*"\)}$/{"text": \1}/' | "$socle" tokenize --jsonl |
        sed 's/{"ids": \(.*\)}/\1/' | "$socle" tokenize --decode >"$tmp/expected"
    expect 0 . "template: a real one" template --now 2026-01-15T12:00:00 \
        --template "$fixtures/templates/Qwen-Qwen2.5-7B-Instruct.jinja" "$tmp/inputs.json"
    check "... gives the reference's text" cmp "$tmp/out" "$tmp/expected"
else
    skip "template: a real one" "no fixtures at $fixtures"
fi

# ---- logits

vocabulary=$("$socle" inspect "$model" --json | sed -n 's/.*"n_vocab":\([0-9]*\).*/\1/p')
results=$tmp/results
expect 0 '' "logits" logits -m "$model" --tokens "$tmp/ids40.i32" --out "$results/a.f32"
check "logits: 4 bytes for each position and token" test "$(stat -c %s "$results/a.f32")" -eq $((40 * vocabulary * 4))
check "logits: nothing beside the file" test "$(ls "$results")" = a.f32
"$socle" logits --tokens "$tmp/ids40.i32" --out - --chunk 7 -t 1 --cpu base >"$results/b.f32"
check "logits: the same bits in chunks of 7, by one thread, at the plainest level" cmp "$results/a.f32" "$results/b.f32"
"$socle" logits --tokens - --out "$results/b.f32" <"$tmp/ids40.i32"
check "logits: ids from standard input" cmp "$results/a.f32" "$results/b.f32"
rm "$results"/*
echo old >"$results/old.f32"
expect 3 '4 bytes each' "logits: a file of 3 bytes" logits --tokens "$tmp/odd.i32" --out "$results/old.f32"
expect 2 'vocabulary' "logits: a token outside the vocabulary" logits --tokens "$tmp/outside.i32" --out "$results/old.f32"
expect 2 'positions' "logits: more context than the model has" logits --tokens "$tmp/ids.i32" --out "$results/old.f32" -c 1M
expect 2 'are needed' "logits: no output named" logits --tokens "$tmp/ids.i32"
expect 5 'No such file' "logits: a folder that is not there" logits --tokens "$tmp/ids.i32" --out "$tmp/none/out.f32"
expect 5 'directory' "logits: a folder as output" logits --tokens "$tmp/ids.i32" --out "$tmp"
check "logits: what was there before a failure is still there" test "$(cat "$results"/*)" = old
expect 0 '' "logits: a new file in place of an old one" logits --tokens "$tmp/ids.i32" --out "$results/old.f32"
rm "$results"/*
for _ in $(seq 100); do cat "$tmp/story.txt"; done >"$tmp/long.txt"
"$socle" perplexity -f "$tmp/long.txt" -c 8 --stride 1 -t 1 --cpu base >"$tmp/out" 2>"$tmp/err" &
sleep 0.5
kill -INT $! 2>/dev/null
wait $!
check "Ctrl-C ends with 130" test $? -eq 130
for _ in $(seq 12); do cat "$tmp/ids40.i32"; done >"$tmp/ids480.i32"
"$socle" logits --tokens "$tmp/ids480.i32" --out "$results/out.f32" -t 1 --cpu base --chunk 1 2>"$tmp/err" &
sleep 0.5
kill -TERM $! 2>/dev/null
wait $!
case $? in
0) check "logits that were finished before they were stopped" test "$(ls "$results")" = out.f32 ;;
130 | 143) check "logits that were stopped leave no file" empty_folder "$results" ;;
*) not_ok "logits stopped by a signal" "$(cat "$tmp/err")" ;;
esac
rm -f "$results"/*

# ---- output that cannot be written

if [ -c /dev/full ]; then
    for arguments in --version --help 'inspect --json' inspect 'doctor --quick' 'inspect --help'; do
        # shellcheck disable=SC2086  # arguments are words
        "$socle" $arguments >/dev/full 2>"$tmp/err"
        check "socle $arguments on a full disk: exit code 5" test $? -eq 5
        check "... and a sentence" grep -q 'cannot write' "$tmp/err"
    done
    "$socle" logits --tokens "$tmp/ids40.i32" --out - >/dev/full 2>"$tmp/err"
    check "logits --out - on a full disk: exit code 5" test $? -eq 5
    expect 5 'No space left' "logits to a full device" logits --tokens "$tmp/ids40.i32" --out /dev/full
    "$socle" tokenize --jsonl <"$tmp/rows" >/dev/full 2>"$tmp/err"
    check "tokenize --jsonl of a bad row on a full disk fails" test $? -ne 0
    printf '{"text": "a"}\n' | "$socle" tokenize --jsonl >/dev/full 2>"$tmp/err"
    check "tokenize --jsonl on a full disk: exit code 5" test $? -eq 5
fi
mkdir "$tmp/small"
head -c 100000 /dev/zero | tr '\0' 'a' >"$tmp/much.jinja"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=64k tmpfs "$tmp/small" 2>/dev/null; then
    mounted=yes
    expect 5 'No space left' "logits to a disk that fills up" logits --tokens "$tmp/ids40.i32" --out "$tmp/small/out.f32"
    check "... leaves nothing there" empty_folder "$tmp/small"
    expect 5 'No space left' "tokenizer train to a disk that fills up" tokenizer train "$tmp/documents.txt" --vocab 400 \
        --min-count 1 --chat-template "$tmp/much.jinja" -o "$tmp/small/out.gguf"
    check "... leaves nothing there" empty_folder "$tmp/small"
    umount "$tmp/small" && mounted=
else
    skip "logits to a disk that fills up" "a small file system cannot be mounted"
fi
"$socle" inspect "$model" >&- 2>"$tmp/err"
check "a closed standard output: exit code 5" test $? -eq 5
"$socle" logits --tokens "$tmp/ids.i32" --out "$results/out.f32" >&- 2>"$tmp/err" <&-
check "closed standard files and an output file" test "$(stat -c %s "$results/out.f32" 2>/dev/null)" -eq $((4 * vocabulary * 4))
"$socle" inspect "$model" --json 2>"$tmp/err" | head -c 1 >/dev/null
check "a reader that goes away gets no message" test ! -s "$tmp/err"

# ---- perplexity, bench, doctor

expect 0 '^perplexity [0-9]' "perplexity of a story" perplexity -f "$tmp/story.txt" -c 64
expect 0 'perplexity' "perplexity --json" perplexity -f "$tmp/story.txt" -c 64 --json
check "perplexity --json is JSON" is_json "$tmp/out"
check "perplexity is a sane number" between "$(json_number "$tmp/out" perplexity)" 2 500
check "nats a token, too" between "$(json_number "$tmp/out" nats_per_token)" 0.7 6.3
expect 0 'scored' "perplexity --stride" perplexity -f "$tmp/story.txt" -c 32 --stride 8 --chunks 3
check "... scores so many tokens in each window" grep -q '^24 of ' "$tmp/out"
input=$tmp/story.txt
expect 0 '^perplexity [0-9]' "perplexity of standard input" perplexity --chunks 1 -c 32
input=/dev/null
expect 2 'at least' "perplexity of nothing" perplexity -f "$tmp/nothing"
expect 5 'No such file' "perplexity of a file that is not there" perplexity -f "$tmp/none.txt"
expect 2 'less than the context' "perplexity: a stride that is too long" perplexity -f "$tmp/story.txt" -c 32 --stride 32
expect 0 '^prompt 8 ' "bench: a table" bench -p 8 -n 4 -r 2
expect 0 '"tests"' "bench --json" bench -p 8 -n 4 -r 2 -d 3 --json --no-limits
check "bench --json is JSON" is_json "$tmp/out"
check "bench gives a speed" between "$(json_number "$tmp/out" median)" 0.01 1e9
expect 0 '"depth": 3,' "bench --depth" bench -p 0 -n 2 -r 1 -d 3 --json --no-limits
expect 0 '^attend  ' "bench --ops: a table" bench --ops -p 8 -n 4 -r 2
check "bench --ops fits in 80 columns" awk 'length($0) > 80 { print; bad = 1 } END { exit bad }' "$tmp/out"
expect 0 '"profiles"' "bench --ops --json" bench --ops -p 8 -n 4 -r 2 -d 3 --json --svg "$tmp/roofline.svg"
check "bench --ops --json is JSON" is_json "$tmp/out"
check "bench --ops: what operations took adds up to the whole" awk -F '[:,]' '
    /"seconds"/ || /"outside_seconds"/ { sum += $2 }
    /"total_seconds"/ { all += $2; tests++ }
    END { exit !(tests == 2 && sum > 0.999 * all && sum < 1.001 * all) }' "$tmp/out"
check "bench --ops: every product says what it read" awk '
    /"op": "linear"/ { linear++ } /"op"/ { is_linear = /linear/ } is_linear && /"bytes_per_second": [0-9]/ { read++ }
    END { exit !(linear > 8 && read == linear) }' "$tmp/out"
check "bench --svg draws both limits and the operations" grep -q 'int8 .* G/s' "$tmp/roofline.svg"
check "... named" grep -q 'ffn_down Q8_0' "$tmp/roofline.svg"
expect 2 'needs --ops' "bench --svg alone" bench --svg "$tmp/alone.svg" -p 4 -n 0
expect 2 'needs --ops, and limits' "bench --svg without limits" bench --ops --no-limits --svg "$tmp/alone.svg" -p 4 -n 0
expect 5 'No such file' "bench --svg in a folder that is not there" bench --ops --svg "$tmp/none/x.svg" -p 4 -n 0
expect 2 'nothing to measure' "bench of nothing" bench -p 0 -n 0
expect 2 'made for' "bench: more positions than the model has" bench -p 1M -n 0 --no-limits
expect 2 'level is called' "doctor --quick of an unknown level" doctor --quick --cpu i486
expect 0 '^Models' "doctor --quick" doctor --quick
check "doctor fits in 80 columns" awk 'length($0) > 80 { print; bad = 1 } END { exit bad }' "$tmp/out"
expect 0 '"levels"' "doctor --json" doctor --json
check "doctor --json is JSON" is_json "$tmp/out"
check "doctor measures reading" between "$(json_number "$tmp/out" read_bytes_per_second)" 1e6 1e14
check "doctor measures int8" between "$(json_number "$tmp/out" int8_macs_per_second)" 1e6 1e16

# ---- plot

# run_log STEPS: the log of a run, evaluated at every tenth step; the best evaluation is that of step 30.
run_log() {
    awk -v n="$1" 'BEGIN {
        for (i = 1; i <= n; i++) {
            printf "{\"step\":%d,\"loss\":%.3f,\"rate\":0.0003,\"norm\":0.8,\"tokens\":%d,\"seconds\":%.1f}\n", i, 2 + 7 / i, 512 * i, 0.5 * i
            if (i % 10 == 0) printf "{\"step\":%d,\"held_out\":%.3f,\"held_out_per_byte\":0.9}\n", i, 3.5 + (i - 30) ^ 2 / 1000
        }
        print "{\"step\":" n ",\"sample\":\"Once\"}\n\n{\"event\":\"checkpoint\"}"
    }'
}
is_svg() {
    if command -v python3 >/dev/null; then python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1"
    else head -c 4 "$1" | grep -q '<svg' && tail -n 1 "$1" | grep -q '^</svg>$'; fi
}
run_log 60 >"$tmp/log.jsonl"
expect 0 '' "plot" plot "$tmp/log.jsonl" -o "$tmp/plot.svg" --title $'Tales <5M> & "more" \377\033'
check "plot: the picture is XML" is_svg "$tmp/plot.svg"
check "... with its title escaped" grep -q '<title id=.title.>Tales &lt;5M&gt; &amp; "more"' "$tmp/plot.svg"
check "... the totals" grep -q '60 steps .* 30.7k tokens .* best held-out loss 3.500 (0.900 per byte) at step 30 .* 30 s<' "$tmp/plot.svg"
check "... and the best evaluation marked" grep -q "class='best'.*>3.500 at step 30<" "$tmp/plot.svg"
cp "$tmp/plot.svg" "$tmp/first.svg"
{ cat "$tmp/log.jsonl" && printf '{"step":61,"lo'; } >"$tmp/cut.jsonl"
expect 0 '' "plot: a last line that was cut off" plot "$tmp/cut.jsonl" -o "$tmp/plot.svg" --title $'Tales <5M> & "more" \377\033'
check "... makes no difference" cmp "$tmp/plot.svg" "$tmp/first.svg"
sed -n 1,40p "$tmp/log.jsonl" >"$tmp/resumed.jsonl" && cat "$tmp/log.jsonl" >>"$tmp/resumed.jsonl"
expect 0 '' "plot: a run that repeated steps" plot "$tmp/resumed.jsonl" -o "$tmp/plot.svg"
check "... draws them once" test "$(grep -o 'L[0-9.]* ' "$tmp/plot.svg" | wc -l)" -eq "$(grep -o 'L[0-9.]* ' "$tmp/first.svg" | wc -l)"
check "... and names the log" grep -q '<title id=.title.>resumed.jsonl<' "$tmp/plot.svg"
input=$tmp/log.jsonl
expect 0 '^<svg .*role=.img.' "plot: from standard input to standard output" plot - -o -
input=/dev/null
run_log 20000 >"$tmp/long.jsonl"
expect 0 '' "plot: a long run" plot "$tmp/long.jsonl" -o "$tmp/plot.svg"
check "... is XML" is_svg "$tmp/plot.svg"
check "... and a file of a usual size" test "$(wc -c <"$tmp/plot.svg")" -lt 60000
echo '{"step":1,"loss":9.0}' >"$tmp/one.jsonl"
expect 0 '' "plot: a run of one step" plot "$tmp/one.jsonl" -o "$tmp/plot.svg"
check "... is XML" is_svg "$tmp/plot.svg"
check "... and has no number that is none" test "$(grep -Ec '[^a-z](nan|inf)[^a-z]' "$tmp/plot.svg")" -eq 0
mkdir "$tmp/no-plots"
for row in '{"step":2,"lo' '[2]' '{"loss":3}' '{"step":2.5,"loss":3}' '{"step":2,"loss":"low"}' '{"step":2,"loss":1e99}'; do
    { cat "$tmp/one.jsonl" && printf '%s\n' "$row" && cat "$tmp/one.jsonl"; } >"$tmp/bad.jsonl"
    expect 3 'bad.jsonl: line 2' "plot names the line of $row" plot "$tmp/bad.jsonl" -o "$tmp/no-plots/x.svg"
done
expect 3 'nothing: is empty' "plot: an empty log" plot "$tmp/nothing" -o "$tmp/no-plots/x.svg"
echo '{"event":"start"}' >"$tmp/bad.jsonl"
expect 3 'has no step' "plot: a log without steps" plot "$tmp/bad.jsonl" -o "$tmp/no-plots/x.svg"
expect 5 'No such file' "plot: a log that is not there" plot "$tmp/none.jsonl" -o "$tmp/no-plots/x.svg"
check "plot leaves no file after these" empty_folder "$tmp/no-plots"
expect 5 'No such file' "plot: into a folder that is not there" plot "$tmp/log.jsonl" -o "$tmp/none/x.svg"
expect 2 'is the log itself' "plot: onto the log" plot "$tmp/log.jsonl" -o "$tmp/log.jsonl"
expect 2 'names the picture' "plot: no picture named" plot "$tmp/log.jsonl"
expect 2 'no log' "plot: no log named" plot -o "$tmp/no-plots/x.svg"

# ---- quantize, imatrix

unquantize=$(dirname "$socle")/tests/unquantize
small=$root/tests/fuzz/corpus/model/llama-0.gguf # 16 wide, F32, without a vocabulary
made=$tmp/made
mkdir "$made"
expect 0 'weights +32\.00 -> ' "quantize: a summary" quantize "$small" "$made/f16.gguf" F16
check "quantize: the summary fits in 80 columns" awk 'length($0) > 80 && !/\// { print; bad = 1 } END { exit bad }' "$tmp/out"
expect 0 'F16' "inspect knows the result" inspect "$made/f16.gguf"
expect 0 '"relative_error"' "quantize --json" quantize "$small" "$made/q.gguf" Q4_K_M --json
check "quantize --json is JSON" is_json "$tmp/out"
check "quantize --json tells what fell back" grep -q '"wanted": "Q4_K"' "$tmp/out"
expect 0 'Q4_K -> F16  blk.0.attn_q.weight' "quantize tells what fell back" quantize "$small" "$made/q.gguf" Q4_K_M
expect 2 'no type is called .Q4_X.; expected F32, F16' "quantize: an unknown type" quantize "$small" "$made/no.gguf" Q4_X
expect 4 'Q3_K can be read but not made' "quantize: a type that is only read" quantize "$small" "$made/no.gguf" Q3_K
expect 2 "token_embd.weight' is in Q" "quantize: a source that is quantized" quantize "$model" "$made/no.gguf" Q4_0
expect 2 'are needed' "quantize: too few operands" quantize "$small" "$made/no.gguf"
expect 2 'matches no matrix' "quantize: an override that matches nothing" quantize "$small" "$made/no.gguf" Q8_0 --tensor 'blk.9.*=F16'
expect 2 'PATTERN=TYPE' "quantize: an override without a type" quantize "$small" "$made/no.gguf" Q8_0 --tensor 'blk.0.*'
expect 3 'is no importance matrix' "quantize: a model as importances" quantize "$small" "$made/no.gguf" Q8_0 --imatrix "$small"
expect 5 'No such file' "quantize: no source" quantize "$tmp/none.gguf" "$made/no.gguf" Q8_0
expect 5 'none/no.gguf' "quantize: a folder that is not there" quantize "$small" "$tmp/none/no.gguf" Q8_0
expect 5 'directory' "quantize: a folder as result" quantize "$small" "$tmp" Q8_0
expect 3 'truncated.gguf' "quantize: a truncated source" quantize "$tmp/truncated.gguf" "$made/no.gguf" Q8_0
check "quantize: failures leave no file" test "$(ls "$made")" = "f16.gguf
q.gguf"
cp "$small" "$made/same.gguf"
expect 2 'is the source itself' "quantize: the source as result" quantize "$made/same.gguf" "$made/same.gguf" F16
check "... which is still there" cmp "$small" "$made/same.gguf"
if [ "$(id -u)" -eq 0 ]; then skip "quantize: a folder that cannot be written" "root may write everywhere"
else
    mkdir "$tmp/closed" && chmod 555 "$tmp/closed"
    expect 5 'Permission denied' "quantize: a folder that cannot be written" quantize "$small" "$tmp/closed/no.gguf" F16
fi
mkdir -p "$tmp/small"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=4k tmpfs "$tmp/small" 2>/dev/null; then
    mounted=yes
    expect 5 'No space left' "quantize to a disk that is too small" quantize "$small" "$tmp/small/out.gguf" F16
    check "... leaves nothing there" empty_folder "$tmp/small"
    umount "$tmp/small" && mounted=
else
    skip "quantize to a disk that is too small" "a small file system cannot be mounted"
fi
types=$("$socle" quantize --help | sed -n '/^Types: /,/^$/p' | sed 's/^Types: //; s/ (.*)//; s/(the usual choice)//; s/[,.]/ /g')
for type in $types; do
    "$socle" quantize "$small" "$made/type.gguf" "$type" >"$tmp/out" 2>"$tmp/err" || not_ok "quantize to $type" "$(cat "$tmp/err")"
    grep -q "[ ,]$type[, ]" <<<" $("$socle" quantize "$small" "$made/no.gguf" none 2>&1 | sed 's/.*expected//') " ||
        not_ok "quantize lists $type" "not in the list of types"
done
check "quantize --help lists types that can be made" test "$(wc -w <<<"$types")" -eq 15

expect 2 'are needed' "imatrix: no result named" imatrix "$model" "$tmp/story.txt"
expect 2 'at least' "imatrix of nothing" imatrix "$model" "$tmp/nothing" -o "$made/no.gguf"
expect 4 . "imatrix of a model without text" imatrix "$small" "$tmp/story.txt" -o "$made/no.gguf"
expect 5 'No such file' "imatrix of a text that is not there" imatrix "$model" "$tmp/none.txt" -o "$made/no.gguf"
check "imatrix: failures leave no file" test ! -e "$made/no.gguf"
expect 0 'importances from 64 tokens, in 2 chunks of 32' "imatrix" imatrix "$model" "$tmp/story.txt" -o "$made/m.gguf" -c 32 --chunks 2
expect 0 '"n_chunks": 2' "imatrix --json" imatrix "$model" "$tmp/story.txt" -o "$made/m1.gguf" -c 32 --chunks 2 --json -t 1 --cpu base
check "imatrix: the same bytes by one thread, at the plainest level" cmp "$made/m.gguf" "$made/m1.gguf"
expect 3 'gathered from another model' "quantize: importances of another model" quantize "$small" "$made/no.gguf" Q8_0 --imatrix "$made/m.gguf"
if [ -x "$unquantize" ]; then
    "$unquantize" "$model" "$made/tales.gguf" F16
    expect 0 'same choice' "quantize --report" quantize "$made/tales.gguf" "$made/q4.gguf" Q4_K_M \
        --imatrix "$made/m.gguf" --report "$tmp/story.txt" --chunks 1 --tensor 'blk.0.attn_k*=Q8_0' -t 2
    check "... knew the importances" grep -q -E 'knew [0-9]+ of the [0-9]+ matrices' "$tmp/out"
    expect 0 '"divergence"' "quantize --report --json" quantize "$made/tales.gguf" "$made/q4-1.gguf" Q4_K_M \
        --imatrix "$made/m.gguf" --report "$tmp/story.txt" --chunks 1 --tensor 'blk.0.attn_k*=Q8_0' -t 1 --json
    check "... is JSON" is_json "$tmp/out"
    check "... a divergence above nothing" between "$(json_number "$tmp/out" divergence)" 1e-5 0.2
    check "... perplexities that are near" between "$(json_number "$tmp/out" result_perplexity)" \
        "$(json_number "$tmp/out" source_perplexity | awk '{ print 0.8 * $1 }')" \
        "$(json_number "$tmp/out" source_perplexity | awk '{ print 1.25 * $1 }')"
    check "quantize: the same bytes by one thread" cmp "$made/q4.gguf" "$made/q4-1.gguf"
    expect 0 'blk.0.attn_k.weight +Q8_0' "the override is in the file" inspect "$made/q4.gguf" --tensors
    expect 0 . "the quantized model tells a story" run -m "$made/q4.gguf" -p Once -n 8 -q
    echo old >"$made/kept.gguf"
    "$socle" quantize "$made/tales.gguf" "$made/kept.gguf" Q5_K_M -t 1 >"$tmp/out" 2>"$tmp/err" &
    quantize=$!
    # Not before it has begun to write: until then it may still be this shell, whose end removes everything.
    until ls "$made" | grep -q part || ! kill -0 $quantize 2>/dev/null; do sleep 0.01; done
    kill -INT $quantize 2>/dev/null
    wait $quantize
    case $? in
    0) ok "quantize that was finished before it was stopped" ;;
    130) check "quantize that was stopped leaves what was there" test "$(cat "$made/kept.gguf")" = old ;;
    *) not_ok "quantize stopped by Ctrl-C" "$(cat "$tmp/err")" ;;
    esac
    check "... and nothing beside it" test -z "$(ls "$made" | grep part)"
else
    skip "quantize --report" "tests/unquantize is not built"
fi

# ---- pack

packed=$tmp/packed
mkdir "$packed"
expect 0 'packed from 5\.' "pack" pack "$model" "$packed/a.gguf"
"$socle" pack "$model" "$packed/b.gguf" -t 1 >/dev/null 2>"$tmp/err"
check "pack: the same bytes by one thread" cmp "$packed/a.gguf" "$packed/b.gguf"
for level in base ''; do
    for cache in f16 q8_0; do
        "$socle" logits -m "$model" --tokens "$tmp/ids40.i32" --out "$packed/x.f32" ${level:+--cpu $level} --cache $cache
        "$socle" logits -m "$packed/a.gguf" --tokens "$tmp/ids40.i32" --out "$packed/y.f32" ${level:+--cpu $level} --cache $cache
        check "a packed model's logits are the original's (level ${level:-best}, cache $cache)" cmp "$packed/x.f32" "$packed/y.f32"
    done
done
rm -f "$packed"/*.f32
expect 0 'every tensor agrees' "pack --verify" pack --verify "$packed/a.gguf"
echo old >"$packed/b.gguf"
expect 0 'packed from' "pack of a packed model" pack "$packed/a.gguf" "$packed/b.gguf"
check "... copies it, over what was there" cmp "$packed/a.gguf" "$packed/b.gguf"
expect 0 'Q8_0 packed' "inspect tells what is packed" inspect "$packed/a.gguf"
expect 0 'attn_q.weight +Q8_0 packed' "inspect --tensors, too" inspect "$packed/a.gguf" --tensors
expect 0 '"packed":true' "inspect --json, too" inspect "$packed/a.gguf" --json
check "inspect --json of a packed model is JSON" is_json "$tmp/out"
check "inspect --json: norms are not packed" grep -q '"name":"blk.0.attn_norm.weight","format":"F32","packed":false' "$tmp/out"
expect 0 . "a packed model tells a story" run -m "$packed/a.gguf" -p Once -n 8 -q
expect 0 'importances from 64' "imatrix of a packed model" imatrix "$packed/a.gguf" "$tmp/story.txt" -o "$packed/m.gguf" -c 32 --chunks 2
check "... is the original's" cmp "$packed/m.gguf" "$made/m.gguf"
rm "$packed/m.gguf"
expect 2 'is packed, .*start from the file that was packed' "quantize of a packed model" quantize "$packed/a.gguf" "$packed/no.gguf" Q4_0
expect 2 'is the source itself' "pack: the source as result" pack "$packed/a.gguf" "$packed/a.gguf"
ln -s a.gguf "$packed/link.gguf"
expect 2 'is the source itself' "pack: the source as result, by another name" pack "$packed/a.gguf" "$packed/link.gguf"
rm "$packed/link.gguf"
check "... which is still there" cmp "$packed/a.gguf" "$packed/b.gguf"
expect 2 'give it a name' "pack to standard output" pack "$model" -
expect 2 'IN and OUT' "pack: too few operands" pack "$model"
expect 2 'IN and OUT' "pack --verify with an operand" pack --verify "$packed/a.gguf" "$packed/no.gguf"
expect 3 'has no checksums' "pack --verify of a model that is not packed" pack --verify "$model"
expect 5 'No such file' "pack: no source" pack "$tmp/none.gguf" "$packed/no.gguf"
expect 5 'none/no.gguf' "pack: a folder that is not there" pack "$model" "$tmp/none/no.gguf"
expect 5 'directory' "pack: a folder as result" pack "$model" "$tmp"
expect 3 'truncated.gguf' "pack: a truncated source" pack "$tmp/truncated.gguf" "$packed/no.gguf"

cp "$packed/a.gguf" "$tmp/damaged.gguf"
offset=$("$socle" inspect "$packed/a.gguf" --tensors | awk '$1 == "blk.3.ffn_up.weight" { print $4 }')
printf '\125' | dd of="$tmp/damaged.gguf" bs=1 seek=$((${offset:-0} + 777)) conv=notrunc 2>/dev/null
if cmp -s "$packed/a.gguf" "$tmp/damaged.gguf"; then
    printf '\252' | dd of="$tmp/damaged.gguf" bs=1 seek=$((${offset:-0} + 777)) conv=notrunc 2>/dev/null
fi
expect 3 "tensor 'blk.3.ffn_up.weight' is damaged" "pack --verify names the damaged tensor" pack --verify "$tmp/damaged.gguf"
expect 3 "tensor 'blk.3.ffn_up.weight' is damaged" "pack of a damaged file" pack "$tmp/damaged.gguf" "$packed/no.gguf"
head -c 3000000 "$packed/a.gguf" >"$tmp/short.gguf"
expect 3 'short.gguf: .*truncated' "a truncated packed file" run -m "$tmp/short.gguf" -p Once -n 1
expect 3 'short.gguf: .*truncated' "pack --verify of a truncated file" pack --verify "$tmp/short.gguf"
cp "$packed/a.gguf" "$tmp/later.gguf"
at=$(grep -abo 'socle.packed.version' "$tmp/later.gguf" | head -1 | cut -d: -f1)
printf '\002' | dd of="$tmp/later.gguf" bs=1 seek=$((${at:-0} + 20 + 4)) conv=notrunc 2>/dev/null
expect 4 'packed in version 2 of the layout, expected 1' "a packed file of another version" run -m "$tmp/later.gguf" -p Once -n 1
expect 4 'packed in version 2 of the layout, expected 1' "pack of a packed file of another version" pack "$tmp/later.gguf" "$packed/no.gguf"
check "pack: failures leave no file" test "$(ls -A "$packed")" = "a.gguf
b.gguf"
if [ "$(id -u)" -eq 0 ]; then skip "pack: a folder that cannot be written" "root may write everywhere"
else
    mkdir -p "$tmp/closed" && chmod 555 "$tmp/closed"
    expect 5 'Permission denied' "pack: a folder that cannot be written" pack "$model" "$tmp/closed/no.gguf"
fi
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=1m tmpfs "$tmp/small" 2>/dev/null; then
    mounted=yes
    expect 5 'No space left' "pack to a disk that is too small" pack "$model" "$tmp/small/out.gguf"
    check "... leaves nothing there" empty_folder "$tmp/small"
    umount "$tmp/small" && mounted=
else
    skip "pack to a disk that is too small" "a small file system cannot be mounted"
fi
(
    ulimit -f 1000 # in blocks of 1 KiB
    "$socle" pack "$model" "$packed/no.gguf" >"$tmp/out" 2>"$tmp/err"
)
check "pack past the largest file that is allowed: exit code 5" test $? -eq 5
check "... a sentence, and nothing left behind" test ! -e "$packed/no.gguf" -a -s "$tmp/err" -a "$(ls -A "$packed" | wc -l)" -eq 2

# ---- adapters: merge, convert --base

adapted=$tmp/adapted
mkdir "$adapted"
"$socle" finetune -m "$model" --data "$tmp/story.txt" --format text -o "$adapted/run" -s 1 -b 1 -c 32 --accumulate 1 --warmup 0 \
    --rank 4 -t 1 >"$tmp/out" 2>"$tmp/err"
adapter=$adapted/run/adapter.gguf
check "an adapter to work with" test -s "$adapter"
expect 0 '42 of 56 tensors changed' "merge" merge "$model" "$adapter" -o "$adapted/a.gguf"
check "merge: the summary fits in 80 columns" awk 'length($0) > 80 && !/\// { print; bad = 1 } END { exit bad }' "$tmp/out"
expect 0 'change .* of the changed weights' "merge by one thread" merge "$model" "$adapter" -o "$adapted/b.gguf" -t 1
check "... gives the same bytes" cmp "$adapted/a.gguf" "$adapted/b.gguf"
expect 0 'blk.0.attn_q.weight +Q8_0' "weights keep their format" inspect "$adapted/a.gguf" --tensors
expect 0 . "the merged model tells a story" run -m "$adapted/a.gguf" -p Once -n 8 -q
expect 0 'change +0\.000 %' "merge with scale 0 changes nothing" merge "$model" "$adapter=0" -o "$adapted/b.gguf"
expect 0 'Rounding moved the weights more' "merge says where a change drowns" merge "$model" "$adapter=0.001" -o "$adapted/b.gguf" --type q4_0
expect 0 'blk.0.attn_q.weight +Q4_0' "merge --type" inspect "$adapted/b.gguf" --tensors
expect 0 'change +0\.000 %' "merge of two that cancel each other" merge "$model" "$adapter" "$adapter=-1" -o "$adapted/b.gguf" --type F32
rm "$adapted/b.gguf"
expect 2 'are needed' "merge: no adapter" merge "$model" -o "$adapted/no.gguf"
expect 2 'where the result goes' "merge: no result named" merge "$model" "$adapter"
expect 2 'give it a name' "merge to standard output" merge "$model" "$adapter" -o -
expect 2 'no format is called' "merge --type: an unknown one" merge "$model" "$adapter" -o "$adapted/no.gguf" --type Q4_X
expect 4 'Q3_K can be read but not made' "merge --type: one that is only read" merge "$model" "$adapter" -o "$adapted/no.gguf" --type Q3_K
expect 2 'is packed, .*start from the file that was packed' "merge of a packed model" merge "$packed/a.gguf" "$adapter" -o "$adapted/no.gguf"
expect 3 'made for another model' "merge into another model" merge "$small" "$adapter" -o "$adapted/no.gguf"
expect 3 'is no LoRA adapter' "merge of two models" merge "$model" "$small" -o "$adapted/no.gguf"
expect 3 'truncated.gguf' "merge: a truncated source" merge "$tmp/truncated.gguf" "$adapter" -o "$adapted/no.gguf"
expect 5 'No such file' "merge: no adapter there" merge "$model" "$adapted/none.gguf" -o "$adapted/no.gguf"
expect 5 'none/no.gguf' "merge: a folder that is not there" merge "$model" "$adapter" -o "$adapted/none/no.gguf"
expect 5 'directory' "merge: a folder as result" merge "$model" "$adapter" -o "$adapted"
ln -s a.gguf "$adapted/link.gguf"
expect 2 'is the source itself' "merge: the source as result, by another name" merge "$adapted/a.gguf" "$adapter" -o "$adapted/link.gguf"
rm "$adapted/link.gguf"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=1m tmpfs "$tmp/small" 2>/dev/null; then
    mounted=yes
    expect 5 'No space left' "merge to a disk that is too small" merge "$model" "$adapter" -o "$tmp/small/out.gguf"
    check "... leaves nothing there" empty_folder "$tmp/small"
    umount "$tmp/small" && mounted=
else
    skip "merge to a disk that is too small" "a small file system cannot be mounted"
fi
echo old >"$adapted/kept.gguf"
"$socle" merge "$model" "$adapter" -o "$adapted/kept.gguf" --type Q4_K -t 1 >"$tmp/out" 2>"$tmp/err" &
merge=$!
# Not before it has begun to write, as above.
until ls "$adapted" | grep -q part || ! kill -0 $merge 2>/dev/null; do sleep 0.01; done
kill -INT $merge 2>/dev/null
wait $merge
case $? in
0) ok "merge that was finished before it was stopped" ;;
130) check "merge that was stopped leaves what was there" test "$(cat "$adapted/kept.gguf")" = old ;;
*) not_ok "merge stopped by Ctrl-C" "$(cat "$tmp/err")" ;;
esac
check "... and nothing beside it" test -z "$(ls "$adapted" | grep part)"
rm "$adapted/kept.gguf"
check "merge: failures leave no file" test "$(ls -A "$adapted")" = "a.gguf
run"

expect 0 'llama, 84 tensors, .*, rank 4, alpha 32' "convert --base: an adapter for peft" convert "$adapter" "$adapted/peft" --base "$model"
check "... with its two files" test "$(ls "$adapted/peft")" = "adapter_config.json
adapter_model.safetensors"
check "... its configuration is JSON" is_json "$adapted/peft/adapter_config.json"
expect 0 'llama, 84 tensors, .*, rank 4, alpha 32' "convert --base: and back" convert "$adapted/peft/" "$adapted/again.gguf" --base "$model"
expect 0 'change +0\.000 %' "... is the same adapter" merge "$model" "$adapter" "$adapted/again.gguf=-1" -o "$adapted/b.gguf" --type F32
expect 2 'is there already' "convert --base does not write over a folder's files" convert "$adapter" "$adapted/peft" --base "$model"
expect 2 'is an adapter: name the model' "convert of an adapter's folder without its base" convert "$adapted/peft" "$adapted/no.gguf"
expect 2 'is an adapter: name the model' "convert of an adapter's file without its base" convert "$adapter" "$adapted/no"
expect 3 'made for another model' "convert --base: another model" convert "$adapter" "$adapted/no" --base "$small"
expect 3 'another model|has no place' "convert --base: another model, back" convert "$adapted/peft" "$adapted/no.gguf" --base "$small"
expect 5 'No such file' "convert --base: no base there" convert "$adapted/peft" "$adapted/no.gguf" --base "$adapted/none.gguf"
expect 5 'adapter_config.json' "convert --base: a folder without an adapter" convert "$tmp/results" "$adapted/no.gguf" --base "$model"
check "convert --base: failures leave nothing" test ! -e "$adapted/no.gguf" -a ! -e "$adapted/no"

# ---- colours

on_terminal() { TERM=xterm script -qec "$1" /dev/null </dev/null 2>/dev/null | tr -dc '\033' | wc -c; }
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    check "colours on a terminal" test "$(on_terminal "'$socle' --help")" -gt 0
    check "no colours with NO_COLOR" test "$(NO_COLOR=1 on_terminal "'$socle' --help")" -eq 0
else
    skip "colours on a terminal" "script(1) cannot make one here"
fi

# ---- run: what is refused says so, and nothing else

expect 3 'longer than the [0-9]+ bytes' "a prompt without an end is refused" run -f /dev/zero
expect 2 'top_p: expected 0 to 1' "a parameter out of range" run -p Once --top-p 5
check "a refused prompt is not shown" test ! -s "$tmp/out"
echo '[99999]' >"$tmp/ids"
input=$tmp/ids
expect 2 'the vocabulary has' "an id outside the vocabulary has no text" tokenize --decode
input=/dev/null
expect 2 "did you mean '--temperature'" "the shortest option that begins so is suggested" run --temp 1
expect 0 '' "a text that fills the context is a success" run -p Once -c 20 -q
check "and its end is announced" grep -q 'the context of 20 tokens is full' "$tmp/err"
head -c 20000 /dev/zero | tr '\0' 'a' >"$tmp/long"
expect 7 'the prompt has [0-9]+ tokens, but the context has room for 512' "a prompt longer than the context" run -f "$tmp/long"
check "and nothing of it is shown" test ! -s "$tmp/out"
expect 2 'empty' "an empty prompt" run -f /dev/null -m "$model"

# ---- run: answers held to a form

printf '{"type": "object", "properties": {"n": {"type": "integer", "maximum": 50}, "s": {"maxLength": 9, "type": "string"}},
    "required": ["n", "s"], "additionalProperties": false}' >"$tmp/schema.json"
printf 'root ::= (" the " animal)+ "!"\nanimal ::= "cat" | "dog"\n' >"$tmp/animals.gbnf"
expect 0 '\{' "an answer that is a JSON object" run -p Once --json -q --seed 3
check "is JSON" eval 'sed 1s/^Once// "$tmp/out" >"$tmp/answer.json" && is_json "$tmp/answer.json"'
expect 0 '"n": ?-?[0-9]+' "an answer under a schema" run -p Once --schema "$tmp/schema.json" -q
check "is JSON" eval 'sed 1s/^Once// "$tmp/out" >"$tmp/answer.json" && is_json "$tmp/answer.json"'
expect 0 '^Once( [a-z]{2,8}){2}\.$' "an answer that matches a regular expression" run -p Once --regex '( [a-z]{2,8}){2}\.' -q
expect 0 '^Once( the (cat|dog))+!$' "an answer of a grammar" run -p Once --grammar "$tmp/animals.gbnf" -q
expect 2 'only one of' "two forms at once" run -p Once --json --regex a
expect 2 'at byte 1: a group that is not closed' "a regular expression that is none" run -p Once --regex 'a('
echo '{"properties": {"a": {"uniqueItems": true}}}' >"$tmp/schema.json"
expect 4 'schema.json: .*/properties/a/uniqueItems' "a schema that cannot be enforced names the keyword" \
    run -p Once --schema "$tmp/schema.json"
check "and nothing is shown" test ! -s "$tmp/out"

# ---- a file that shrinks while it is mapped

cp "$model" "$tmp/shrinking.gguf"
"$socle" bench -m "$tmp/shrinking.gguf" -p 400 -n 100 -r 100 >"$tmp/out" 2>"$tmp/err" &
bench=$!
sleep 4
truncate -s 8192 "$tmp/shrinking.gguf"
wait $bench
check "a model that shrinks while it is used ends with exit code 3" test $? -eq 3
check "and with a sentence" grep -q 'shrank' "$tmp/err"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
