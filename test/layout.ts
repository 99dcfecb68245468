// Measures the layout of an open page: text that is cut off, and text or controls that lie beyond the edge of the screen or of
// what holds them; tabs that take several rows; values as programs write
// them. What scrolls by itself and is meant to (code, a chat) and pictures are left out.
import type { Page } from 'playwright-core';

/** Faults in words; none on a page that shows everything that is on it. */
export const layoutFaults = (page: Page, within = 'header, nav, main'): Promise<string[]> =>
  page.evaluate<string[]>(`${measure}(${JSON.stringify(within)})`);

/** Runs in the browser. */
const measure = `((within) => {
  const faults = new Set();
  const screen = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > screen) faults.add('the page is wider than the screen');
  const meant = 'pre, [role=log], [aria-hidden=true], svg, .skip, thead:not(:has(button)), .mantine-VisuallyHidden-root';
  for (const element of [...document.querySelectorAll(within)].flatMap((part) => [...part.querySelectorAll('*')])) {
    const area = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    // The menu of a phone waits beside the screen.
    if (element.closest('nav')?.getBoundingClientRect().right <= 0) continue;
    if (area.width === 0 || style.visibility === 'hidden' || element.closest(meant)) continue;
    const text = [...element.childNodes].some(({ nodeType, nodeValue }) => nodeType === 3 && nodeValue?.trim());
    const control = element.matches('button, a[href], input, select, textarea');
    if (!text && !control) continue;
    const what = \`\${element.tagName.toLowerCase()} "\${(element.textContent || element.getAttribute('aria-label') || '').slice(0, 50)}"\`;
    const hides = (side) => /hidden|clip/.test(side);
    if (text && hides(style.overflowX) && element.scrollWidth > element.clientWidth + 1)
      faults.add(\`\${what} is cut off\`);
    if (text && hides(style.overflowY) && element.scrollHeight > element.clientHeight + 2)
      faults.add(\`\${what} is cut off below\`);
    if (area.right > screen + 1 || area.left < -1) faults.add(\`\${what} is beyond the screen\`);
    for (let holder = element.parentElement; holder && holder !== document.body; holder = holder.parentElement) {
      if (getComputedStyle(holder).overflowX === 'visible') continue;
      const room = holder.getBoundingClientRect();
      if (area.right > room.right + 1 || area.left < room.left - 1) faults.add(\`\${what} is beyond what holds it\`);
      break;
    }
  }
  const raw = /\\b(?:null|undefined|NaN)\\b|\\[object |[{[]"|\\b1[78]\\d{11}\\b|\\d{4}-\\d\\d-\\d\\dT\\d\\d:|\\d (?:秒|分|時間|日|バイト)|\\b(?:acc|key|usr|app|srv|nam)_[0-9A-Za-z]{8}/;
  for (const part of document.querySelectorAll(within)) {
    const texts = document.createTreeWalker(part, 4);
    for (let text = texts.nextNode(); text; text = texts.nextNode())
      if (raw.test(text.nodeValue) && !text.parentElement.closest('code, pre, textarea, .mantine-Code-root'))
        faults.add(\`"\${text.nodeValue.slice(0, 80)}" is not written for people\`);
  }
  for (const label of document.querySelectorAll('main svg text')) {
    const [area, room] = [label.getBoundingClientRect(), label.closest('svg').getBoundingClientRect()];
    if (area.left < room.left - 1 || area.right > room.right + 1) faults.add(\`the label "\${label.textContent}" of a chart is cut off\`);
  }
  for (const list of document.querySelectorAll('[role=tablist], .mantine-SegmentedControl-root')) {
    const tops = new Set([...list.querySelectorAll('[role=tab], label')].map((one) => Math.round(one.getBoundingClientRect().top)));
    if (tops.size > 1) faults.add(\`tabs "\${list.textContent.slice(0, 50)}" take \${tops.size} rows\`);
  }
  return [...faults];
})`;
