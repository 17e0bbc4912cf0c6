// What went wrong, in the reader's language, and what the server said about it.

import { t } from './i18n.js';

const KNOWN = {
  401: 'errorKey', 403: 'errorForbidden', 404: 'errorNotFound', 413: 'errorTooLong', 429: 'errorBusy',
  503: 'errorUnavailable',
};

/** The sentence for an ApiError, or for what is kept of one: { status, message, code }. */
export function errorText({ status, message, code }) {
  if (code === 'ended_early') return t('errorEnded');
  if (status === 0 && code !== 'in_stream') return t('errorNetwork');
  const text = KNOWN[status] ? t(KNOWN[status]) : status ? t('errorStatus', { status: String(status) }) : t('errorFailed');
  return text + (message ? ` (${message})` : '');
}
