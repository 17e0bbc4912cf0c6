// The blocks of Markdown, as models write it: a plain tree that markdown.js shows. Every line is looked at a bounded
// number of times for each level of nesting, and nesting is bounded, so time is linear in the text.
//
//   { kind: 'paragraph' | 'heading' (level), text }           text is inline Markdown, see inline.js
//   { kind: 'code', language, text, closed } · { kind: 'math', text } · { kind: 'rule' }
//   { kind: 'quote', blocks } · { kind: 'list', ordered, start, tight, items: [blocks] }
//   { kind: 'table', align: ['left' | 'center' | 'right' | ''], head: [text], rows: [[text]] }
//
// Each has `line`, the line it begins at. What is left of CommonMark out of choice: indented code, setext headings and
// HTML, which models do not mean when they write what looks like them.

const MAX_DEPTH = 12;

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])([ \t]+|$)/;
const MATH_OPEN = /^\s*(\$\$|\\\[)/;
const BLANK = /^\s*$/;

export function parseBlocks(text) {
  return parseLines(text.split('\n'), 0);
}

function parseLines(lines, depth) {
  const blocks = [];
  let i = 0;
  while (i < lines.length) {
    if (BLANK.test(lines[i])) {
      i++;
      continue;
    }
    const [block, next] = parseBlock(lines, i, depth);
    block.line = i;
    blocks.push(block);
    i = next;
  }
  return blocks;
}

function parseBlock(lines, i, depth) {
  const line = lines[i];
  let match;
  if ((match = FENCE.exec(line))) return parseFence(lines, i, match);
  if (HEADING.test(line)) return [parseHeading(line), i + 1];
  if (RULE.test(line)) return [{ kind: 'rule' }, i + 1];
  if (depth < MAX_DEPTH && QUOTE.test(line)) return parseQuote(lines, i, depth);
  if (depth < MAX_DEPTH && ITEM.test(untabbed(line))) return parseList(lines, i, depth);
  if ((match = MATH_OPEN.exec(line))) return parseMath(lines, i, match[1]);
  if (startsTable(lines, i)) return parseTable(lines, i, depth);
  let end = i + 1;
  while (end < lines.length && !BLANK.test(lines[end]) && !interrupts(lines, end, depth)) end++;
  return [{ kind: 'paragraph', text: lines.slice(i, end).map((part) => part.trimStart()).join('\n').trimEnd() }, end];
}

/** Whether a line ends the paragraph before it. A number does so only if a list can begin with it. */
function interrupts(lines, i, depth) {
  const line = lines[i];
  if (FENCE.test(line) || HEADING.test(line) || RULE.test(line) || MATH_OPEN.test(line)) return true;
  if (depth >= MAX_DEPTH) return startsTable(lines, i);
  const item = ITEM.exec(untabbed(line));
  if (item && item[3] !== '' && (!/\d/.test(item[2]) || parseInt(item[2], 10) === 1)) return true;
  return QUOTE.test(line) || startsTable(lines, i);
}

function untabbed(line) {
  return line[0] === '\t' || line[0] === ' ' ? line.replace(/^[ \t]+/, (space) => space.replaceAll('\t', '    ')) : line;
}

function indentOf(line) {
  let n = 0;
  while (line[n] === ' ') n++;
  return n;
}

function parseFence(lines, i, match) {
  const [, fence, info] = match;
  const indent = indentOf(lines[i]);
  const text = [];
  let end = i + 1;
  let closed = false;
  for (; end < lines.length && !closed; end++) {
    const bare = lines[end].trim();
    closed = bare.length >= fence.length && bare[0] === fence[0] && bare === fence[0].repeat(bare.length);
    if (!closed) text.push(lines[end].slice(Math.min(indent, indentOf(lines[end]))));
  }
  return [{ kind: 'code', language: /^[\w.+#-]{0,30}/.exec(info)[0], text: text.join('\n'), closed }, end];
}

function parseHeading(line) {
  const match = HEADING.exec(line);
  let text = line.slice(match[0].length).trim();
  let end = text.length;
  while (text[end - 1] === '#') end--;
  if (end < text.length && (end === 0 || text[end - 1] === ' ')) text = text.slice(0, end).trimEnd();
  return { kind: 'heading', level: match[1].length, text };
}

/** A formula is shown as it was written. It ends at its closing sign or at a blank line. */
function parseMath(lines, i, sign) {
  const closing = sign === '$$' ? '$$' : '\\]';
  const text = [];
  let end = i;
  for (; end < lines.length && !BLANK.test(lines[end]); end++) {
    const part = end === i ? lines[i].trimStart().slice(2) : lines[end];
    const at = part.indexOf(closing);
    text.push(at < 0 ? part : part.slice(0, at));
    if (at < 0) continue;
    const rest = part.slice(at + 2).trim();
    if (rest !== '') text.push(rest); // text after a formula on its line: kept beside it
    end++;
    break;
  }
  return [{ kind: 'math', text: text.join('\n').trim() }, end];
}

function parseQuote(lines, i, depth) {
  const inner = [];
  let end = i;
  for (; end < lines.length; end++) {
    const line = lines[end];
    if (QUOTE.test(line)) inner.push(line.replace(/^ {0,3}> ?/, ''));
    else if (!BLANK.test(line) && !BLANK.test(inner.at(-1)) && !interrupts(lines, end, depth)) inner.push(line);
    else break;
  }
  return [{ kind: 'quote', blocks: parseLines(inner, depth + 1) }, end];
}

function parseList(lines, i, depth) {
  const first = ITEM.exec(untabbed(lines[i]));
  const sign = first[2].at(-1); // a list of '-' ends where one of '*' begins
  const ordered = /\d/.test(first[2]);
  const list = { kind: 'list', ordered, start: ordered ? parseInt(first[2], 10) : 1, tight: true, items: [] };
  let item = null;
  let content = 0; // columns taken away from an item's lines
  let least = 0; // columns that make a line part of the item: models indent by two where CommonMark asks for three
  let blanks = 0;
  let end = i;
  const close = () => {
    if (item) list.items.push(parseLines(item, depth + 1));
  };
  for (; end < lines.length; end++) {
    const line = untabbed(lines[end]);
    if (BLANK.test(line)) {
      blanks++;
      continue;
    }
    const indent = indentOf(line);
    const match = ITEM.exec(line);
    if (item && indent >= least) {
      for (; blanks > 0; blanks--) item.push('');
      item.push(line.slice(Math.min(indent, content)));
    } else if (match && match[2].at(-1) === sign && !RULE.test(line)) {
      if (item && blanks > 0) list.tight = false;
      close();
      blanks = 0;
      least = match[1].length + 2;
      content = match[1].length + match[2].length + (match[3].length > 4 ? 1 : Math.max(match[3].length, 1));
      item = [line.slice(content)];
    } else if (blanks === 0 && item && !interrupts(lines, end, depth) && !match) {
      item.push(line.trimStart()); // a paragraph's line that was not indented
    } else {
      break;
    }
  }
  close();
  if (list.items.some((blocks) => blocks.filter((block) => block.kind === 'paragraph').length > 1)) list.tight = false;
  return [list, end - blanks];
}

function startsTable(lines, i) {
  if (!lines[i].includes('|') || i + 1 >= lines.length) return false;
  const align = alignments(lines[i + 1]);
  return align !== null && align.length === cells(lines[i]).length;
}

function alignments(line) {
  if (!/^[ \t|:-]+$/.test(line) || !line.includes('-')) return null;
  const parts = cells(line);
  if (!parts.every((part) => /^:?-+:?$/.test(part))) return null;
  return parts.map((part) => {
    const right = part.endsWith(':');
    if (part.startsWith(':')) return right ? 'center' : 'left';
    return right ? 'right' : '';
  });
}

function cells(line) {
  const parts = [];
  let part = '';
  const row = line.trim();
  for (let i = row[0] === '|' ? 1 : 0; i < row.length; i++) {
    if (row[i] === '\\' && row[i + 1] === '|') part += row[++i];
    else if (row[i] === '|') {
      parts.push(part.trim());
      part = '';
    } else part += row[i];
  }
  if (part.trim() !== '' || !row.endsWith('|')) parts.push(part.trim());
  return parts;
}

function parseTable(lines, i, depth) {
  const align = alignments(lines[i + 1]);
  const table = { kind: 'table', align, head: cells(lines[i]), rows: [] };
  let end = i + 2;
  for (; end < lines.length && !BLANK.test(lines[end]) && !interrupts(lines, end, depth); end++) {
    const row = cells(lines[end]).slice(0, align.length);
    while (row.length < align.length) row.push('');
    table.rows.push(row);
  }
  return [table, end];
}
