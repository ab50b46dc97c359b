// What came in, what each stage did, what is left.

function flowRows() {
  const made = new Map(), gone = new Map(), reasons = new Map();
  for (let row = 0; row < total; row += 1) {
    const stage = text(samples.stage, row), by = text(samples.by, row);
    made.set(stage, (made.get(stage) ?? 0) + 1);
    if (by === null) continue;
    gone.set(by, (gone.get(by) ?? 0) + 1);
    if (!reasons.has(by)) reasons.set(by, new Map());
    const why = alike(text(samples.reason, row));
    reasons.get(by).set(why, (reasons.get(by).get(why) ?? 0) + 1);
  }
  let inside = 0;
  return samples.stage.values.map((stage) => {
    const plus = made.get(stage) ?? 0, minus = gone.get(stage) ?? 0;
    inside += plus - minus;
    const why = [...(reasons.get(stage) ?? [])].sort((a, b) => b[1] - a[1]);
    return { stage, plus, minus, left: inside, why };
  });
}

// Reasons that differ only in an id, a name or a number are one reason.
const ALIKE = new Map();
function alike(reason) {
  if (!ALIKE.has(reason)) {
    ALIKE.set(reason, reason.replace(/\b[0-9a-f]{8,}\b/g, '…').replace(/ of \S+\.\w+\b/g, ' of …').replace(/\d+ bits?\b/g, '… bits')
      .replace(/overlap [\d.]+/g, 'overlap …'));
  }
  return ALIKE.get(reason);
}

const MOST_REASONS = 3;

function showRecipe() {
  find('recipe-text').textContent = run.recipe;
  return Boolean(run.recipe);
}

function showOverview() {
  const kept = outcomes.filter((fate) => fate === 'real' || fate === 'synthetic').length;
  const real = outcomes.filter((fate) => fate === 'real').length;
  const hidden = samples.hidden.filter(Boolean).length;
  find('name').textContent = run.name;
  find('overview-title').textContent = run.name;
  find('lead').textContent = `Run folder ${run.path}, augforge ${run.version}${run.seed === null ? '' : `, seed ${run.seed}`}.`;
  find('notes').append(...run.notes.map((note) => make('p', { class: 'note', text: note })));
  const { headline, caution } = run.evaluation ?? {};
  if (headline) find('verdict').append(`${headline} `, make('a', { href: '#evaluation', text: 'Evaluation' }));
  else find('verdict').remove();
  if (caution) find('notes').append(make('p', { class: 'note', text: caution }));
  find('tiles').append(
    tile('Images seen', whole(total), `${whole(samples.origin.codes.filter((_, row) => isReal(row)).length)} real`),
    tile('Kept', whole(kept), total ? percent(kept / total) : ''),
    tile('of them real', whole(real)),
    tile('of them synthetic', whole(kept - real)),
    tile('Dropped', whole(total - kept), hidden ? `${whole(hidden)} never shown` : 'each with a reason'),
  );
  find('flow').append(table('', [['Stage', false], ['in', true], ['new', true], ['dropped', true], ['left', true], ['Why', false]],
    flowRows().map((one) => {
      const cells = [one.stage, one.stage === 'source' ? '' : whole(one.left - one.plus + one.minus), one.plus ? `+${whole(one.plus)}` : '',
        one.minus ? `−${whole(one.minus)}` : '', whole(one.left)];
      const lines = one.why.map(([reason, count]) => make('div', { text: `${whole(count)} × ${reason}` }));
      if (!lines.length) return [...cells, ''];
      const why = make('div', { class: 'reasons' }, ...lines.slice(0, MOST_REASONS));
      if (lines.length > MOST_REASONS) why.append(make('details', {}, make('summary', { text: `… ${whole(lines.length - MOST_REASONS)} more` }), ...lines.slice(MOST_REASONS)));
      return [...cells, why];
    })));
  find('footer').textContent = `${whole(samples.pictured.length)} of ${many(total, 'sample')} have a picture in this file`
    + ' (a sample of every stage, class and reason, chosen by a hash). Everything is in this file; nothing is loaded from elsewhere.';
}
