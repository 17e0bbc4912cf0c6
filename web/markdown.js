// Shows Markdown as elements, also while it is still being written. Blocks that are complete are shown once and left
// alone; only the last one is parsed and built again. The model's text becomes text nodes and a fixed set of elements:
// no HTML of it is ever interpreted.

import { parseBlocks } from './blocks.js';
import { parseInline } from './inline.js';
import { highlight } from './highlight.js';
import { copyButton, el } from './dom.js';
import { t } from './i18n.js';

export class Markdown {
  /** onSettled is given each complete block's element, once: what a screen reader is told while an answer grows. */
  constructor(container, onSettled = () => {}) {
    this.container = container;
    this.onSettled = onSettled;
    this.clear();
  }

  clear() {
    this.container.replaceChildren();
    this.text = '';
    this.settled = 0; // characters of the text whose blocks are final
    this.open = []; // [{ source, block, element }] of what follows
  }

  /** Shows `text`. Fast when it continues the text before. */
  update(text, finished = false) {
    if (text.includes('\r')) text = text.replace(/\r\n?/g, '\n');
    if (!text.startsWith(this.text)) this.clear();
    this.text = text;
    const tail = text.slice(this.settled);
    const starts = lineStarts(tail);
    const blocks = parseBlocks(tail);
    const shown = blocks.map((block, i) => {
      const end = i + 1 < blocks.length ? starts[blocks[i + 1].line] : tail.length;
      return this.show(block, tail.slice(starts[block.line], end), this.open[i]);
    });
    for (const { element } of this.open.slice(blocks.length)) element.remove();
    this.open = shown;
    this.settle(blocks, starts, finished);
  }

  show(block, source, before) {
    if (before?.source === source) return before;
    if (before && extendCode(before, block)) return { source, block, element: before.element };
    const element = blockElement(block);
    if (before) before.element.replaceWith(element);
    else this.container.append(element);
    return { source, block, element };
  }

  settle(blocks, starts, finished) {
    let n = blocks.length;
    // What the last line is may still change, and with it whether it ended the block before.
    if (!finished && n > 0) n -= blocks[n - 1].line === starts.length - 1 ? 2 : 1;
    if (n <= 0) return;
    for (const { block, element } of this.open.splice(0, n)) {
      if (block.kind === 'code') colour(element, block);
      this.onSettled(element);
    }
    this.settled = n < blocks.length ? this.settled + starts[blocks[n].line] : this.text.length;
  }
}

function lineStarts(text) {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Adds to a code block that grows, so that its button keeps the focus and its scrolling its place. */
function extendCode(before, block) {
  if (before.block.kind !== 'code' || block.kind !== 'code' || before.block.language !== block.language) return false;
  const code = before.element.querySelector('code');
  const shown = code.textContent;
  if (!block.text.startsWith(shown)) return false;
  code.append(block.text.slice(shown.length));
  return true;
}

function colour(element, block) {
  const parts = highlight(block.text, block.language);
  if (parts.length < 2) return;
  const code = element.querySelector('code');
  code.replaceChildren(...parts.map(({ kind, text }) => (kind ? el('span', { class: 'code-' + kind }, text) : text)));
}

function blockElement(block) {
  switch (block.kind) {
    case 'heading':
      // The page's own headings are h1 and h2: those of an answer come below. Answers begin with # or ## alike.
      return el('h' + Math.min(Math.max(block.level + 1, 3), 6), { class: 'h' + block.level }, inline(block.text));
    case 'code': return codeElement(block);
    case 'math': return el('pre', { class: 'math', tabindex: '0' }, block.text);
    case 'rule': return el('hr');
    case 'quote': return el('blockquote', {}, block.blocks.map(blockElement));
    case 'list': return listElement(block);
    case 'table': return tableElement(block);
    default: return el('p', {}, inline(block.text));
  }
}

function codeElement(block) {
  const code = el('code', {}, block.text);
  const label = block.language || t('code');
  return el('figure', { class: 'code' },
    el('figcaption', {}, el('span', {}, label),
      copyButton(t('copyCode'), t('copied'), () => code.textContent, { class: 'icon-button copy-code' })),
    // It may scroll sideways, so the keyboard must be able to reach it.
    el('pre', { tabindex: '0', 'aria-label': t('codeIn', { language: label }) }, code));
}

function listElement({ ordered, start, tight, items }) {
  return el(ordered ? 'ol' : 'ul', { start: ordered && start !== 1 && start }, items.map((blocks) => {
    const task = /^\[([ xX])\] /.exec(blocks[0]?.text ?? '');
    if (task) blocks[0] = { ...blocks[0], text: blocks[0].text.slice(4) };
    const children = blocks.map((block) =>
      (tight && block.kind === 'paragraph' ? el('span', {}, inline(block.text)) : blockElement(block)));
    if (!task) return el('li', {}, children);
    const done = task[1] !== ' ';
    return el('li', { class: 'task' }, el('span', { role: 'img', 'aria-label': t(done ? 'taskDone' : 'taskOpen') },
      done ? '☑' : '☐'), ' ', children);
  }));
}

function tableElement({ align, head, rows }) {
  const cell = (tag, text, i) =>
    el(tag, { class: align[i] && 'align-' + align[i], scope: tag === 'th' && 'col' }, inline(text));
  return el('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': t('table') },
    el('table', {}, el('thead', {}, el('tr', {}, head.map((text, i) => cell('th', text, i)))),
      el('tbody', {}, rows.map((row) => el('tr', {}, row.map((text, i) => cell('td', text, i)))))));
}

const inline = (text) => parseInline(text).map(inlineElement);

function inlineElement(node) {
  if (typeof node === 'string') return node;
  switch (node.kind) {
    case 'code': return el('code', {}, node.text);
    case 'math': return el('code', { class: 'math' }, node.text);
    case 'break': return el('br');
    case 'link':
      return el('a', { href: node.href, rel: 'noopener noreferrer', target: '_blank', title: node.href },
        node.children.map(inlineElement));
    default: return el(node.kind, {}, node.children.map(inlineElement));
  }
}
