// The life of one image, in a dialog: arrow keys go to its neighbours, Escape closes.

let list = [];
let current = -1;
let opener = null;

function openDetail(row, rows) {
  list = rows;
  current = row;
  if (!find('detail').open) {
    opener = document.activeElement;
    find('detail').showModal();
  }
  fillDetail();
}

function fillDetail() {
  const at = list.indexOf(current);
  find('detail-title').textContent = `${labelOf(current)}, ${text(samples.origin, current)}`;
  find('previous').disabled = at <= 0;
  find('following').disabled = at < 0 || at === list.length - 1;
  const picture = shot(current, 'large');
  if (outlined.has(current)) picture.append(shapesOver(samples.width[current], samples.height[current], shapesOf(current)));
  const left = make('div', { class: 'stack' }, picture, maskSwitch(current), shapesSwitch(current), companions(current), kin('Parents', samples.parents[current]), kin('Children', childrenOf(current)));
  find('detail-body').replaceChildren(make('div', { class: 'sheet' }, left, make('div', {}, ...story(current).filter(Boolean))));
  find('detail').scrollTop = 0;
  writeAddress();
}

function maskSwitch(row) {
  if (!masked.has(row)) return null;
  const tick = make('input', { type: 'checkbox', checked: find('masks').checked, onchange: () => { if (tick.checked !== find('masks').checked) find('masks').click(); } });
  return make('label', { class: 'check' }, tick, 'mask');
}

function companions(row) {
  const strip = stripOf(row);
  if (!strip) return null;
  return make('div', {}, make('h3', { text: `With it: ${strip.names}` }), make('img', { class: 'strip', src: webp(strip.picture), alt: strip.names }));
}

let withShapes = true;
function shapesSwitch(row) {
  if (!outlined.has(row)) return null;
  const tick = make('input', { type: 'checkbox', checked: withShapes, onchange: () => { withShapes = tick.checked; showShapes(); } });
  showShapes();
  return make('label', { class: 'check' }, tick, 'boxes and points');
}
const showShapes = () => find('detail').classList.toggle('no-shapes', !withShapes);

function kin(title, rows) {
  if (!rows.length) return null;
  const shots = rows.slice(0, 12).map((row) => make('button', {
    type: 'button', 'aria-label': `${title}: ${labelOf(row)}, ${text(samples.origin, row)}, ${fateText(row)}`,
    onclick: () => { current = row; fillDetail(); find('close').focus(); },
  }, shot(row, 'small', true)));
  const more = rows.length > 12 ? make('p', { class: 'lead', text: `… ${whole(rows.length - 12)} more` }) : null;
  return make('div', {}, make('h3', { text: title }), make('div', { class: 'kin' }, ...shots), more);
}

function story(row) {
  const trace = provenanceOf(row);
  const fate = make('span', { class: 'fate' }, dot(outcomes[row]), make('span', { text: fateText(row) }));
  const told = [
    ['Fate', fate], ['Id', mono(samples.id[row])], ['Made by', text(samples.stage, row)],
    ['File', trace?.facts.get('source')], ['Split', text(samples.split, row)],
    ['Labels', trace?.facts.get('labels')], ['Shares', trace?.facts.get('soft_label')], ['Boxes', trace?.facts.get('boxes')],
    ['Keypoints', trace?.facts.get('keypoints')], ['Caption', trace?.facts.get('caption')], ['Other columns', trace?.facts.get('extra')],
    ['Label by', trace?.facts.get('labelled_by')], ['Note', trace?.facts.get('note')],
    ['Size', `${whole(samples.width[row])} × ${whole(samples.height[row])} px`],
    ['Weight', isKept(row) ? figure(shared(samples.weight, row)) : null],
    ['SHA-256', trace?.facts.has('digest') ? mono(trace.facts.get('digest')) : null],
  ];
  const parts = [facts(told)];
  const scores = run.measures.filter(({ name }) => samples.scores[name][row] !== null);
  if (scores.length) parts.push(make('h3', { text: 'Scores' }), facts(scores.map((measure) => [measure.name, rank(measure, row)])));
  if (trace?.generation_config || trace?.seed) parts.push(...making(trace));
  if (!trace) parts.push(make('p', { class: 'lead', text: 'Its provenance is not in this file, to keep it small.' }));
  const command = `augforge why ${run.path} ${samples.id[row].slice(0, 12)}`;
  parts.push(make('h3', { text: 'All of it, in a terminal' }), commandBox(command));
  return parts;
}

// A score, and how it compares within the class of the image.
function rank({ name, lower_is_better }, row) {
  const scores = samples.scores[name], code = samples.label.codes[row];
  let below = 0, others = 0;
  for (let one = 0; one < total; one += 1) {
    if (one === row || scores[one] === null || samples.label.codes[one] !== code) continue;
    others += 1;
    below += lower_is_better ? scores[one] > scores[row] : scores[one] < scores[row];
  }
  return `${figure(scores[row])}${others ? `, better than ${Math.round(100 * below / others)} % of ${code < 0 ? 'those without a label' : 'its class'}` : ''}`;
}

function making({ generation_config: config, sampled_params: params, seed }) {
  const { generator, model, ...options } = config ?? {};
  const told = [['generator', generator], ['model', model?.name ?? model], ['seed', plain(seed)], ...params.map(([name, value]) => [name, plain(value)])];
  const rest = Object.entries(model?.name ? { ...options, model } : options).filter(([, value]) => value !== '' && value !== null);
  return [make('h3', { text: 'How it was made' }), facts(told.filter(([, value]) => value !== undefined && value !== null)),
    rest.length ? asTable('Every option, versions, and the machine', () => facts(rest.map(([name, value]) => [name, plain(value)]))) : null];
}

function step(by) {
  const at = list.indexOf(current);
  if (at < 0 || at + by < 0 || at + by >= list.length) return;
  current = list[at + by];
  fillDetail();
}

function prepareDetail() {
  find('close').addEventListener('click', () => find('detail').close());
  find('previous').addEventListener('click', () => step(-1));
  find('following').addEventListener('click', () => step(1));
  find('detail').addEventListener('click', (event) => { if (event.target === find('detail')) find('detail').close(); });
  find('detail').addEventListener('close', () => {
    current = -1;
    writeAddress();
    if (opener?.isConnected) opener.focus();
  });
  find('detail').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      step(event.key === 'ArrowLeft' ? -1 : 1);
      event.preventDefault();
    }
  });
}
