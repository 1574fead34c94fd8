// Results over the axes: what is chosen, the charts of it, and the rows behind a mark.

const MOST = { heat: [200, 120], lines: [1000, 24], scatter: [Infinity, 24], parallel: [1, 1] };
const BINS = { heat: [40, 24], lines: [60, 8], scatter: [0, 8], parallel: [1, 1] };
const MOST_PANELS = 12;
const MOST_ROWS = 200;
const MOST_CELLS = 2000;
const MOST_FIXED = 8;
const KINDS = [['heat', 'heat map'], ['lines', 'lines'], ['scatter', 'scatter plot'], ['parallel', 'parallel coordinates']];

function ordinary(task) {
  return task.parameters.filter((each) => !each.isRepeat);
}

function isNumber(parameter) {
  return parameter.kind !== 'text';
}

// What is shown at first: a result over the longest axes.
function firstView(task) {
  const axes = (ordinary(task).length ? ordinary(task) : task.parameters).slice().sort((a, b) => {
    const [p, q] = [isNumber(b) - isNumber(a), b.n - a.n];
    return p || (Number.isNaN(q) ? 0 : q);
  });
  const quantity = task.quantities.find((each) => each.group === 'result' && each.values.some(Number.isFinite))
    || task.quantities.find((each) => each.id === 'done');
  const [x, by] = axes;
  const view = {
    q: quantity.id, x: x ? x.name : '', by: by ? by.name : '', facet: '', stat: 'mean', band: 'none', scale: 'linear', mark: null,
    // Names of parameters may be those that objects have.
    fixed: Object.create(null),
    // Axes and brushes of parallel coordinates; null are those at first.
    axes: null,
    brushes: Object.create(null),
  };
  // Values that are there about once each, as those drawn at random.
  const isScattered = (each) => each.n > 50 && each.n * 2 > task.n;
  if (!x || isScattered(x)) {
    view.kind = quantity.group === 'result' && x ? 'scatter' : 'lines';
    const other = axes.slice(1).find((each) => each.n <= 8) || by;
    view.by = other ? other.name : '';
  } else view.kind = by && by.n > 6 && by.n !== Infinity && isNumber(by) ? 'heat' : 'lines';
  if (view.kind === 'lines') {
    const short = axes.slice(1).filter((each) => each.n <= 8);
    // As psy plot, which tells texts apart rather than numbers.
    const chosen = short.find((each) => !isNumber(each)) || short[0];
    view.by = chosen ? chosen.name : '';
    if ((task.cells || task.parameters.some((each) => each.isRepeat)) && quantity.group === 'result') view.band = 'sd';
  }
  return view;
}

const KEYS = ['q', 'kind', 'x', 'by', 'facet', 'stat', 'band', 'scale'];

function viewOfHash(task, parameters) {
  const view = firstView(task);
  const names = new Set(task.parameters.map((each) => each.name));
  const allowed = {
    q: (v) => task.quantities.some((each) => each.id === v),
    kind: (v) => KINDS.some(([key]) => key === v),
    x: (v) => v === '' || names.has(v),
    by: (v) => v === '' || names.has(v),
    facet: (v) => v === '' || names.has(v),
    stat: (v) => statisticsOf(task).some(([key]) => key === v),
    band: (v) => bandsOf(task).some(([key]) => key === v),
    scale: (v) => v === 'linear' || v === 'log',
  };
  for (const key of KEYS) {
    const value = parameters.get(key);
    if (value !== null && allowed[key](value)) view[key] = value;
  }
  for (const parameter of task.parameters) {
    const level = parameters.get(`fix.${parameter.name}`);
    if (/^\d+$/.test(level) && parameter.codes && Number(level) < parameter.n) view.fixed[parameter.name] = Number(level);
  }
  if (parameters.has('axis')) {
    const ids = new Set(coordinatesOf(task).map((each) => each.id));
    view.axes = [...new Set(parameters.getAll('axis'))].filter((id) => ids.has(id));
  }
  for (const [key, text] of parameters) {
    const brush = text.split('_').map(Number);
    // What it does not fit is left out when it is shown.
    if (key.startsWith('brush.') && brush.length === 2 && brush.every(Number.isFinite)) view.brushes[key.slice(6)] = brush;
  }
  const mark = (parameters.get('mark') || '').split('_').map(Number);
  if (mark.length === 5 && mark.every(Number.isFinite)) view.mark = mark;
  return view;
}

function hashOf(task, view) {
  const parameters = new URLSearchParams({ task: task.name });
  for (const key of KEYS) parameters.set(key, view[key]);
  for (const [name, level] of Object.entries(view.fixed)) parameters.set(`fix.${name}`, level);
  if (view.kind === 'parallel') {
    // None at all is an axis without a name.
    for (const id of view.axes && !view.axes.length ? [''] : view.axes || []) parameters.append('axis', id);
    for (const [id, brush] of Object.entries(view.brushes)) parameters.set(`brush.${id}`, brush.join('_'));
  }
  if (view.mark) parameters.set('mark', view.mark.map((v) => Number(v.toPrecision(8))).join('_'));
  return `#${parameters}`;
}

class Results {
  constructor(task, view, changed) {
    this.task = task;
    this.view = view;
    this.parallel = new Parallel(this);
    this.changed = changed;
    this.controls = el('form', { class: 'controls', id: 'result-controls', 'aria-label': 'What is shown', onsubmit: (event) => event.preventDefault() });
    this.panels = el('div', { class: 'panels', id: 'panels' });
    this.legend = el('div', { class: 'legend', id: 'legend' });
    this.readout = el('p', { class: 'readout', id: 'readout', role: 'status' });
    this.title = el('p', { class: 'chart-title', id: 'chart-title' });
    this.said = el('p', { class: 'said', id: 'said' });
    this.numbers = el('div', { id: 'numbers' });
    this.rows = el('div', { id: 'rows' });
    this.element = el('div', {}, this.controls, this.title, this.said, this.legend, this.panels, this.readout, this.numbers, this.rows);
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - width) < 1) return;
      width = entry.contentRect.width;
      this.draw();
    }).observe(this.panels);
    this.show();
  }

  set(key, value) {
    this.view[key] = value;
    if (key !== 'mark') this.view.mark = null;
    for (const axis of ['x', 'by', 'facet']) {
      if (axis !== key && ['x', 'by', 'facet'].includes(key) && value && this.view[axis] === value) this.view[axis] = '';
    }
    for (const axis of ['x', 'by', 'facet']) delete this.view.fixed[this.view[axis]];
    this.show();
    this.changed();
  }

  show() {
    const { task, view } = this;
    this.quantity = task.quantities.find((each) => each.id === view.q);
    const of = (name) => task.parameters.find((each) => each.name === name);
    const [mostX, mostBy] = MOST[view.kind];
    const [binsX, binsBy] = BINS[view.kind];
    this.axes = [
      axisOf(of(view.facet), MOST_PANELS, 6),
      axisOf(of(view.by), mostBy, binsBy),
      view.kind === 'scatter' ? ONE : axisOf(of(view.x), mostX, binsX),
    ];
    if (view.kind === 'parallel') this.axes = [ONE, ONE, ONE];
    this.fixed = view.kind === 'parallel' ? [] : Object.entries(view.fixed).map(([name, level]) => [of(name), level]);
    if (!this.isMarkThere()) view.mark = null;
    const band = view.kind === 'lines' ? view.band : 'none';
    this.table = reduced(task, this.quantity, this.axes, this.fixed, this.isOfRows ? 'mean' : view.stat, band);
    if (view.kind === 'parallel') this.parallel.show();
    this.makeControls();
    this.draw();
    this.showNumbers();
    this.showRows();
  }

  // Whether rows are drawn as they are.
  get isOfRows() {
    return this.view.kind === 'scatter' || this.view.kind === 'parallel';
  }

  // That of a link may be of another chart.
  isMarkThere() {
    const { mark, kind } = this.view;
    if (kind === 'parallel') return false;
    if (!mark || kind === 'scatter') return true;
    const [facet, by, x] = this.axes;
    const sizes = [facet.n, by.n, x.n, by.n, x.n];
    return mark.every((place, k) => Number.isInteger(place) && place >= 0 && place < sizes[k]);
  }

  // Controls ---------------------------------------------------------------------

  makeControls() {
    const focused = document.activeElement && this.controls.contains(document.activeElement) ? document.activeElement.id : null;
    const { task, view } = this;
    const axes = [['', 'none'], ...task.parameters.map((each) => [each.name, each.head])];
    const choose = (id, text, options, key, hint) => chooser(`choose-${id}`, text, options, view[key], (value) => this.set(key, value), hint);
    const quantities = task.quantities.map((each) => [each.id, each.head]);
    const list = [
      choose('quantity', 'Show', quantities, 'q'),
      choose('kind', 'as', KINDS, 'kind'),
    ];
    if (view.kind !== 'parallel') {
      list.push(
        choose('x', 'over', axes.slice(view.kind === 'scatter' ? 1 : 0), 'x'),
        choose('by', view.kind === 'heat' ? 'and' : 'coloured by', axes, 'by'),
        choose('facet', 'a panel for each', axes, 'facet'),
      );
    }
    if (!this.isOfRows) list.push(choose('statistic', 'reduced by', statisticsOf(task), 'stat'));
    if (view.kind === 'lines') list.push(choose('band', 'band', bandsOf(task), 'band'));
    list.push(choose('scale', 'scale', [['linear', 'linear'], ['log', 'logarithmic']], 'scale'));
    const isOpen = Boolean(this.controls.querySelector('details')?.open);
    list.push(...(view.kind === 'parallel' ? [this.parallel.chooser(isOpen)] : this.fixedChoosers()));
    this.controls.replaceChildren(...list, button('Start again', () => this.reset(), { id: 'start-again' }));
    if (focused) document.getElementById(focused)?.focus();
  }

  otherParameters() {
    const { view } = this;
    const used = [view.x, view.by, view.facet];
    return this.task.parameters.filter((each) => !used.includes(each.name) && each.n <= 1000);
  }

  // Folded if there are many.
  fixedChoosers() {
    const others = this.otherParameters();
    const choosers = others.map((each) => this.fixedChooser(each));
    if (choosers.length <= MOST_FIXED) return choosers;
    const isOpen = Boolean(this.controls.querySelector('details')?.open);
    const box = el('div', { class: 'controls' }, ...choosers);
    return [el('details', { class: 'fixed', open: isOpen }, el('summary', {}, `${choosers.length} other parameters`), box)];
  }

  fixedChooser(parameter) {
    const { view } = this;
    const levels = Array.from({ length: parameter.n }, (_, i) => [String(i), parameter.texts ? shortText(parameter.texts[i], 60) : parameter.show(parameter.levelValues[i])]);
    const value = parameter.name in view.fixed ? String(view.fixed[parameter.name]) : '';
    const all = view.kind === 'scatter' ? 'all' : 'all, reduced';
    return chooser(`fix-${parameter.name}`, parameter.head, [['', all], ...levels], value, (chosen) => {
      if (chosen === '') delete view.fixed[parameter.name];
      else view.fixed[parameter.name] = Number(chosen);
      view.mark = null;
      this.show();
      this.changed();
    });
  }

  reset() {
    this.view = firstView(this.task);
    this.show();
    this.changed();
  }

  // Charts -----------------------------------------------------------------------

  get valueTitle() {
    const { view, quantity } = this;
    if (this.isOfRows && this.task.cells) return `mean of ${quantity.head}`;
    if (this.isOfRows || this.isAlone) return quantity.head;
    const [, name] = statisticsOf(this.task).find(([key]) => key === view.stat);
    return view.stat === 'n' ? 'number of values' : `${name} of ${quantity.head}`;
  }

  // Whether no cell has more than one value, so that nothing is reduced.
  get isAlone() {
    return this.view.stat !== 'n' && this.view.stat !== 'sd' && this.table.nValues.every((n) => n <= 1);
  }

  draw() {
    const room = this.panels.clientWidth;
    if (!room) return;
    const [facet] = this.axes;
    const columns = facet.n === 1 ? 1 : Math.max(1, Math.min(facet.n, Math.floor(room / 330)));
    const width = Math.floor((room - (columns - 1) * 16) / columns);
    const height = Math.round(Math.min(480, Math.max(240, width * 0.6)));
    this.panels.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const range = this.valueRange();
    this.say();
    this.legend.replaceChildren();
    if (this.view.kind === 'parallel') {
      this.panels.style.gridTemplateColumns = 'minmax(0, 1fr)';
      this.panels.replaceChildren(this.parallel.draw(room));
      if (this.quantity.group !== 'state') this.colourBar(range);
      this.showStates();
      return;
    }
    if (!range && this.view.kind !== 'heat') {
      this.panels.replaceChildren(el('p', { class: 'nothing' }, `There is no finite number of ${this.quantity.head} here.`));
      this.showStates();
      return;
    }
    const shown = Array.from({ length: facet.n }, (_, f) => this.panel(f, { width, height }, range));
    this.panels.replaceChildren(...shown);
    if (this.view.kind === 'heat') this.colourBar(range);
    else this.showSeries();
    this.showStates();
  }

  valueRange() {
    const { view, table, quantity } = this;
    const values = this.isOfRows ? quantity.values : table.value;
    const range = finiteRange(values, table.low, table.high);
    this.isLog = false;
    if (!range) return null;
    this.isLog = view.scale === 'log' && range[1] > 0;
    if (this.isLog && range[0] <= 0) [range[0]] = finiteRange(...[values, table.low, table.high].map((list) => list.filter((v) => v > 0)));
    if (range[0] === range[1]) {
      const half = this.isLog ? 0 : Math.abs(range[0]) * 0.05 || 0.5;
      return this.isLog ? [range[0] / 2, range[1] * 2] : [range[0] - half, range[1] + half];
    }
    return range;
  }

  panel(f, size, range) {
    const { view, table, task } = this;
    const [facet] = this.axes;
    let chart;
    if (view.kind === 'heat') {
      const scale = range ? scaleOf(range[0], range[1], 0, 1, this.isLog) : () => 0;
      chart = heatMap(table, f, size, scale);
    } else if (view.kind === 'lines') chart = lineChart(table, f, size, range, this.isLog, this.valueTitle);
    else chart = this.scatter(f, size, range);
    const title = facet.isOne ? null : el('figcaption', {}, `${facet.head} = ${facet.labels[f]}`);
    const label = `${this.valueTitle} of ${task.name}${title ? `, ${title.textContent}` : ''}. Arrow keys move, Enter marks, Shift with arrows extends the mark, Escape clears it.`;
    chart.drawing.setAttribute('tabindex', '0');
    chart.drawing.setAttribute('role', 'application');
    chart.drawing.setAttribute('aria-label', label);
    // For paper, on which charts are scaled.
    chart.drawing.setAttribute('viewBox', `0 0 ${size.width} ${size.height}`);
    const box = el('div', { class: 'chart' }, ...chart.nodes);
    box.style.height = `${size.height}px`;
    box.style.aspectRatio = `${size.width} / ${size.height}`;
    this.listen(chart, f);
    this.outline(chart, f);
    return el('figure', { class: 'panel', 'data-facet': f }, title, box);
  }

  scatter(f, size, range) {
    const { task, quantity, table } = this;
    const parameter = this.scatterParameter;
    const [facet, by] = this.axes;
    const points = { rows: [], x: [], y: [], missing: [] };
    if (parameter) {
      const place = parameter.kind === 'text' ? (row) => parameter.codes[row] : parameter.valueOf;
      for (let row = 0; row < task.n; row += 1) {
        const cell = table.cellOfRow[row];
        if (cell < 0 || Math.floor(cell / by.n) !== f || !Number.isFinite(place(row))) continue;
        const value = quantity.values[row];
        if (Number.isFinite(value) && (!this.isLog || value > 0)) {
          points.rows.push(row);
          points.x.push(place(row));
          points.y.push(value);
        } else if (task.status[row] === FAILED) points.missing.push([row, place(row)]);
      }
    }
    const xRange = finiteRange(points.x, points.missing.map(([, x]) => x)) || [0, 1];
    const isGeometricX = parameter && parameter.isByRatios();
    const ranges = {
      x: xRange[0] === xRange[1] ? [xRange[0] - 0.5, xRange[1] + 0.5] : xRange,
      y: range, isXLog: Boolean(isGeometricX && xRange[0] < xRange[1]), isYLog: this.isLog, xMomentText: parameter && MOMENT_TEXTS[parameter.kind],
      xTexts: parameter && parameter.texts,
    };
    const styleOf = (row) => seriesStyle(by.codes ? Math.max(0, by.codes[row]) : 0, by.n);
    const chart = scatterPlot(points, size, ranges, [parameter ? parameter.head : '', this.valueTitle], styleOf);
    chart.points = points;
    return chart;
  }

  // What is in words above the chart: what is reduced, and what is not shown.
  say() {
    const { view, table, quantity } = this;
    const parts = [];
    const rest = this.otherParameters().filter((each) => !(each.name in view.fixed));
    if (!this.isOfRows && !this.isAlone && rest.length) {
      const names = rest.slice(0, MOST_FIXED).map((each) => `${each.head} (${countText(each.n)})`).join(', ');
      parts.push(`Reduced over ${names}${rest.length > MOST_FIXED ? ` and ${rest.length - MOST_FIXED} others` : ''}.`);
    }
    if (this.task.cells) parts.push(`Repeats over ${this.task.raw.repeats} are put together.`);
    for (const axis of this.axes) {
      if (axis.isBinned) parts.push(`${axis.head} is in ${axis.n} intervals.`);
    }
    if (this.isLog) {
      const shown = this.isOfRows ? quantity.values : table.value;
      if (shown.some((value) => value <= 0)) parts.push(`Values of zero or below ${view.kind === 'scatter' ? 'have no place on this scale' : 'are at the lower end of this scale'}.`);
    }
    parts.push(...(view.kind === 'parallel' ? this.parallel.notes() : this.withoutPlace()));
    let odd = 0;
    for (const n of table.nOdd) odd += n;
    if (odd && quantity.group === 'result') parts.push(`${counted(odd, 'value')} of nan or ∞ ${odd === 1 ? 'is' : 'are'} ${view.kind === 'parallel' ? 'at the foot of the axis' : 'left out'}.`);
    if (odd && quantity.group === 'cost') parts.push(`${counted(odd, 'value')} ${odd === 1 ? 'is' : 'are'} not known.`);
    this.said.textContent = parts.join(' ');
    const over = view.kind === 'parallel' ? [] : view.kind === 'scatter' ? [view.x, view.by] : [view.x, view.by, view.facet];
    const names = over.map((name) => this.task.parameters.find((each) => each.name === name)).filter(Boolean).map((each) => each.raw.title);
    const title = names.length ? `${this.valueTitle} over ${names.join(', ')}` : this.valueTitle;
    this.title.textContent = title;
  }

  // Why a cell with rows has no number.
  get oddText() {
    if (this.view.stat === 'sd' && !this.isOfRows) return 'fewer than two numbers';
    return this.quantity.group === 'cost' ? 'not known' : 'nan or ∞';
  }

  // How many rows have nan or ∞ along an axis that is a scale.
  withoutPlace() {
    const { task, view } = this;
    const scales = this.axes.filter((axis) => axis.isBinned).map((axis) => axis.parameter);
    if (view.kind === 'scatter') scales.push(this.scatterParameter);
    return scales.filter((each) => each && isNumber(each)).flatMap((parameter) => {
      let n = 0;
      for (let row = 0; row < task.n; row += 1) {
        if (!Number.isFinite(parameter.valueOf(row)) && this.fixed.every(([other, level]) => other.codes[row] === level)) n += countOfAll(task, row);
      }
      return n ? [`${counted(n, 'row')} ${n === 1 ? 'has' : 'have'} no place along ${parameter.head}, as it is nan or ∞.`] : [];
    });
  }

  get scatterParameter() {
    return this.task.parameters.find((each) => each.name === this.view.x) || this.task.parameters[0];
  }

  colourBar(range) {
    if (!range) return;
    const [width, height] = [Math.min(280, Math.max(160, this.panels.clientWidth - 20)), 34];
    const bar = svg('svg', { width, height, role: 'img', 'aria-label': `Colours from ${numberText(range[0])} to ${numberText(range[1])}` });
    const shade = this.view.kind === 'parallel' ? viridisOfLines() : viridis;
    const stops = Array.from({ length: 17 }, (_, i) => svg('stop', { offset: i / 16, 'stop-color': shade(i / 16) }));
    bar.append(svg('defs', {}, svg('linearGradient', { id: 'viridis' }, ...stops)));
    bar.append(svg('rect', { x: 24, y: 2, width: width - 48, height: 12, fill: 'url(#viridis)' }));
    const scale = scaleOf(range[0], range[1], 24, width - 24, this.isLog);
    let end = -Infinity;
    const inner = ticksOf(range[0], range[1], 4, this.isLog).filter((v) => scale(v) > 24 + 30 && scale(v) < width - 24 - 30);
    const values = [range[0], ...inner, range[1]];
    const texts = numberTexts(values, (range[1] - range[0]) / 200);
    for (const [i, value] of values.entries()) {
      const text = texts[i];
      const half = text.length * LETTER / 2;
      if (scale(value) - half < end + 6) continue;
      end = scale(value) + half;
      bar.append(svg('line', { class: 'tick', x1: scale(value), x2: scale(value), y1: 14, y2: 18 }));
      bar.append(svg('text', { x: scale(value), y: 30, 'text-anchor': 'middle' }, text));
    }
    this.legend.append(bar);
  }

  showSeries() {
    const [, by] = this.axes;
    if (by.isOne) return;
    const items = by.labels.map((text, c) => {
      const style = seriesStyle(c, by.n);
      const swatch = svg('svg', { width: this.view.kind === 'lines' ? 34 : 14, height: 14, 'aria-hidden': 'true' });
      if (this.view.kind === 'lines') swatch.append(svg('path', { class: 'line', d: 'M1 7H33', stroke: style.colour, 'stroke-dasharray': style.dash }));
      swatch.append(svg('path', { d: markPath(style.mark, this.view.kind === 'lines' ? 17 : 7, 7, 3.6), fill: style.colour }));
      return el('li', {}, swatch, shortText(text, 60));
    });
    this.legend.append(el('span', { class: 'legend-title' }, by.head), el('ul', { class: 'series' }, ...items));
  }

  // What stands for cells without a number, as far as there are such.
  showStates() {
    const { table, view, task } = this;
    const states = { failed: false, open: false, odd: false, some: false };
    for (let cell = 0; cell < table.nCells; cell += 1) {
      const state = stateOfCell(table, cell);
      if (state in states) states[state] = true;
      if (state === 'value' && table.counts.failed[cell]) states.some = true;
    }
    const items = [];
    const swatch = (kind) => {
      const [canvas, context] = sharpCanvas(22, 14);
      if (kind === 'some') failedCorner(context, 0, 0, 22, 14);
      else emptyCell(context, kind, 0, 0, 22, 14);
      return canvas;
    };
    if (view.kind === 'heat') {
      if (states.failed) items.push([swatch('failed'), 'failed']);
      if (states.some) items.push([swatch('some'), 'some failed']);
      if (states.open) items.push([swatch('open'), 'not computed']);
      if (states.odd) items.push([swatch('odd'), this.oddText]);
    } else {
      const isDashed = view.kind === 'parallel';
      if (isDashed && task.status.includes(FAILED)) items.push([svg('svg', { width: 34, height: 14 }, svg('path', { class: 'crosses dashed', d: 'M1 7H33' })), 'failed']);
      else if (!isDashed && (states.failed || states.some)) items.push([svg('svg', { width: 14, height: 14 }, svg('path', { class: 'crosses', d: crossPath(7, 7, 3.5) })), 'some or all failed']);
      if (states.open && view.kind === 'lines') items.push([svg('svg', { width: 14, height: 14 }, svg('path', { class: 'rings', d: markPath('circle', 7, 7, 3) })), 'not computed']);
    }
    if (items.length) this.legend.append(el('ul', { class: 'series states' }, ...items.map(([sign, text]) => el('li', {}, sign, text))));
  }

  // Marks ------------------------------------------------------------------------

  listen(chart, f) {
    const { drawing } = chart;
    let start = null;
    const placeOf = (event) => {
      const box = drawing.getBoundingClientRect();
      return chart.at(event.clientX - box.left, event.clientY - box.top);
    };
    drawing.addEventListener('pointermove', (event) => {
      const at = placeOf(event);
      if (start && at) this.mark(chart, f, start, at, false);
      else if (!start && at && this.view.kind !== 'scatter') this.tell(f, at);
    });
    drawing.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      start = placeOf(event);
      if (start) drawing.setPointerCapture(event.pointerId);
    });
    drawing.addEventListener('pointerup', (event) => {
      const at = placeOf(event);
      if (start) this.mark(chart, f, start, at || start, true);
      else this.clear();
      start = null;
    });
    drawing.addEventListener('pointercancel', () => { start = null; });
    drawing.addEventListener('keydown', (event) => this.key(event, chart, f));
  }

  key(event, chart, f) {
    if (event.key === 'Escape') {
      this.clear();
      return;
    }
    if (this.view.kind === 'scatter') {
      this.keyOfScatter(event, chart, f);
      return;
    }
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0], Enter: [0, 0], ' ': [0, 0] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [, by, x] = this.axes;
    const within = (v, n) => Math.min(n - 1, Math.max(0, v));
    const from = this.cursor && this.cursor.f === f ? this.cursor.at : null;
    const at = from ? [within(from[0] + step[0], by.n), within(from[1] + step[1], x.n)] : [0, 0];
    this.cursor = { f, at };
    this.tell(f, at);
    this.outlineCursor(chart, at);
    if (event.key === 'Enter' || event.key === ' ') this.mark(chart, f, at, at, true);
    else if (event.shiftKey) {
      const mark = this.view.mark && this.view.mark[0] === f ? this.view.mark.slice(1, 3) : from || at;
      this.mark(chart, f, mark, at, true);
    }
  }

  // From point to point, in the order of x.
  keyOfScatter(event, chart, f) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Enter: 0, ' ': 0 }[event.key];
    if (step === undefined || !chart.points.rows.length) return;
    event.preventDefault();
    if (!chart.order) chart.order = Array.from(chart.points.x.keys()).sort((a, b) => chart.points.x[a] - chart.points.x[b]);
    chart.place = chart.place === undefined ? 0 : Math.min(chart.order.length - 1, Math.max(0, chart.place + step));
    const k = chart.order[chart.place];
    const [px, py] = [chart.x(chart.points.x[k]), chart.y(chart.points.y[k])];
    this.readout.textContent = rowInWords(this.task, chart.points.rows[k], this.quantity);
    this.outlineBox(chart, 'cursor', { x: px - 7, y: py - 7, width: 14, height: 14 });
    if (!step) this.mark(chart, f, [px - 3, py - 3], [px + 3, py + 3], true);
  }

  mark(chart, f, from, to, isFinal) {
    if (this.view.kind === 'scatter') {
      const wide = Math.abs(from[0] - to[0]) + Math.abs(from[1] - to[1]) < 4 ? 5 : 0;
      const [x0, x1] = [Math.min(from[0], to[0]) - wide, Math.max(from[0], to[0]) + wide];
      const [y0, y1] = [Math.min(from[1], to[1]) - wide, Math.max(from[1], to[1]) + wide];
      this.outlineBox(chart, 'mark', chart.box([x0, y0], [x1, y1]));
      if (!isFinal) return;
      this.view.mark = [f, chart.x.back(x0), chart.y.back(y1), chart.x.back(x1), chart.y.back(y0)];
    } else {
      this.view.mark = [f, ...from, ...to];
      this.outline(chart, f);
      this.tell(f, to);
      if (!isFinal) return;
    }
    for (const other of this.panels.querySelectorAll('.panel')) {
      if (Number(other.dataset.facet) !== f) other.querySelector('.mark')?.remove();
    }
    this.showRows();
    this.changed();
  }

  clear() {
    this.view.mark = null;
    if (this.view.kind === 'parallel') this.parallel.clear();
    for (const outline of this.panels.querySelectorAll('.mark, .cursor')) outline.remove();
    this.showRows();
    this.changed();
  }

  outline(chart, f) {
    const { mark } = this.view;
    if (!mark || mark[0] !== f) return;
    if (this.view.kind === 'scatter') {
      const [, x0, y0, x1, y1] = mark;
      this.outlineBox(chart, 'mark', chart.box([chart.x(x0), chart.y(y0)], [chart.x(x1), chart.y(y1)]));
    } else this.outlineBox(chart, 'mark', chart.box(mark.slice(1, 3), mark.slice(3, 5)));
  }

  outlineCursor(chart, at) {
    this.outlineBox(chart, 'cursor', chart.box(at, at));
  }

  outlineBox(chart, kind, box) {
    chart.drawing.querySelector(`.${kind}`)?.remove();
    chart.drawing.append(svg('rect', { class: kind, ...box }));
  }

  // A cell in words.
  tell(f, [c, i]) {
    const [facet, by, x] = this.axes;
    const cell = (f * by.n + c) * x.n + i;
    this.readout.textContent = this.inWords(cell, [[facet, f], [by, c], [x, i]]);
  }

  inWords(cell, places) {
    const { table } = this;
    const where = places.filter(([axis]) => !axis.isOne).map(([axis, at]) => `${axis.head} = ${axis.labels[at]}`).join(', ');
    const state = stateOfCell(table, cell);
    const parts = [];
    if (state === 'value') {
      const band = Number.isFinite(table.low[cell]) ? ` (${numberText(table.low[cell])} to ${numberText(table.high[cell])})` : '';
      parts.push(`${this.valueTitle}: ${numberText(table.value[cell], 6)}${band}`, `${countText(table.nValues[cell])} of ${counted(table.counts.done[cell] + table.counts.failed[cell] + table.counts.open[cell], 'row')}`);
    } else parts.push({ failed: 'failed', open: 'not computed', odd: this.oddText, none: 'not in the space' }[state]);
    if (table.counts.failed[cell]) parts.push(`${countText(table.counts.failed[cell])} failed`);
    if (table.counts.open[cell]) parts.push(`${countText(table.counts.open[cell])} not computed`);
    return `${where}${where ? ': ' : ''}${parts.join(', ')}`;
  }

  // Tables -----------------------------------------------------------------------

  showNumbers() {
    if (this.isOfRows) {
      this.numbers.replaceChildren();
      return;
    }
    const wasOpen = this.numbers.querySelector('details')?.open;
    const details = unfolded('The numbers of this chart as a table', () => this.numbersTable(), { id: 'numbers-details' });
    this.numbers.replaceChildren(details);
    if (wasOpen) details.open = true;
  }

  numbersTable() {
    const { table } = this;
    const shown = this.axes.filter((axis) => !axis.isOne);
    const hasBand = this.view.kind === 'lines' && this.view.band !== 'none';
    const head = [...shown.map((axis) => axis.head), this.valueTitle, ...(hasBand ? ['from', 'to'] : []), 'values', 'failed', 'not computed'];
    const rows = [];
    let hidden = 0;
    const [facet, by, x] = this.axes;
    for (let cell = 0; cell < table.nCells; cell += 1) {
      if (stateOfCell(table, cell) === 'none') continue;
      if (rows.length >= MOST_CELLS) {
        hidden += 1;
        continue;
      }
      const at = [Math.floor(cell / (by.n * x.n)), Math.floor(cell / x.n) % by.n, cell % x.n];
      const labels = this.axes.map((axis, k) => [axis, axis.labels[at[k]]]).filter(([axis]) => !axis.isOne).map(([, text]) => text);
      const band = hasBand ? [table.low[cell], table.high[cell]] : [];
      const counts = [table.nValues[cell], table.counts.failed[cell], table.counts.open[cell]];
      rows.push([...labels, table.value[cell], ...band, ...counts.map(countCell)]);
    }
    const caption = hidden ? `The first ${counted(MOST_CELLS, 'cell')}, and ${countText(hidden)} more` : counted(rows.length, 'cell');
    return tableOf(caption, head, rows, { id: 'numbers-table' });
  }

  markedRows() {
    const { task, table, view } = this;
    const [, by, x] = this.axes;
    const found = [];
    if (view.kind === 'parallel') return this.parallel.selected;
    if (view.kind === 'scatter') {
      const [f, x0, y0, x1, y1] = view.mark;
      const parameter = this.scatterParameter;
      const place = parameter.kind === 'text' ? (row) => parameter.codes[row] : parameter.valueOf;
      for (let row = 0; row < task.n; row += 1) {
        const [cell, px, py] = [table.cellOfRow[row], place(row), this.quantity.values[row]];
        if (cell >= 0 && Math.floor(cell / by.n) === f && px >= x0 && px <= x1 && py >= y0 && py <= y1) found.push(row);
      }
      return found;
    }
    const [f, c0, i0, c1, i1] = view.mark;
    const isAllSeries = view.kind === 'lines' && (c0 !== c1 || i0 !== i1);
    const [a, b] = isAllSeries ? [0, by.n - 1] : [Math.min(c0, c1), Math.max(c0, c1)];
    for (let row = 0; row < task.n; row += 1) {
      const cell = table.cellOfRow[row];
      if (cell < 0) continue;
      const [facet, c, i] = [Math.floor(cell / (by.n * x.n)), Math.floor(cell / x.n) % by.n, cell % x.n];
      if (facet === f && c >= a && c <= b && i >= Math.min(i0, i1) && i <= Math.max(i0, i1)) found.push(row);
    }
    return found;
  }

  showRows() {
    const isParallel = this.view.kind === 'parallel';
    if (isParallel && !this.parallel.isBrushed) {
      this.rows.replaceChildren(el('p', { class: 'hint' }, 'Drag along an axis, or click it, to see the rows that have these values. With the keyboard: go to an axis with Tab; arrows up and down brush, with Shift they move the upper end, Escape clears.'));
      return;
    }
    if (!isParallel && !this.view.mark) {
      this.rows.replaceChildren(el('p', { class: 'hint' }, 'Click into the chart, or drag over a part of it, to see the rows behind it. With the keyboard: arrow keys and Enter.'));
      return;
    }
    const rows = this.markedRows();
    const shown = Array.from(rows.slice(0, MOST_ROWS));
    const caption = rows.length > shown.length ? `The first ${shown.length} of ${counted(rows.length, 'marked row')}` : counted(rows.length, 'marked row');
    this.rows.replaceChildren(
      rowsTable(this.task, shown, caption, 'rows-table'),
      button('Clear the mark', () => this.clear(), { id: 'clear-mark' }),
    );
  }
}

// Rows -----------------------------------------------------------------------------

// The quantity of the name comes first.
function rowsTable(task, rows, caption, id, first = null) {
  const measured = task.quantities.filter((each) => each.group !== 'state').sort((a, b) => (b.id === first) - (a.id === first));
  const hasVersions = rows.some((row) => isOlder(task, row));
  const lead = first ? measured.splice(0, 1) : [];
  const value = (each, row) => (task.status[row] === DONE ? each.values[row] : { text: '–', class: 'number' });
  const ofMean = (each) => (task.cells ? `mean of ${each.head}` : each.head);
  const state = (row) => {
    if (!task.cells) return STATUS[task.status[row]];
    const { done, failed, open } = countsOf(task, row);
    return [[done, 'done'], [failed, 'failed'], [open, 'to do']].filter(([n]) => n).map(([n, text]) => `${n} ${text}`).join(', ');
  };
  const head = [...(task.cells ? [] : ['number']), 'state', ...lead.map(ofMean), ...task.parameters.map((each) => each.head), ...measured.map(ofMean), ...(hasVersions ? ['version'] : [])];
  const cells = rows.map((row) => [
    ...(task.cells ? [] : [{ text: String(task.indexOf(row)), class: 'number', value: task.indexOf(row) }]),
    { text: state(row), class: `state-${task.status[row]}` },
    ...lead.map((each) => value(each, row)),
    ...task.parameters.map((each) => parameterCell(each, row)),
    ...measured.map((each) => value(each, row)),
    ...(hasVersions ? [isOlder(task, row) ? `older: ${task.raw.versions[task.versions[row]].name}` : ''] : []),
  ]);
  return tableOf(caption, head, cells, { id });
}

function parameterCell(parameter, row) {
  const text = parameter.textOf(row);
  if (parameter.kind === 'text') return shortText(text, 80);
  return { text, class: 'number', value: parameter.valueOf(row) };
}

function isOlder(task, row) {
  const version = task.raw.versions[task.versions[row]];
  return task.status[row] === DONE && version.name !== '' && !version.current;
}

function rowInWords(task, row, quantity) {
  const where = task.parameters.map((each) => `${each.head} = ${each.textOf(row)}`).join(', ');
  return `${where}: ${quantity.head} ${numberText(quantity.values[row], 6)}`;
}
