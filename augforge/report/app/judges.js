// Labels against what the models that judged the images took them for; a cell leads to its images.

const MOST_CLASSES = 16;
const MOST_CONFUSIONS = 24;

function showJudges() {
  run.judges.forEach((judge, number) => find('judges-body').append(judgePanel(judge, number)));
  return run.judges.length > 0;
}

const isJudged = (judge, row) => judge.chosen[row] >= 0 && samples.label.codes[row] >= 0;

EXTRAS.judged = (number, label, chosen) => {
  const judge = run.judges[number];
  return judge && {
    name: `labelled ${label}, judged ${chosen}`,
    test: (row) => isJudged(judge, row) && labelOf(row) === label && judge.classes[judge.chosen[row]] === chosen,
  };
};

// Counts by label and by what was chosen: a map from a label to a map from a class.
function confusions(judge, origin) {
  const counts = new Map();
  for (let row = 0; row < total; row += 1) {
    if (!isJudged(judge, row) || (origin && text(samples.origin, row) !== origin)) continue;
    const label = labelOf(row), chosen = judge.classes[judge.chosen[row]];
    if (!counts.has(label)) counts.set(label, new Map());
    counts.get(label).set(chosen, (counts.get(label).get(chosen) ?? 0) + 1);
  }
  return counts;
}

function judgePanel(judge, number) {
  const body = make('div', { class: 'stack' });
  const fill = (origin) => {
    const counts = confusions(judge, origin);
    const all = [...counts.values()].flatMap((row) => [...row.values()]).reduce((sum, count) => sum + count, 0);
    const agreed = [...counts].reduce((sum, [label, row]) => sum + (row.get(label) ?? 0), 0);
    const classes = [...new Set([...counts.keys(), ...[...counts.values()].flatMap((row) => [...row.keys()])])];
    const order = new Map([...samples.label.values, ...judge.classes].map((name, place) => [name, place]));
    classes.sort((a, b) => order.get(a) - order.get(b));
    body.replaceChildren(
      make('p', { class: 'verdict' }, make('strong', { text: percent(all ? agreed / all : 0) }), ` of ${many(all, 'image')} are taken for what their label says`),
      make('p', { class: 'lead', text: classes.length > MOST_CLASSES ? 'What is confused most:' : 'Rows: the label. Columns: what the judge took the images for. Shades: shares of a row.' }),
      classes.length > MOST_CLASSES ? confusionList(counts, number) : make('div', { class: 'scroll', tabIndex: 0 }, confusionMatrix(counts, classes, number)),
    );
  };
  const origins = samples.origin.values.filter((origin) => judge.chosen.some((chosen, row) => chosen >= 0 && text(samples.origin, row) === origin));
  const choice = chooser([['', 'all images'], ...origins.map((one) => [one, `${one} images`])], fill);
  choice.setAttribute('aria-label', `Which images, ${judge.stage}`);
  fill('');
  return make('div', { class: 'panel' }, make('h3', { text: `${judge.stage}, ${judge.model}` }), origins.length > 1 ? make('div', { class: 'row' }, choice) : null, body);
}

function confusionButton(number, label, chosen, count) {
  return make('button', { type: 'button', class: 'cell', text: whole(count), 'aria-label': `${many(count, 'image')} labelled ${label}, judged ${chosen}`, onclick: () => showOnly(['judged', number, label, chosen]) });
}

function confusionMatrix(counts, classes, number) {
  const rows = classes.filter((label) => counts.has(label)).map((label) => {
    const row = counts.get(label), sum = [...row.values()].reduce((one, other) => one + other, 0);
    return [label, ...classes.map((chosen) => {
      const count = row.get(chosen) ?? 0;
      if (!count) return '';
      const button = confusionButton(number, label, chosen, count);
      button.classList.add(label === chosen ? 'right' : 'wrong');
      button.style.setProperty('--share', String(count / sum));
      return button;
    })];
  });
  const made = table('', [['label', false], ...classes.map((name) => [name, true])], rows);
  made.classList.add('matrix');
  return made;
}

// Of many classes only what is confused, the most frequent first.
function confusionList(counts, number) {
  const wrong = [...counts].flatMap(([label, row]) => [...row].filter(([chosen]) => chosen !== label).map(([chosen, count]) => [label, chosen, count]))
    .sort((a, b) => b[2] - a[2]);
  const rows = wrong.slice(0, MOST_CONFUSIONS).map(([label, chosen, count]) => [label, chosen, confusionButton(number, label, chosen, count)]);
  const cut = wrong.length > MOST_CONFUSIONS ? make('p', { class: 'lead', text: `… ${whole(wrong.length - MOST_CONFUSIONS)} more` }) : null;
  return make('div', {}, table('', [['label', false], ['taken for', false], ['images', true]], rows), cut);
}
