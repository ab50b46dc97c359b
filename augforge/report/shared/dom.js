// Small helpers. Texts of the run reach the page only through textContent, so that none of them can be markup.

const find = (id) => document.getElementById(id);

function make(tag, options = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'text') element.textContent = value;
    else if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== 'list') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...inside.filter((child) => child !== null && child !== undefined));
  return element;
}

const whole = (number) => number.toLocaleString('en');
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const many = (count, one, more = `${one}s`) => `${whole(count)} ${count === 1 ? one : more}`;
function figure(number, digits = 4) {
  if (number === null || number === undefined || !Number.isFinite(number)) return '–';
  return Number.isInteger(number) && Math.abs(number) < 1e7 ? whole(number) : String(Number(number.toPrecision(digits)));
}

// A table: columns are [title, isNumber], the first cell of a row is its header; a cell is a text or an element.
function table(caption, columns, rows) {
  const head = columns.map(([title, isNumber]) => make('th', { text: title, scope: 'col', class: isNumber ? 'number' : '' }));
  const body = rows.map((row) => make('tr', {}, ...row.map((cell, place) => {
    const element = make(place ? 'td' : 'th', { class: columns[place][1] ? 'number' : '' });
    if (!place) element.scope = 'row';
    element.append(cell instanceof Node ? cell : document.createTextNode(cell ?? ''));
    return element;
  })));
  return make('table', {}, caption ? make('caption', { text: caption }) : null,
    make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...body));
}

// The same numbers as in a chart, for those who cannot see it; the table is built when it is opened.
function asTable(summary, build) {
  const element = make('details', {}, make('summary', { text: summary }));
  element.addEventListener('toggle', () => {
    if (element.open && element.children.length === 1) element.append(make('div', { class: 'scroll', tabIndex: 0 }, build()));
  });
  return element;
}

let fields = 0;
function field(title, control) {
  fields += 1;
  control.id = `field-${fields}`;
  return make('div', { class: 'field' }, make('label', { htmlFor: control.id, text: title }), control);
}

function chooser(options, onchange) {
  const select = make('select', { onchange: () => onchange(select.value) });
  for (const [value, title, group] of options) {
    let parent = select;
    if (group) {
      parent = [...select.children].find((child) => child.label === group) ?? make('optgroup', { label: group });
      if (!parent.isConnected && !parent.parentNode) select.append(parent);
    }
    parent.append(make('option', { value, text: title }));
  }
  return select;
}

function dot(fate) {
  const element = make('i', { class: `dot${fate === 'unchosen' || fate === 'filtered' ? ' hollow' : ''}`, 'aria-hidden': 'true' });
  element.style.background = `var(--${fate})`;
  element.style.color = `var(--${fate})`;
  return element;
}

// A command with the button that copies it; where the browser allows no copying, the text is selected instead.
function commandBox(command) {
  const shown = make('pre', { text: command, tabIndex: 0 });
  const button = make('button', { type: 'button', text: 'Copy', onclick: async () => {
    const selection = getSelection();
    selection.selectAllChildren(shown);
    const copied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
    button.textContent = copied ? 'Copied' : 'Selected';
  } });
  return make('div', { class: 'command' }, shown, button);
}

function tile(title, value, below) {
  return make('div', {}, make('dt', { text: title }),
    make('dd', { text: value }, below ? make('small', { text: below }) : null));
}

// A list of cards, so many at a time, with buttons to turn the page where there are more.
function pagedList(items, size, card, options) {
  let first = 0;
  const list = make('ul', options);
  const where = make('span', {});
  const turn = (by) => {
    first = Math.min(Math.max(0, first + by), items.length - 1);
    list.replaceChildren(...items.slice(first, first + size).map(card));
    where.textContent = `${whole(first + 1)} to ${whole(Math.min(items.length, first + size))} of ${whole(items.length)}`;
    back.disabled = first === 0;
    forth.disabled = first + size >= items.length;
  };
  const back = make('button', { type: 'button', text: '← Previous', onclick: () => turn(-size) });
  const forth = make('button', { type: 'button', text: 'Next →', onclick: () => turn(size) });
  turn(0);
  return [list, make('div', { class: 'row pager', hidden: items.length <= size }, back, where, forth)];
}

export { find, make, whole, percent, many, figure, table, asTable, field, chooser, dot, commandBox, tile, pagedList };
