// The filters beside the grid: each with how many of the found samples have each value.

import { complain, get, latest, post } from './api.js';
import { brush } from './brush.js';
import { find, make, whole } from './shared/dom.js';
import { results } from './results.js';
import { OUTCOME_NAMES, asked, body, narrow, on, world } from './state.js';

const FACETS = [
  ['label', 'Class'], ['origin', 'Origin'], ['stage', 'Made by'], ['outcome', 'Outcome'], ['by', 'Dropped by'],
  ['reason', 'Reason'], ['split', 'Split'], ['annotation', 'Annotations'], ['verdict', 'Review'],
];
const SHOWN = 12;
const NAMED = { annotation: 'has' };
const WITHOUT = { label: 'no class', split: 'no split', verdict: 'not reviewed', stage: 'none', by: 'kept', reason: 'no reason' };
const VERDICTS = ['keep', 'drop', 'relabel', 'conflict'];
const unfolded = new Set(['label', 'outcome', 'score']);
const typed = {};
let scoreShown = '';

const filterOf = (facet) => NAMED[facet] ?? facet;
const valuesOf = (facet) => (facet === 'verdict' ? VERDICTS : world.run.columns[facet] ?? []);
const noneOf = (facet) => (facet === 'verdict' ? 'none' : null);

function fold(key, title, inside, active) {
  const element = make('details', { open: unfolded.has(key), class: active ? 'active' : '' }, make('summary', { text: title }), inside);
  element.addEventListener('toggle', () => {
    element.open ? unfolded.add(key) : unfolded.delete(key);
    if (element.open && !inside.children.length) fill();
  });
  return element;
}

// The counts of a facet that is itself filtered are those without that filter: what else could be chosen.
async function countsOf(facets) {
  const plain = await get(`api/query/${results.query}/facets`);
  const filtered = facets.filter((facet) => asked.filters[filterOf(facet)]?.length);
  await Promise.all(filtered.map(async (facet) => {
    const given = body();
    const filters = { ...given.filters };
    delete filters[filterOf(facet)];
    const { query } = await post('api/query', { ...given, filters });
    plain[facet] = (await get(`api/query/${query}/facets`))[facet];
  }));
  return plain;
}

function facetList(facet, title, counted) {
  const name = filterOf(facet), values = valuesOf(facet), wanted = asked.filters[name] ?? [];
  const counts = new Map(counted.map(([code, count]) => [code, count]));
  const codes = values.map((_, code) => code);
  if (counts.has(-1) || wanted.includes(noneOf(facet))) codes.push(-1);
  const valueOf = (code) => (code < 0 ? noneOf(facet) : values[code]);
  const nameOf = (code) => (code < 0 ? WITHOUT[facet] ?? 'none' : facet === 'outcome' ? OUTCOME_NAMES[values[code]] ?? values[code] : values[code]);
  const words = (typed[facet] ?? '').toLowerCase();
  const fitting = codes.filter((code) => (counts.get(code) || wanted.includes(valueOf(code))) && nameOf(code).toLowerCase().includes(words))
    .sort((a, b) => wanted.includes(valueOf(b)) - wanted.includes(valueOf(a)) || (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
  const toggle = (code, ticked) => {
    const others = (asked.filters[name] ?? []).filter((one) => one !== valueOf(code)); // as it is now, not as when the list was made
    narrow(name, ticked ? [...others, valueOf(code)] : others);
  };
  const lines = fitting.slice(0, SHOWN).map((code) => make('label', { class: 'check line', title: nameOf(code) },
    make('input', { type: 'checkbox', checked: wanted.includes(valueOf(code)), onchange: (event) => toggle(code, event.target.checked) }),
    make('span', { class: 'who', text: nameOf(code) }), make('span', { class: 'number', text: whole(counts.get(code) ?? 0) })));
  const parts = [make('div', { class: 'lines', role: 'group', 'aria-label': title }, ...lines)];
  if (fitting.length > SHOWN) parts.push(make('p', { class: 'more', text: `… and ${whole(fitting.length - SHOWN)} more` }));
  if (codes.length > SHOWN) {
    const box = make('input', { type: 'search', placeholder: `one of ${whole(values.length)}`, value: typed[facet] ?? '', 'aria-label': `Find a value of ${title}`, autocomplete: 'off' });
    box.addEventListener('input', () => {
      typed[facet] = box.value;
      const made = facetList(facet, title, counted);
      const holder = box.parentNode;
      holder.replaceChildren(...made);
      const again = holder.querySelector('input[type=search]');
      again.focus();
      again.setSelectionRange(box.value.length, box.value.length);
    });
    parts.unshift(box);
  }
  return parts;
}

// Whether any of the found images has what can be drawn over it.
function hasDrawn(counted) {
  return counted?.some(([code]) => ['boxes', 'keypoints', 'mask', 'instances'].includes(world.run.columns.annotation[code]));
}

async function scoreBody(inside) {
  const scores = world.run.scores.filter((one) => one.count);
  scoreShown = scores.some(({ name }) => name === scoreShown) ? scoreShown : Object.keys(asked.filters.scores ?? {})[0] ?? scores[0].name;
  const histogram = await get(`api/query/${results.query}/histogram?score=${encodeURIComponent(scoreShown)}&bins=40`);
  const chooser = make('select', { 'aria-label': 'Score', onchange: () => { scoreShown = chooser.value; scoreBody(inside).catch(complain); } },
    ...scores.map(({ name }) => make('option', { value: name, text: name, selected: name === scoreShown })));
  const range = asked.filters.scores?.[scoreShown];
  const set = ({ min, max }) => {
    const others = { ...asked.filters.scores };
    delete others[scoreShown];
    if (min !== null || max !== null) others[scoreShown] = { ...(min === null ? {} : { min }), ...(max === null ? {} : { max }) };
    narrow('scores', others);
  };
  const absent = make('p', { class: 'more', text: histogram.missing ? `${whole(histogram.missing)} of those found do not have it` : '' });
  inside.replaceChildren(chooser, brush(scoreShown, histogram, range, set), absent);
}

function flagBody() {
  const switches = [['marked', 'marked'], ['noted', 'with a note'], ['duplicates', 'near-duplicates']];
  return make('div', { class: 'lines', role: 'group', 'aria-label': 'Only those' }, ...switches.map(([name, title]) => (
    make('label', { class: 'check line' }, make('input', { type: 'checkbox', checked: Boolean(asked.filters[name]), onchange: (event) => narrow(name, event.target.checked || null) }), title))));
}

const fill = latest(async () => {
  if (!results.query) return;
  const facets = FACETS.filter(([facet]) => valuesOf(facet).length);
  const counts = await countsOf(facets.map(([facet]) => facet));
  if (hasDrawn(counts.annotation)) find('shapes-switch').hidden = false;
  const bodies = facets.map(([facet, title]) => {
    const inside = make('div', { class: 'facet' });
    if (unfolded.has(facet)) inside.append(...facetList(facet, title, counts[facet] ?? []));
    return fold(facet, title, inside, asked.filters[filterOf(facet)]?.length);
  });
  const folds = [...bodies];
  if (world.run.scores.some((one) => one.count)) {
    const inside = make('div', { class: 'facet' });
    if (unfolded.has('score')) await scoreBody(inside);
    folds.splice(1, 0, fold('score', 'Score', inside, asked.filters.scores));
  }
  folds.push(fold('flags', 'Only those', flagBody(), false));
  // What had the focus has it again: the list was made anew.
  const box = find('filters'), before = document.activeElement;
  const mark = box.contains(before) ? [before.closest('details')?.querySelector('summary')?.textContent, before.parentNode?.textContent, before.getAttribute('aria-label')] : null;
  box.replaceChildren(make('h2', { text: 'Filters' }), ...folds);
  if (mark) refocus(box, mark);
});

function refocus(box, [fold_, line, label]) {
  const fold = [...box.querySelectorAll('details')].find((one) => one.querySelector('summary').textContent === fold_);
  const name = (element) => element.querySelector('.who')?.textContent;
  const lines = [...(fold?.querySelectorAll('label.line') ?? [])];
  const same = lines.find((one) => name(one) && line?.startsWith(name(one)))?.querySelector('input') ?? [...(fold?.querySelectorAll('[aria-label]') ?? [])].find((one) => one.getAttribute('aria-label') === label && one.matches('input, select'));
  (same ?? fold?.querySelector('summary'))?.focus({ preventScroll: true });
}

on('settled', fill);
