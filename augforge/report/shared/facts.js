// Names and values in two columns, and any JSON value as a short text.

import { figure, make } from './dom.js';

function plain(value) {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : figure(value, 6);
  if (Array.isArray(value)) return value.map(plain).join(', ');
  if (value && typeof value === 'object') return Object.entries(value).map(([name, one]) => `${name} ${plain(one)}`).join(', ');
  return String(value);
}

const mono = (value) => make('span', { class: 'mono', text: value });
function facts(pairs) {
  const cells = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
    .flatMap(([name, value]) => [make('dt', { text: name }), make('dd', {}, value)]);
  return make('dl', { class: 'facts' }, ...cells);
}

export { plain, mono, facts };
