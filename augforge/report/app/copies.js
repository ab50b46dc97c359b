// Generated images beside the parent or training image that they are nearest to, the most similar first.

const COPIES_SHOWN = 12;
const NEAREST = { parent: 'its parent', training: 'a training image' };

function showCopies() {
  const { copies } = run;
  if (!copies.length) return false;
  const went = copies.filter(({ row }) => !isKept(row)).length;
  find('copies-lead').textContent = `${many(copies.length, 'generated image')} beside what ${copies.length === 1 ? 'it is' : 'each is'} nearest to, the most similar first; `
    + `${whole(went)} of them went. What a copy detector calls near may differ from what you see: look before you cut.`;
  find('copies-body').append(...pagedList(copies, COPIES_SHOWN, copyCard, { class: 'pairs', 'aria-label': 'Nearest pairs' }));
  return true;
}

function copyCard({ row, other, relation, similarity, stage }) {
  const side = (which, what) => make('button', { type: 'button', class: 'card', 'aria-label': `${what}: ${labelOf(which)}`, onclick: () => openDetail(which, [row, other]) },
    shot(which, 'fill', true), make('span', { class: 'card-label', text: labelOf(which) }), make('span', { class: 'fate' }, dot(outcomes[which]), make('span', { text: `${what}, ${isKept(which) ? 'kept' : 'dropped'}` })));
  const reason = isKept(row) ? null : text(samples.reason, row);
  return make('li', {}, make('div', { class: 'pair' }, side(row, 'generated'), side(other, NEAREST[relation] ?? relation)),
    make('p', { class: 'reason', text: `cosine ${figure(similarity, 4)} (${stage})${reason ? `; ${reason}` : ''}` }));
}
