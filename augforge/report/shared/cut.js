// A threshold on a histogram: what would go is veiled, and the line can be dragged.

import { colour } from './charts.js';

const stays = (measure, cut, score) => (measure.lower_is_better ? score <= cut : score >= cut);

// Veil what would go, and draw the line.
function drawCut(made, measure, cut) {
  const { ctx, chartArea: { left, right, top, bottom } } = made;
  const at = Math.min(right, Math.max(left, made.scales.x.getPixelForValue(cut)));
  ctx.save();
  ctx.globalAlpha = 0.68;
  ctx.fillStyle = colour('ground');
  if (measure.lower_is_better) ctx.fillRect(at, top, right - at, bottom - top);
  else ctx.fillRect(left, top, at - left, bottom - top);
  ctx.globalAlpha = 1;
  ctx.fillStyle = colour('ink');
  ctx.fillRect(at - 1, top, 2, bottom - top);
  ctx.beginPath();
  ctx.arc(at, top + 7, 6, 0, 2 * Math.PI);
  ctx.fill();
  ctx.restore();
}

// The slider lies under the axis of the chart, so that its thumb is below the line.
function align(made, slider) {
  const thumb = 8;
  slider.style.marginLeft = `${made.chartArea.left - thumb}px`;
  slider.style.width = `${made.chartArea.width + 2 * thumb}px`;
  made.options.onResize = () => requestAnimationFrame(() => made.chartArea && align(made, slider));
}

function dragging(plot, moved) {
  const follow = (event) => moved(plot.chart.scales.x.getValueForPixel(event.clientX - plot.getBoundingClientRect().left));
  plot.addEventListener('pointerdown', (event) => { if (plot.chart) { plot.setPointerCapture(event.pointerId); follow(event); } });
  plot.addEventListener('pointermove', (event) => { if (plot.hasPointerCapture(event.pointerId)) follow(event); });
}

export { stays, drawCut, align, dragging };
