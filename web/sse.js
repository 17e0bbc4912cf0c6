// Server-sent events from the body of a fetch (WHATWG HTML, 9.2.6 "Interpreting an event stream"): yields the data of
// each event. EventSource cannot be used, as it sends no POST.

export async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      if (done && rest !== '') rest += '\n\n'; // an end without a blank line still ends the last event
      const lines = rest.split(/\r\n|\n|\r(?!$)/); // a \r at the very end may be half of \r\n
      rest = lines.pop();
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n');
          data = [];
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5));
        } // comments (keep-alives) and other fields say nothing to us
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops reading early also stops the server
  }
}
