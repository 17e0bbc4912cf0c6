// Markdown inside a paragraph: text to a list of strings and nodes
//
//   { kind: 'strong' | 'em' | 'del', children } · { kind: 'code' | 'math', text } · { kind: 'break' }
//   { kind: 'link', href, children }
//
// One pass, left to right. Signs that may open something wait on a stack of their own kind, so that each closing sign
// looks at one place only; what a pair encloses is moved into its node once. So time is linear in the text.

const SPECIAL = /[\\\x60*_~[\]!<\n]|https?:\/\//g;
const PUNCTUATION = /[!-/:-@[-\x60{-~]/;
const TICK = '\x60';
const WORD = /[\p{L}\p{N}]/u;
const SPACE = /\s/;
const MAX_DEPTH = 16;
const MAX_ADDRESS = 1000;

export function parseInline(text) {
  const parser = new Parser(text);
  return parser.run();
}

/** An address that a link may lead to, or null: anything but http, https and mailto stays text. */
export function safeAddress(address) {
  if (!/^(https?:\/\/|mailto:)[^\s]/i.test(address)) return null;
  try {
    const url = new URL(address);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

class Parser {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.out = []; // strings, nodes, and waiting signs { sign, count, canOpen } or { bracket }
    this.openers = { '*': [], _: [], '~': [] }; // places in `out`
    this.brackets = [];
    this.ticks = null; // length of a run of backticks → its places, last first
    this.noFormula = false;
  }

  run() {
    const { text } = this;
    while (this.at < text.length) {
      SPECIAL.lastIndex = this.at;
      const match = SPECIAL.exec(text);
      if (!match) {
        this.out.push(text.slice(this.at));
        break;
      }
      if (match.index > this.at) this.out.push(text.slice(this.at, match.index));
      this.at = match.index;
      this.special(match[0]);
    }
    return settle(this.out);
  }

  special(sign) {
    if (sign === '\\') this.backslash();
    else if (sign === TICK) this.code();
    else if (sign === '\n') this.newline();
    else if (sign === '<') this.angle();
    else if (sign === '[' || sign === '!') this.openBracket(sign);
    else if (sign === ']') this.closeBracket();
    else if (sign.startsWith('http')) this.bareAddress();
    else this.emphasis(sign);
  }

  literal(n = 1) {
    this.out.push(this.text.slice(this.at, this.at + n));
    this.at += n;
  }

  backslash() {
    const next = this.text[this.at + 1];
    if (next === '(' && !this.noFormula) {
      const end = this.text.indexOf('\\)', this.at + 2);
      if (end >= 0) {
        this.out.push({ kind: 'math', text: this.text.slice(this.at + 2, end).trim() });
        this.at = end + 2;
        return;
      }
      this.noFormula = true; // none further on either: look no more
    }
    if (next === '\n') {
      this.out.push({ kind: 'break' });
      this.at += 2;
    } else if (next !== undefined && PUNCTUATION.test(next)) {
      this.out.push(next);
      this.at += 2;
    } else this.literal();
  }

  newline() {
    // Models that write lines mean lines: a single newline is kept.
    const last = this.out.at(-1);
    if (typeof last === 'string') this.out[this.out.length - 1] = last.trimEnd();
    this.out.push({ kind: 'break' });
    this.at++;
    while (this.text[this.at] === ' ') this.at++;
  }

  code() {
    const { text } = this;
    if (this.ticks === null) {
      this.ticks = new Map();
      for (const run of text.matchAll(/\x60+/g)) {
        if (!this.ticks.has(run[0].length)) this.ticks.set(run[0].length, []);
        this.ticks.get(run[0].length).push(run.index);
      }
      for (const places of this.ticks.values()) places.reverse();
    }
    let n = 1;
    while (text[this.at + n] === TICK) n++;
    const places = this.ticks.get(n) ?? [];
    while (places.length > 0 && places.at(-1) < this.at + n) places.pop();
    if (places.length === 0) {
      this.literal(n);
      return;
    }
    const end = places.at(-1);
    let inside = text.slice(this.at + n, end).replaceAll('\n', ' ');
    if (inside.length > 2 && inside[0] === ' ' && inside.at(-1) === ' ' && inside.trim() !== '') inside = inside.slice(1, -1);
    this.out.push({ kind: 'code', text: inside });
    this.at = end + n;
  }

  angle() {
    const rest = this.text.slice(this.at, this.at + MAX_ADDRESS);
    const line = /^<br\s{0,8}\/?>/i.exec(rest);
    if (line) {
      this.out.push({ kind: 'break' });
      this.at += line[0].length;
      return;
    }
    const link = /^<((?:https?:\/\/|mailto:)[^\s<>]*)>/i.exec(rest);
    const href = link && safeAddress(link[1]);
    if (!href) {
      this.literal();
      return;
    }
    this.out.push({ kind: 'link', href, children: [link[1].replace(/^mailto:/i, '')] });
    this.at += link[0].length;
  }

  openBracket(sign) {
    const width = sign === '!' ? 2 : 1;
    if (sign === '!' && this.text[this.at + 1] !== '[') {
      this.literal();
      return;
    }
    this.brackets.push(this.out.length);
    this.out.push({ bracket: this.text.slice(this.at, this.at + width) });
    this.at += width;
  }

  closeBracket() {
    const place = this.brackets.pop();
    if (place === undefined || this.text[this.at + 1] !== '(') {
      this.literal();
      return;
    }
    const address = this.destination(this.at + 2);
    const href = address && safeAddress(address.text);
    if (!href) {
      this.literal();
      return;
    }
    this.dropAfter(place);
    const children = settle(this.out.splice(place + 1));
    // An image would be an outside request: it becomes a link to it.
    this.out[place] = { kind: 'link', href, children: withoutLinks(children.length > 0 ? children : [address.text]) };
    this.brackets.length = 0; // no link in a link
    this.at = address.end;
  }

  /** `address "title")` from `start` on: its text and where it ends, or null. */
  destination(start) {
    const rest = this.text.slice(start, start + MAX_ADDRESS);
    let depth = 0;
    for (let i = 0; i < rest.length; i++) {
      if (rest[i] === '(') depth++;
      else if (rest[i] === ')' && depth-- === 0) return { text: rest.slice(0, i).replace(/^<|>$/g, ''), end: start + i + 1 };
      else if (SPACE.test(rest[i])) {
        const title = /^[ \n]{1,8}(?:"[^"]{0,500}"|'[^']{0,500}') {0,8}\)/.exec(rest.slice(i));
        return title && { text: rest.slice(0, i).replace(/^<|>$/g, ''), end: start + i + title[0].length };
      }
    }
    return null;
  }

  bareAddress() {
    const rest = this.text.slice(this.at, this.at + MAX_ADDRESS);
    let [address] = /^https?:\/\/[^\s<>"\x60\]*]*/.exec(rest);
    address = address.replace(/[.,;:!?'_~]+$/, '');
    while (address.endsWith(')') && address.split(')').length > address.split('(').length) address = address.slice(0, -1);
    const href = WORD.test(this.text[this.at - 1] ?? '') ? null : safeAddress(address);
    if (href) this.out.push({ kind: 'link', href, children: [address] });
    else this.out.push(address);
    this.at += address.length;
  }

  emphasis(sign) {
    const { text } = this;
    let count = 1;
    while (text[this.at + count] === sign) count++;
    const before = text[this.at - 1] ?? ' ';
    const after = text[this.at + count] ?? ' ';
    this.at += count;
    const leftSpace = SPACE.test(before);
    const rightSpace = SPACE.test(after);
    const isMark = (c) => !WORD.test(c) && !SPACE.test(c) && c !== sign;
    let canOpen = !rightSpace && (!isMark(after) || leftSpace || isMark(before));
    let canClose = !leftSpace && (!isMark(before) || rightSpace || isMark(after));
    if (sign === '_') [canOpen, canClose] = [canOpen && !WORD.test(before), canClose && !WORD.test(after)];
    if (/\d/.test(before) && /\d/.test(after)) canOpen = canClose = false; // 2*3*4 is a product
    if (sign === '~' && count < 2) canOpen = canClose = false;
    if (canClose) count = this.close(sign, count, canOpen);
    if (count === 0) return;
    if (canOpen) this.openers[sign].push(this.out.length);
    this.out.push({ sign, count });
  }

  /** Pairs a closing run of signs with those that opened; what is left of the run. */
  close(sign, count, canOpen) {
    const stack = this.openers[sign];
    const least = sign === '~' ? 2 : 1;
    while (count >= least && stack.length > 0) {
      const place = stack.at(-1);
      const opener = this.out[place];
      // CommonMark's rule of three: `*a**b*` is not `*a*` `*b*`.
      if (canOpen && (opener.count + count) % 3 === 0 && count % 3 !== 0 && sign !== '~') break;
      this.dropAfter(place);
      const width = opener.count >= 2 && count >= 2 ? 2 : 1;
      const children = settle(this.out.splice(place + 1));
      const depth = 1 + children.reduce((deepest, child) => Math.max(deepest, child.depth ?? 0), 0);
      if (depth > MAX_DEPTH || children.length === 0) {
        for (const child of children) this.out.push(child);
        stack.pop();
        break;
      }
      this.out.push({ kind: sign === '~' ? 'del' : width === 2 ? 'strong' : 'em', children, depth });
      opener.count -= width;
      count -= width;
      if (opener.count < least) {
        stack.pop();
        if (opener.count === 0) this.out.splice(place, 1);
      }
    }
    return count;
  }

  /** Signs after a place no longer open anything: what they are in is closed. */
  dropAfter(place) {
    for (const stack of [...Object.values(this.openers), this.brackets]) while (stack.at(-1) > place) stack.pop();
  }
}

/** Waiting signs that found no partner become text, and neighbouring texts one. */
function settle(items) {
  const out = [];
  for (const item of items) {
    const value = item.bracket ?? (item.sign ? item.sign.repeat(item.count) : item);
    if (typeof value === 'string' && typeof out.at(-1) === 'string') out[out.length - 1] += value;
    else if (value !== '') out.push(value);
  }
  return out;
}

function withoutLinks(children) {
  return children.flatMap((child) => (child.kind === 'link' ? child.children : [child]));
}
