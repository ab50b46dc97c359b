// The gallery: a page of cards at a time, filtered and sorted over all samples.

const PAGE = 48;
const DEFAULTS = { label: '', stage: '', origin: '', fate: '', words: '', sort: 'mix', only: true, extra: null };
const wanted = { ...DEFAULTS };
const controls = {};
// What another section can ask the gallery to show: from the parts of a key a name and a test of a row.
const EXTRAS = {};
let shown = [];
let page = 0;

function fateOptions() {
  const options = [['', 'any'], ['kept', 'kept'], ['dropped', 'dropped']];
  const counts = new Map();
  for (let row = 0; row < total; row += 1) {
    if (isKept(row)) continue;
    const key = JSON.stringify([text(samples.by, row), alike(text(samples.reason, row))]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const ordered = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 60);
  for (const stage of samples.by.values) {
    const mine = ordered.filter(([key]) => JSON.parse(key)[0] === stage);
    if (mine.length > 1) options.push([JSON.stringify([stage]), 'any reason', stage]);
    for (const [key, count] of mine) options.push([key, `${JSON.parse(key)[1]} (${whole(count)})`, stage]);
  }
  return options;
}

function matcher() {
  const words = wanted.words.trim().toLowerCase();
  const label = wanted.label === '' ? null : Number(wanted.label);
  const [deed, stage] = wanted.stage ? JSON.parse(wanted.stage) : [null, null];
  const fate = wanted.fate.startsWith('[') ? JSON.parse(wanted.fate) : null;
  const dropped = (row) => !isKept(row) && text(samples.by, row) === fate[0]
    && (fate.length === 1 || alike(text(samples.reason, row)) === fate[1]);
  return (row) => (label === null || samples.label.codes[row] === label)
    && (!deed || samples[deed].codes[row] === stage)
    && (!wanted.origin || text(samples.origin, row) === wanted.origin)
    && (!wanted.fate || (fate ? dropped(row) : isKept(row) === (wanted.fate === 'kept')))
    && (!wanted.only || pictured.has(row))
    && (!wanted.extra || wanted.extra.test(row))
    && (!words || searched(row).includes(words));
}

function searched(row) {
  const trace = provenanceOf(row);
  const prompt = trace?.sampled_params.find(([name]) => name === 'prompt')?.[1] ?? trace?.generation_config?.prompt ?? '';
  return `${samples.id[row]} ${labelOf(row)} ${trace?.facts.get('source') ?? ''} ${prompt}`.toLowerCase();
}

function sorted(rows) {
  if (wanted.sort === 'run') return rows;
  if (wanted.sort === 'mix') {
    const place = (row) => pictured.get(row) ?? total + row;
    return rows.sort((a, b) => place(a) - place(b));
  }
  const [measure, way] = JSON.parse(wanted.sort);
  const scores = samples.scores[measure];
  return rows.filter((row) => scores[row] !== null).sort((a, b) => way * (scores[a] - scores[b]));
}

function update() {
  const test = matcher();
  const rows = [];
  for (let row = 0; row < total; row += 1) if (test(row)) rows.push(row);
  shown = sorted(rows);
  turnTo(0, false);
}

function turnTo(number, focus = true) {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  page = Math.min(Math.max(0, number), pages - 1);
  const cards = shown.slice(page * PAGE, (page + 1) * PAGE).map((row, place) => make('li', {}, card(row, place)));
  find('grid').replaceChildren(...cards);
  const which = wanted.only ? ' with a picture' : '';
  find('found').textContent = shown.length ? `${many(shown.length, 'image')}${which} of ${whole(total)}` : 'No image is like that.';
  find('pager').hidden = pages < 2;
  find('page').textContent = `Page ${whole(page + 1)} of ${whole(pages)}`;
  find('back').disabled = page === 0;
  find('forth').disabled = page === pages - 1;
  if (focus) find('grid').querySelector('button')?.focus();
  if (ready()) writeAddress();
}

const ready = () => document.documentElement.dataset.ready === 'true';

// The state of the gallery for the address: what is not as at the beginning.
function galleryState() {
  const fate = wanted.fate.startsWith('[') ? JSON.parse(wanted.fate) : [];
  const told = {
    class: wanted.label === '' || wanted.label === '-1' ? '' : samples.label.values[Number(wanted.label)], unlabelled: wanted.label === '-1' ? '1' : '',
    stage: wanted.stage && stageKey(wanted.stage), origin: wanted.origin, outcome: fate.length ? '' : wanted.fate,
    'dropped-by': fate[0], reason: fate[1], sort: wanted.sort === DEFAULTS.sort ? '' : wanted.sort, search: wanted.words.trim(),
    pictures: wanted.only ? '' : 'all', only: wanted.extra ? JSON.stringify(wanted.extra.key) : '', page: page ? String(page + 1) : '',
    image: current >= 0 ? samples.id[current].slice(0, 12) : '',
  };
  return Object.entries(told).filter(([, value]) => value);
}

const stageKey = (value) => { const [deed, code] = JSON.parse(value); return `${deed}:${samples[deed].values[code]}`; };

// Show what an address says; what it says of things that are not in this run is as if it were not said.
function restoreGallery(state) {
  const chosen = {
    label: state.has('unlabelled') ? '-1' : String(samples.label.values.indexOf(state.get('class'))).replace('-1', ''),
    stage: [...controls.stage.options].map((option) => option.value).find((value) => value && stageKey(value) === state.get('stage')) ?? '',
    origin: state.get('origin') ?? '',
    fate: state.has('dropped-by') ? JSON.stringify([state.get('dropped-by'), state.get('reason')].filter((one) => one !== null)) : state.get('outcome') ?? '',
    sort: state.get('sort') ?? DEFAULTS.sort,
  };
  for (const [name, value] of Object.entries(chosen)) {
    controls[name].value = value;
    if (controls[name].selectedIndex < 0) controls[name].value = DEFAULTS[name];
    wanted[name] = controls[name].value;
  }
  wanted.words = controls.words.value = state.get('search') ?? '';
  wanted.only = controls.only.checked = state.get('pictures') !== 'all';
  setExtra(keyed(state.get('only')));
  update();
  turnTo(Number(state.get('page') ?? 1) - 1, false);
  const image = state.get('image');
  const row = image ? samples.id.findIndex((id) => id.startsWith(image)) : -1;
  if (row >= 0) openDetail(row, shown);
}

// The key that a text of the address stands for, null where it is none.
function keyed(value) {
  return value && /^\["\w+",.*\]$/.test(value) ? JSON.parse(value) : null;
}

function setExtra(key) {
  const made = key && EXTRAS[key[0]]?.(...key.slice(1));
  wanted.extra = made ? { key, test: made.test } : null;
  find('extra').textContent = made ? `${made.name} ✕` : '';
  find('extra').hidden = !made;
}

function card(row, place) {
  const parents = samples.parents[row];
  const family = make('span', { class: 'family' }, shot(row, 'fill', true));
  if (parents.length) {
    family.append(make('span', { class: 'parents', role: 'img', 'aria-label': many(parents.length, 'parent') }, 'from', ...parents.slice(0, 3).map((parent) => shot(parent, 'small', true))));
  }
  const score = !wanted.sort.startsWith('[') ? '' : ` · ${figure(samples.scores[JSON.parse(wanted.sort)[0]][row])}`;
  const fate = isKept(row) ? 'kept' : text(samples.reason, row);
  return make('button', {
    type: 'button', class: 'card', tabIndex: place ? -1 : 0, 'data-row': row, onclick: () => openDetail(row, shown),
  }, family, make('span', { class: 'card-label', text: labelOf(row) }),
  make('span', { class: 'fate' }, dot(outcomes[row]), make('span', { text: `${text(samples.origin, row)}, ${fate}${score}` })));
}

// Arrow keys walk over the cards, Home and End to the ends, PageUp and PageDown turn the page.
function walk(event) {
  const buttons = [...find('grid').querySelectorAll('button')];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0) return;
  const columns = getComputedStyle(find('grid')).gridTemplateColumns.split(' ').length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: buttons.length - 1 - at };
  if (event.key === 'PageDown' || event.key === 'PageUp') turnTo(page + (event.key === 'PageDown' ? 1 : -1));
  else if (event.key in steps) focusCard(buttons, Math.min(Math.max(0, at + steps[event.key]), buttons.length - 1));
  else return;
  event.preventDefault();
}

function focusCard(buttons, place) {
  buttons.forEach((button, number) => { button.tabIndex = number === place ? 0 : -1; });
  buttons[place].focus();
}

// Show what a chart points at: the key of an extra, for which there is a chip that takes it away again.
function showOnly(key) {
  setExtra(key);
  update();
  find('gallery').scrollIntoView();
  find('extra').focus({ preventScroll: true });
}

function showGallery() {
  const set = (name) => (value) => { wanted[name] = value; update(); };
  const used = (column) => column.values.map((value, code) => [String(code), value]);
  const labels = used(samples.label);
  if (samples.label.codes.includes(-1)) labels.push(['-1', 'no label']);
  const stages = [['stage', 'made by'], ['by', 'dropped by']].flatMap(([deed, name]) => {
    const there = new Set(samples[deed].codes);
    return used(samples[deed]).filter(([code]) => there.has(Number(code))).map(([code, title]) => [JSON.stringify([deed, Number(code)]), `${name} ${title}`, name]);
  });
  const measures = run.measures.flatMap(({ name }) => [[JSON.stringify([name, 1]), `${name}, lowest first`], [JSON.stringify([name, -1]), `${name}, highest first`]]);
  const search = make('input', { type: 'search', placeholder: 'id, file, prompt', autocomplete: 'off' });
  let waiting = 0;
  search.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(() => set('words')(search.value), 150); });
  find('filters').append(
    field('Class', controls.label = chooser([['', 'all'], ...labels], set('label'))),
    field('Stage', controls.stage = chooser([['', 'all'], ...stages], set('stage'))),
    field('Origin', controls.origin = chooser([['', 'real and synthetic'], ...samples.origin.values.map((one) => [one, one])], set('origin'))),
    field('Fate and reason', controls.fate = chooser(fateOptions(), set('fate'))),
    field('Sort', controls.sort = chooser([['mix', 'a mix of all'], ['run', 'as in the run'], ...measures], set('sort'))),
    field('Search', controls.words = search),
  );
  find('filters').addEventListener('submit', (event) => event.preventDefault());
  const only = controls.only = make('input', { type: 'checkbox', checked: true, id: 'only', onchange: () => set('only')(only.checked) });
  const masks = make('input', { type: 'checkbox', id: 'masks', onchange: () => document.body.classList.toggle('show-masks', masks.checked) });
  find('switches').append(
    make('button', { type: 'button', class: 'chip', id: 'extra', hidden: true, onclick: () => { setExtra(null); update(); } }),
    make('label', { class: 'check' }, only, 'only with a picture'),
  );
  if (samples.masked.length) find('switches').append(make('label', { class: 'check' }, masks, 'masks'));
  find('pager').append(
    make('button', { type: 'button', id: 'back', text: '← Previous page', onclick: () => turnTo(page - 1, false) }),
    make('span', { id: 'page' }),
    make('button', { type: 'button', id: 'forth', text: 'Next page →', onclick: () => turnTo(page + 1, false) }),
  );
  find('grid').addEventListener('keydown', walk);
  update();
}
