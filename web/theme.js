// Sets the theme and the language of the document before its first paint: a classic script in the head, because a
// module would run too late and the page would flash. Other scripts change the choice in localStorage and dispatch
// "socle:theme" on the window.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const read = (key) => {
    try { return localStorage.getItem(key); } catch { return null; } // storage may be forbidden
  };
  const apply = () => {
    const choice = read('socle.theme');
    const theme = choice === 'light' || choice === 'dark' ? choice : dark.matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = theme;
    const meta = document.querySelector('meta[name="theme-color"]');
    if (meta) meta.content = theme === 'dark' ? '#171615' : '#fbfaf8';
  };
  dark.addEventListener('change', apply);
  addEventListener('storage', apply);
  addEventListener('socle:theme', apply);
  apply();
})();
