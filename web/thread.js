// The messages of the conversation in view: what is shown, kept at the end while it grows, and told to screen readers.

import { el } from './dom.js';
import { onLanguage, t } from './i18n.js';
import { MessageView } from './message.js';
import { path } from './tree.js';

const NEAR = 60; // pixels from the end that still count as the end

export class Thread {
  /** scroller: the element that scrolls; list: where messages go; live: the live region; jump: button to the end. */
  constructor({ scroller, list, live, jump }, actions) {
    Object.assign(this, { scroller, list, live, jump });
    this.actions = { ...actions, announce: (text) => this.announce(text), hold: () => { this.follow = false; } };
    this.views = new Map();
    this.conversation = null;
    this.follow = true;
    this.lastTop = 0;
    this.nextFrame = 0;
    this.notBefore = 0;
    scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    jump.addEventListener('click', () => {
      this.toEnd();
      this.list.lastElementChild?.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.follow && this.toEnd()).observe(list);
    onLanguage(() => this.refresh());
  }

  /** Shows a conversation's messages in view; views that are still right are kept. */
  show(conversation) {
    if (conversation !== this.conversation) {
      this.views.clear();
      this.follow = true;
    }
    this.conversation = conversation;
    const steps = conversation ? path(conversation) : [];
    const views = new Map();
    steps.forEach((step, i) => {
      const isLast = i === steps.length - 1;
      const key = MessageView.key(step, isLast);
      const view = this.views.get(key) ?? new MessageView(step, isLast, this.actions);
      view.isLast = isLast;
      views.set(key, view);
    });
    const elements = [...views.values()].map((view) => view.element);
    // Only what changed is moved, so that focus and selection stay.
    for (const element of [...this.list.children]) if (!elements.includes(element)) element.remove();
    elements.forEach((element, i) => {
      if (this.list.children[i] !== element) this.list.insertBefore(element, this.list.children[i] ?? null);
    });
    this.views = views;
    if (this.follow) this.toEnd();
  }

  /** Builds all views anew: another tab has changed what is in view. */
  refresh() {
    this.views.clear();
    this.show(this.conversation);
  }

  viewOf(node) {
    for (const view of this.views.values()) if (view.node === node) return view;
    return null;
  }

  /** A node has grown. Shown with the next frame, less often when showing takes long. */
  changed(node) {
    if (!node.live) {
      cancelAnimationFrame(this.nextFrame);
      this.nextFrame = 0;
      this.viewOf(node)?.update();
      return;
    }
    if (this.nextFrame) return;
    const draw = (now) => {
      if (now < this.notBefore) {
        this.nextFrame = requestAnimationFrame(draw);
        return;
      }
      this.nextFrame = 0;
      const begin = performance.now();
      this.viewOf(node)?.update();
      this.notBefore = performance.now() + 3 * (performance.now() - begin);
    };
    this.nextFrame = requestAnimationFrame(draw);
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight <= NEAR;
    if (atEnd) this.follow = true;
    else if (scrollTop < this.lastTop) this.follow = false; // the reader went up
    this.lastTop = scrollTop;
    this.jump.hidden = atEnd || this.follow;
  }

  toEnd() {
    this.follow = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.lastTop = this.scroller.scrollTop;
    this.jump.hidden = true;
  }

  /** Moves the focus to the message before or after the one that has it. */
  step(by) {
    const messages = [...this.list.children];
    const at = messages.indexOf(document.activeElement?.closest('.message'));
    const next = at < 0 ? messages.at(by < 0 ? -1 : 0) : messages[at + by];
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  }

  page(by) {
    this.scroller.scrollBy({ top: by * 0.85 * this.scroller.clientHeight });
  }

  announce(text) {
    this.live.append(el('p', {}, text.length > 1000 ? text.slice(0, 1000) + '…' : text));
    while (this.live.children.length > 20) this.live.firstElementChild.remove();
  }

  announceState(key) {
    this.announce(t(key));
  }
}
