// A small menu under a button: arrow keys, Home, End and Escape work, and the focus goes back to the button.

import { el } from './dom.js';

let close = null;

/** items: [{ label, danger, run }]. A second call with the same button closes the menu. */
export function toggleMenu(button, items) {
  const wasOpen = button.getAttribute('aria-expanded') === 'true';
  close?.();
  if (wasOpen) return;
  const entries = items.map(({ label, danger, run }) => el('button', {
    type: 'button', role: 'menuitem', tabindex: '-1', class: danger && 'danger',
    on: { click: () => { close(); run(); } },
  }, label));
  const menu = el('div', { class: 'menu', role: 'menu', 'aria-label': button.getAttribute('aria-label') }, entries);
  const outside = (event) => {
    if (!menu.contains(event.target) && !button.contains(event.target)) close();
  };
  close = () => {
    close = null;
    document.removeEventListener('pointerdown', outside);
    button.setAttribute('aria-expanded', 'false');
    if (menu.contains(document.activeElement)) button.focus();
    menu.remove();
  };
  menu.addEventListener('keydown', (event) => {
    const at = entries.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + entries.length, Home: 0, End: entries.length - 1 }[event.key];
    if (to !== undefined) entries[to % entries.length].focus();
    else if (event.key === 'Escape' || event.key === 'Tab') close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener('pointerdown', outside);
  button.setAttribute('aria-expanded', 'true');
  document.body.append(menu);
  place(menu, button.getBoundingClientRect());
  entries[0].focus();
}

function place(menu, button) {
  const { width, height } = menu.getBoundingClientRect();
  const below = button.bottom + 4 + height <= innerHeight;
  menu.style.left = `${Math.max(8, Math.min(button.left, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? button.bottom + 4 : Math.max(8, button.top - 4 - height)}px`;
}
