#!/usr/bin/env python3
"""Stands in for `socle serve` where the pages of web/ are tested: no model, scripted answers, real streaming.

    tests/web/mock.py [--port 8090] [--key KEY] [--delay SECONDS]

It answers what the pages ask a server for:
  GET  /, /NAME        the files of web/ as tools/embed.py puts them into the program, with the policy of
                       src/server/web_files.h
  GET  /v1/models      OpenAI's list
  GET  /status.json    what the status page shows (a day in the life of a busy server, made up)
  POST /v1/chat/completions   an answer, streamed; what it says is chosen by a word of the last message:

    markdown    headings, lists, a table, code, quotes
    think       reasoning, then an answer
    tool        a call of get_weather; the tool's result is then put into words
    hostile     HTML, scripts and javascript: links, all of which must stay text
    long        300 numbered words, for stopping and scrolling
    error429, error500, broken (the stream ends early), silent (nothing but the end)
    anything else: "You said: …", the seed that was sent, and how many messages came

test_web.py uses script() to have a real server's answers replaced where it needs a certain text."""

import argparse
import json
import math
import pathlib
import random
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / 'tools'))
import embed  # noqa: E402

POLICY = ''.join(re.findall(r'"([^"]*)"', re.search(r'#define WEB_CONTENT_SECURITY_POLICY((?:.*\\\n)*.*)',
                 (ROOT / 'src/server/web_files.h').read_text()).group(1)))

MARKDOWN = """A plinth does three things at once: it **lifts**, it *steadies*, and it `separates` a statue from damp ground.

## What it is made of

1. A *footing* that spreads the weight
2. A shaft, often of granite
   - dense, so it settles little
   - rough-cut, then dressed
3. A cap with a drip edge

| Stone | Density (kg/m³) | Weathers |
|:------|------:|:--------|
| Granite | 2 700 | very slowly |
| Limestone | 2 300 | softly, in rain |
| Sandstone | 2 200 | in layers |

The load on the ground is the weight over the area:

```python
def pressure(mass, side):
    \"\"\"Pascals under a square plinth.\"\"\"
    return mass * 9.81 / side ** 2   # g is taken as 9.81

print(pressure(1200, 0.8))
```

> A statue is remembered; what carries it is leaned on.

See [an article](https://example.org/plinth) for more.
"""

HOSTILE = """<img src=x onerror="window.hacked=1"> <script>window.hacked=2</script>

[click](javascript:window.hacked=3) [data](data:text/html,<script>window.hacked=4</script>) <a href="javascript:1">x</a>

![pixel](https://tracker.invalid/p.png) <iframe src="https://tracker.invalid"></iframe>

| <b>head</b> | <svg onload=window.hacked=5> |
|---|---|
| `<u>` | [x](vbscript:1) |

```html"><img src=x onerror=window.hacked=6>
</code></pre><script>window.hacked=7</script>
```
"""


def script(messages, seed=0):
    """What is answered: (kind, text) with kind 'reasoning', 'content', 'tool_calls' or 'error'."""
    last = messages[-1]
    said = last['content'] or ''
    if last['role'] == 'tool':
        return [('content', 'The tool says: ' + said)]
    if 'hostile' in said:
        return [('content', HOSTILE)]
    if 'think' in said:
        return [('reasoning', 'The question is short.\n\n- What carries weight?\n- What spreads it?\n\nSo the answer '
                 'can be short as well.'), ('content', 'A plinth **spreads** the weight of what stands on it.')]
    if 'tool' in said:
        return [('content', 'Let me look that up.'),
                ('tool_calls', [('call_1', 'get_weather', '{"city": "Lyon", "days": 2}')])]
    if 'markdown' in said:
        return [('content', MARKDOWN)]
    if 'long' in said:
        return [('content', ' '.join('word%d.' % n + ('\n\n' if n % 25 == 0 else '') for n in range(1, 301)))]
    if 'silent' in said:
        return []
    return [('content', 'You said: %s\n\nSeed %s, %d messages.' % (said, seed, len(messages)))]


def chunks(request):
    """The chunks of a streamed answer, in OpenAI's form, without waiting."""
    def chunk(delta, finish=None):
        return {'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'created': int(time.time()),
                'model': request.get('model', 'mock'),
                'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]}
    n = 0
    finish = 'stop'
    yield chunk({'role': 'assistant', 'content': ''})
    for kind, text in script(request['messages'], request.get('seed', 0)):
        if kind == 'tool_calls':
            finish = 'tool_calls'
            for index, (name, function, arguments) in enumerate(text):
                yield chunk({'tool_calls': [{'index': index, 'id': name, 'type': 'function',
                                             'function': {'name': function, 'arguments': ''}}]})
                for at in range(0, len(arguments), 6):
                    n += 1
                    yield chunk({'tool_calls': [{'index': index, 'function': {'arguments': arguments[at:at + 6]}}]})
            continue
        for part in re.findall(r'\s*\S{1,7}|\s+', text):
            n += 1
            yield chunk({'reasoning_content' if kind == 'reasoning' else 'content': part})
    yield chunk({}, finish)
    prompt = sum(len(message['content'] or '') for message in request['messages']) // 4 + 12
    yield {'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'model': request.get('model', 'mock'), 'choices': [],
           'usage': {'prompt_tokens': prompt, 'completion_tokens': n, 'total_tokens': prompt + n,
                     'prompt_tokens_details': {'cached_tokens': prompt * 2 // 3}}}


def stream_text(request):
    """A whole answer as its events."""
    return ''.join('data: %s\n\n' % json.dumps(chunk) for chunk in chunks(request)) + 'data: [DONE]\n\n'


def status():
    now = time.time()
    noise = random.Random(7)
    history = []
    for i in range(150):
        t = now - 2 * (149 - i)
        running = max(0, min(4, round(2.2 + 1.9 * math.sin(t / 37) + noise.uniform(-0.6, 0.6))))
        waiting = max(0, round(3 * math.sin(t / 37) - 1.4)) if running == 4 else 0
        history.append({'t': t, 'running': running, 'waiting': waiting,
                        'tokens_per_second': round(running * 9.5 * (1 - 0.06 * running) * noise.uniform(0.93, 1.05), 2)})
    last = history[-1]
    return {
        'version': '0.1.0', 'uptime_seconds': 187_423,
        'models': [{'id': 'qwen3-8b-instruct', 'n_context': 32768, 'n_parameters': 8_190_735_360, 'weights': 'Q4_K_M', 'loaded': True},
                   {'id': 'mistral-small-3.2', 'n_context': 32768, 'n_parameters': 23_572_403_200, 'weights': 'Q4_K_M', 'loaded': False}],
        'n_running': last['running'], 'n_waiting': last['waiting'], 'queue_limit': 64, 'n_slots': 4,
        'prompt_tokens_per_second': 212.4, 'generated_tokens_per_second': last['tokens_per_second'],
        'requests_total': 4821, 'requests_failed': 3, 'prompt_tokens_total': 9_412_775,
        'cached_tokens_total': 6_118_303, 'generated_tokens_total': 1_954_120,
        'cache': {'n_pages': 2048, 'n_free': 611, 'page_tokens': 64, 'hit_rate': 0.65},
        'memory_bytes': 7_830_000_000,
        'recent_errors': [{'time': now - 1260, 'status': 429, 'message': 'the queue is full: 64 requests are waiting'},
                          {'time': now - 40_200, 'status': 400, 'message': 'messages[0].role is "sytem", expected one of system, user, assistant, tool'}],
        'history': history,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def reply(self, code, body, kind, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(data)

    def error(self, code, message):
        self.reply(code, {'error': {'message': message, 'type': 'server_error', 'code': None}}, 'application/json')

    def refused(self):
        key = self.server.key
        if key and self.headers.get('Authorization') != 'Bearer ' + key:
            self.error(401, 'no valid key')
            return True
        return False

    def do_GET(self):
        path = self.path.split('?')[0]
        name = {'/': 'index.html', '/status': 'status.html'}.get(path, path[1:])
        file = ROOT / 'web' / name
        if path == '/v1/models':
            if not self.refused():
                self.reply(200, {'object': 'list', 'data': [{'id': model['id'], 'object': 'model', 'owned_by': 'mock'}
                                                            for model in status()['models']]}, 'application/json')
        elif path == '/status.json':
            if not self.refused():
                self.reply(200, status(), 'application/json')
        elif '/' not in name and file.suffix in embed.TYPES and file.is_file():
            self.reply(200, embed.slim(name, file.read_text('utf-8')).encode(), embed.TYPES[file.suffix], Cache_Control='no-cache',
                       Content_Security_Policy=POLICY, Referrer_Policy='no-referrer', X_Content_Type_Options='nosniff')
        else:
            self.error(404, 'there is nothing at ' + path)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        if self.refused():
            return
        said = request['messages'][-1]['content'] or ''
        code = re.search(r'error(\d\d\d)', said)
        if code:
            self.error(int(code.group(1)), 'the mock was asked for this')
            return
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.close_connection = True
        try:
            for i, chunk in enumerate(chunks(request)):
                if 'broken' in said and i == 3:
                    return
                # Comments, and events cut anywhere, happen on real networks.
                event = (': keep-alive\n\n' if i == 1 else '') + 'data: %s\n\n' % json.dumps(chunk, ensure_ascii=False)
                half = len(event) // 2
                self.wfile.write(event[:half].encode())
                self.wfile.flush()
                self.wfile.write(event[half:].encode())
                self.wfile.flush()
                time.sleep(self.server.delay)
            self.wfile.write(b'data: [DONE]\n\n')
        except (BrokenPipeError, ConnectionResetError):
            self.server.n_stopped += 1


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # browsers drop connections as they please


def serve(port=0, key=None, delay=0.01):
    server = Server(('127.0.0.1', port), Handler)
    server.key, server.delay, server.n_stopped = key, delay, 0
    return server


if __name__ == '__main__':
    options = argparse.ArgumentParser(description='A server without a model, for the pages of web/.')
    options.add_argument('--port', type=int, default=8090)
    options.add_argument('--key')
    options.add_argument('--delay', type=float, default=0.02, help='seconds between chunks')
    chosen = options.parse_args()
    print('http://127.0.0.1:%d/' % chosen.port, flush=True)
    serve(chosen.port, chosen.key, chosen.delay).serve_forever()
