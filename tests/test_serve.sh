#!/bin/bash
# End-to-end tests of socle serve: its interfaces, as clients see them. test_serve_faults.sh has what goes wrong.
#
# usage: tests/test_serve.sh PROGRAM     (or the build folder that holds it)
# Prints a line for each test and ends with "N passed, N failed, N skipped"; exits non-zero when one failed.
# SOCLE_PYTHON (default: python3) is asked for OpenAI's and Anthropic's clients, too, where it has them.
set -u
. "$(dirname "$0")/serve_helpers.sh"

# ---- options

check "serve --check" "$socle" serve --check -m "$model"
printf 'port = 0\nrunning = 3\nwaiting = 16\nmodel = %s\n' "$model" >"$tmp/serve.conf"
check "serve --check --config" "$socle" serve --check --config "$tmp/serve.conf"
printf 'runing = 3\n' >"$tmp/wrong.conf"
check "a mistake in the configuration ends it" sh -c "! '$socle' serve --check --config '$tmp/wrong.conf'"
check "an address for others needs keys" sh -c "! '$socle' serve --check --host 0.0.0.0"
check "a port that cannot be" sh -c "! timeout 20 '$socle' serve -m '$model' --port 70000 --sandbox off"
check "a model that is not there" sh -c "! timeout 20 '$socle' serve -m '$tmp/nothing.gguf' --port 0 --sandbox off"

# ---- a model that continues texts

start --config "$tmp/serve.conf" || finish || exit 1
expect 200 '"status":"ok"' "/health" /health
expect 200 '"status":"ready"' "/ready" /ready
expect 200 '"object":"list".*"id":"tales"' "/v1/models" /v1/models
expect 200 '"id":"tales".*"object":"model"' "/v1/models/tales" /v1/models/tales
expect 404 '"code":"model_not_found"' "/v1/models of another name" /v1/models/other
expect 200 '^socle_requests_total [0-9]' "/metrics" /metrics
check "... every metric has its help and type" test "$(grep -c '^# TYPE' "$tmp/body")" -eq "$(grep -vc '^#' "$tmp/body")"
expect 200 '"n_running":0' "/status.json" /status.json
expect 200 '"openapi":"3' "/openapi.json" /openapi.json
for route in /v1/chat/completions /v1/completions /v1/embeddings /v1/responses /v1/messages /v1/messages/count_tokens /tokenize /detokenize \
    /apply-template /v1/models /health /ready /metrics; do
    has "... describes $route" "\"$route\":"
done
expect 200 '<html' "/" /
check "... with a policy" grep -qi '^content-security-policy' "$tmp/head"
expect 200 '' "HEAD" /health '' --head

expect 200 '"tokens":\[[0-9,]+\],"count":3' "/tokenize" /tokenize '{"content": "The little girl"}'
tokens=$(sed -n 's/.*"tokens":\(\[[0-9,]*\]\).*/\1/p' "$tmp/body")
expect 200 '"content":"The little girl"' "/detokenize gives it back" /detokenize "{\"tokens\": $tokens}"
expect 200 '"count":0' "/tokenize of nothing" /tokenize '{"content": ""}'
expect 200 '"tokens":\[[0-9]+,[0-9]+\]' "/tokenize of one character" /tokenize '{"content": "é"}'
half=$(sed -n 's/.*"tokens":\[\([0-9]*\),.*/\1/p' "$tmp/body")
expect 200 "\"content\":\"$(printf '\357\277\275')\"" "/detokenize of half a character" /detokenize "{\"tokens\": [$half]}"
expect 200 "\"text\":\"$(printf '\357\277\275')" "half a character as an answer" /v1/completions \
    '{"prompt": "a", "max_tokens": 2, "logprobs": 1, "logit_bias": {"'"$half"'": 100}, "temperature": 0}'
expect 200 "\"text\":\"$(printf '\357\277\275')" "half a character as an echo" /v1/completions \
    '{"prompt": ['"$half"'], "max_tokens": 0, "logprobs": 1, "echo": true}'

story='"prompt": "Once upon a time", "max_tokens": 8, "ignore_eos": true'
expect 200 '"object":"text_completion".*"finish_reason":"length"' "/v1/completions" /v1/completions \
    "{$story, \"temperature\": 0}"
has "... usage" '"usage":\{"prompt_tokens":6,"completion_tokens":8,"total_tokens":14'
greedy=$(plain "$tmp/body")
expect 200 '"text"' "the same again" /v1/completions "{$story, \"temperature\": 0}"
check "... is the same" test "$(plain "$tmp/body")" = "$greedy"
ask /v1/completions "{$story, \"seed\": 5}" && plain "$tmp/body" >"$tmp/seed5"
ask /v1/completions "{$story, \"seed\": 5}" && check "the same seed, the same answer" sh -c "test '$(plain "$tmp/body" | sum)' = '$(sum <"$tmp/seed5")'"
ask /v1/completions "{$story, \"seed\": 6}" && check "another seed, another answer" sh -c "test '$(plain "$tmp/body" | sum)' != '$(sum <"$tmp/seed5")'"
expect 200 '"text":"Once upon a time' "echo" /v1/completions "{$story, \"echo\": true}"
expect 200 '"token_logprobs":\[null,-' "prompt logprobs" /v1/completions \
    '{"prompt": "Once upon a time", "max_tokens": 0, "echo": true, "logprobs": 3}'
has "... offsets" '"text_offset":\[0,'
has "... and nothing generated" '"completion_tokens":0'
ask /v1/completions "{\"prompt\": \"The king\", \"max_tokens\": 8, \"ignore_eos\": true, \"temperature\": 0}"
alone=$(sed -n 's/.*"text":\("[^"]*"\).*/\1/p' "$tmp/body")
expect 200 '"index":3' "many prompts" /v1/completions '{"prompt": ["Once upon a time", "The king"], "n": 2, "max_tokens": 8,
    "ignore_eos": true, "temperature": 0}'
check "... each is answered as it is alone" test "$(grep -oF "\"text\":$alone,\"index\":" "$tmp/body" | wc -l)" -eq 2
has "... all are counted" '"prompt_tokens":9,"completion_tokens":32'
expect 200 '"prompt_tokens":5' "many prompts of tokens" /v1/completions '{"prompt": [[5, 6, 7], [8, 9]], "max_tokens": 1}'
expect 400 '"param":"prompt"' "too many prompts" /v1/completions "{\"prompt\": [$(repeat 129 '"a",')\"a\"]}"
expect 400 '"code":"unsupported_parameter"' "suffix is refused" /v1/completions '{"prompt": "a", "suffix": "b"}'
expect 400 '"param":"best_of"' "best_of is refused" /v1/completions '{"prompt": "a", "best_of": 3}'

expect 200 '"object":"list","data":\[\{"object":"embedding","index":0,"embedding":\[-?0\.' "/v1/embeddings" /v1/embeddings \
    '{"input": "Once upon a time", "model": "tales"}'
has "... usage" '"usage":\{"prompt_tokens":6,"total_tokens":6\}'
check "... of all dimensions" test "$(tr -cd , <"$tmp/body" | wc -c)" -ge 256
alone=$(sed 's/.*"embedding":\[//; s/\].*//' "$tmp/body")
expect 200 '"index":1' "... of many texts" /v1/embeddings '{"input": ["The king", "Once upon a time"]}'
check "... each as alone" grep -qF "\"index\":1,\"embedding\":[$alone]" "$tmp/body"
expect 200 '"embedding":"[A-Za-z0-9+/]{22}=="' "... in base64" /v1/embeddings \
    '{"input": [[5, 6, 7]], "encoding_format": "base64", "dimensions": 4}'
sed 's/.*"embedding":"//; s/".*//' "$tmp/body" | base64 -d | od -An -t f4 | xargs printf '%.5f ' >"$tmp/packed"
ask /v1/embeddings '{"input": [5, 6, 7], "dimensions": 4}'
sed 's/.*"embedding":\[//; s/\].*//' "$tmp/body" | tr , '\n' | xargs printf '%.5f ' >"$tmp/listed"
check "... are the same numbers" cmp "$tmp/packed" "$tmp/listed"
expect 200 '"index":199' "more texts than may wait" /v1/embeddings "{\"input\": [$(repeat 199 '"Once",')\"a\"], \"dimensions\": 2}"
expect 400 '"param":"input"' "no texts" /v1/embeddings '{"input": []}'
expect 400 '"param":"input"' "an empty text" /v1/embeddings '{"input": ["a", ""]}'
expect 400 '"code":"missing_required_parameter"' "no input" /v1/embeddings '{}'
expect 400 '"param":"input".*context_length_exceeded' "a text that is too long" /v1/embeddings \
    "{\"input\": \"$(repeat 600 'king ')\"}"
expect 400 '"param":"dimensions"' "too many dimensions" /v1/embeddings '{"input": "a", "dimensions": 257}'
expect 400 '"param":"encoding_format"' "an encoding that is none" /v1/embeddings '{"input": "a", "encoding_format": "x"}'

expect 200 '"index":2' "n" /v1/completions "{$story, \"n\": 3, \"seed\": 1}"
has "... all counted" '"completion_tokens":24'
expect 200 '"finish_reason":"stop"' "stop" /v1/completions \
    '{"prompt": "Once upon a time", "max_tokens": 200, "stop": [" the", "."], "seed": 1}'
check "... does not show it" sh -c "! sed 's/.*\"text\":\"//; s/\",\"index.*//' '$tmp/body' | grep -q '\\.'"
expect 200 '"text":"(he)+"' "logit_bias" /v1/completions \
    '{"prompt": "a", "max_tokens": 4, "temperature": 0, "logit_bias": {"258": 100}}'
expect 200 '"text":"[^h]' "logit_bias -100 bans" /v1/completions \
    '{"prompt": "a", "max_tokens": 4, "temperature": 0, "logit_bias": {"258": -100}}'
expect 200 '"completion_tokens":16,' "max_tokens: null is the default" /v1/completions \
    '{"prompt": "Once upon a time", "max_tokens": null, "ignore_eos": true}'
expect 200 '"text":"(yes|no)"' "guided_regex" /v1/completions '{"prompt": "a", "seed": 1, "guided_regex": "yes|no"}'
expect 200 '"text":' "penalties and other samplers" /v1/completions "{$story, \"frequency_penalty\": 1.5,
    \"presence_penalty\": -1, \"repetition_penalty\": 1.1, \"top_k\": 5, \"min_p\": 0.1, \"typical_p\": 0.9, \"top_p\": 0.9}"
expect 200 '"text":' "unknown fields are ignored" /v1/completions "{$story, \"no_such_field\": [1], \"user\": \"x\"}"
expect 200 '^data: \[DONE\]' "a stream" /v1/completions "{$story, \"stream\": true}"
check "... has its type" grep -qi '^content-type: text/event-stream' "$tmp/head"
check "... and no usage" sh -c "! grep -q prompt_tokens '$tmp/body'"
expect 200 '"usage":\{"prompt_tokens":6' "... unless it is asked for" /v1/completions \
    "{$story, \"stream\": true, \"stream_options\": {\"include_usage\": true}}"
long=$(repeat 60 'Once upon a time. ')
ask /v1/completions "{\"prompt\": \"$long\", \"max_tokens\": 1}"
expect 200 '"cached_tokens":[1-9]' "a known beginning" /v1/completions "{\"prompt\": \"$long\", \"max_tokens\": 1}"
expect 400 '"code":"no_chat_template"' "a conversation needs a template" /v1/chat/completions \
    '{"messages": [{"role": "user", "content": "Hello"}]}'

# ---- mistakes: STATUS|PATTERN|ROUTE|BODY

while IFS='|' read -r want pattern route body; do
    expect "$want" "$pattern" "refused: $route $body" "$route" "$body"
done <<'END'
400|"error":\{"message":".*JSON.*"type":"invalid_request_error"|/v1/completions|{"prompt":
400|not a JSON object|/v1/completions|[1, 2]
400|"param":"prompt"|/v1/completions|{"max_tokens": 3}
400|"param":"prompt"|/v1/completions|{"prompt": 5}
400|"param":"prompt"|/v1/completions|{"prompt": [1, -1]}
400|vocabulary|/v1/completions|{"prompt": [999999]}
400|"param":"temperature".*"code":"decimal_above_max_value"|/v1/completions|{"prompt": "a", "temperature": 2.5}
400|"param":"temperature".*"code":"invalid_type"|/v1/completions|{"prompt": "a", "temperature": "hot"}
400|"param":"max_tokens".*"code":"invalid_type"|/v1/completions|{"prompt": "a", "max_tokens": "5"}
400|"param":"max_tokens"|/v1/completions|{"prompt": "a", "max_tokens": -1}
400|"param":"n"|/v1/completions|{"prompt": "a", "n": 0}
400|"param":"stop"|/v1/completions|{"prompt": "a", "stop": 5}
400|"param":"stop"|/v1/completions|{"prompt": "a", "stop": ["a", 1]}
400|"param":"seed"|/v1/completions|{"prompt": "a", "seed": "x"}
400|"param":"stream"|/v1/completions|{"prompt": "a", "stream": "yes"}
400|"param":"stream_options"|/v1/completions|{"prompt": "a", "stream_options": {"include_usage": true}}
400|"param":"logit_bias"|/v1/completions|{"prompt": "a", "logit_bias": {"x": 1}}
400|"param":"logit_bias"|/v1/completions|{"prompt": "a", "logit_bias": {"5": 101}}
400|vocabulary|/v1/completions|{"prompt": "a", "logit_bias": {"999999": 1}}
400|"param":"logprobs"|/v1/completions|{"prompt": "a", "logprobs": 21}
400|"param":"logprobs"|/v1/completions|{"prompt": "a", "logprobs": "3"}
400|"param":"guided_regex"|/v1/completions|{"prompt": "a", "guided_regex": "("}
400|"param":"grammar"|/v1/completions|{"prompt": "a", "grammar": "root = "}
400|"param":"response_format"|/v1/completions|{"prompt": "a", "response_format": {"type": "yaml"}}
404|"code":"model_not_found"|/v1/completions|{"prompt": "a", "model": "gpt-99"}
400|"param":"model"|/v1/completions|{"prompt": "a", "model": 4}
400|"param":"content"|/tokenize|{"text": "a"}
400|"param":"tokens"|/detokenize|{"tokens": "a"}
400|"param":"tokens"|/detokenize|{"tokens": [99999]}
400|"param":"messages"|/v1/chat/completions|{}
400|"param":"messages"|/v1/chat/completions|{"messages": []}
400|"param":"messages\[0\]"|/v1/chat/completions|{"messages": [{"role": "king", "content": "a"}]}
400|"param":"messages\[0\]"|/v1/chat/completions|{"messages": [5]}
400|"param":"messages\[0\].content"|/v1/chat/completions|{"messages": [{"role": "user", "content": 5}]}
400|"param":"messages\[0\].content"|/v1/chat/completions|{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}
400|"param":"tools"|/v1/chat/completions|{"messages": [{"role": "user", "content": "a"}], "tools": {}}
400|"param":"tools"|/v1/chat/completions|{"messages": [{"role": "user", "content": "a"}], "tools": [5]}
400|"param":"tool_choice"|/v1/chat/completions|{"messages": [{"role": "user", "content": "a"}], "tool_choice": "auto"}
400|"param":"top_logprobs"|/v1/chat/completions|{"messages": [{"role": "user", "content": "a"}], "top_logprobs": 3}
400|"param":"input"|/v1/responses|{}
400|"param":"input"|/v1/responses|{"input": 5}
400|"param":"input"|/v1/responses|{"input": []}
400|"param":"previous_response_id"|/v1/responses|{"input": "a", "previous_response_id": "resp_1"}
400|"type":"error","error":\{"type":"invalid_request_error"|/v1/messages|{"messages": [{"role": "user", "content": "a"}]}
400|"type":"error"|/v1/messages|{"max_tokens": 5}
400|messages.0.role|/v1/messages|{"max_tokens": 5, "messages": [{"role": "system", "content": "a"}]}
400|temperature|/v1/messages|{"max_tokens": 5, "temperature": 1.5, "messages": [{"role": "user", "content": "a"}]}
400|max_tokens|/v1/messages|{"max_tokens": 0, "messages": [{"role": "user", "content": "a"}]}
404|"type":"not_found_error"|/v1/messages|{"max_tokens": 5, "model": "claude", "messages": [{"role": "user", "content": "a"}]}
404|"error"|/v1/nothing|{}
405|"error"|/v1/completions|
405|"error"|/health|{}
END
expect 405 '"error"' "another method" /v1/completions '{}' -X PUT
has "... says which is allowed" '^[Aa]llow: POST' "$tmp/head"
expect 404 '"error"' "a path that is no UTF-8" '/v1/models/%ff%c3'
expect 404 '"error"' "... of no route" '/%ff'
expect 400 '"error"' "a body that is no UTF-8" /v1/completions "$(printf '{"prompt": "\377"}')"
expect 404 '"error"' "a long name in another script" /v1/completions "{\"prompt\": \"a\", \"model\": \"x$(repeat 1500 é)\"}"
expect 400 '5[0-9][0-9] tokens.*512|512.*5[0-9][0-9]|context' "a prompt longer than the context" /v1/completions \
    "{\"prompt\": \"$(repeat 200 'Once upon a time. ')\"}"
has "... with its code" '"param":"prompt","code":"context_length_exceeded"'
has "... and both counts" '[0-9]{3,}.*512'
expect 200 '"recent_errors":\[\{' "/status.json tells of errors" /status.json
stop "the server ends properly"
check "... and said nothing more than that" sh -c "test \$(wc -l <'$log') -le 3"
[ -z "$chat" ] && { skip "conversations" "no build/tests/add_template"; finish; exit; }

# ---- many models

mkdir "$tmp/models" && cp "$model" "$tmp/models/plain.gguf" && cp "$chat" "$tmp/models/talks.gguf"
start --models "$tmp/models" --memory 28 --context 512 || finish || exit 1
expect 200 '"id":"plain".*"id":"talks"' "--models lists a folder" /v1/models
for name in plain talks plain talks; do
    expect 200 "\"model\":\"$name\"" "... $name is loaded when it is asked for" /v1/completions "{$story, \"model\": \"$name\"}"
done
check "... one at a time, as --memory says" sh -c "curl -s '$url/metrics' | grep -q '^socle_models_loaded 1$'"
expect 200 '"model":"plain"' "... the first when nothing is said" /v1/completions "{$story}"
stop "the server ends properly"

# ---- a model that converses

start -m "$chat" --alias chatty --context 512 || finish || exit 1
hello='"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell a tale."}]'
tool='{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties":
    {"city": {"type": "string", "enum": ["Lyon", "Rome"]}}, "required": ["city"], "additionalProperties": false}}}'
expect 200 '"object":"chat.completion","created":[0-9]+,"model":"chatty".*"role":"assistant","content":"' "chat" \
    /v1/chat/completions "{$hello, \"max_tokens\": 8, \"seed\": 1}"
has "... usage" '"usage":\{"prompt_tokens":[0-9]+,"completion_tokens":8,'
expect 200 '"prompt":"<\|im_start\|>system' "/apply-template" /apply-template "{$hello}"
expect 200 '"delta":\{"role":"assistant"' "chat, a stream" /v1/chat/completions \
    "{$hello, \"max_tokens\": 8, \"seed\": 1, \"stream\": true, \"stream_options\": {\"include_usage\": true}}"
has "... usage" '"choices":\[\],"usage":\{"prompt_tokens"'
has "... its end" '^data: \[DONE\]'
expect 200 '"logprobs":\{"content":\[\{"token":' "chat, logprobs" /v1/chat/completions \
    "{$hello, \"seed\": 1, \"max_tokens\": 3, \"logprobs\": true, \"top_logprobs\": 2}"
has "... of others, too" '"top_logprobs":\[\{"token"'
expect 200 '"tool_calls":\[\{"id":"call_[a-z0-9]+","type":"function","function":\{"name":"get_weather","arguments":"\{' \
    "a call of a tool" /v1/chat/completions "{$hello, \"tools\": [$tool], \"tool_choice\": \"required\", \"parallel_tool_calls\": false, \"seed\": 1, \"max_tokens\": 200}"
has "... of the right form" '\\"city\\": ?\\"(Lyon|Rome)\\"'
has "... ends the answer" '"finish_reason":"tool_calls"'
expect 200 '"finish_reason":"tool_calls"' "a call, named, as a stream" /v1/chat/completions "{$hello, \"tools\": [$tool],
    \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"get_weather\"}}, \"seed\": 1, \"max_tokens\": 200, \"stream\": true}"
expect 400 '"param":"tool_choice"' "a tool that is not there" /v1/chat/completions "{$hello, \"tools\": [$tool],
    \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"other\"}}}"
expect 200 '"role":"assistant"' "results of tools" /v1/chat/completions '{"max_tokens": 4, "messages": [
    {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1",
    "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Rain"}], "tools": ['"$tool"']}'
schema='{"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 99}}, "required": ["age"],
    "additionalProperties": false}'
expect 200 '"content":"\{[\\n ]*\\"age\\": ?[0-9]' "a JSON schema" /v1/chat/completions "{$hello, \"seed\": 1, \"max_tokens\": 60,
    \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"a\", \"schema\": $schema}}}"
expect 400 '"param":"response_format"' "a JSON schema that is none" /v1/chat/completions "{$hello,
    \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\": 5}}}}"

expect 200 '"object":"response".*"type":"output_text"' "/v1/responses" /v1/responses \
    '{"input": "Tell a tale.", "instructions": "Be brief.", "seed": 1, "max_output_tokens": 8}'
has "... status and usage" '"status":"incomplete".*"input_tokens":[0-9]+.*"output_tokens":8'
expect 200 '"max_output_tokens":1,"parallel_tool_calls":false,"tool_choice":"none"' "... says what was asked for" \
    /v1/responses '{"input": "a", "max_output_tokens": 1, "tool_choice": "none", "parallel_tool_calls": false}'
expect 200 '^event: response.completed|^event: response.incomplete' "... a stream" /v1/responses \
    '{"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}], "seed": 1, "max_output_tokens": 8, "stream": true}'
for event in created in_progress output_item.added content_part.added output_text.delta output_text.done; do
    has "... response.$event" "^event: response.$event"
done
expect 200 '"type":"function_call".*"name":"get_weather"' "... a call of a tool" /v1/responses "{\"input\": \"Weather?\",
    \"tools\": [{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": $schema}], \"tool_choice\": \"required\"}"

expect 200 '"type":"message","role":"assistant","model":"chatty","content":\[\{"type":"text"' "/v1/messages" /v1/messages \
    '{"seed": 1, "max_tokens": 8, "system": "Be brief.", "messages": [{"role": "user", "content": "Tell a tale."}]}'
has "... stop and usage" '"stop_reason":"max_tokens".*"output_tokens":8'
n=$(($(number input_tokens) + $(number cache_read_input_tokens)))
expect 200 "\"input_tokens\":$n" "... counted as count_tokens counts" /v1/messages/count_tokens \
    '{"system": "Be brief.", "messages": [{"role": "user", "content": "Tell a tale."}]}'
expect 200 '^event: message_stop' "... a stream" /v1/messages \
    '{"seed": 1, "max_tokens": 8, "stream": true, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}'
for event in message_start content_block_start content_block_delta content_block_stop message_delta; do
    has "... $event" "^event: $event"
done
has "... begins with the prompt's size" '"type":"message_start".*"input_tokens":[1-9]'
expect 200 '"type":"tool_use".*"name":"get_weather","input":\{"age":' "... a call of a tool" /v1/messages "{\"seed\": 1, \"max_tokens\": 200,
    \"messages\": [{\"role\": \"user\", \"content\": \"Weather?\"}], \"tool_choice\": {\"type\": \"tool\", \"name\": \"get_weather\"},
    \"tools\": [{\"name\": \"get_weather\", \"input_schema\": $schema}]}"
has "... as the reason to stop" '"stop_reason":"tool_use"'
expect 200 '"stop_reason":"stop_sequence","stop_sequence":"e"' "... stop_sequences" /v1/messages \
    '{"seed": 1, "max_tokens": 200, "stop_sequences": ["e"], "messages": [{"role": "user", "content": "Tell a tale."}]}'
expect 200 '"type":"text"' "... results of tools" /v1/messages '{"max_tokens": 4, "messages": [
    {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1",
    "name": "get_weather", "input": {"age": 3}}]}, {"role": "user", "content": [{"type": "tool_result",
    "tool_use_id": "call_1", "content": [{"type": "text", "text": "Rain"}]}]}]}'

# ---- clients

python=${SOCLE_PYTHON:-python3}
if command -v "$python" >/dev/null && "$python" -c 'import openai, anthropic' 2>/dev/null; then
    "$python" tests/clients/test_clients.py "$url" >"$tmp/clients" 2>&1
    check "OpenAI's and Anthropic's clients" test $? -eq 0
    sed 's/^/    /' "$tmp/clients"
else
    skip "OpenAI's and Anthropic's clients" "$python has no openai and anthropic"
fi
stop "the server ends properly"
finish
