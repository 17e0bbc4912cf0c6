#!/usr/bin/env python3
"""Writes answer_cases.json: answers with reasoning, text and tool calls as the chat templates of the fixtures write
them, by rendering conversations of our own with Jinja2 and cutting out what the model would have written.

usage: make_answer_cases.py FOLDER_OF_TEMPLATES"""
import datetime
import inspect
import json
import os
import pathlib
import re
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import SandboxedEnvironment

here = pathlib.Path(__file__).parent
folder = pathlib.Path(sys.argv[1])
user = {"role": "user", "content": "Weather?"}


def tool(name, properties, required):
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": "About " + name, "parameters": parameters}}


tools = [
    tool("get_weather", {"city": {"type": "string", "description": "City"},
                         "unit": {"type": "string", "enum": ["c", "f"], "description": "Unit"}}, ["city"]),
    tool("note", {"text": {"type": "string", "description": "What"}, "count": {"type": "integer", "description": "n"},
                  "share": {"type": "number", "description": "x"}, "draft": {"type": "boolean", "description": "b"},
                  "tags": {"type": "array", "items": {"type": "string"}, "description": "t"},
                  "where": {"type": "object", "properties": {"page": {"type": "integer"}}, "description": "w"}},
         ["text"]),
    tool("now", {}, []),
]


def assistant(calls, content="", reasoning=None):
    message = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {"id": f"call0000{i}", "type": "function", "function": {"name": n, "arguments": a}}
            for i, (n, a) in enumerate(calls)
        ]
    if reasoning:
        message["reasoning_content"] = message["thinking"] = message["reasoning"] = reasoning
    return message


weather = ("get_weather", {"city": "Paris", "unit": "c"})
cases = {
    "one": ([weather], "", None),
    "two": ([weather, ("get_weather", {"city": "São Paulo"})], "", None),
    "strings": ([("note", {"text": "Say \"hi\",\n\tthen <b> & {x} \\n é 😀"})], "", None),
    "like a number": ([("note", {"text": "42"})], "", None),
    "empty string": ([("note", {"text": ""})], "", None),
    "numbers": ([("note", {"text": "a", "count": -3, "share": 0.25, "draft": True})], "", None),
    "nested": ([("note", {"text": "a", "tags": ["x", "y z"], "where": {"page": 7}})], "", None),
    "no arguments": ([("now", {})], "", None),
    "text first": ([weather], "Let me look.", None),
    "reasoning first": ([weather], "", "They ask for Paris."),
    "reasoning and text": ([], "It is fine.", "They ask for Paris."),
    "text": ([], "It is fine.\n\nTwo lines, [1] and <b>.", None),
}
# What these templates write cannot be read back: Python's notation, not what was asked for, or they fail.
lossy = {
    ("ByteDance-Seed-OSS.jinja", "nested"),
    ("openai-gpt-oss-120b.jinja", "text first"),  # as reasoning
    ("CohereForAI-c4ai-command-r-plus-tool_use.jinja", "*"),
    ("fireworks-ai-llama-3-firefunction-v2.jinja", "*"),
}
# The syntax of each template; those that show no calls have none.
syntaxes = {
    "apriel": ["Apriel-1.6-15b-Thinker-fixed", "unsloth-Apriel-1.5"],
    "command-r": ["CohereForAI-c4ai-command-r-plus-tool_use"],
    "deepseek-r1": ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
                    "llama-cpp-deepseek-r1"],
    "deepseek-v3.1": ["deepseek-ai-DeepSeek-V3.1"],
    "deepseek-v3.2": ["deepseek-ai-DeepSeek-V3.2"],
    "deepseek-v4": ["deepseek-ai-DeepSeek-V4-Flash-0731", "deepseek-ai-DeepSeek-V4"],
    "firefunction": ["fireworks-ai-llama-3-firefunction-v2"],
    "functionary": ["meetkai-functionary-medium-v3.1"],
    "gemma4": ["google-gemma-4-31B-it-interleaved"],
    "gigachat3": ["GigaChat3-10B-A1.8B"],
    "gigachat3.1": ["GigaChat3.1-10B-A1.8B"],
    "glm": ["GLM-4.6", "Spark2.5", "poolside-Laguna-S-2.1", "poolside-Laguna-XS.2"],
    "granite3": ["ibm-granite-granite-3.3-2B-Instruct"],
    "harmony": ["openai-gpt-oss-120b"],
    "hermes": ["NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "Qwen-QwQ-32B", "Qwen-Qwen2.5-7B-Instruct",
               "Qwen-Qwen3-0.6B", "ibm-granite-granite-4.1"],
    "kimi": ["Kimi-K2-Thinking", "moonshotai-Kimi-K2"],
    "llama3": ["meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct",
               "meta-llama-Llama-3.3-70B-Instruct"],
    "minimax-m1": ["MiniMax-M1"],
    "minimax-m3": ["MiniMax-M3"],
    "mistral": ["mistralai-Ministral-3-14B-Reasoning-2512"],
    "mistral-list": ["mistralai-Mistral-Nemo-Instruct-2407"],
    "qwen-coder": ["NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "Qwen3-Coder", "Qwen3.5-4B"],
    "seed": ["ByteDance-Seed-OSS"],
    "solar": ["upstage-Solar-Open-100B"],
}
syntax_of = {template + ".jinja": syntax for syntax, templates in syntaxes.items() for template in templates}
ends = ["<|eom_id|>", "<|call|>", "<|calls|>", "<|return|>", "<|im_end|>", "<|eot_id|>", "</s>", "<|end|>", "<|message_sep|>"]


def render(source, messages, prompt):
    source = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", source)
    environment = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    environment.filters["tojson"] = lambda value, ensure_ascii=False, indent=None, separators=None, sort_keys=False: \
        json.dumps(list(value) if inspect.isgenerator(value) else value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    environment.filters["from_json"] = json.loads
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime(2026, 1, 15, 12).strftime(form)
    return environment.from_string(source).render(
        messages=messages, tools=tools, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>",
        functions=json.dumps(tools), datetime="now")


def answer_of(source, message):
    """The prompt's end and the answer, or None where the template does not write such a message."""
    prompt = render(source, [user], True)
    full = render(source, [user, message], False)
    plain = render(source, [user, assistant([], "@@@")], False)
    common = os.path.commonprefix([prompt, full])
    if len(common) < len(prompt) and common.rfind("<") > common.rfind(">"):
        common = common[: common.rfind("<")]
    answer = full[len(common):]
    close = re.match(r"\s*</(mm:)?think>", answer)
    if close:
        common, answer = common + close.group(), answer[close.end():]
    if "[BEGIN FINAL RESPONSE]" in answer:
        common = prompt  # Apriel opens its reasoning in the prompt only
    end = plain[plain.rfind("@@@") + 3:]
    if end and answer.endswith(end):
        answer = answer[: -len(end)]
    answer = answer.split("<｜end▁of▁sentence｜>")[0]
    for end in ends:
        answer = re.sub(re.escape(end) + r"\s*$", "", answer)
    return common[-40:], answer


def case_of(path, name):
    """A row of the table, or why there is none."""
    calls, content, reasoning = cases[name]
    if {(path.name, name), (path.name, "*")} & lossy:
        return None, "writes it so that it cannot be read"
    try:
        prompt, answer = answer_of(path.read_text(encoding="utf-8"), assistant(calls, content, reasoning))
    except (jinja2.exceptions.TemplateError, TypeError) as problem:
        return None, str(problem)
    if any(answer.count(n) < [m for m, _ in calls].count(n) for n, _ in calls) or (content and content not in answer):
        return None, "does not write it"
    return {"templates": [path.name], "syntax": syntax_of.get(path.name, ""), "case": name, "prompt": prompt,
            "answer": answer, "reasoning": reasoning if reasoning and reasoning in answer else "", "text": content,
            "calls": [{"name": n, "arguments": a} for n, a in calls]}, ""


rows = {}
for path in sorted(folder.glob("*.jinja")):
    refused = {}
    for name in cases:
        row, why = case_of(path, name)
        if row:
            key = (row["syntax"], row["prompt"][-12:], row["answer"], name)
            if key in rows:
                rows[key]["templates"] += row["templates"]
            else:
                rows[key] = row
        else:
            refused.setdefault(why, []).append(name)
    for why, names in refused.items():
        print(f"{path.name}: {', '.join(names)}: {why}")
out = {"tools": tools, "cases": list(rows.values())}
text = json.dumps(out, ensure_ascii=False, separators=(",", ":"))
text = text.replace('{"templates"', '\n{"templates"')
(here / "answer_cases.json").write_text(text + "\n", encoding="utf-8")
print(len(rows), "cases of", len({t for r in rows.values() for t in r["templates"]}), "templates")
