// Labels that are likely wrong: the given one beside the suggested one, to be corrected and saved as a list.

const ERRORS_SHOWN = 24;
const corrections = new Map();

function showMislabelled() {
  const errors = run.mislabelled;
  if (!errors.length) return false;
  find('mislabelled-lead').textContent = `${many(errors.length, 'label')} ${errors.length === 1 ? 'is' : 'are'} likely wrong, the worst first: a classifier that never saw the label finds another one likelier. `
    + 'Choose the right one for each, and save them as a list of corrections; the sources are not changed.';
  find('mislabelled-body').append(...pagedList(errors, ERRORS_SHOWN, errorCard, { class: 'pairs', 'aria-label': 'Labels that are likely wrong' }),
    make('div', { class: 'row' }, make('button', { type: 'button', text: 'Save the corrections (CSV)', onclick: saveCorrections })));
  return true;
}

const correctionOf = (error) => corrections.get(error.row) ?? error.suggested;

function errorCard(error) {
  const { row, suggested, probability, quality } = error;
  const choice = chooser([...new Set([suggested, labelOf(row), ...samples.label.values])].map((name) => [name, name]), (label) => corrections.set(row, label));
  choice.value = correctionOf(error);
  choice.setAttribute('aria-label', 'The right label');
  const side = (which, what, title) => make('button', { type: 'button', class: 'card', 'aria-label': what, onclick: () => openDetail(which, run.mislabelled.map((one) => one.row)) },
    shot(which, 'fill', true), make('span', { class: 'card-label', text: title }));
  const other = exampleOf(suggested);
  return make('li', {},
    make('div', { class: 'pair' }, side(row, `labelled ${labelOf(row)}, likely ${suggested}`, `given: ${labelOf(row)}`), other < 0 ? null : side(other, `an image of class ${suggested}`, `likely: ${suggested}`)),
    make('p', { class: 'reason', text: `likely ${suggested} (${percent(probability)}); quality of the label ${figure(quality, 2)}; ${isKept(row) ? 'kept' : 'dropped'}` }),
    make('div', { class: 'row' }, choice));
}

// An image that shows a class best: that with the best label; -1 where none has a picture.
const examples = new Map();
function exampleOf(label) {
  if (!examples.has(label)) examples.set(label, findExample(label));
  return examples.get(label);
}

function findExample(label) {
  const doubted = new Set(run.mislabelled.map(({ row }) => row)), quality = samples.scores['label-quality'] ?? [];
  let best = -1;
  for (let row = 0; row < total; row += 1) {
    if (labelOf(row) !== label || doubted.has(row) || !pictureOf(row)) continue;
    if (best < 0 || (quality[row] ?? -1) > (quality[best] ?? -1)) best = row;
  }
  return best;
}

// One line for each image: what it is, the label that it has, and the one that was chosen here.
function correctionsAsCsv() {
  const cell = (text) => `"${String(text ?? '').replaceAll('"', '""')}"`;
  const lines = run.mislabelled.map((error) => [samples.id[error.row], error.source, labelOf(error.row), correctionOf(error)].map(cell).join(','));
  return `id,source,label,corrected\n${lines.join('\n')}\n`;
}

function saveCorrections() {
  const address = URL.createObjectURL(new Blob([correctionsAsCsv()], { type: 'text/csv' }));
  make('a', { href: address, download: 'corrections.csv' }).click();
  URL.revokeObjectURL(address);
}
