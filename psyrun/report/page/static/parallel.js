// Parallel coordinates: an axis for each parameter, a line for each row, brushes along axes.

const MOST_LINES = 2500;
const MOST_FAINT = 600; // lines outside of the brushes
const MOST_COORDINATES = 60;
const FIRST_COORDINATES = 7;
const MOST_LEVELS_OF_COORDINATE = 500;
const NARROWEST = 78; // pixels between axes
const STEPS = 20; // of the keyboard, along an axis without levels

const STATE_AXIS = 'state';

// A coordinate has: id, head, levels (or null), at(row): a level's number or a value, NaN if
// there is none; position(place): where that is along its scale; text(place).

function coordinatesOf(task) {
  const found = task.parameters.map(coordinateOfParameter);
  for (const each of task.quantities) {
    if (each.group !== 'state') found.push(coordinateOfQuantity(each));
  }
  const states = STATUS.map((_, k) => k);
  found.push({ id: STATE_AXIS, head: 'state', levels: { n: states.length, labels: STATUS, places: states }, at: (row) => task.status[row] });
  return found;
}

function coordinateOfParameter(parameter) {
  const base = { id: `p.${parameter.name}`, head: parameter.head };
  const isOfLevels = parameter.texts || (parameter.codes && parameter.n <= MOST_LEVELS_OF_COORDINATE);
  if (!isOfLevels) return { ...base, levels: null, at: parameter.valueOf, momentText: MOMENT_TEXTS[parameter.kind], isByRatios: parameter.isByRatios() };
  const levels = { ...levelsAsAxis(parameter), n: parameter.n };
  return { ...base, levels, at: (row) => parameter.codes[row] };
}

function coordinateOfQuantity(quantity) {
  return { id: `q.${quantity.id}`, head: quantity.head, levels: null, at: (row) => quantity.values[row], isQuantity: true };
}

// Rows in about equal parts of any grid, the same whenever they are asked for.
function shareOfRow(row) {
  let mixed = Math.imul(row ^ (row >>> 16), 0x45d9f3b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

class Parallel {
  constructor(results) {
    this.results = results;
    this.task = results.task;
    this.all = coordinatesOf(this.task);
    this.selected = [];
    this.ranges = new Map();
  }

  // What is shown ------------------------------------------------------------------

  defaultAxes() {
    const { task } = this;
    const names = (ordinary(task).length ? ordinary(task) : task.parameters).slice(0, FIRST_COORDINATES).map((each) => `p.${each.name}`);
    return task.raw.counts.failed ? [...names, STATE_AXIS] : names;
  }

  // The quantity comes last. That of a state stands on no axis, as the state does.
  get last() {
    const id = `q.${this.results.quantity.id}`;
    return this.results.quantity.group === 'state' ? STATE_AXIS : id;
  }

  get chosen() {
    const chosen = (this.results.view.axes || this.defaultAxes()).filter((id) => id !== this.last);
    return [...chosen.slice(0, MOST_COORDINATES - 1), this.last];
  }

  get brushes() {
    return this.results.view.brushes;
  }

  show() {
    const of = new Map(this.all.map((each) => [each.id, each]));
    this.axes = this.chosen.map((id) => of.get(id));
    for (const id of Object.keys(this.brushes)) {
      if (!this.axes.some((each) => each.id === id && isBrushOf(each, this.brushes[id]))) delete this.brushes[id];
    }
    this.isWithOpen = this.axes.some((each) => each.id === STATE_AXIS);
    this.select();
  }

  // Rows that are not computed are there with their state only.
  isShown(row) {
    return this.isWithOpen || this.task.status[row] === DONE || this.task.status[row] === FAILED;
  }

  select() {
    const tests = this.axes.filter((each) => each.id in this.brushes).map((each) => [each.at, ...this.brushes[each.id]]);
    const selected = new Uint32Array(this.task.n);
    const others = new Uint32Array(tests.length ? this.task.n : 0);
    let [n, nOthers] = [0, 0];
    for (let row = 0; row < this.task.n; row += 1) {
      if (!this.isShown(row)) continue;
      let isIn = true;
      for (const [at, low, high] of tests) {
        const place = at(row);
        if (!(place >= low && place <= high)) {
          isIn = false;
          break;
        }
      }
      if (isIn) selected[n++] = row;
      else others[nOthers++] = row;
    }
    this.selected = selected.subarray(0, n);
    this.others = others.subarray(0, nOthers);
  }

  get isBrushed() {
    return Object.keys(this.brushes).length > 0;
  }

  // The checkboxes of axes.
  chooser(isOpen) {
    const { view } = this.results;
    const chosen = this.chosen;
    const boxes = this.all.map((each) => {
      const isLast = each.id === this.last;
      const change = () => {
        const rest = chosen.filter((id) => id !== each.id && id !== this.last);
        view.axes = chosen.includes(each.id) ? rest : [...rest, each.id];
        this.results.show();
        this.results.changed();
      };
      const id = `axis-${each.id}`;
      const box = el('input', { type: 'checkbox', id, checked: chosen.includes(each.id), disabled: isLast, onchange: change });
      return el('label', { class: 'choice', for: id }, box, shortText(each.head, 60));
    });
    const text = `${chosen.length} of ${this.all.length} axes`;
    return el('details', { class: 'fixed', id: 'axes-details', open: isOpen }, el('summary', {}, text), el('div', { class: 'controls choices' }, ...boxes));
  }

  // In words: what lines leave out.
  notes() {
    const parts = [];
    const n = this.task.n - this.selected.length - this.others.length;
    if (n) parts.push(`${counted(n, 'row')} that ${n === 1 ? 'is' : 'are'} not computed ${n === 1 ? 'has' : 'have'} no line; the axis “state” shows them.`);
    if ((this.results.view.axes || []).length >= MOST_COORDINATES) parts.push(`At most ${MOST_COORDINATES} axes are shown.`);
    if (this.selected.length > MOST_LINES) parts.push(`Lines are drawn of about ${countText(MOST_LINES)} of ${counted(this.selected.length, 'row')}, chosen evenly; brushes and the table below take all rows.`);
    return parts;
  }

  // Drawing ------------------------------------------------------------------------

  rangeOf(axis) {
    if (!this.ranges.has(axis.id)) {
      let [low, high, least, hasNone] = [Infinity, -Infinity, Infinity, false];
      for (let row = 0; row < this.task.n; row += 1) {
        const value = axis.at(row);
        if (!Number.isFinite(value)) hasNone = true;
        else {
          if (value < low) low = value;
          if (value > high) high = value;
          if (value > 0 && value < least) least = value;
        }
      }
      this.ranges.set(axis.id, { low, high, least, hasNone });
    }
    return this.ranges.get(axis.id);
  }

  // Where an axis stands, and its scale from the bottom to the top.
  laidOut(axis, x, top, bottom) {
    if (axis.levels) {
      const { places, isLog, labels, n } = axis.levels;
      const [low, high] = n > 1 ? [places[0], places[n - 1]] : [places[0] - 0.5, places[0] + 0.5];
      const scale = scaleOf(low, high, bottom, top, Boolean(isLog));
      return { axis, x, scale, y: (place) => scale(places[place]), text: (place) => labels[place], hasNone: false };
    }
    const { low, high, least, hasNone } = this.rangeOf(axis);
    const isShownQuantity = axis.isQuantity && axis.id === this.last;
    const wantsLog = isShownQuantity ? this.results.view.scale === 'log' : Boolean(axis.isByRatios);
    const isLog = wantsLog && least < high;
    const from = isLog ? least : low;
    const ends = from < high ? [from, high] : Number.isFinite(high) ? [high - 0.5, high + 0.5] : [0, 1];
    const scale = scaleOf(...ends, bottom, top, isLog);
    const y = (place) => scale(isLog && place < least ? least : place);
    const text = axis.momentText || ((place) => numberText(place, 5));
    return { axis, x, scale, y, text, hasNone };
  }

  draw(room) {
    const n = this.axes.length;
    const width = Math.max(room, n * NARROWEST + 20);
    const height = Math.round(Math.min(460, Math.max(320, room * 0.5)));
    const [top, bottom] = [40, height - 34];
    const step = (width - 30) / n;
    this.foot = bottom + 18;
    this.laid = this.axes.map((axis, k) => this.laidOut(axis, 20 + k * step, top, bottom));
    const [canvas, context] = sharpCanvas(width, height);
    this.size = { width, height };
    this.context = context;
    this.drawing = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, class: 'over parallel', role: 'group', 'aria-label': `Parallel coordinates of ${this.task.name}. Tab and arrows to the side go from axis to axis.` });
    this.groups = this.laid.map((laid, k) => this.axisGroup(laid, k, step, top, bottom));
    this.drawing.append(...this.groups);
    const box = el('div', { class: 'chart' }, canvas, this.drawing);
    Object.assign(box.style, { width: `${width}px`, height: `${height}px`, aspectRatio: `${width} / ${height}` });
    this.paint();
    for (let k = 0; k < n; k += 1) this.showBrush(k);
    this.tell();
    return el('figure', { class: 'panel wide', 'data-facet': 0 }, box);
  }

  axisGroup(laid, k, step, top, bottom) {
    const { axis, x } = laid;
    const group = svg('g', { class: 'coordinate', tabindex: '0', role: 'slider', 'aria-orientation': 'vertical', 'aria-label': `${axis.head}. Arrows up and down brush, with Shift they move the upper end, Escape clears`, 'data-axis': axis.id });
    const most = Math.max(4, Math.floor((step - 8) / LETTER));
    group.append(svg('title', {}, axis.head));
    group.append(svg('rect', { class: 'hit', x: x - 16, y: top - 14, width: Math.min(48, step), height: bottom - top + 28 }));
    group.append(svg('text', { class: 'head', x: x - 12, y: 16 }, endsOfText(axis.head, most)));
    group.append(svg('line', { x1: x, x2: x, y1: top, y2: bottom }));
    let end = Infinity;
    for (const [y, text] of this.ticks(laid, top, bottom)) {
      if (y > end - 14) continue;
      end = y;
      group.append(svg('line', { x1: x, x2: x + 4, y1: y, y2: y }));
      group.append(svg('text', { class: 'tick', x: x + 6, y: y + 4 }, endsOfText(text, Math.max(4, most - 2))));
    }
    if (laid.hasNone) group.append(svg('text', { class: 'tick', x: x + 6, y: this.foot + 4 }, 'none'));
    this.listen(group, k);
    return group;
  }

  ticks(laid, top, bottom) {
    const { axis, scale } = laid;
    if (axis.levels) {
      const texts = axis.levels.tickLabels || axis.levels.labels;
      const all = textTicks((k) => laid.y(k), texts);
      return all;
    }
    return numberTicks(scale, Math.max(2, Math.floor((bottom - top) / 70)), axis.momentText);
  }

  paint() {
    const { context, size, task, results } = this;
    context.clearRect(0, 0, size.width, size.height);
    const draw = (rows, most, style) => {
      const share = most / rows.length;
      for (const row of rows) {
        if (share < 1 && shareOfRow(row) >= share) continue;
        style(row);
        this.line(row);
      }
    };
    context.lineWidth = 1;
    context.globalAlpha = 0.55;
    context.strokeStyle = colour('--line');
    draw(this.others, MOST_FAINT, () => {});
    const n = Math.min(this.selected.length, MOST_LINES);
    context.lineWidth = n > 500 ? 1 : 1.5;
    context.globalAlpha = n > 1000 ? 0.4 : n > 200 ? 0.65 : 0.9;
    const range = results.valueRange();
    const scale = range ? scaleOf(range[0], range[1], 0, 1, results.isLog) : null;
    const [failed, accent, muted] = ['--failed', '--accent', '--muted'].map(colour);
    const shade = viridisOfLines();
    const isState = results.quantity.group === 'state';
    draw(this.selected, MOST_LINES, (row) => {
      const value = results.quantity.values[row];
      const isFailed = task.status[row] === FAILED;
      context.setLineDash(isFailed ? [5, 4] : []);
      const isNumber = scale && Number.isFinite(value) && !isState;
      context.strokeStyle = isFailed ? failed : isNumber ? shade(scale(results.isLog ? Math.max(value, range[0]) : value)) : isState && task.status[row] === DONE ? accent : muted;
    });
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  line(row) {
    const { context } = this;
    context.beginPath();
    this.laid.forEach(({ axis, x, y }, k) => {
      const place = axis.at(row);
      const at = Number.isFinite(place) ? y(place) : this.foot;
      if (k) context.lineTo(x, at);
      else context.moveTo(x, at);
    });
    context.stroke();
  }

  // Brushes ------------------------------------------------------------------------

  // From the bottom to the top of a brush, in pixels.
  extent(laid, [low, high]) {
    const { axis, y } = laid;
    if (!axis.levels) return [y(low), y(high)];
    const half = (a, b) => (b >= 0 && b < axis.levels.n ? Math.min(12, Math.abs(y(b) - y(a)) / 2) : 7);
    return [y(low) + Math.max(3, half(low, low - 1)), y(high) - Math.max(3, half(high, high + 1))];
  }

  showBrush(k) {
    const laid = this.laid[k];
    const group = this.groups[k];
    const brush = this.brushes[laid.axis.id];
    group.querySelector('.brush')?.remove();
    const [first, last] = laid.axis.levels ? [0, laid.axis.levels.n - 1] : [laid.scale.low, laid.scale.high];
    group.setAttribute('aria-valuemin', first);
    group.setAttribute('aria-valuemax', last);
    group.setAttribute('aria-valuenow', brush ? brush[0] : first);
    group.setAttribute('aria-valuetext', brush ? this.inWords(laid, brush) : 'all');
    if (!brush) return;
    const [from, to] = this.extent(laid, brush);
    group.append(svg('rect', { class: 'brush', x: laid.x - 7, y: Math.min(from, to), width: 14, height: Math.max(3, Math.abs(from - to)) }));
  }

  inWords({ axis, scale, text }, [lowest, high]) {
    const low = axis.levels ? lowest : Math.max(lowest, scale.low);
    return text(low) === text(high) ? text(low) : `${text(low)} to ${text(high)}`;
  }

  tell() {
    const brushed = this.laid.filter(({ axis }) => axis.id in this.brushes);
    const where = brushed.map((laid) => `${laid.axis.head} = ${this.inWords(laid, this.brushes[laid.axis.id])}`).join(', ');
    const total = this.selected.length + this.others.length;
    this.results.readout.textContent = where ? `${where}: ${countText(this.selected.length)} of ${counted(total, 'row')}` : '';
  }

  brush(k, interval, isFinal = true) {
    const { id } = this.laid[k].axis;
    if (interval) this.brushes[id] = interval;
    else delete this.brushes[id];
    this.select();
    this.paint();
    this.showBrush(k);
    this.tell();
    if (!isFinal) return;
    this.results.say();
    this.results.showRows();
    this.results.changed();
  }

  clear() {
    for (const id of Object.keys(this.brushes)) delete this.brushes[id];
    this.laid.forEach((_, k) => this.showBrush(k));
    this.select();
    this.paint();
    this.tell();
    this.results.say();
  }

  listen(group, k) {
    let [start, had] = [null, false];
    const at = (event) => event.clientY - this.drawing.getBoundingClientRect().top;
    group.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      start = at(event);
      const brush = this.brushes[this.laid[k].axis.id];
      const [from, to] = brush ? this.extent(this.laid[k], brush) : [0, 0];
      had = Boolean(brush) && start <= from && start >= to;
      group.setPointerCapture(event.pointerId);
    });
    group.addEventListener('pointermove', (event) => {
      if (start === null || Math.abs(at(event) - start) < 4) return;
      this.pending = this.between(this.laid[k], start, at(event));
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        if (start !== null) this.brush(k, this.pending, false);
      });
    });
    group.addEventListener('pointerup', (event) => {
      if (start === null) return;
      const end = at(event);
      const isClick = Math.abs(end - start) < 4;
      const interval = isClick && had ? null : this.between(this.laid[k], start, end);
      start = null;
      this.brush(k, interval);
    });
    group.addEventListener('pointercancel', () => { start = null; });
    group.addEventListener('keydown', (event) => this.key(event, k));
  }

  // The places between two heights; those near if there are none.
  between(laid, a, b) {
    const { axis, scale } = laid;
    const [up, down] = [Math.min(a, b), Math.max(a, b)];
    if (axis.levels) {
      let [first, last, nearest, least] = [null, null, 0, Infinity];
      for (let k = 0; k < axis.levels.n; k += 1) {
        const y = laid.y(k);
        if (y >= up && y <= down) {
          first ??= k;
          last = k;
        }
        const distance = Math.abs(y - (up + down) / 2);
        if (distance < least) [nearest, least] = [k, distance];
      }
      return first === null ? [nearest, nearest] : [first, last];
    }
    const wide = down - up < 4 ? 4 : 0;
    return valuesBetween(laid, sharesOf(scale, [down + wide, up - wide]));
  }

  key(event, k) {
    const laid = this.laid[k];
    const { id } = laid.axis;
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const move = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
    if (side) this.groups[k + side]?.focus();
    else if (move) this.brush(k, moved(laid, this.brushes[id], move, event.shiftKey));
    else if (['Escape', 'Delete', 'Backspace'].includes(event.key)) this.brush(k, null);
    else return;
    event.preventDefault();
  }
}

function isBrushOf(axis, [low, high]) {
  if (!(low <= high)) return false;
  return !axis.levels || (Number.isInteger(low) && Number.isInteger(high) && low >= 0 && high < axis.levels.n);
}

// Heights as shares of an axis, within it.
function sharesOf(scale, heights) {
  const forward = scaleOf(scale.low, scale.high, 0, 1, scale.isLog);
  return heights.map((y) => Math.min(1, Math.max(0, forward(scale.back(y)))));
}

// The ends are exactly those of the axis; below a logarithmic one, zero is there, too.
function valuesBetween({ scale }, [low, high]) {
  const back = scaleOf(scale.low, scale.high, 0, 1, scale.isLog).back;
  return [low <= 0 ? (scale.isLog ? -Number.MAX_VALUE : scale.low) : back(low), high >= 1 ? scale.high : back(high)];
}

// A brush after a key: begun at an end of the axis, then moved, or longer at its upper end.
function moved(laid, brush, move, isLonger) {
  const { axis, scale } = laid;
  const isLevels = Boolean(axis.levels);
  const last = isLevels ? axis.levels.n - 1 : 1;
  const step = isLevels ? Math.max(1, Math.round(axis.levels.n / 40)) : 1 / STEPS;
  const width = isLevels ? step - 1 : step;
  const of = (interval) => (isLevels ? interval : valuesBetween(laid, interval));
  if (!brush) return of(move > 0 ? [0, Math.min(last, width)] : [Math.max(0, last - width), last]);
  const [a, b] = isLevels ? brush : sharesOf(scale, brush.map((value) => laid.y(value)));
  const within = (v, least, most) => Math.min(most, Math.max(least, v));
  if (isLonger) return of([a, within(b + move * step, a, last)]);
  const by = within(move * step, -a, last - b);
  return of([a + by, b + by]);
}
