// Small choices that outlive the page, in localStorage; in memory where the browser forbids that.

const memory = new Map();

export function read(key, otherwise = null) {
  try {
    const text = localStorage.getItem('socle.' + key);
    return text === null ? otherwise : text;
  } catch {
    return memory.get(key) ?? otherwise;
  }
}

export function write(key, text) {
  try {
    if (text === null) localStorage.removeItem('socle.' + key);
    else localStorage.setItem('socle.' + key, text);
  } catch {
    memory.set(key, text);
  }
}

export function readObject(key) {
  try {
    const value = JSON.parse(read(key, '{}'));
    return value !== null && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

export function setTheme(theme) {
  write('theme', theme);
  dispatchEvent(new Event('socle:theme'));
}
