// Near-duplicates: each group side by side, what was kept first.

import { complain, get } from './api.js';
import { besideInDialog } from './beside.js';
import { dot, make, many, whole } from './shared/dom.js';
import { openId } from './detail.js';
import { address, badges, fateText, shot } from './picture.js';
import { OUTCOME_FATES } from './state.js';

const PAGE = 20;

async function showDuplicates(panel) {
  let first = 0;
  const list = make('ol', { class: 'groups' });
  const where = make('span', { role: 'status' });
  const turn = async (to) => {
    const { total, groups } = await get(`api/duplicates?offset=${to}&limit=${PAGE}`);
    first = to;
    list.replaceChildren(...groups.map(groupCard));
    where.textContent = total ? `${whole(first + 1)} to ${whole(Math.min(total, first + PAGE))} of ${many(total, 'group')}` : 'No near-duplicates are known: no filter of this run compared the pictures.';
    back.disabled = first === 0;
    forth.disabled = first + PAGE >= total;
    back.hidden = forth.hidden = total <= PAGE;
    panel.scrollTop = 0;
  };
  const go = (by) => turn(Math.max(0, first + by)).catch(complain);
  const back = make('button', { type: 'button', text: '← Previous', onclick: () => go(-PAGE) });
  const forth = make('button', { type: 'button', text: 'Next →', onclick: () => go(PAGE) });
  panel.append(make('p', { class: 'lead', text: 'Each row is a group; what was kept comes first. The keys for verdicts are about the picture with the focus.' }), make('div', { class: 'row' }, back, where, forth), list);
  await turn(0);
}

function groupCard({ rows, size }) {
  const labels = new Set(rows.map((row) => row.label));
  const cards = rows.slice(0, 12).map((row) => {
    const button = make('button', { type: 'button', class: 'card', title: fateText(row), onclick: () => openId(row.id) },
      shot(row, 130), badges(row), make('span', { class: 'card-label', text: row.label ?? 'no label' }),
      make('span', { class: 'fate' }, dot(OUTCOME_FATES[row.outcome]), make('span', { text: `${row.origin}, ${row.kept ? 'kept' : 'dropped'}` })));
    button.dataset.id = row.id;
    return make('li', {}, button);
  });
  const [first, second] = rows.filter((row) => !row.hidden);
  const pair = second ? make('button', { type: 'button', class: 'quiet', text: 'How they differ', onclick: () => besideInDialog('How the first two differ', [first.id.slice(0, 8), address('image', first.id, 1024)], [second.id.slice(0, 8), address('image', second.id, 1024)]) }) : null;
  return make('li', {}, make('div', { class: 'row' }, labels.size > 1 ? make('span', { class: 'badge worse', text: 'different labels' }) : null, pair),
    make('ul', { class: 'group', 'aria-label': `A group of ${size}` }, ...cards), size > 12 ? make('p', { class: 'lead', text: `… ${whole(size - 12)} more` }) : null);
}

export { showDuplicates };
