#!/usr/bin/env python3
"""Writes the corpus of fuzz_request: a request of every kind, and mistakes.

usage: tests/fuzz/make_request_corpus.py        (writes tests/fuzz/corpus/request/)
"""
import json
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "request")
USER = [{"role": "user", "content": "A tale."}]
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}
CHAT, TEXT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"

CASES = {
    "health": ("/health", None), "ready": ("/ready", None), "metrics": ("/metrics", None), "status": ("/status.json", None),
    "openapi": ("/openapi.json", None), "models": ("/v1/models", None), "model": ("/v1/models/chat", None),
    "model-none": ("/v1/models/\udcff", None),
    "text": (TEXT, {"prompt": "Once", "max_tokens": 2, "seed": 1, "stop": ["a", "b"], "temperature": 0.5, "top_p": 0.9}),
    "text-stream": (TEXT, {"prompt": "Once", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 2}),
    "text-echo": (TEXT, {"prompt": [1, 2, 3], "echo": True, "logprobs": 2, "max_tokens": 0}),
    "text-n": (TEXT, {"prompt": "a", "n": 3, "max_tokens": 1, "logit_bias": {"5": 100, "6": -100}, "ignore_eos": True}),
    "text-regex": (TEXT, {"prompt": "a", "guided_regex": "[ab]+", "max_tokens": 2}),
    "text-grammar": (TEXT, {"prompt": "a", "grammar": "root ::= \"a\" | \"b\"", "max_tokens": 2}),
    "text-penalties": (TEXT, {"prompt": "a", "frequency_penalty": 1, "presence_penalty": -1, "repetition_penalty": 1.1,
                              "dry_multiplier": 0.8, "min_p": 0.1, "top_k": 5, "typical_p": 0.9, "max_tokens": 2}),
    "text-bytes": (TEXT, {"prompt": "\u00e9\U0001f600", "logit_bias": {"127": 100}, "logprobs": 1, "max_tokens": 2}),
    "text-long": (TEXT, {"prompt": "word " * 600}),
    "text-model": (TEXT, {"prompt": "a", "model": "\u00e9" * 700}),
    "text-schema": (TEXT, {"prompt": "a", "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
    "chat": (CHAT, {"messages": USER, "max_tokens": 2, "logprobs": True, "top_logprobs": 2}),
    "chat-stream": (CHAT, {"messages": USER, "max_completion_tokens": 2, "stream": True}),
    "chat-parts": (CHAT, {"messages": [{"role": "developer", "content": [{"type": "text", "text": "x"}]}] + USER}),
    "chat-tools": (CHAT, {"messages": USER, "tools": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False}),
    "chat-named": (CHAT, {"messages": USER, "tools": [FUNCTION], "stream": True,
                          "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    "chat-results": (CHAT, {"messages": USER + [{"role": "assistant", "content": None, "tool_calls": [CALL]},
                                                {"role": "tool", "tool_call_id": "call_1", "content": "r"}]}),
    "chat-json": (CHAT, {"messages": USER, "response_format": {"type": "json_object"}, "max_tokens": 3}),
    "chat-kwargs": (CHAT, {"messages": USER, "chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"}),
    "responses": (RESPONSES, {"input": "A tale.", "instructions": "Brief.", "max_output_tokens": 2,
                              "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_object"}}}),
    "responses-items": (RESPONSES, {"stream": True, "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}], "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}]}, {"type": "reasoning"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "r"}]}),
    "messages": (MESSAGES, {"max_tokens": 2, "system": [{"type": "text", "text": "Brief."}], "messages": USER,
                            "stop_sequences": ["a"], "thinking": {"type": "enabled", "budget_tokens": 10}}),
    "messages-tools": (MESSAGES, {"max_tokens": 4, "stream": True, "tool_choice": {"type": "tool", "name": "f"},
                                  "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}], "messages": USER + [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                                          {"type": "thinking", "thinking": "x", "signature": ""}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]}]}]}),
    "count": (MESSAGES + "/count_tokens", {"messages": USER, "system": "Brief."}),
    "tokenize": ("/tokenize", {"content": "a b", "add_special": True, "parse_special": False}),
    "detokenize": ("/detokenize", {"tokens": [1, 127, 2047]}),
    "template": ("/apply-template", {"messages": USER, "tools": [FUNCTION]}),
    "wrong-types": (CHAT, {"messages": [5, {"role": 3}], "tools": 5, "stream": "x", "n": 1.5, "seed": []}),
    "wrong-list": (TEXT, [1, 2]),
    "wrong-deep": (TEXT, "[" * 3000),
    "wrong-utf8": (TEXT, "{\"prompt\": \"\udcff\"}"),
    "wrong-end": (TEXT, "{\"prompt\": \"a"),
    "wrong-numbers": (TEXT, "{\"prompt\": \"a\", \"seed\": -9223372036854775808, \"temperature\": 1e-400, \"top_k\": 1e5}"),
}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name, (path, body) in CASES.items():
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
        with open(os.path.join(FOLDER, name), "wb") as f:
            f.write((path + "\n" + text).encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    main()
