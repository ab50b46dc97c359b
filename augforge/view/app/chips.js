// What is asked, in words, above the grid: a click on one takes it away.

import { figure, find, make, whole } from './shared/dom.js';
import { asked, changed, clear, narrow, on } from './state.js';

const NAMES = {
  label: 'class', origin: 'origin', stage: 'made by', by: 'dropped by', reason: 'reason', split: 'split', outcome: 'outcome', has: 'has',
  without: 'without', verdict: 'review', who: 'reviewed by', hidden: 'withheld', compare: 'against the other run',
};
const FLAGS = { marked: 'marked', noted: 'with a note', reviewed: 'reviewed', duplicates: 'near-duplicates', kept: 'kept' };

function words(name, value) {
  if (name === 'lasso') return 'inside the lasso';
  if (name === 'ids') return `${whole(value.length)} chosen images`;
  if (name === 'children') return `children of ${value.slice(0, 8)}`;
  if (name === 'parents') return `parents of ${value.slice(0, 8)}`;
  if (name === 'cut') return `would ${value.which === 'go' ? 'go' : 'come back'} by the cut of ${value.stage}`;
  if (name in FLAGS) return value ? FLAGS[name] : `not ${FLAGS[name]}`;
  const values = value.map((one) => one ?? 'none');
  return `${NAMES[name] ?? name}: ${values.slice(0, 3).join(', ')}${values.length > 3 ? ` and ${values.length - 3} more` : ''}`;
}

function range({ min, max }) {
  if (min === undefined) return `up to ${figure(max)}`;
  return max === undefined ? `from ${figure(min)}` : `${figure(min)} to ${figure(max)}`;
}

const chip = (text, onclick) => make('button', { type: 'button', class: 'chip', title: text, 'aria-label': `Take away: ${text}`, onclick }, make('span', { text }), ' ✕');

function show() {
  const chips = [];
  for (const [name, value] of Object.entries(asked.filters)) {
    if (name !== 'scores') chips.push(chip(words(name, value), () => narrow(name, null)));
    else {
      for (const [score, ends] of Object.entries(value)) {
        const { [score]: _, ...others } = value;
        chips.push(chip(`${score} ${range(ends)}`, () => narrow('scores', others)));
      }
    }
  }
  if (asked.search.trim()) chips.push(chip(`“${asked.search.trim()}”`, () => { asked.search = ''; changed(); }));
  if (asked.like) chips.push(chip(asked.like.name, () => { asked.like = null; changed(); }));
  if (chips.length > 1) chips.push(make('button', { type: 'button', class: 'quiet', text: 'Clear all', onclick: clear }));
  find('chips').replaceChildren(...chips);
  find('chips').hidden = !chips.length;
}

on('asked', show);

export { show as showChips };
