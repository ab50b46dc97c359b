// Where something odd was found: the image, and beside it the image with its heat map.

const HEAT_SHOWN = 12;

function showHeat() {
  if (!run.heat.length) return false;
  find('heat-lead').textContent = `The ${many(run.heat.length, 'oddest image')} by ${[...new Set(run.heat.map(({ stage }) => stage))].join(', ')}: left the image, right where it is odd. `
    + 'Half as red as can be is as odd as one of 200 places of good images.';
  find('heat-body').append(...pagedList(run.heat, HEAT_SHOWN, heatCard, { class: 'pairs', 'aria-label': 'Heat maps' }));
  return true;
}

function heatCard({ row, score, picture }) {
  const open = () => openDetail(row, run.heat.map((one) => one.row));
  const side = (what, ...over) => {
    const box = shot(row, 'fill', true);
    if (pictureOf(row)) box.append(...over);
    return make('button', { type: 'button', class: 'card', 'aria-label': `${what}: ${labelOf(row)}`, onclick: open }, box);
  };
  const heat = make('img', { src: `data:image/png;base64,${picture}`, alt: '', class: 'heat' });
  return make('li', {}, make('div', { class: 'pair' }, side('image'), side('heat map', heat)),
    make('p', { class: 'reason' }, `${labelOf(row)}: ${figure(score)}, ${isKept(row) ? 'kept' : 'dropped'}`));
}
