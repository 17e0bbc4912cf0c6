#!/usr/bin/env python3
"""OpenAI's and Anthropic's own Python clients against a running `socle serve`, feature by feature.

usage: tests/clients/test_clients.py URL [KEY]     for instance http://127.0.0.1:8080

The served model must have a chat template; what it says does not matter. Skips, saying so, where a client is absent
(pip install openai anthropic). Ends with "N passed, N failed, N skipped".
"""
import asyncio
import json
import sys
import traceback

try:
    import openai
except ImportError:
    openai = None
try:
    import anthropic
except ImportError:
    anthropic = None

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Lyon", "Rome"]}}, "required": ["city"],
          "additionalProperties": False}
HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell a tale."}]
ASK = [{"role": "user", "content": "What is the weather in Rome?"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}}
TOOL_A = {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}
TOOL_R = {"type": "function", "name": "get_weather", "description": "Weather", "parameters": SCHEMA, "strict": True}
features = []


def feature(name):
    def register(function):
        features.append((name, function))
        return function
    return register


def seeded(create):
    """A call that draws the same tokens every time, unless it says a seed itself."""
    def call(**what):
        more = {} if "seed" in what else {"seed": 1}
        return create(**dict(what, extra_body={**more, **what.get("extra_body", {})}))
    return call


class Clients:
    def __init__(self, url, key):
        self.url, self.key = url.rstrip("/"), key
        if openai:
            self.openai = openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, timeout=120)
            self.model = self.openai.models.list().data[0].id
            self.chat, self.text = seeded(self.openai.chat.completions.create), seeded(self.openai.completions.create)
            self.respond = seeded(self.openai.responses.create)
        if anthropic:
            self.anthropic = anthropic.Anthropic(base_url=self.url, api_key=key, max_retries=0, timeout=120)
            self.message = seeded(self.anthropic.messages.create)
            if not openai:
                self.model = self.anthropic.models.list().data[0].id


def refused(kind, call, **what):
    try:
        call(**what)
    except kind as error:
        return error
    raise AssertionError(f"was not refused with {kind.__name__}: {what}")


# ---- openai

@feature("openai: models.list, models.retrieve")
def _(c):
    assert c.openai.models.retrieve(c.model).id == c.model
    refused(openai.NotFoundError, c.openai.models.retrieve, model="no-such-model")


@feature("openai: chat.completions.create")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=8)
    assert r.object == "chat.completion" and r.choices[0].message.role == "assistant" and r.choices[0].message.content
    assert r.usage.completion_tokens == 8 and r.usage.total_tokens == r.usage.prompt_tokens + 8
    assert r.choices[0].finish_reason == "length"


@feature("openai: chat, seed and usage of cached tokens")
def _(c):
    a, b = (c.chat(model=c.model, messages=HELLO, max_completion_tokens=12, seed=7)
            for _ in range(2))
    assert a.choices[0].message.content == b.choices[0].message.content
    assert b.usage.prompt_tokens_details.cached_tokens > 0


@feature("openai: chat, n")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=6, n=3, seed=1)
    assert [x.index for x in r.choices] == [0, 1, 2] and len({x.message.content for x in r.choices}) > 1


@feature("openai: chat, stream and stream_options")
def _(c):
    whole = c.chat(model=c.model, messages=HELLO, max_tokens=10, seed=3)
    chunks = list(c.chat(model=c.model, messages=HELLO, max_tokens=10, seed=3, stream=True,
                                                   stream_options={"include_usage": True}))
    text = "".join(x.choices[0].delta.content or "" for x in chunks if x.choices)
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    assert chunks[-1].usage.completion_tokens == 10 and not chunks[-1].choices
    assert chunks[-2].choices[0].finish_reason == "length"


@feature("openai: chat, stream with n")
def _(c):
    texts = ["", ""]
    for x in c.chat(model=c.model, messages=HELLO, max_tokens=5, n=2, seed=3, stream=True):
        texts[x.choices[0].index] += x.choices[0].delta.content or ""
    assert all(texts) and texts[0] != texts[1]


@feature("openai: chat, a stream that is left")
def _(c):
    with c.chat(model=c.model, messages=HELLO, stream=True) as stream:
        next(iter(stream))
    assert c.chat(model=c.model, messages=HELLO, max_tokens=1).choices


@feature("openai: chat, stop")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=200, stop=["e", "a"], seed=1)
    assert r.choices[0].finish_reason == "stop" and not set("ea") & set(r.choices[0].message.content)


@feature("openai: chat, logprobs and top_logprobs")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=3)
    content = r.choices[0].logprobs.content
    assert len(content) == 4 and all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in content)
    assert b"".join(bytes(t.bytes) for t in content).decode() == r.choices[0].message.content


@feature("openai: chat, logit_bias and penalties")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=4, logit_bias={"258": 100},
                                         frequency_penalty=0.5, presence_penalty=-0.5, temperature=0.7, top_p=0.9)
    assert r.choices[0].message.content


@feature("openai: chat, tools with tool_choice required")
def _(c):
    r = c.chat(model=c.model, messages=ASK, tools=[TOOL], tool_choice="required",
                                         parallel_tool_calls=False, max_tokens=250)
    call = r.choices[0].message.tool_calls[0]
    assert r.choices[0].finish_reason == "tool_calls" and call.id and call.type == "function"
    assert call.function.name == "get_weather" and json.loads(call.function.arguments)["city"] in ("Lyon", "Rome")


@feature("openai: chat, tool_choice by name, streamed")
def _(c):
    arguments, name, finish = "", None, None
    for x in c.chat(model=c.model, messages=ASK, tools=[TOOL], max_tokens=250, stream=True,
                                              tool_choice={"type": "function", "function": {"name": "get_weather"}}):
        for call in x.choices[0].delta.tool_calls or []:
            name = call.function.name or name
            arguments += call.function.arguments or ""
        finish = x.choices[0].finish_reason or finish
    assert name == "get_weather" and json.loads(arguments)["city"] and finish == "tool_calls", (name, arguments, finish)


@feature("openai: chat, tool_choice none and auto")
def _(c):
    r = c.chat(model=c.model, messages=ASK, tools=[TOOL], tool_choice="none", max_tokens=8)
    assert not r.choices[0].message.tool_calls
    assert c.chat(model=c.model, messages=ASK, tools=[TOOL], tool_choice="auto", max_tokens=4)


@feature("openai: chat, results of tools")
def _(c):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}}
    r = c.chat(model=c.model, max_tokens=4, tools=[TOOL], messages=ASK + [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain"}])
    assert r.choices[0].message.role == "assistant"


@feature("openai: chat, response_format json_object")
def _(c):
    r = c.chat(model=c.model, messages=HELLO, max_tokens=30, seed=2,
                                         response_format={"type": "json_object"})
    assert r.choices[0].message.content.lstrip().startswith("{")


@feature("openai: chat, response_format json_schema, and parse")
def _(c):
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
    r = c.chat(model=c.model, messages=HELLO, max_tokens=200, response_format=form, seed=1)
    assert json.loads(r.choices[0].message.content)["city"] in ("Lyon", "Rome")
    import pydantic

    class Place(pydantic.BaseModel):
        visited: bool
    r = c.openai.chat.completions.parse(model=c.model, messages=HELLO, max_tokens=200, response_format=Place, seed=1)
    assert isinstance(r.choices[0].message.parsed.visited, bool)


@feature("openai: chat, contents in parts")
def _(c):
    r = c.chat(model=c.model, max_tokens=2, messages=[
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Tell"}, {"type": "text", "text": " a tale."}]}])
    assert r.usage.completion_tokens == 2


@feature("openai: completions, echo, logprobs, several stops")
def _(c):
    r = c.text(model=c.model, prompt="Once upon a time", max_tokens=5, echo=True, logprobs=2)
    x = r.choices[0]
    assert x.text.startswith("Once upon a time") and x.logprobs.token_logprobs[0] is None
    assert len(x.logprobs.tokens) == r.usage.total_tokens and x.logprobs.text_offset[1] == len(x.logprobs.tokens[0])
    assert all(len(top) <= 2 for top in x.logprobs.top_logprobs[1:])
    assert c.text(model=c.model, prompt="a", max_tokens=50, stop=[".", ","]).choices


@feature("openai: completions, the prompt's probabilities alone")
def _(c):
    r = c.text(model=c.model, prompt="Once upon a time", max_tokens=0, echo=True, logprobs=0)
    assert r.choices[0].text == "Once upon a time" and r.usage.completion_tokens == 0


@feature("openai: completions, tokens as a prompt, stream")
def _(c):
    text = "".join(x.choices[0].text for x in c.text(model=c.model, prompt=[323, 425, 869],
                                                                          max_tokens=5, stream=True) if x.choices)
    assert text


@feature("openai: completions, many prompts")
def _(c):
    r = c.text(model=c.model, prompt=["Once upon a time", "The king"], max_tokens=4, n=2, seed=1)
    assert [x.index for x in r.choices] == [0, 1, 2, 3] and r.usage.completion_tokens == 16


@feature("openai: embeddings.create")
def _(c):
    texts = ["Once upon a time there was a king", "Once upon a time there was a queen", "x = 3"]
    king, queen, other = (item.embedding for item in c.openai.embeddings.create(model=c.model, input=texts).data)
    floats = c.openai.embeddings.create(model=c.model, input=texts[0], encoding_format="float").data[0].embedding
    assert max(abs(a - b) for a, b in zip(king, floats)) < 1e-7 and abs(sum(a * a for a in king) - 1) < 1e-5
    like = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert like(king, queen) > like(king, other)
    assert len(c.openai.embeddings.create(model=c.model, input=texts[0], dimensions=7).data[0].embedding) == 7
    refused(openai.BadRequestError, c.openai.embeddings.create, model=c.model, input="")


@feature("openai: responses.create")
def _(c):
    r = c.respond(model=c.model, input="Tell a tale.", instructions="Be brief.", max_output_tokens=8)
    assert r.object == "response" and r.status == "incomplete" and r.output_text and r.usage.output_tokens == 8
    assert r.incomplete_details.reason == "max_output_tokens"


@feature("openai: responses, items, tools and their results")
def _(c):
    r = c.respond(model=c.model, input=ASK, tools=[TOOL_R], tool_choice="required",
                                  parallel_tool_calls=False, max_output_tokens=250)
    call = next(x for x in r.output if x.type == "function_call")
    assert call.name == "get_weather" and json.loads(call.arguments)["city"]
    r = c.respond(model=c.model, max_output_tokens=4, input=ASK + [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"}])
    assert r.output


@feature("openai: responses, stream")
def _(c):
    kinds, text = [], ""
    for e in c.respond(model=c.model, input="Tell a tale.", max_output_tokens=8, stream=True):
        kinds.append(e.type)
        text += e.delta if e.type == "response.output_text.delta" else ""
        final = e
    assert kinds[0] == "response.created" and kinds[-1] == "response.incomplete" and text == final.response.output_text
    with c.openai.responses.stream(model=c.model, input="Tell a tale.", max_output_tokens=8) as stream:
        for _ in stream:
            pass


@feature("openai: responses, text.format json_schema")
def _(c):
    r = c.respond(model=c.model, input="Where?", max_output_tokens=200, text={
        "format": {"type": "json_schema", "name": "place", "strict": True, "schema": SCHEMA}})
    assert json.loads(r.output_text)["city"] in ("Lyon", "Rome")


@feature("openai: errors")
def _(c):
    create = c.chat
    assert refused(openai.NotFoundError, create, model="none", messages=HELLO).code == "model_not_found"
    assert refused(openai.BadRequestError, create, model=c.model, messages=HELLO, temperature=3).param == "temperature"
    e = refused(openai.BadRequestError, create, model=c.model, messages=[{"role": "user", "content": "tale " * 20000}])
    assert e.code == "context_length_exceeded"
    refused(openai.BadRequestError, create, model=c.model, messages=[])


@feature("openai: extra_body, extra_headers, with_raw_response")
def _(c):
    r = c.openai.chat.completions.with_raw_response.create(model=c.model, messages=HELLO, max_tokens=2,
                                                           extra_body={"top_k": 1, "unknown": {}},
                                                           extra_headers={"X-Other": "1"})
    assert r.headers["content-type"].startswith("application/json") and r.parse().choices


@feature("openai: the asynchronous client, 16 at once")
def _(c):
    async def ask():
        async with openai.AsyncOpenAI(base_url=c.url + "/v1", api_key=c.key, max_retries=0) as client:
            return await asyncio.gather(*(client.chat.completions.create(model=c.model, messages=HELLO, max_tokens=5, seed=2)
                                          for _ in range(16)))
    assert len({r.choices[0].message.content for r in asyncio.run(ask())}) == 1


# ---- anthropic

@feature("anthropic: messages.create, usage")
def _(c):
    r = c.message(model=c.model, max_tokens=8, system="Be brief.", messages=ASK)
    assert r.type == "message" and r.role == "assistant" and r.content[0].type == "text" and r.stop_reason == "max_tokens"
    assert r.usage.output_tokens == 8 and r.usage.input_tokens + r.usage.cache_read_input_tokens > 8


@feature("anthropic: messages.stream")
def _(c):
    with c.anthropic.messages.stream(model=c.model, max_tokens=8, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text and final.stop_reason == "max_tokens" and final.usage.output_tokens == 8


@feature("anthropic: messages.create with stream=True")
def _(c):
    kinds = [e.type for e in c.message(model=c.model, max_tokens=4, messages=ASK, stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds


@feature("anthropic: messages.count_tokens")
def _(c):
    n = c.anthropic.messages.count_tokens(model=c.model, system="Be brief.", messages=ASK).input_tokens
    r = c.message(model=c.model, max_tokens=1, system="Be brief.", messages=ASK)
    assert n == r.usage.input_tokens + r.usage.cache_read_input_tokens


@feature("anthropic: tools, tool_choice any and by name")
def _(c):
    for choice in ({"type": "any", "disable_parallel_tool_use": True}, {"type": "tool", "name": "get_weather"}):
        r = c.message(model=c.model, max_tokens=250, messages=ASK, tools=[TOOL_A], tool_choice=choice)
        use = next(x for x in r.content if x.type == "tool_use")
        assert use.name == "get_weather" and use.input["city"] in ("Lyon", "Rome") and r.stop_reason == "tool_use"


@feature("anthropic: tools, streamed")
def _(c):
    with c.anthropic.messages.stream(model=c.model, max_tokens=250, messages=ASK, tools=[TOOL_A],
                                     tool_choice={"type": "tool", "name": "get_weather"}) as stream:
        final = stream.get_final_message()
    assert next(x for x in final.content if x.type == "tool_use").input["city"] in ("Lyon", "Rome")


@feature("anthropic: results of tools, contents in blocks")
def _(c):
    r = c.message(model=c.model, max_tokens=4, tools=[TOOL_A], messages=ASK + [
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."},
                                          {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain"},
                                     {"type": "text", "text": "So?"}]}])
    assert r.content


@feature("anthropic: stop_sequences, temperature, top_k, top_p, metadata")
def _(c):
    r = c.message(model=c.model, max_tokens=200, messages=ASK, stop_sequences=["e", "a", "o"],
                                    metadata={"user_id": "1"},
                                    extra_body={"temperature": 1.0, "top_k": 50, "top_p": 0.9})
    assert r.stop_reason == "stop_sequence" and r.stop_sequence in "eao"


@feature("anthropic: thinking disabled")
def _(c):
    assert c.message(model=c.model, max_tokens=4, messages=ASK, thinking={"type": "disabled"}).content


@feature("anthropic: models.list")
def _(c):
    assert c.anthropic.models.list().data[0].id == c.model


@feature("anthropic: errors")
def _(c):
    create = c.message
    e = refused(anthropic.NotFoundError, create, model="none", max_tokens=4, messages=ASK)
    assert e.body["type"] == "error" and e.body["error"]["type"] == "not_found_error"
    refused(anthropic.BadRequestError, create, model=c.model, max_tokens=4, messages=[])
    refused(anthropic.BadRequestError, create, model=c.model, max_tokens=0, messages=ASK)
    refused(anthropic.BadRequestError, create, model=c.model, max_tokens=4, messages=ASK,
            extra_body={"temperature": 2.0})


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    clients = Clients(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "none")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, check in features:
        if not (openai if name.startswith("openai") else anthropic):
            print(f"ok - {name} # skipped: the client is not installed")
            counts["skipped"] += 1
            continue
        try:
            check(clients)
            print(f"ok - {name}")
            counts["passed"] += 1
        except Exception:  # whatever a client raises is a failure of this feature
            print(f"not ok - {name}\n" + "".join("    " + line for line in traceback.format_exc().splitlines(True)[-12:]))
            counts["failed"] += 1
    print(", ".join(f"{n} {word}" for word, n in counts.items()))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
