// The charts are Chart.js; here are the colours of the theme, what all charts share, and drawing when one is near.

import { find, make } from './dom.js';

const themeButton = find('theme');
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const drawn = new Set();

function applyTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  themeButton.textContent = dark ? '☀ Light' : '☾ Dark';
  themeButton.setAttribute('aria-label', `Switch to the ${dark ? 'light' : 'dark'} theme`);
  Chart.defaults.color = colour('soft');
  Chart.defaults.borderColor = colour('line');
  for (const redraw of drawn) redraw();
}
let chosenTheme = null;
themeButton.addEventListener('click', () => {
  chosenTheme = document.documentElement.dataset.theme !== 'dark';
  applyTheme(chosenTheme);
});
prefersDark.addEventListener('change', () => { if (chosenTheme === null) applyTheme(prefersDark.matches); });

Chart.defaults.animation = false;
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.font.size = 12.5;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.plugins.legend.labels.boxWidth = 12;
Chart.defaults.plugins.legend.labels.boxHeight = 12;
Chart.defaults.plugins.legend.align = 'start';
applyTheme(prefersDark.matches);

const near = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    near.unobserve(entry.target);
    entry.target.begin();
  }
}, { rootMargin: '400px' });

// A chart in a box. `configure` returns Chart.js options with the present colours; it is asked again for each theme.
function chart(about, configure, ready = () => {}) {
  const canvas = make('canvas', { role: 'img', 'aria-label': about });
  const box = make('div', { class: 'plot' }, canvas);
  box.begin = () => {
    const draw = () => {
      box.chart?.destroy();
      box.chart = new Chart(canvas, configure());
      ready(box.chart);
    };
    draw();
    drawn.add(draw);
  };
  near.observe(box);
  return box;
}

const axis = (title, more = {}) => ({ title: { display: Boolean(title), text: title }, grid: { color: colour('line') }, ...more });
const bare = (more = {}) => ({ grid: { display: false }, ...more });

export { colour, chart, axis, bare, drawn, prefersDark };
