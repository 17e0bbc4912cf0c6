#!/usr/bin/env python3
"""Checks the pages of web/ in a real Chromium.

    tests/web/test_web.py [URL]

Without a URL a server of scripted answers is started (mock.py). With one, the pages of that server are checked, say of
`socle serve`: what needs only a model that answers is asked of it, and where a certain text is needed (reasoning, a tool
call, hostile output) the answer is replaced by mock.py's on its way into the page.

Skips, saying so, where Python's playwright or Chromium are absent: pip install playwright, and Debian's chromium, or
`playwright install chromium`, or CHROMIUM=/path/to/it."""

import os
import shutil
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mock  # noqa: E402

LAST = '.message.assistant:last-child'
DONE = LAST + ':not(.live) .actions .copy-answer'
WAIT = 15_000  # milliseconds
WAIT_MODEL = 60_000  # a real model may be slow


def skip(why):
    print('skipped: ' + why)
    sys.exit(0)


class Checks:
    """One browser; each check gets a page of a fresh profile and must leave no error in the console."""

    def __init__(self, browser, url, is_mock, server):
        self.browser, self.url, self.is_mock, self.server = browser, url.rstrip('/') + '/', is_mock, server

    def page(self, width=1280, height=860, scheme='light', locale='en-GB', address='', long=False, **more):
        context = self.browser.new_context(viewport={'width': width, 'height': height}, color_scheme=scheme,
                                           locale=locale, **more)
        context.grant_permissions(['clipboard-read', 'clipboard-write'])
        if not self.is_mock and not long:  # a model may ramble: settings of the page's own keep its answers short
            context.add_init_script("localStorage['socle.sampling'] ??= '{\"max_tokens\": 24}'")
        page = context.new_page()
        page.set_default_timeout(WAIT if self.is_mock else WAIT_MODEL)
        page.problems, page.expected = [], []
        page.on('console', lambda message: message.type in ('error', 'warning') and page.problems.append(message.text))
        page.on('pageerror', lambda error: page.problems.append(str(error)))
        page.on('request', lambda request: request.url.startswith((self.url, 'data:', 'blob:'))
                or page.problems.append('outside request: ' + request.url))
        page.goto(self.url + address)
        self.until(page, "document.documentElement.lang && document.querySelector('h1').checkVisibility !== undefined")
        return page

    def close(self, page):
        page.context.close()
        problems = [text for text in page.problems if not any(part in text for part in page.expected)]
        assert not problems, problems

    def until(self, page, condition, arg=None):
        """Waits in Python: playwright's own wait_for_function is an eval, which the pages' policy forbids."""
        end = time.monotonic() + (WAIT if self.is_mock else WAIT_MODEL) / 1000
        while not page.evaluate(condition, arg):
            assert time.monotonic() < end, 'waited in vain for ' + condition
            page.wait_for_timeout(30)

    def scripted(self, page):
        """Has this page's answers come from mock.py, whatever the server."""
        if not self.is_mock:
            page.route('**/v1/chat/completions', lambda route: route.fulfill(
                status=200, content_type='text/event-stream', body=mock.stream_text(route.request.post_data_json)))

    def ask(self, page, text, wait=True):
        n = page.locator('.message.assistant').count()
        page.fill('#message', text)
        page.press('#message', 'Enter')
        self.until(page, 'n => document.querySelectorAll(".message.assistant").length > n', arg=n)
        if wait:
            page.wait_for_selector(DONE)

    # What is checked, in the order it is run

    def check_loads_without_errors(self):
        for address in ('', 'status.html'):
            page = self.page(address=address)
            page.wait_for_timeout(600)
            policy = page.request.get(self.url + address).headers.get('content-security-policy', '')
            assert policy == mock.POLICY, 'policy: ' + policy
            self.close(page)

    def check_streams_an_answer(self):
        page = self.page(long=True)
        self.ask(page, 'Tell me a long story.', wait=False)
        self.until(page, "sel => document.querySelector(sel + ' .body')?.textContent.length > 20", arg=LAST)
        first = page.inner_text(LAST + ' .body')
        assert page.get_attribute(LAST, 'aria-busy') == 'true', 'it came all at once'
        self.until(page, "([sel, n]) => document.querySelector(sel + ' .body').textContent.length > n + 40",
                               arg=[LAST, len(first)])
        # Stop keeps what has come, and the server stops as well.
        page.keyboard.press('Escape')
        page.wait_for_selector(DONE)
        kept = page.inner_text(LAST + ' .body')
        page.wait_for_timeout(300)
        assert page.inner_text(LAST + ' .body') == kept and len(kept) > 40
        assert 'Stopped' in page.inner_text(LAST + ' .notices')
        if self.is_mock:
            assert self.server.n_stopped > 0, 'the server wrote on'
        self.close(page)

    def check_stop_button(self):
        page = self.page(long=True)
        self.ask(page, 'A long story, please.', wait=False)
        page.click('#stop')
        page.wait_for_selector(DONE)
        assert page.is_visible('#send') and not page.is_visible('#stop')
        assert page.evaluate('document.activeElement.id') == 'message'
        self.close(page)

    def check_shows_tokens_and_speed(self):
        page = self.page()
        self.ask(page, 'Hello there')
        assert 'token' in page.inner_text(LAST + ' .usage'), page.inner_text(LAST + ' .usage')
        page.click(LAST + ' .actions .details')
        details = page.inner_text('dialog#details')
        assert 'Seed' in details and 'Tokens read' in details, details
        page.keyboard.press('Escape')
        self.close(page)

    def check_regenerate_branches(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'Hello')
        first = page.inner_text(LAST + ' .body')
        page.click(LAST + ' .regenerate')
        page.wait_for_selector(LAST + ' .branches')
        page.wait_for_selector(DONE)
        second = page.inner_text(LAST + ' .body')
        assert '2/2' in page.inner_text(LAST + ' .branches') and first != second
        page.click(LAST + ' .previous')
        self.until(page, "([sel, text]) => document.querySelector(sel + ' .body').innerText === text", arg=[LAST, first])
        assert '1/2' in page.inner_text(LAST + ' .branches')
        page.click(LAST + ' .next')
        self.until(page, "([sel, text]) => document.querySelector(sel + ' .body').innerText === text", arg=[LAST, second])
        self.close(page)

    def check_edit_branches(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'The first question')
        self.ask(page, 'The second question')
        page.hover('.message.user:first-child')
        page.click('.message.user:first-child .edit')
        page.wait_for_timeout(200)
        assert page.evaluate("document.querySelector('.edit-form textarea').getBoundingClientRect().top > 40"), 'in view'
        page.fill('.edit-form textarea', 'The first question, edited')
        page.click('.edit-form .save')
        self.until(page, "document.querySelectorAll('.message').length === 2")
        page.wait_for_selector(DONE)
        assert 'edited' in page.inner_text(LAST + ' .body')
        assert '2/2' in page.inner_text('.message.user .branches')
        page.click('.message.user .previous')
        self.until(page, "document.querySelectorAll('.message').length === 4")
        assert 'The second question' in page.inner_text('#messages')
        self.close(page)

    def check_reload_keeps_conversations(self):
        page = self.page()
        self.ask(page, 'Remember this question')
        answer = page.inner_text(LAST + ' .body')
        page.click('#new')
        assert page.is_visible('#welcome')
        self.ask(page, 'Another question')
        page.wait_for_timeout(300)
        page.reload()
        self.until(page, "document.querySelectorAll('#conversations li').length === 2")
        assert 'Another question' in page.inner_text('#messages'), 'the one in view comes back'
        page.click('#conversations a:has-text("Remember this")')
        page.wait_for_selector(DONE)
        assert page.inner_text(LAST + ' .body') == answer
        page.fill('#search', 'ANOTHER')
        self.until(page, "document.querySelectorAll('#conversations li').length === 1")
        self.close(page)

    def check_rename_delete_undo(self):
        page = self.page()
        self.ask(page, 'A title to change')
        page.hover('#conversations li')
        page.click('#conversations .more')
        page.click('.menu >> text=Rename')
        page.keyboard.type('A new name')
        page.keyboard.press('Enter')
        assert 'A new name' in page.inner_text('#conversations') and page.title().startswith('A new name')
        page.hover('#conversations li')
        page.click('#conversations .more')
        page.click('.menu >> text=Delete')
        page.wait_for_selector('#welcome')
        assert page.locator('#conversations li').count() == 0
        page.click('.toast >> text=Undo')
        page.wait_for_selector('#conversations li')
        page.wait_for_timeout(300)
        page.reload()
        page.wait_for_selector('#conversations li')
        self.close(page)

    def check_export_and_import(self):
        page = self.page()
        self.ask(page, 'To be exported')
        page.click('#open-settings')
        with page.expect_download() as download:
            page.click('#export-all')
        path = download.value.path()
        other = self.page()
        other.click('#open-settings')
        with other.expect_file_chooser() as chooser:
            other.click('#import')
        chooser.value.set_files(str(path))
        other.wait_for_selector('#conversations li')
        other.keyboard.press('Escape')
        other.click('#conversations a')
        other.wait_for_selector(DONE)
        assert 'To be exported' in other.inner_text('#messages')
        self.close(other)
        self.close(page)

    def check_markdown_and_copy(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'Show me markdown')
        body = page.locator(LAST + ' .body')
        for element in ('strong', 'em', 'ol > li > ul > li', 'table td.align-right', 'blockquote', 'h3.h2',
                        'figure.code', 'a[rel~=noopener][href^=https]', '.code-keyword'):
            assert body.locator(element).count() > 0, element
        page.click(LAST + ' .copy-code')
        page.wait_for_selector(LAST + ' .copied')
        copied = page.evaluate('navigator.clipboard.readText()')
        assert copied.startswith('def pressure(mass, side):') and copied.endswith('print(pressure(1200, 0.8))'), copied
        page.click(LAST + ' .copy-answer')
        self.until(page, "navigator.clipboard.readText().then((text) => text.startsWith('A plinth'))")
        self.close(page)

    def check_markdown_is_linear_and_streams_alike(self):
        page = self.page()
        result = page.evaluate("""async (text) => {
          const { Markdown } = await import(location.href + 'markdown.js');
          const shown = (steps) => {
            const place = document.createElement('div');
            const markdown = new Markdown(place);
            for (const n of steps) markdown.update(text.slice(0, n));
            markdown.update(text, true);
            return place.innerHTML;
          };
          const whole = shown([]);
          const letters = shown([...text].map((_, i) => i));
          const { parseBlocks } = await import(location.href + 'blocks.js');
          const { parseInline } = await import(location.href + 'inline.js');
          let slowest = 0;
          for (const part of ['*a ', 'a* ', '*a_ ', '[', '[a](', '`', '` ', '<', '> ', '- ', '|-|\\n', '**a*', '![', '  - a\\n', '``` ', '\\\\(', '$$'])
            for (const parse of [parseBlocks, parseInline]) {
              const begin = performance.now();
              parse(part.repeat(100_000 / part.length));
              slowest = Math.max(slowest, performance.now() - begin);
            }
          return { same: whole === letters, slowest };
        }""", mock.MARKDOWN + mock.HOSTILE)
        assert result['same'], 'letter by letter it looks otherwise'
        assert result['slowest'] < 5000, result
        self.close(page)

    def check_reasoning_is_folded(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'Please think')
        assert not page.is_visible(LAST + ' .reasoning .markdown')
        assert 'The question is short' not in page.inner_text(LAST)
        page.click(LAST + ' .reasoning summary')
        page.wait_for_selector(LAST + ' .reasoning li')
        assert 'The question is short' in page.inner_text(LAST + ' .reasoning')
        assert 'The question' not in page.inner_text(LAST + ' .body')
        self.close(page)

    def check_tool_call_is_shown(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'Use a tool')
        tool = page.inner_text(LAST + ' .tool')
        assert 'get_weather' in tool and '"city": "Lyon"' in tool, tool
        page.fill(LAST + ' .tool-form textarea', '21 degrees')
        page.click(LAST + ' .tool-form button')
        self.until(page, "document.querySelectorAll('.message').length === 4")
        page.wait_for_selector(DONE)
        assert 'The tool says: 21 degrees' in page.inner_text(LAST + ' .body')
        self.close(page)

    def check_hostile_output_stays_text(self):
        page = self.page()
        self.scripted(page)
        self.ask(page, 'Be hostile')
        body = page.locator(LAST + ' .body')
        assert page.evaluate('window.hacked') is None
        assert body.locator('img, script, iframe, svg[onload], u, b').count() == 0
        links = body.locator('a').evaluate_all('(links) => links.map((link) => link.href)')
        assert all(link.startswith('https://') for link in links), links
        text = body.inner_text()
        assert '<img src=x onerror="window.hacked=1">' in text and '[click](javascript:window.hacked=3)' in text
        page.wait_for_timeout(300)
        page.reload()
        page.wait_for_selector(DONE)
        assert page.evaluate('window.hacked') is None
        self.close(page)

    def check_errors_are_told(self):
        page = self.page()
        page.expected += ['status of 429', 'ERR_', 'status of 503']
        page.route('**/v1/chat/completions', lambda route: route.fulfill(
            status=429, content_type='application/json', body='{"error": {"message": "the queue is full", "type": "busy"}}'))
        self.ask(page, 'Hello')
        assert 'the queue is full' in page.inner_text(LAST + ' .notice.error')
        page.unroute('**/v1/chat/completions')
        page.click(LAST + ' .notice button')
        self.until(page, "!document.querySelector('.message:last-child .notice.error')")
        page.wait_for_selector(DONE)
        page.route('**/v1/chat/completions', lambda route: route.fulfill(
            status=200, content_type='text/event-stream', body='data: {"choices": [{"delta": {"content": "half"}}]}\n\n'))
        self.ask(page, 'Hello')
        assert 'half' in page.inner_text(LAST + ' .body') and 'connection' in page.inner_text(LAST + ' .notice.error')
        page.route('**/v1/chat/completions', lambda route: route.abort())
        self.ask(page, 'Hello')
        assert 'cannot be reached' in page.inner_text(LAST + ' .notice.error')
        self.close(page)

    def check_key(self):
        if not self.is_mock:
            return
        self.server.key = 'sesame'
        try:
            page = self.page()
            page.expected += ['status of 401']
            page.fill('#key-field', 'wrong')
            page.keyboard.press('Enter')
            page.wait_for_selector('.small-dialog .error')
            page.fill('#key-field', 'sesame')
            page.keyboard.press('Enter')
            self.until(page, "document.querySelector('#model').options.length > 0")
            self.ask(page, 'Hello')
            page.reload()
            self.until(page, "document.querySelector('#model').options.length > 0")
            assert page.evaluate("localStorage.getItem('socle.key')") is None, 'kept without being asked to'
            self.close(page)
        finally:
            self.server.key = None

    def check_settings_are_sent_and_kept(self):
        page = self.page()
        sent = []
        page.on('request', lambda request: request.url.endswith('/completions') and sent.append(request.post_data_json))
        page.click('#open-settings')
        page.fill('#system', 'Answer in verse.')
        page.fill('#sampling-temperature', '0.5')
        page.fill('#sampling-max_tokens', '64')
        page.fill('#sampling-seed', '42')
        page.fill('#sampling-top_p', '7')
        assert page.get_attribute('#sampling-top_p', 'aria-invalid') == 'true'
        page.keyboard.press('Escape')
        self.ask(page, 'Hello')
        assert sent[0]['messages'][0] == {'role': 'system', 'content': 'Answer in verse.'}, sent
        assert (sent[0]['temperature'], sent[0]['max_tokens'], sent[0]['seed']) == (0.5, 64, 42) and 'top_p' not in sent[0]
        assert sent[0]['stream'] is True and sent[0]['stream_options'] == {'include_usage': True}
        page.reload()
        page.click('#open-settings')
        assert page.input_value('#sampling-temperature') == '0.5'
        self.until(page, "document.querySelector('#system').value === 'Answer in verse.'")
        self.close(page)

    def check_french(self):
        page = self.page(locale='fr-FR')
        assert page.get_attribute('html', 'lang') == 'fr'
        text = page.inner_text('body')
        assert 'Nouvelle conversation' in text and 'Réglages' in text and 'New conversation' not in text
        page.click('#open-settings')
        page.check('input[name=language][value=en]')
        assert 'Settings' in page.inner_text('dialog#settings')
        page.keyboard.press('Escape')
        self.close(page)
        page = self.page(locale='fr-FR', address='status.html')
        assert 'État du serveur' in page.inner_text('body')
        missing = page.evaluate("""async () => {
          const [en, fr] = await Promise.all(['en', 'fr'].map((l) => import(new URL(`text_${l}.js`, location.href))));
          const a = Object.keys(en.default), b = Object.keys(fr.default);
          return [...a.filter((key) => !b.includes(key)), ...b.filter((key) => !a.includes(key))];
        }""")
        assert missing == [], missing
        self.close(page)

    def check_dark(self):
        page = self.page(scheme='dark')
        ground = 'getComputedStyle(document.body).backgroundColor'
        assert page.evaluate(ground) == 'rgb(23, 22, 21)', page.evaluate(ground)
        page.click('#open-settings')
        page.check('input[name=theme][value=light]')
        assert page.evaluate(ground) == 'rgb(251, 250, 248)'
        page.reload()
        assert page.evaluate(ground) == 'rgb(251, 250, 248)', 'the choice is kept'
        self.close(page)

    def check_contrast(self):
        for scheme in ('light', 'dark'):
            page = self.page(scheme=scheme)
            low = page.evaluate(CONTRAST)
            assert low == [], (scheme, low)
            self.close(page)

    def check_narrow(self):
        for address in ('', 'status.html'):
            page = self.page(width=360, height=700, address=address)
            if address == '':
                self.scripted(page)
                self.ask(page, 'markdown ' + 'x' * 200)
                page.click('#toggle')
                page.wait_for_timeout(300)
                page.keyboard.press('Escape')
                page.wait_for_timeout(300)
                assert page.evaluate("document.getElementById('sidebar').inert")
            page.wait_for_timeout(400)
            wide = page.evaluate("""[...document.querySelectorAll('html, body, #thread, #main, main')]
              .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.id || e.tagName)""")
            assert wide == [], (address, wide)
            self.close(page)

    def check_keyboard_alone(self):
        page = self.page()
        self.scripted(page)
        assert page.evaluate('document.activeElement.id') == 'message', 'one can write at once'
        page.keyboard.type('one')
        page.keyboard.press('Shift+Enter')
        page.keyboard.type('two')
        assert page.input_value('#message') == 'one\ntwo'
        page.keyboard.press('Enter')
        page.wait_for_selector(DONE)
        page.keyboard.press('ArrowUp')
        assert page.evaluate("document.activeElement.closest('.edit-form') !== null")
        page.keyboard.type(' three')
        page.keyboard.press('Enter')
        page.wait_for_selector('.message.user .branches')
        page.wait_for_selector(DONE)
        page.keyboard.press('Alt+ArrowUp')
        assert page.evaluate("document.activeElement.classList.contains('message')")
        page.keyboard.press('Control+/')
        assert page.is_visible('dialog#shortcuts')
        page.keyboard.press('Escape')
        assert not page.is_visible('dialog#shortcuts')
        page.keyboard.press('Control+Shift+O')
        assert page.is_visible('#welcome') and page.evaluate('document.activeElement.id') == 'message'
        page.keyboard.press('Control+k')
        page.keyboard.press('ArrowDown')
        page.keyboard.press('Enter')
        page.wait_for_selector('.message')
        page.keyboard.press('Tab')  # from a conversation to its menu
        page.keyboard.press('Enter')
        page.wait_for_selector('.menu')
        assert page.evaluate("document.activeElement.getAttribute('role')") == 'menuitem'
        page.keyboard.press('Escape')
        assert page.evaluate("document.activeElement.classList.contains('more')")
        self.close(page)

    def check_scrolling_is_the_readers(self):
        page = self.page(height=500)
        self.scripted(page)
        self.ask(page, 'markdown')
        self.ask(page, 'a long answer', wait=False)
        page.mouse.move(700, 200)
        page.wait_for_timeout(200)
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(200)
        top = page.evaluate("document.getElementById('thread').scrollTop")
        page.wait_for_timeout(400)
        assert abs(page.evaluate("document.getElementById('thread').scrollTop") - top) < 2
        page.click('#jump')
        page.wait_for_selector(DONE)
        assert page.evaluate("(() => { const t = document.getElementById('thread'); return t.scrollHeight - t.scrollTop - t.clientHeight; })()") < 80
        self.close(page)

    def check_names_for_screen_readers(self):
        for address in ('', 'status.html'):
            page = self.page(address=address)
            self.scripted(page)
            if address == '':
                self.ask(page, 'markdown')
                self.until(page, "document.getElementById('live').textContent.includes('What it is made of')")
            page.wait_for_timeout(300)
            nameless = page.evaluate("""[...document.querySelectorAll('button, a, input, select, textarea, [role=img], [role=meter], [tabindex="0"]')]
              .filter((e) => e.checkVisibility() && !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
                || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML.slice(0, 80))""")
            assert nameless == [], nameless
            self.close(page)

    def check_status_page(self):
        page = self.page(address='status.html')
        page.wait_for_selector('#load .tile')
        for name in ('Answering', 'Waiting', 'Writing', 'Reading'):
            assert name in page.inner_text('#load'), name
        assert page.locator('#models tbody tr').count() > 0
        if self.is_mock:
            assert page.locator('.charts path.line').count() == 3 and 'queue is full' in page.inner_text('#errors')
        page.expected += ['ERR_', 'status of']
        page.route('**/status.json', lambda route: route.abort())
        page.wait_for_selector('.state.down')
        page.unroute('**/status.json')
        page.wait_for_selector('.state:not(.down)')
        self.close(page)


# Every text in view against the ground behind it (WCAG 2.2, 1.4.3): the texts below 4.5.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const luminance = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255]; };
  const low = [];
  document.querySelectorAll('dialog').forEach((dialog) => dialog.show());
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${e.textContent.slice(0, 40)}`);
  }
  return low;
})()"""


def main():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip('no playwright (pip install playwright)')
    server = None
    url = sys.argv[1] if len(sys.argv) > 1 else None
    if url is None:
        server = mock.serve(delay=0.005)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = 'http://127.0.0.1:%d/' % server.server_address[1]
    with sync_playwright() as playwright:
        program = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('google-chrome')
        try:
            browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
        except Exception as error:  # playwright has no narrower one
            skip('no Chromium (%s)' % str(error).split('\n')[0])
        checks = Checks(browser, url, server is not None, server)
        names = [name for name in vars(Checks) if name.startswith('check_')]
        only = os.environ.get('ONLY', '')
        failed = 0
        names = [name for name in names if only in name]
        for name in names:
            try:
                getattr(checks, name)()
                print('ok     ' + name[6:].replace('_', ' '), flush=True)
            except Exception:
                failed += 1
                print('FAILED ' + name[6:].replace('_', ' '), flush=True)
                traceback.print_exc()
        browser.close()
    print('%d of %d checks of the pages passed' % (len(names) - failed, len(names)))
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
