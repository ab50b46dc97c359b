// Images per class before and after the run.

const MOST_ROWS = 40;

function showBalance() {
  const rows = [...run.balance].sort((a, b) => b[1] - a[1] || b[2] + b[3] - a[2] - a[3]);
  if (!rows.length) {
    find('balance-lead').textContent = 'No image of this run has a label.';
    return;
  }
  const before = rows.map((row) => row[1]), after = rows.map((row) => row[2] + row[3]);
  find('balance-lead').textContent = `${many(rows.length, 'class', 'classes')}. The largest has ${ratio(before)} times the images of the smallest before the run${without(before)}, ${ratio(after)} times after it${without(after)}. Evaluation splits are left out.`;
  const few = rows.length <= MOST_ROWS;
  const box = chart('Images of each class: real before the run, real and synthetic after it', () => bars(rows, few));
  if (few) box.style.height = `${Math.max(180, 74 + 30 * rows.length)}px`;
  find('balance-body').append(box, asTable('As a table', () => table('', [['class', false], ['real before', true], ['real after', true], ['synthetic after', true], ['all after', true]],
    rows.map(([label, ...counts]) => [label, ...counts.map(whole), whole(counts[1] + counts[2])]))));
}

// The largest of the counts over the smallest that is not 0.
function ratio(counts) {
  const there = counts.filter((count) => count);
  return there.length ? figure(Math.max(...there) / Math.min(...there), 3) : '0';
}

function without(counts) {
  const none = counts.filter((count) => !count).length;
  return none ? ` (${many(none, 'class', 'classes')} without any image aside)` : '';
}

function bars(rows, few) {
  const values = few ? { x: 'x', y: 'y' } : { x: 'y', y: 'x' };
  const set = (label, tone, stack, of) => ({ label, stack, backgroundColor: colour(tone), data: rows.map(of), maxBarThickness: 14, barPercentage: few ? 0.9 : 1, categoryPercentage: few ? 0.8 : 1 });
  const names = rows.map(([label]) => (label.length > 28 ? `${label.slice(0, 27)}…` : label));
  return {
    type: 'bar',
    data: {
      labels: names,
      datasets: [set('real before', 'unchosen', 'before', (row) => row[1]), set('real after', 'real', 'after', (row) => row[2]), set('synthetic after', 'synthetic', 'after', (row) => row[3])],
    },
    options: {
      indexAxis: few ? 'y' : 'x',
      interaction: { mode: 'index', intersect: false, axis: few ? 'y' : 'x' },
      scales: {
        [values.x]: axis('images', { stacked: true, beginAtZero: true, ticks: { precision: 0 } }),
        [values.y]: bare({ stacked: true, ticks: { autoSkip: !few } }),
      },
    },
  };
}
