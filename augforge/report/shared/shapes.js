// What lies over a picture: boxes, outlines and points.

const SVG = 'http://www.w3.org/2000/svg';
function vector(tag, options, ...inside) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(options)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

// Boxes, outlines and points in px of the image; lines have one width whatever its size, and words one height.
function shapesOver(width, height, shapes) {
  const unit = Math.max(width, height) / 100;
  const over = vector('svg', { class: 'shapes', viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
  for (const { c: colour, b: box, t: word, d: area, p: point } of shapes) {
    if (area) over.append(vector('path', { d: area, fill: colour, 'fill-opacity': 0.4, stroke: area.includes('h') ? 'none' : colour, 'stroke-opacity': 0.6, 'stroke-width': unit / 4 }));
    if (point) over.append(vector('circle', { cx: point[0], cy: point[1], r: unit, fill: point[2] ? colour : 'none', stroke: colour, 'stroke-width': unit / 2 }));
    if (!box) continue;
    const [x0, y0, x1, y1] = box;
    over.append(vector('rect', { x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: 'none', stroke: colour, 'stroke-width': unit / 1.6 }));
    if (word) over.append(vector('text', { x: x0 + unit / 2, y: Math.max(y0 - unit, 3.4 * unit), 'font-size': 3.6 * unit, fill: colour }, word));
  }
  return over;
}

export { vector, shapesOver };
