// One message on the page: a question, an answer with its reasoning and tool calls, or a tool's result.

import { copyButton, el, icon, iconButton } from './dom.js';
import { errorText } from './errors.js';
import { speedOf } from './generate.js';
import { duration, number, rate, t } from './i18n.js';
import { Markdown } from './markdown.js';

export class MessageView {
  /**
   * `actions`: select(node, the arrow used), edit(node, text), regenerate(node), details(node), answerTools(node, results),
   * hold() (do not scroll to the end), announce(text).
   */
  constructor({ node, siblings }, isLast, actions) {
    this.node = node;
    this.siblings = siblings;
    this.isLast = isLast;
    this.actions = actions;
    this.element = el('article', { class: `message ${node.role}`, tabindex: '-1', data: { id: node.id } },
      el('h2', { class: 'visually-hidden' }, t({ user: 'you', tool: 'toolResult' }[node.role] ?? 'answer')));
    if (node.role === 'user') this.buildQuestion();
    else if (node.role === 'tool') this.element.append(toolResult(node));
    else this.buildAnswer();
  }

  /** What makes a view out of date besides its node's own growth. */
  static key({ node, siblings }, isLast) {
    const waits = isLast && node.toolCalls?.length > 0 && !node.live; // only the last answer's tools can be answered
    return [node.id, siblings.map((sibling) => sibling.id), waits].join();
  }

  buildQuestion() {
    const { node } = this;
    this.bubble = el('div', { class: 'bubble' }, node.content);
    this.footer = el('div', { class: 'actions' },
      branches(this),
      copyButton(t('copy'), t('copied'), () => node.content),
      iconButton('pencil', t('edit'), () => this.beginEdit(), { class: 'icon-button edit' }));
    this.element.append(this.bubble, this.footer);
  }

  beginEdit() {
    const { node } = this;
    this.actions.hold();
    const area = el('textarea', { value: node.content, 'aria-label': t('editMessage'), rows: 3 });
    const end = () => {
      form.replaceWith(this.bubble);
      this.footer.hidden = false;
      this.footer.querySelector('.edit').focus();
    };
    const send = () => {
      const text = area.value.trim();
      end();
      if (text !== '') this.actions.edit(node, text);
    };
    const form = el('div', { class: 'edit-form' }, area, el('p', { class: 'hint' }, t('editHint')),
      el('div', { class: 'buttons' },
        el('button', { type: 'button', class: 'button', on: { click: end } }, t('cancel')),
        el('button', { type: 'button', class: 'button primary save', on: { click: send } }, t('send'))));
    area.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') end();
      else if (event.key === 'Enter' && !event.shiftKey) send();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    area.addEventListener('input', () => grow(area));
    this.bubble.replaceWith(form);
    this.footer.hidden = true;
    area.focus();
    grow(area);
  }

  buildAnswer() {
    this.reasoning = el('div', { class: 'markdown' });
    this.reasoningLabel = el('span');
    this.thoughts = el('details', { class: 'reasoning', hidden: true },
      el('summary', {}, this.reasoningLabel), this.reasoning);
    this.thoughts.addEventListener('toggle', () => this.update()); // what is folded is not built
    this.waiting = el('p', { class: 'waiting', hidden: true }, el('span', { class: 'dots', 'aria-hidden': 'true' },
      el('i'), el('i'), el('i')), t('waiting'));
    this.body = el('div', { class: 'markdown body' });
    this.tools = el('div', { class: 'tools' });
    this.notice = el('div', { class: 'notices' });
    this.footer = el('div', { class: 'actions' });
    this.element.append(this.thoughts, this.waiting, this.body, this.tools, this.notice, this.footer);
    this.reasoningText = new Markdown(this.reasoning);
    this.text = new Markdown(this.body, (block) => {
      if (this.wasLive) this.actions.announce(block.textContent);
    });
    this.update();
  }

  /** Shows what the node says now. */
  update() {
    const { node } = this;
    if (node.role !== 'assistant') return;
    const live = node.live === true;
    this.wasLive ||= live;
    const hasReasoning = Boolean(node.reasoning);
    this.element.classList.toggle('live', live);
    this.element.setAttribute('aria-busy', live);
    this.waiting.hidden = !live || hasReasoning || node.content !== '' || node.toolCalls?.length > 0;
    this.thoughts.hidden = !hasReasoning;
    if (hasReasoning) this.updateReasoning(live);
    this.text.update(node.content, !live);
    this.updateTools(live);
    if (live) {
      this.notice.replaceChildren();
      this.footer.replaceChildren();
    } else if (!this.isFinal) {
      this.notice.replaceChildren(...notices(node, () => this.actions.regenerate(node)));
      this.buildFooter();
      if (this.isLast && node.toolCalls?.length && node.finish !== 'aborted') {
        this.notice.append(toolForm(node, this.actions.answerTools));
      }
    }
    this.isFinal = !live;
  }

  updateReasoning(live) {
    const { node } = this;
    const thinking = live && !node.reasoningSeconds;
    this.thoughts.classList.toggle('thinking', thinking);
    const seconds = node.reasoningSeconds ?? 0;
    const label = thinking ? t('thinking') : seconds < 1 ? t('reasoning') : t('thoughtFor', { time: duration(seconds) });
    if (this.reasoningLabel.textContent !== label) this.reasoningLabel.textContent = label;
    if (this.thoughts.open) this.reasoningText.update(node.reasoning, !live);
  }

  updateTools(live) {
    const calls = (this.node.toolCalls ?? []).filter(Boolean);
    calls.forEach((call, i) => {
      let card = this.tools.children[i];
      if (!card) {
        card = el('details', { class: 'tool', open: true },
          el('summary', {}, icon('tool'), el('span', {}, t('calls')), el('code', {})),
          el('pre', { tabindex: '0', 'aria-label': t('toolArguments') }));
        this.tools.append(card);
      }
      card.querySelector('summary code').textContent = call.name;
      const text = live ? call.arguments : pretty(call.arguments);
      if (card.querySelector('pre').textContent !== text) card.querySelector('pre').textContent = text;
    });
  }

  buildFooter() {
    const { node, actions } = this;
    const parts = [];
    if (node.usage) {
      parts.push(t('nTokens', { n: node.usage.completion }));
      const speed = speedOf(node);
      if (speed > 0) parts.push(t('tokensPerSecond', { rate: rate(speed) }));
    }
    this.footer.replaceChildren(
      ...[branches(this)].filter(Boolean),
      copyButton(t('copyAnswer'), t('copied'), () => node.content, { class: 'icon-button copy-answer' }),
      iconButton('again', t('regenerate'), () => actions.regenerate(node), { class: 'icon-button regenerate' }),
      iconButton('info', t('details'), () => actions.details(node), { class: 'icon-button details' }),
      el('span', { class: 'usage' }, parts.join(' · ')));
  }
}

/** ‹ 2/3 › between versions of a message. */
function branches({ node, siblings, actions }) {
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(node);
  const go = (by) => () => actions.select(siblings[at + by], by < 0 ? 'previous' : 'next');
  return el('span', { class: 'branches', role: 'group', 'aria-label': t('versions') },
    iconButton('left', t('previousVersion'), go(-1), { class: 'icon-button previous', disabled: at === 0 }),
    el('span', { role: 'img', 'aria-label': t('versionOf', { at: at + 1, n: siblings.length }) },
      `${number(at + 1)}/${number(siblings.length)}`),
    iconButton('right', t('nextVersion'), go(1), { class: 'icon-button next', disabled: at === siblings.length - 1 }));
}

function notices(node, retry) {
  const note = (text, kind = '', action = null) =>
    el('p', { class: `notice ${kind}`, role: kind === 'error' && 'alert' }, el('span', {}, text), action);
  const again = el('button', { type: 'button', class: 'button small', on: { click: retry } }, t('tryAgain'));
  if (node.error) return [note(errorText(node.error), 'error', again)];
  if (node.live === undefined && !node.finish) return [note(t('interrupted'), '', again)];
  if (node.finish === 'aborted') return [note(t('stopped'))];
  if (node.finish === 'length') return [note(t('reachedLimit'))];
  if (node.finish === 'content_filter') return [note(t('filtered'))];
  if (node.content === '' && !node.toolCalls?.length) return [note(t('emptyAnswer'), '', again)];
  return [];
}

function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json; // a model may write anything
  }
}

function toolResult(node) {
  return el('details', { class: 'tool', open: true },
    el('summary', {}, icon('tool'), el('span', {}, t('toolResult')), el('code', {}, node.name)),
    el('pre', { tabindex: '0', 'aria-label': t('toolResult') }, node.content));
}

/** This page runs no tools: whoever reads may write what a call gave, and the model goes on from there. */
function toolForm(node, answer) {
  const calls = node.toolCalls.filter(Boolean);
  const areas = calls.map(({ name }) =>
    el('textarea', { rows: 2, 'aria-label': t('resultOf', { name }), placeholder: t('resultOf', { name }) }));
  return el('div', { class: 'tool-form' }, el('p', { class: 'hint' }, t('toolHint')), areas,
    el('button', {
      type: 'button', class: 'button', on: { click: () => answer(node, areas.map((area) => area.value)) },
    }, t('sendResult')));
}

/** As high as its text, up to what the style sheet allows. */
export function grow(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
