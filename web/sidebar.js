// The list of conversations: search, open, rename, export, delete.

import { el, icon } from './dom.js';
import { onLanguage, t } from './i18n.js';
import { toggleMenu } from './menu.js';

const DAY = 86_400_000;

export class Sidebar {
  /** `actions`: rename(conversation, title), exportOne(conversation), remove(conversation). */
  constructor({ list, search, count }, actions) {
    Object.assign(this, { list, search, count, actions });
    this.conversations = [];
    this.current = null;
    this.running = () => false;
    search.addEventListener('input', () => this.draw());
    search.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && search.value !== '') {
        search.value = '';
        this.draw();
        event.stopPropagation();
      } else if (event.key === 'ArrowDown' || event.key === 'Enter') {
        this.list.querySelector('a')?.[event.key === 'Enter' ? 'click' : 'focus']();
        event.preventDefault();
      }
    });
    list.addEventListener('keydown', (event) => this.arrow(event));
    onLanguage(() => this.draw());
  }

  show(conversations, current, running) {
    Object.assign(this, { conversations, current, running });
    this.draw();
  }

  draw() {
    const wanted = fold(this.search.value.trim());
    const found = this.conversations
      .filter((conversation) => wanted === '' || matches(conversation, wanted))
      .sort((a, b) => b.updated - a.updated);
    const focused = this.list.contains(document.activeElement) ? document.activeElement.closest('li')?.dataset.id : null;
    this.list.replaceChildren();
    let group = null;
    let items = null;
    for (const conversation of found) {
      const name = groupOf(conversation.updated);
      if (name !== group) {
        group = name;
        items = el('ul', { 'aria-label': t(name) });
        this.list.append(el('h2', {}, t(name)), items);
      }
      items.append(this.item(conversation));
    }
    if (found.length === 0) {
      this.list.append(el('p', { class: 'hint' }, t(wanted === '' ? 'noConversations' : 'noneFound')));
    }
    this.count.textContent = wanted === '' ? '' : t('nFound', { n: found.length });
    if (focused) this.list.querySelector(`li[data-id="${focused}"] a`)?.focus();
  }

  item(conversation) {
    const title = conversation.title || t('untitled');
    const more = el('button', {
      type: 'button', class: 'icon-button more', 'aria-haspopup': 'menu', 'aria-expanded': 'false',
      title: t('more'), 'aria-label': t('moreFor', { title }),
      on: { click: () => toggleMenu(more, [
        { label: t('rename'), run: () => this.beginRename(item, conversation) },
        { label: t('export'), run: () => this.actions.exportOne(conversation) },
        { label: t('delete'), danger: true, run: () => this.actions.remove(conversation) },
      ]) },
    }, icon('more'));
    const item = el('li', { data: { id: conversation.id } },
      el('a', { href: '#' + conversation.id, title, 'aria-current': conversation === this.current && 'page' },
        el('span', {}, title),
        this.running(conversation) && el('i', { class: 'running', role: 'img', 'aria-label': t('answering') })),
      more);
    return item;
  }

  beginRename(item, conversation) {
    const field = el('input', { type: 'text', value: conversation.title, 'aria-label': t('rename'), maxlength: 200 });
    let ended = false;
    const end = (keep) => {
      if (ended) return;
      ended = true;
      if (keep && field.value.trim() !== '') this.actions.rename(conversation, field.value.trim());
      this.draw();
      this.list.querySelector(`li[data-id="${conversation.id}"] a`)?.focus();
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') end(true);
      else if (event.key === 'Escape') end(false);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.addEventListener('blur', () => end(true));
    item.replaceChildren(field);
    field.focus();
    field.select();
  }

  arrow(event) {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp' || event.target.matches('input')) return;
    const links = [...this.list.querySelectorAll('a')];
    const at = links.indexOf(event.target.closest('li')?.querySelector('a'));
    const next = links[at + (event.key === 'ArrowDown' ? 1 : -1)];
    (next ?? (at === 0 ? this.search : null))?.focus();
    event.preventDefault();
  }
}

/** Without case and accents, as people search. */
function fold(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

function matches(conversation, wanted) {
  return fold(conversation.title).includes(wanted)
    || Object.values(conversation.nodes).some((node) => fold(node.content).includes(wanted));
}

function groupOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return 'today';
  if (time >= midnight - DAY) return 'yesterday';
  if (time >= midnight - 7 * DAY) return 'lastWeek';
  return 'earlier';
}
