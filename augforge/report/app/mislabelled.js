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
  return make('li', {},
    make('button', { type: 'button', class: 'card', 'aria-label': `labelled ${labelOf(row)}, likely ${suggested}`, onclick: () => openDetail(row, run.mislabelled.map((one) => one.row)) }, shot(row, 'fill', true)),
    make('p', { class: 'reason' }, 'labelled ', make('strong', { text: labelOf(row) }), ', likely ', make('strong', { text: suggested }), ` (${percent(probability)}); quality ${figure(quality, 2)}; ${isKept(row) ? 'kept' : 'dropped'}`),
    make('div', { class: 'row' }, choice));
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
