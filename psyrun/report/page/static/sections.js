// The other sections: progress, failures, costs, origin.

const MOST_LEVELS_SHOWN = 40;
const SLOWEST = 20;

function section(id, title, ...children) {
  return el('section', { id, 'aria-labelledby': `${id}-heading` }, el('h2', { id: `${id}-heading`, tabindex: '-1' }, title), ...children);
}

function definitions(pairs, attributes = {}) {
  const list = el('dl', attributes);
  for (const [term, text, id] of pairs) list.append(el('div', {}, el('dt', {}, term), el('dd', { id }, text)));
  return list;
}

// Progress -------------------------------------------------------------------------

const STATES = [['done', 'done'], ['failed', 'failed'], ['running', 'in running jobs'], ['to_do', 'to do']];

function shareBar(counts, total) {
  const bar = el('div', { class: 'bar', role: 'img', 'aria-label': STATES.map(([key, text]) => `${counts[key]} ${text}`).join(', ') });
  for (const [key] of STATES) {
    if (!counts[key]) continue;
    const part = el('span', { class: `part ${key}` });
    part.style.width = `${100 * counts[key] / total}%`;
    bar.append(part);
  }
  return bar;
}

function progressSection(task) {
  const { counts } = task.raw;
  const total = task.raw.n_assignments;
  const of = (n) => (total ? `${countText(n)} (${numberText(100 * n / total, 3)} %)` : '0');
  const pairs = [['assignments', countText(total), 'n-assignments'],
    ...STATES.map(([key, text]) => [text, of(counts[key]), `n-${key}`]),
    ['state', task.raw.state + (task.raw.remark ? `: ${task.raw.remark}` : ''), 'task-state']];
  const pace = paceOf(task);
  if (pace.length) pairs.push(...pace);
  const over = el('div');
  const options = task.parameters.map((each) => [each.name, each.head]);
  const parts = [definitions(pairs, { class: 'counts' }), total ? shareBar(counts, total) : null];
  if (options.length) {
    const first = (ordinary(task)[0] || task.parameters[0]).name;
    const show = (name) => over.replaceChildren(progressTable(task, name));
    parts.push(chooser('progress-axis', 'Over', options, first, show), over);
    show(first);
  }
  if (task.timeline) parts.push(new TimelineChart(task).element);
  return section('progress', 'Progress', ...parts);
}

// While somebody evaluates it.
function paceOf(task) {
  const { pace } = task.raw;
  if (!pace) return [];
  const { rate } = pace;
  const perMinute = rate === null ? 'not known yet' : rate >= 1 ? `${numberText(rate, 3)} evaluations per second` : `${numberText(60 * rate, 3)} evaluations per minute`;
  return [['rate of late', perMinute, 'rate'], ['expected end', pace.end || 'not known yet', 'expected-end']];
}

function progressTable(task, name) {
  const axis = axisOf(task.parameters.find((each) => each.name === name), MOST_LEVELS_SHOWN, 20);
  // The last ones are those without a place among intervals.
  const counts = Array.from({ length: axis.n + 1 }, () => ({ done: 0, failed: 0, running: 0, to_do: 0 }));
  const keys = ['done', 'to_do', 'failed', 'running'];
  const add = (level, row) => {
    if (!task.cells) counts[level][keys[task.status[row]]] += 1;
    else {
      counts[level].done += task.cells.done[row];
      counts[level].failed += task.cells.failed[row];
      counts[level].to_do += task.cells.open[row];
    }
  };
  for (let row = 0; row < task.n; row += 1) {
    const level = axis.codes[row];
    add(level < 0 ? axis.n : level, row);
  }
  const rows = counts.map((each, level) => {
    const total = each.done + each.failed + each.running + each.to_do;
    return [shortText(level < axis.n ? axis.labels[level] : 'nan or ∞', 80), ...[each.done, each.failed, each.running, each.to_do].map(countCell), total ? shareBar(each, total) : ''];
  });
  if (!Object.values(counts[axis.n]).some(Boolean)) rows.pop();
  return tableOf(`Progress over ${axis.head}`, [axis.head, ...STATES.map(([, text]) => text), 'shares'], rows, { id: 'progress-table' });
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

// Failures -------------------------------------------------------------------------

function failuresSection(task, look) {
  const { failures, counts } = task.raw;
  const heading = counts.failed ? `Failures: ${countText(counts.failed)}` : 'Failures';
  if (!failures.groups.length) return section('failures', heading, el('p', {}, counts.failed ? 'Nothing is recorded of them.' : 'None.'));
  const groups = failures.groups.map((group) => el(
    'details',
    { class: 'group' },
    el('summary', {}, el('span', { class: 'times' }, `${countText(group.n)} × `), group.cause, group.place ? el('span', { class: 'place' }, ` ${group.place}`) : null),
    group.rule ? el('p', { class: 'rule' }, sentence(group.rule)) : null,
    group.times ? el('p', {}, `Failed ${group.times}.`) : null,
    el('p', {}, 'In the debugger: ', el('code', {}, `psy debug ${task.name} ${group.index}`)),
    el('pre', { class: 'traceback', tabindex: '0' }, group.traceback),
    tableOf(
      group.n > group.examples.length ? `The first ${group.examples.length} of ${countText(group.n)}` : counted(group.n, 'assignment'),
      ['number', 'parameters', 'machine'],
      group.examples.map((each) => [{ text: String(each.index), class: 'number', value: each.index }, each.values, each.host]),
    ),
  ));
  if (groups.length === 1) groups[0].open = true;
  const more = failures.n_hidden ? el('p', {}, `And ${counted(failures.n_hidden, 'other kind')} of failure; see all with psy failed ${task.name}.`) : null;
  const rule = failures.rule ? el('p', { class: 'rule', id: 'failure-rule' }, sentence(failures.rule)) : null;
  return section('failures', heading, rule, button('Show the failure rate over the axes', () => look('failed'), { id: 'look-failed' }), ...groups, more);
}

// Costs ----------------------------------------------------------------------------

function costsSection(task, look) {
  const time = task.quantities.find((each) => each.id === 'time');
  const memory = task.quantities.find((each) => each.id === 'memory');
  const uses = usesOf(task);
  const { seconds: wasted, n_unknown: nUnknown } = task.raw.failures;
  const ofFailures = [];
  if (wasted) ofFailures.push(['time of failed assignments, their last evaluations', durationText(wasted), 'time-failed']);
  if (nUnknown) ofFailures.push(['failed assignments of unknown time', countText(nUnknown)]);
  if (!time && !memory) return section('costs', 'Cost', el('p', {}, 'What the rows have cost is not known.'), ofFailures.length ? definitions(ofFailures, { class: 'counts' }) : null, ...uses);
  const pairs = [];
  const parts = [];
  if (time) {
    const known = time.values.filter(Number.isFinite);
    const nOf = (row) => (time.spread ? time.spread.n[row] : 1);
    const [total, n] = time.values.reduce(([sum, count], value, row) => (Number.isFinite(value) ? [sum + value * nOf(row), count + nOf(row)] : [sum, count]), [0, 0]);
    pairs.push(['time of all rows', durationText(total), 'time-total'], ...ofFailures);
    pairs.push([wasted ? 'core-hours of both' : 'in core-hours', numberText((total + wasted) / 3600, 3), 'core-hours'],
      ['mean of a row', durationText(total / n), 'time-mean'], ['longest', durationText(largestOf(time)), 'time-longest']);
    if (!time.spread) pairs.push(['median of a row', durationText(quantileOf(known, 0.5)), 'time-median']);
    if (n < task.raw.counts.done) pairs.push(['rows of unknown time', countText(task.raw.counts.done - n)]);
    parts.push(button('Show the time over the axes', () => look('time'), { id: 'look-time' }));
  }
  if (memory) {
    const most = largestOf(memory);
    pairs.push(['largest memory of a worker', `${numberText(most, 4)} MiB`, 'memory-largest']);
    parts.push(button('Show the memory over the axes', () => look('memory'), { id: 'look-memory' }));
  }
  const { slowest, largest } = task.raw;
  const worst = time || memory;
  const rows = largestRows(worst.values, SLOWEST);
  return section(
    'costs',
    'Cost',
    definitions(pairs, { class: 'counts' }),
    slowest ? el('p', { class: 'rule', id: 'slowest-rule' }, sentence(slowest)) : null,
    largest ? el('p', { class: 'rule', id: 'largest-rule' }, sentence(largest)) : null,
    el('div', { class: 'buttons' }, ...parts),
    ...uses,
    rowsTable(task, rows, `The ${rows.length} ${time ? 'slowest rows' : 'rows with most memory'}${task.cells ? ', by the mean of repeats' : ''}`, 'slowest-table', worst.id),
  );
}

// What jobs in a queue have used of what was reserved for them.
function usesOf(task) {
  const { uses } = task.raw;
  if (!uses.length) return [];
  const rows = uses.flatMap((use) => use.kinds.map((kind) => [
    use.step, use.n_counted < use.n_jobs ? `${countText(use.n_counted)} of ${countText(use.n_jobs)}` : countText(use.n_jobs), kind.what,
    { text: kind.used, class: 'number' }, { text: kind.reserved || 'not known', class: 'number' }, kind.share === null ? '' : shareOfReserved(kind.share),
  ]));
  const who = uses.some((use) => use.by_queue) ? 'as the queue counts it' : 'as rows and jobs tell it';
  const advice = uses.filter((use) => use.advice).map((use) => el('li', {}, `${use.step}: ${use.advice}`));
  return [
    tableOf(`What jobs used of what was reserved, ${who}`, ['step', 'jobs', 'what', 'used', 'reserved', 'share'], rows, { id: 'uses-table' }),
    advice.length ? el('p', { class: 'rule' }, 'Could be lower in scheduler_args:') : null,
    advice.length ? el('ul', { id: 'uses-advice' }, ...advice) : null,
  ];
}

function shareOfReserved(share) {
  const text = `${numberText(100 * share, 2)} %`;
  const bar = el('span', { class: 'bar' });
  const part = el('span', { class: 'part done' });
  part.style.width = `${Math.min(100, 100 * share)}%`;
  bar.append(part);
  return el('span', { class: 'share' }, text, bar);
}

function largestOf(quantity) {
  const values = quantity.spread ? quantity.spread.high : quantity.values;
  return extremesOf(values.filter(Number.isFinite))[1];
}

function largestRows(values, most) {
  let found = [];
  let least = -Infinity;
  for (let row = 0; row < values.length; row += 1) {
    if (values[row] > least) {
      found.push(row);
      if (found.length > 4 * most) {
        found = found.sort((a, b) => values[b] - values[a]).slice(0, most);
        least = values[found[most - 1]];
      }
    }
  }
  return found.sort((a, b) => values[b] - values[a]).slice(0, most);
}

// Origin ---------------------------------------------------------------------------

function originSection(task) {
  const { origin, versions, constants, notes } = task.raw;
  const rowsOf = new Map();
  for (const { name, n } of versions) {
    if (n) rowsOf.set(name, n);
  }
  const isCurrent = (name) => versions.some((each) => each.name === name && each.current);
  const known = new Map(origin.map((each) => [each.version, each]));
  const names = [...new Set([...known.keys(), ...rowsOf.keys()])];
  const parts = [];
  const entries = Object.entries(constants);
  if (entries.length) parts.push(el('h3', {}, 'The same everywhere'), definitions(entries, { class: 'constants' }));
  if (!names.length) parts.push(el('p', {}, 'Nothing is recorded of the versions of this task.'));
  for (const name of names.reverse()) {
    const n = rowsOf.get(name) || 0;
    const remark = name === '' ? ' of a version that is not known' : isCurrent(name) || !n ? '' : ' of an older version';
    parts.push(versionDetails(name, known.get(name), `${counted(n, 'row')}${remark}`));
  }
  if (notes.length) parts.push(el('h3', {}, 'What this page leaves out'), el('ul', { id: 'notes' }, ...notes.map((each) => el('li', {}, each))));
  return section('origin', 'Origin', ...parts);
}

function versionDetails(name, record, text) {
  const head = el('summary', {}, `Version ${name || 'not known'}: ${text}`);
  if (!record) return el('details', {}, head, el('p', {}, 'Nothing more is recorded of it.'));
  const when = record.recorded === null ? 'not known' : `${dateText(record.recorded * 1000)} UTC`;
  const pairs = [['first run', when], ['command', record.command], ['machine', record.host], ['Python', record.python],
    ['platform', record.platform], ['psyrun', record.psyrun], ...Object.entries(record.git).map(([key, value]) => [`git ${key}`, value]),
    ...Object.entries(record.libraries)].filter(([, value]) => value);
  const sources = Object.entries(record.source).map(([file, source]) => el('details', {}, el('summary', {}, file), el('pre', { tabindex: '0' }, source)));
  if (record.diff) sources.push(el('details', {}, el('summary', {}, 'changes that were not committed'), el('pre', { tabindex: '0' }, record.diff)));
  const left = record.left_out.length ? el('p', {}, `Left out, as too long: ${record.left_out.join(', ')}`) : null;
  return el('details', {}, head, definitions(pairs, { class: 'constants' }), ...sources, left);
}
