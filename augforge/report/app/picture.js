// One picture with its mask and its annotations over it, or why there is none.

function shot(row, size, decorative = false) {
  const box = make('span', { class: `shot ${size}` });
  const source = pictureOf(row);
  if (!source) {
    box.append(make('span', { class: 'none', text: size === 'small' ? '–' : whyNoPicture(row), 'aria-hidden': String(size === 'small') }));
    return box;
  }
  const about = decorative ? '' : `${text(samples.origin, row)} image of class ${labelOf(row)}`;
  const picture = make('img', { src: source, alt: about, decoding: 'async' });
  picture.addEventListener('load', () => picture.classList.toggle('tiny', picture.naturalWidth <= 64));
  box.append(picture);
  const mask = maskOf(row);
  if (mask) box.append(make('img', { src: mask, alt: '', class: 'mask' }));
  return box;
}

function fateText(row) {
  return isKept(row) ? 'kept' : `${text(samples.by, row)}: ${text(samples.reason, row)}`;
}
