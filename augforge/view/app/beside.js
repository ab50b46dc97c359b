// Two pictures of the same thing: side by side, one in place of the other, or how they differ.

import { find, make } from './shared/dom.js';
import { complain } from './api.js';

const WAYS = [['side', 'side by side'], ['blink', 'blink'], ['difference', 'difference']];
const SIDE = 640, BEAT = 700; // px, ms
let way = 'side';

async function picture(source) {
  const image = new Image();
  image.src = source;
  await image.decode().catch(() => { throw Object.assign(new Error('A picture cannot be shown: its bytes are gone or on another machine, or it is withheld.'), { name: 'Trouble' }); });
  image.classList.toggle('tiny', image.naturalWidth <= 64);
  return image;
}

// |second - first| of each channel, times `gain`, in [0, 255]; the mean is that of the plain difference.
function differ(first, second, gain) {
  const scale = Math.min(1, SIDE / Math.max(second.naturalWidth, second.naturalHeight));
  const width = Math.max(1, Math.round(second.naturalWidth * scale)), height = Math.max(1, Math.round(second.naturalHeight * scale));
  const [a, b] = [first, second].map((image) => {
    const canvas = make('canvas', { width, height });
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    pen.drawImage(image, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height);
  });
  let sum = 0;
  for (let place = 0; place < b.data.length; place += 1) {
    if (place % 4 === 3) continue;
    const change = Math.abs(b.data[place] - a.data[place]);
    sum += change;
    b.data[place] = change * gain;
  }
  return { pixels: b, mean: sum / (3 * width * height) };
}

// `first` and `second` are [name, address of the picture].
function beside([firstName, firstSource], [secondName, secondSource]) {
  const stage = make('div', { class: 'beside' });
  const gain = make('input', { type: 'range', min: 1, max: 16, step: 1, value: 4, 'aria-label': 'How strongly the difference is shown', oninput: () => show() });
  const said = make('p', { class: 'lead', role: 'status' });
  const buttons = WAYS.map(([key, name]) => make('button', { type: 'button', text: name, onclick: () => { way = key; show(); } }));
  const box = make('div', { class: 'stack' }, make('div', { class: 'row', role: 'group', 'aria-label': 'How to compare' }, ...buttons, gain), stage, said);
  const loaded = Promise.all([picture(firstSource), picture(secondSource)]);
  let beat = 0;

  const shown = (image, name) => make('figure', {}, image, make('figcaption', { text: name }));
  async function show() {
    clearInterval(beat);
    WAYS.forEach(([key], place) => buttons[place].setAttribute('aria-pressed', String(key === way)));
    gain.hidden = way !== 'difference';
    try {
      const [first, second] = await loaded;
      first.alt = firstName;
      second.alt = secondName;
      said.textContent = '';
      if (way === 'side') stage.replaceChildren(shown(first, firstName), shown(second, secondName));
      else if (way === 'blink') blink(first, second);
      else difference(first, second);
    } catch (error) {
      stage.replaceChildren(make('p', { class: 'lead', text: error.message }));
      if (error.name !== 'Trouble') complain(error);
    }
  }

  function blink(first, second) {
    let turn = false;
    const change = () => {
      turn = !turn;
      stage.replaceChildren(turn ? shown(second, secondName) : shown(first, firstName));
    };
    change();
    box.toggle = change;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      said.replaceChildren(make('button', { type: 'button', text: 'Change', onclick: change }));
      return;
    }
    beat = setInterval(() => (box.isConnected ? change() : clearInterval(beat)), BEAT);
  }

  function difference(first, second) {
    const { pixels, mean } = differ(first, second, Number(gain.value));
    const canvas = make('canvas', { width: pixels.width, height: pixels.height, class: pixels.width <= 64 ? 'tiny' : '', role: 'img', 'aria-label': `The difference between ${firstName} and ${secondName}` });
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    stage.replaceChildren(make('figure', {}, canvas, make('figcaption', { text: `|${secondName} − ${firstName}| × ${gain.value}` })));
    said.textContent = `They differ by ${mean.toFixed(1)} of 255 on average.`;
  }

  box.next = () => {
    way = WAYS[(WAYS.findIndex(([key]) => key === way) + 1) % WAYS.length][0];
    show();
  };
  box.id = 'beside';
  show();
  return box;
}

// The same in a dialog of its own.
function besideInDialog(title, first, second) {
  const dialog = find('question');
  dialog.replaceChildren(make('div', { class: 'row between' }, make('h2', { id: 'question-title', text: title }), make('button', { type: 'button', text: 'Close', onclick: () => dialog.close() })), beside(first, second));
  dialog.showModal();
}

const nextWay = () => find('beside')?.next();

export { beside, besideInDialog, nextWay };
