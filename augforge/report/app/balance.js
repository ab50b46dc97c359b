// Images per class before and after the run.

const MOST_ROWS = 40;

function showBalance() {
  const rows = [...run.balance].sort((a, b) => b[1] - a[1] || b[2] + b[3] - a[2] - a[3]);
  if (!rows.length) return false;
  const before = ([, real]) => real, after = ([, , real, synthetic]) => real + synthetic;
  const told = [`${many(rows.length, 'class', 'classes')}.`, spread(rows.map(before), rows.map(after)), ...[[before, 'before'], [after, 'after']].map(([count, when]) => empty(rows, count, when)), 'Evaluation splits are left out.'];
  find('balance-lead').textContent = told.filter(Boolean).join(' ');
  const few = rows.length <= MOST_ROWS;
  const box = chart('Images of each class: real before the run, real and synthetic after it', () => bars(rows, few));
  if (few) box.style.height = `${Math.max(180, 74 + 30 * rows.length)}px`;
  find('balance-body').append(box, asTable('As a table', () => table('', [['class', false], ['real before', true], ['real after', true], ['synthetic after', true], ['all after', true]],
    rows.map(([label, ...counts]) => [label, ...counts.map(whole), whole(counts[1] + counts[2])]))));
  return true;
}

// How many times as large the largest class is as the smallest that has any image, where there are two of those.
function spread(before, after) {
  const times = (counts) => {
    const some = counts.filter(Boolean);
    return some.length > 1 ? `${figure(Math.max(...some) / Math.min(...some), 3)} times` : '';
  };
  const [first, second] = [times(before), times(after)];
  if (!first && !second) return '';
  const then = first ? `before the run${second && `, ${second} after it`}` : 'after the run';
  return `The largest has ${first || second} as many images as the smallest ${then}.`;
}

const MOST_NAMED = 5;
function empty(rows, count, when) {
  const names = rows.filter((row) => !count(row)).map(([label]) => label);
  if (!names.length) return '';
  const more = names.length > MOST_NAMED ? ` and ${whole(names.length - MOST_NAMED)} more` : '';
  return `Without any image ${when} the run: ${names.slice(0, MOST_NAMED).join(', ')}${more}.`;
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
