// What can be said about an answer: model, tokens, time and the sampling that repeats it.

import { openDialog } from './dialogs.js';
import { copyButton, el } from './dom.js';
import { speedOf } from './generate.js';
import { duration, moment, number, rate, t } from './i18n.js';
import { samplingRows } from './settings.js';
import { messagesUpTo } from './tree.js';

const ENDED = {
  stop: 'endedStop', length: 'endedLength', tool_calls: 'endedTools', aborted: 'endedAborted', error: 'endedError',
};

export function showDetails(dialog, conversation, node) {
  const { usage, timing } = node;
  const speed = speedOf(node);
  const rows = [
    [t('model'), node.model],
    [t('time'), moment(node.created / 1000)],
    usage && [t('promptTokens'),
      number(usage.prompt) + (usage.cached ? ` (${t('ofThemCached', { n: usage.cached })})` : '')],
    usage && [t('generatedTokens'), number(usage.completion)],
    timing && [t('firstToken'), duration(timing.first)],
    speed > 0 && [t('speed'), t('tokensPerSecond', { rate: rate(speed) })],
    node.finish && [t('ended'), t(ENDED[node.finish] ?? node.finish)],
    ...samplingRows(node.request),
  ].filter(Boolean);
  const messages = messagesUpTo(conversation, node.parent);
  const request = () => JSON.stringify({ model: node.model, messages, ...node.request }, null, 2);
  dialog.querySelector('dl').replaceChildren(
    ...rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  dialog.querySelector('.copy-request').replaceChildren(
    copyButton(t('copyRequest'), t('copied'), request), el('span', {}, t('copyRequest')));
  return openDialog(dialog);
}
