// Builds elements. Text always becomes text nodes: nothing in these pages is ever parsed as HTML.

const SVG = 'http://www.w3.org/2000/svg';

// Strokes on a grid of 24, two wide.
const ICONS = {
  plus: 'M12 5v14M5 12h14',
  panel: 'M5 5h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM9.5 5v14',
  send: 'M12 19V6M6 11.5 12 5.5l6 6',
  stop: 'M8 8h8v8H8z',
  copy: 'M9 9h10v11H9zM15 9V5H5v11h4',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  pencil: 'M5 19h3L18.5 8.5l-3-3L5 16zM13.5 7.5l3 3',
  again: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4',
  left: 'm14.5 6-6 6 6 6',
  right: 'm9.5 6 6 6-6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  sliders: 'M4 8h9M19 8h1M4 16h1M11 16h9M13 8a3 3 0 1 0 6 0 3 3 0 1 0-6 0M5 16a3 3 0 1 0 6 0 3 3 0 1 0-6 0',
  chart: 'M4 19h16M7 16v-5M12 16V6M17 16v-8',
  search: 'M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 1 0 0-13M16 16l4 4',
  info: 'M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16M12 11.5v4.5M12 8h.01',
  close: 'M6 6l12 12M18 6 6 18',
  keyboard: 'M3 7h18v10H3zM7 10.5h.01M11 10.5h.01M15 10.5h.01M17.5 10.5h.01M8 14h8',
  tool: 'M14.5 6.5a4 4 0 0 0-5 5L4.5 16.5l3 3 5-5a4 4 0 0 0 5-5l-2.5 2.5-2.5-.5-.5-2.5z',
  chat: 'M5 5h14v11h-8l-4 4v-4H5z',
};

/**
 * An element with attributes and children. `class`, `on: {event: listener}` and `data: {name: value}` are understood;
 * false, null and undefined leave an attribute or a child out.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat()) {
    if (child === false || child === null || child === undefined) continue;
    element.append(child); // strings become text nodes
  }
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return append(element, children);
}

export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));
}

/** A button that shows only an icon; its label is its tooltip and its name for screen readers. */
export function iconButton(name, label, onClick, attributes = {}) {
  return el('button', {
    type: 'button', class: 'icon-button', title: label, 'aria-label': label, on: { click: onClick }, ...attributes,
  }, icon(name));
}

/** Gives the icon it names to each element of the page with data-icon. */
export function drawIcons(root = document) {
  for (const element of root.querySelectorAll('[data-icon]')) element.prepend(icon(element.dataset.icon));
}

/** Copies text; on plain http, where browsers offer no clipboard, by way of a selection. Resolves to success. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = el('textarea', { class: 'visually-hidden', value: text, 'aria-hidden': 'true' });
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return done;
  }
}

/** A button that copies what `text()` returns and says so for two seconds. */
export function copyButton(label, copiedLabel, text, attributes = {}) {
  const button = iconButton('copy', label, async () => {
    if (!(await copyText(text()))) return;
    button.replaceChildren(icon('check'));
    button.classList.add('copied');
    button.title = copiedLabel;
    button.setAttribute('aria-label', copiedLabel);
    setTimeout(() => {
      button.replaceChildren(icon('copy'));
      button.classList.remove('copied');
      button.title = label;
      button.setAttribute('aria-label', label);
    }, 2000);
  }, attributes);
  return button;
}

/** A name that no other has. crypto.randomUUID exists only on https, so: 128 random bits. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
