// A task: its parameters and quantities, and their reduction over cells.

const STATUS = ['done', 'to do', 'failed', 'running'];
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
  task.indexOf = index ? (row) => index[row] : (row) => row;
  task.parameters = await Promise.all(raw.parameters.map(loadParameter));
  task.quantities = await quantitiesOf(task);
  return task;
}

async function loadParameter(raw) {
  const parameter = { ...raw, raw, isRepeat: raw.repeat };
  parameter.head = withUnit(raw.title, raw.unit);
  if (raw.texts) {
    parameter.codes = await codesOf(raw.column);
    parameter.textOf = (row) => raw.texts[parameter.codes[row]];
    parameter.n = raw.texts.length;
    return parameter;
  }
  const show = raw.kind === 'date' ? dateText : (v) => numberText(v, 10);
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
      });
    }
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
  const isDate = parameter.kind === 'date';
  return { labels, tickLabels: isDate ? labels : shortLabels(values), places: values, isLog: !isDate && isGeometric(values), isDate };
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
  const isLog = parameter.levelValues ? isGeometric(Array.from(parameter.levelValues).filter(Number.isFinite)) : low > 0 && high / low > 1e3;
  const scale = scaleOf(low, high, 0, most, isLog);
  const codes = new Int32Array(n);
  for (let row = 0; row < n; row += 1) {
    const bin = Math.floor(scale(get(row)));
    codes[row] = Number.isFinite(get(row)) ? Math.min(most - 1, Math.max(0, bin)) : -1;
  }
  const edges = Array.from({ length: most + 1 }, (_, i) => scale.back(i));
  const show = (v) => (parameter.kind === 'date' ? dateText(v) : numberText(v, 3));
  return {
    n: most,
    codes,
    isLog,
    isBinned: true,
    isDate: parameter.kind === 'date',
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
  const { values } = quantity;
  for (let row = 0; row < task.n; row += 1) {
    const f = facet.codes ? facet.codes[row] : 0;
    const c = by.codes ? by.codes[row] : 0;
    const i = x.codes ? x.codes[row] : 0;
    const isIn = f >= 0 && c >= 0 && i >= 0 && fixed.every(([parameter, level]) => parameter.codes[row] === level);
    const cell = isIn ? (f * by.n + c) * x.n + i : -1;
    cellOfRow[row] = cell;
    if (cell < 0) continue;
    const state = task.status[row];
    if (state === DONE) counts.done[cell] += 1;
    else if (state === FAILED) counts.failed[cell] += 1;
    else counts.open[cell] += 1;
    if (Number.isFinite(values[row])) nValues[cell] += 1;
    else if (state === DONE) nOdd[cell] += 1;
  }
  const starts = new Uint32Array(nCells + 1);
  for (let cell = 0; cell < nCells; cell += 1) starts[cell + 1] = starts[cell] + nValues[cell];
  const sorted = new Float64Array(starts[nCells]);
  const next = starts.slice(0, nCells);
  for (let row = 0; row < task.n; row += 1) {
    const cell = cellOfRow[row];
    if (cell >= 0 && Number.isFinite(values[row])) sorted[next[cell]++] = values[row];
  }
  const found = { axes, cellOfRow, counts, nValues, nOdd, nCells, value: new Float64Array(nCells).fill(NaN) };
  found.low = new Float64Array(nCells).fill(NaN);
  found.high = new Float64Array(nCells).fill(NaN);
  for (let cell = 0; cell < nCells; cell += 1) {
    if (!nValues[cell]) {
      if (statistic === 'n') found.value[cell] = 0;
      continue;
    }
    const list = sorted.subarray(starts[cell], starts[cell + 1]);
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
