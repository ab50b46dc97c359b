// Near-duplicates beside the image that stayed: the pairs to doubt first, other labels and the farthest apart.

const PAIRS_SHOWN = 12;

function showPairs() {
  if (!run.pairs.length) return false;
  const pairs = run.pairs.map(([gone, stays]) => ({ gone, stays, bits: bitsOf(gone), other: samples.label.codes[gone] !== samples.label.codes[stays] }))
    .sort((a, b) => b.other - a.other || b.bits - a.bits);
  const across = pairs.filter(({ other }) => other).length;
  find('pairs-lead').textContent = `${many(pairs.length, 'image')} went as a near-duplicate: left what went, right what it nearly is. `
    + `The pairs to doubt come first: ${across ? `${many(across, 'pair')} of different labels, then ` : ''}those that are farthest apart. Exact copies of the same label are not listed.`;
  find('pairs-body').append(...pagedList(pairs, PAIRS_SHOWN, pairCard, { class: 'pairs', 'aria-label': 'Pairs' }));
  return true;
}

// How many bits of their hashes differ, as the reason says it; an overlap counts as nearer than any.
const bitsOf = (row) => Number(/\((\d+) bits?\)/.exec(text(samples.reason, row))?.[1] ?? -1);

function pairCard({ gone, stays, other }) {
  const side = (row, what) => make('button', { type: 'button', class: 'card', 'aria-label': `${what}: ${labelOf(row)}`, onclick: () => openDetail(row, [gone, stays]) },
    shot(row, 'fill', true), make('span', { class: 'card-label', text: labelOf(row) }), make('span', { class: 'fate' }, dot(outcomes[row]), make('span', { text: `${text(samples.origin, row)}, ${isKept(row) ? 'kept' : row === gone ? 'went' : 'dropped'}` })));
  return make('li', {}, make('div', { class: 'pair' }, side(gone, 'went'), side(stays, 'stayed')),
    make('p', { class: 'reason' }, other ? make('span', { class: 'badge worse', text: 'different labels' }) : null, other ? ' ' : null, text(samples.reason, gone)));
}
