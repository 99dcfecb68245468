// Light or dark before anything is drawn; a file of its own, because the page's policy runs no inline script.
(() => {
  let scheme = null;
  try {
    scheme = localStorage.getItem('mantine-color-scheme-value');
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const chosen = scheme === 'light' || scheme === 'dark' ? scheme : dark ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', chosen);
})();
