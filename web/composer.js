// The field at the foot of the page: grows with its text, keeps a draft for each conversation, sends and stops.

import { grow } from './message.js';

export class Composer {
  /** `actions`: send(text), stop(), editLast() → whether there was a message to edit. */
  constructor({ form, field, send, stop }, actions) {
    Object.assign(this, { form, field, sendButton: send, stopButton: stop, actions });
    this.drafts = new Map();
    this.key = '';
    this.running = false;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    stop.addEventListener('click', () => {
      actions.stop();
      field.focus();
    });
    field.addEventListener('input', () => this.changed());
    field.addEventListener('keydown', (event) => {
      if (event.isComposing) return; // Enter there chooses a word
      if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey) this.send();
      else if (event.key === 'ArrowUp' && field.value === '' && !event.altKey && actions.editLast()) { /* done */ }
      else return;
      event.preventDefault();
    });
    this.changed();
  }

  send() {
    const text = this.field.value.trim();
    if (text === '' || this.running) return;
    this.field.value = '';
    this.changed();
    this.actions.send(text);
  }

  changed() {
    this.drafts.set(this.key, this.field.value);
    this.sendButton.disabled = this.field.value.trim() === '';
    grow(this.field);
  }

  setText(text) {
    this.field.value = text;
    this.changed();
    this.field.focus();
  }

  /** Changes to the draft of another conversation. */
  open(key) {
    if (key === this.key) return;
    this.key = key;
    this.field.value = this.drafts.get(key) ?? '';
    this.changed();
  }

  setRunning(running) {
    this.running = running;
    const focused = [this.sendButton, this.stopButton].includes(document.activeElement);
    this.sendButton.hidden = running;
    this.stopButton.hidden = !running;
    if (focused) this.field.focus(); // the button that had it is hidden now
  }

  focus() {
    this.field.focus();
  }
}
