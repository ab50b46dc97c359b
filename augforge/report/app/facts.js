// What stages say of their own work as numbers: thresholds that were fitted, calibrations, scales.

function showFacts() {
  const stages = Object.entries(run.facts);
  if (!stages.length) return false;
  const rows = stages.flatMap(([stage, facts]) => Object.entries(facts).map(([name, value]) => [stage, name, typeof value === 'number' ? figure(value, 6) : value]));
  find('facts-body').append(table(null, [['stage', false], ['fact', false], ['value', true]], rows));
  return true;
}
