// A task: its parameters and quantities, and their reduction over cells.

const STATUS = ['done', 'to do', 'failed', 'in a running job'];
const [DONE, TO_DO, FAILED, RUNNING] = [0, 1, 2, 3];
const STATISTICS = [
  ['mean', 'mean'],
  ['median', 'median'],
  ['min', 'smallest'],
  ['max', 'largest'],
  ['sd', 'standard deviation'],
  ['n', 'number of values'],
];
const BANDS = [
  ['none', 'none'],
  ['sd', '± standard deviation'],
  ['sem', '± standard error'],
  ['range', 'smallest to largest'],
  ['q10', '10 % to 90 % quantile'],
];

async function loadTask(raw) {
  const [status, versions, index] = await Promise.all([
    codesOf(raw.status.column),
    codesOf(raw.version.column),
    raw.index ? codesOf(raw.index.column) : null,
  ]);
  const task = { raw, name: raw.name, n: raw.n, status, versions };
  if (raw.cells) {
    const [done, failed, open] = await Promise.all(['done', 'failed', 'open'].map((name) => codesOf(raw.cells[name].column)));
    task.cells = { done, failed, open };
  }
  task.indexOf = index ? (row) => index[row] : (row) => row;
  task.parameters = await Promise.all(raw.parameters.map(loadParameter));
  task.quantities = await quantitiesOf(task);
  if (raw.timeline) {
    const { begins, busy, failed } = raw.timeline;
    task.timeline = { ...raw.timeline, begins: await codesOf(begins), busy: await codesOf(busy), failed: failed && await codesOf(failed) };
  }
  return task;
}

async function loadParameter(raw) {
  const parameter = { ...raw, raw, isRepeat: raw.repeat };
  parameter.head = withUnit(raw.title, raw.unit);
  parameter.isByRatios = () => false;
  if (raw.texts) {
    parameter.codes = await codesOf(raw.column);
    parameter.textOf = (row) => raw.texts[parameter.codes[row]];
    parameter.n = raw.texts.length;
    return parameter;
  }
  const show = MOMENT_TEXTS[raw.kind] || ((v) => numberText(v, 10));
  parameter.show = show;
  if (raw.levels) {
    parameter.levelValues = await codesOf(raw.levels);
    parameter.codes = await codesOf(raw.column);
    parameter.valueOf = (row) => parameter.levelValues[parameter.codes[row]];
    parameter.n = parameter.levelValues.length;
  } else {
    parameter.values = await numbersOf(raw.column);
    parameter.valueOf = (row) => parameter.values[row];
    parameter.n = Infinity;
  }
  let isByRatios = null;
  parameter.isByRatios = () => {
    if (isByRatios === null) {
      const known = parameter.levelValues ? Array.from(parameter.levelValues).filter(Number.isFinite) : parameter.values;
      isByRatios = parameter.kind === 'number' && ((parameter.levelValues && isGeometric(known)) || isSpreadByRatios(known));
    }
    return isByRatios;
  };
  parameter.textOf = (row) => show(parameter.valueOf(row));
  return parameter;
}

async function quantitiesOf(task) {
  const { raw, status } = task;
  const found = [];
  for (const [group, list] of [['result', raw.results], ['cost', raw.costs]]) {
    for (const each of list) {
      found.push({
        id: group === 'result' ? `result:${each.name}` : each.name,
        group,
        name: each.name,
        unit: each.unit,
        head: withUnit(each.title, each.unit),
        values: await numbersOf(each.column),
        spread: each.spread ? await spreadOf(each.spread) : null,
      });
    }
  }
  if (task.cells) {
    found.push(shareOf(task, 'failed', 'failure rate', ({ failed }, row) => failed[row], ({ done, failed }, row) => done[row] + failed[row]));
    found.push(shareOf(task, 'done', 'share that is done', ({ done }, row) => done[row], ({ done, failed, open }, row) => done[row] + failed[row] + open[row]));
    return found;
  }
  const failed = new Float64Array(task.n).fill(NaN);
  const done = new Float64Array(task.n);
  for (let row = 0; row < task.n; row += 1) {
    if (status[row] === FAILED) failed[row] = 1;
    if (status[row] === DONE) {
      failed[row] = 0;
      done[row] = 1;
    }
  }
  found.push({ id: 'failed', group: 'state', name: 'failed', head: 'failure rate', values: failed, isShare: true });
  found.push({ id: 'done', group: 'state', name: 'done', head: 'share that is done', values: done, isShare: true });
  return found;
}

async function spreadOf(raw) {
  const [n, sd, median, low, high] = await Promise.all([codesOf(raw.n), ...['sd', 'median', 'low', 'high'].map((name) => numbersOf(raw[name]))]);
  return { n, sd, median, low, high };
}

// A share as the mean of zeros and ones.
function shareOf(task, id, head, part, total) {
  const values = new Float64Array(task.n).fill(NaN);
  const [sd, median, low, high] = [0, 0, 0, 0].map(() => new Float64Array(task.n).fill(NaN));
  const n = new Uint32Array(task.n);
  for (let row = 0; row < task.n; row += 1) {
    n[row] = total(task.cells, row);
    if (!n[row]) continue;
    const ones = part(task.cells, row);
    const mean = ones / n[row];
    values[row] = mean;
    if (n[row] > 1) sd[row] = Math.sqrt(mean * (1 - mean) * n[row] / (n[row] - 1));
    low[row] = ones === n[row] ? 1 : 0;
    high[row] = ones ? 1 : 0;
    median[row] = mean === 0.5 ? 0.5 : mean > 0.5 ? 1 : 0;
  }
  return { id, group: 'state', name: id, head, values, isShare: true, spread: { n, sd, median, low, high } };
}

// How many assignments a row stands for.
function countsOf(task, row) {
  if (task.cells) return { done: task.cells.done[row], failed: task.cells.failed[row], open: task.cells.open[row] };
  const state = task.status[row];
  return { done: Number(state === DONE), failed: Number(state === FAILED), open: Number(state !== DONE && state !== FAILED) };
}

function countOfAll(task, row) {
  const { done, failed, open } = countsOf(task, row);
  return done + failed + open;
}

// Axes: a place for each row -------------------------------------------------------

const ONE = { n: 1, labels: [''], places: [0], head: '', codes: null, isOne: true };

// Levels as they are, or at most so many intervals.
function axisOf(parameter, most, mostBins = most) {
  if (!parameter) return ONE;
  const base = { name: parameter.name, head: parameter.head, parameter };
  if (parameter.n <= most) return { ...base, ...levelsAsAxis(parameter), codes: parameter.codes, n: parameter.n };
  return { ...base, ...(parameter.kind === 'text' ? textBins(parameter, mostBins) : numberBins(parameter, mostBins)) };
}

function levelsAsAxis(parameter) {
  if (parameter.texts) return { labels: parameter.texts, places: parameter.texts.map((_, i) => i), isText: true };
  const values = Array.from(parameter.levelValues);
  const labels = values.map(parameter.show);
  if (!values.every(Number.isFinite)) return { labels, places: values.map((_, i) => i), isText: true };
  const momentText = MOMENT_TEXTS[parameter.kind];
  return { labels, tickLabels: momentText ? labels : shortLabels(values), places: values, isLog: !momentText && isGeometric(values), momentText };
}

// With as few digits as tell the levels apart.
function shortLabels(values) {
  for (let digits = 3; digits < 10; digits += 1) {
    const labels = values.map((value) => numberText(value, digits));
    if (new Set(labels).size === values.length) return labels;
  }
  return values.map((value) => numberText(value, 10));
}

function textBins(parameter, most) {
  const { texts } = parameter;
  const binOf = (code) => Math.floor(code * most / texts.length);
  const labels = [];
  for (let code = 0; code < texts.length; code += 1) {
    const bin = binOf(code);
    if (labels[bin] === undefined) labels[bin] = texts[code];
  }
  const codes = Uint32Array.from(parameter.codes, binOf);
  return { n: most, codes, labels: labels.map((text) => `${text} …`), places: labels.map((_, i) => i), isText: true, isBinned: true };
}

function numberBins(parameter, most) {
  const n = parameter.codes ? parameter.codes.length : parameter.values.length;
  const get = parameter.valueOf;
  let [low, high] = [Infinity, -Infinity];
  for (let row = 0; row < n; row += 1) {
    const value = get(row);
    if (Number.isFinite(value)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const momentText = MOMENT_TEXTS[parameter.kind];
  const isLog = parameter.isByRatios();
  const scale = scaleOf(low, high, 0, most, isLog);
  const codes = new Int32Array(n);
  for (let row = 0; row < n; row += 1) {
    const bin = Math.floor(scale(get(row)));
    codes[row] = Number.isFinite(get(row)) ? Math.min(most - 1, Math.max(0, bin)) : -1;
  }
  const edges = Array.from({ length: most + 1 }, (_, i) => scale.back(i));
  const show = momentText || ((v) => numberText(v, 3));
  return {
    n: most,
    codes,
    isLog,
    isBinned: true,
    momentText,
    places: edges.slice(1).map((_, i) => scale.back(i + 0.5)),
    labels: edges.slice(1).map((edge, i) => `${show(edges[i])} to ${show(edge)}`),
    tickLabels: edges.slice(1).map((_, i) => show(scale.back(i + 0.5))),
  };
}

// Reduction ------------------------------------------------------------------------

// fixed: [parameter, level] pairs; each axis is one of axisOf
function reduced(task, quantity, axes, fixed, statistic, band) {
  const [facet, by, x] = axes;
  const nCells = facet.n * by.n * x.n;
  const cellOfRow = new Int32Array(task.n);
  const counts = { done: new Uint32Array(nCells), failed: new Uint32Array(nCells), open: new Uint32Array(nCells) };
  const nValues = new Uint32Array(nCells);
  const nOdd = new Uint32Array(nCells);
  const nListed = new Uint32Array(nCells);
  const { values, spread } = quantity;
  for (let row = 0; row < task.n; row += 1) {
    const f = facet.codes ? facet.codes[row] : 0;
    const c = by.codes ? by.codes[row] : 0;
    const i = x.codes ? x.codes[row] : 0;
    const isIn = f >= 0 && c >= 0 && i >= 0 && fixed.every(([parameter, level]) => parameter.codes[row] === level);
    const cell = isIn ? (f * by.n + c) * x.n + i : -1;
    cellOfRow[row] = cell;
    if (cell < 0) continue;
    const n = countsOf(task, row);
    counts.done[cell] += n.done;
    counts.failed[cell] += n.failed;
    counts.open[cell] += n.open;
    const isFinite = Number.isFinite(values[row]);
    const nFinite = spread ? spread.n[row] : Number(isFinite);
    nValues[cell] += nFinite;
    if (isFinite) nListed[cell] += 1;
    nOdd[cell] += Math.max(0, n.done - nFinite);
  }
  const starts = new Uint32Array(nCells + 1);
  for (let cell = 0; cell < nCells; cell += 1) starts[cell + 1] = starts[cell] + nListed[cell];
  const sorted = new Float64Array(starts[nCells]);
  const next = starts.slice(0, nCells);
  for (let row = 0; row < task.n; row += 1) {
    const cell = cellOfRow[row];
    if (cell >= 0 && Number.isFinite(values[row])) sorted[next[cell]++] = spread ? row : values[row];
  }
  const found = { axes, cellOfRow, counts, nValues, nOdd, nCells, value: new Float64Array(nCells).fill(NaN) };
  found.low = new Float64Array(nCells).fill(NaN);
  found.high = new Float64Array(nCells).fill(NaN);
  for (let cell = 0; cell < nCells; cell += 1) {
    if (!nListed[cell]) {
      if (statistic === 'n') found.value[cell] = 0;
      continue;
    }
    const list = sorted.subarray(starts[cell], starts[cell + 1]);
    if (spread) {
      const rows = Array.from(list);
      found.value[cell] = statisticOfSpreads(quantity, rows, statistic);
      if (band !== 'none') [found.low[cell], found.high[cell]] = bandOfSpreads(quantity, rows, band);
      continue;
    }
    found.value[cell] = statisticOf(list, statistic);
    if (band !== 'none') [found.low[cell], found.high[cell]] = bandOf(list, band);
  }
  return found;
}

function meanOf(list) {
  let sum = 0;
  for (const value of list) sum += value;
  return sum / list.length;
}

// Of the values as a sample: with n - 1.
function deviationOf(list) {
  if (list.length < 2) return NaN;
  const mean = meanOf(list);
  let sum = 0;
  for (const value of list) sum += (value - mean) ** 2;
  return Math.sqrt(sum / (list.length - 1));
}

// Between neighbours in proportion, as NumPy does.
function quantileOf(list, share) {
  const sorted = list.slice().sort();
  const place = share * (sorted.length - 1);
  const index = Math.floor(place);
  const next = sorted[Math.min(index + 1, sorted.length - 1)];
  return sorted[index] + (next - sorted[index]) * (place - index);
}

function extremesOf(list) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of list) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function statisticOf(list, statistic) {
  if (statistic === 'n') return list.length;
  if (statistic === 'median') return quantileOf(list, 0.5);
  if (statistic === 'min') return extremesOf(list)[0];
  if (statistic === 'max') return extremesOf(list)[1];
  return statistic === 'sd' ? deviationOf(list) : meanOf(list);
}

function bandOf(list, band) {
  if (band === 'range') return extremesOf(list);
  if (band === 'q10') return [quantileOf(list, 0.1), quantileOf(list, 0.9)];
  const mean = meanOf(list);
  const half = deviationOf(list) / (band === 'sem' ? Math.sqrt(list.length) : 1);
  return Number.isNaN(half) ? [mean, mean] : [mean - half, mean + half];
}

// The same of rows that stand for several values each ------------------------------

function statisticOfSpreads({ values, spread }, rows, statistic) {
  if (statistic === 'n') return rows.reduce((sum, row) => sum + spread.n[row], 0);
  if (statistic === 'min') return extremesOf(rows.map((row) => spread.low[row]))[0];
  if (statistic === 'max') return extremesOf(rows.map((row) => spread.high[row]))[1];
  if (statistic === 'median') return quantileOf(Float64Array.from(rows, (row) => spread.median[row]), 0.5);
  const n = rows.reduce((sum, row) => sum + spread.n[row], 0);
  const mean = rows.reduce((sum, row) => sum + spread.n[row] * values[row], 0) / n;
  if (statistic === 'mean') return mean;
  // Within the rows and between them.
  const inside = (row) => (spread.n[row] > 1 ? (spread.n[row] - 1) * spread.sd[row] ** 2 : 0);
  const squares = rows.reduce((sum, row) => sum + inside(row) + spread.n[row] * (values[row] - mean) ** 2, 0);
  return n > 1 ? Math.sqrt(squares / (n - 1)) : NaN;
}

function bandOfSpreads(quantity, rows, band) {
  if (band === 'range') return [statisticOfSpreads(quantity, rows, 'min'), statisticOfSpreads(quantity, rows, 'max')];
  const [mean, sd, n] = ['mean', 'sd', 'n'].map((name) => statisticOfSpreads(quantity, rows, name));
  const half = sd / (band === 'sem' ? Math.sqrt(n) : 1);
  return Number.isNaN(half) ? [mean, mean] : [mean - half, mean + half];
}

function statisticsOf(task) {
  return task.cells ? STATISTICS.map(([key, text]) => [key, key === 'median' ? 'median of medians of repeats' : text]) : STATISTICS;
}

function bandsOf(task) {
  return task.cells ? BANDS.filter(([key]) => key !== 'q10') : BANDS;
}

function finiteRange(...lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (Number.isFinite(value)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
  }
  return low > high ? null : [low, high];
}
