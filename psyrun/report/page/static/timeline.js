// When machines and workers were busy: a lane for each, with bars for intervals of time.

const LANE = 20;
const HATCHED = 6; // pixels at least, so that it is seen to be hatched

class TimelineChart {
  constructor(task) {
    this.task = task;
    this.line = task.timeline;
    this.n = this.line.begins.length;
    this.cursor = null;
    this.chart = el('div', { class: 'chart', id: 'timeline-chart' });
    this.readout = el('p', { class: 'readout', id: 'timeline-readout', role: 'status' });
    const table = unfolded('The timeline as a table', () => this.table(), { id: 'timeline-details' });
    this.element = el('div', { id: 'timeline' }, el('h3', {}, 'When machines were busy'), el('p', { class: 'said', id: 'timeline-said' }, this.inWords()), this.chart, this.readout, table);
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - width) < 1) return;
      width = entry.contentRect.width;
      this.draw(width);
    }).observe(this.element);
  }

  get isOfWorkers() {
    return this.line.lanes.every((each) => each.worker);
  }

  inWords() {
    const { line } = this;
    const { begins, step, lanes } = line;
    const parts = [`From ${momentText(begins[0])} to ${momentText(begins[this.n - 1] + step)} UTC, in intervals of ${durationText(step)}. The height of a bar is the share of the time that ${this.isOfWorkers ? 'a worker was' : 'the workers of a machine were'} busy with ${line.failed ? 'evaluations: rows that are done and, hatched, the last evaluations of assignments that failed' : 'rows that are done'}.`];
    if (this.isOfWorkers) parts.push('Lanes have the number of the worker behind the name of its machine. Workers are told apart by rows of one machine at the same time.');
    const gaps = this.sessions().length - 1;
    if (gaps) parts.push(`${counted(gaps, 'long time')} without rows ${gaps === 1 ? 'is' : 'are'} left out, where dotted lines stand.`);
    if (line.n_hidden) parts.push(`${counted(line.n_hidden, 'machine')} that ${line.n_hidden === 1 ? 'was' : 'were'} busy for the shortest time ${line.n_hidden === 1 ? 'is' : 'are'} left out.`);
    if (line.n_unknown) parts.push(`Of ${counted(line.n_unknown, 'row')} the time is not known.`);
    if (line.n_failed_unknown) parts.push(`Of ${counted(line.n_failed_unknown, 'failed assignment')} the time is not known.`);
    if (!lanes.every((each) => each.machine)) parts.push('Of some rows the machine is not known.');
    return parts.join(' ');
  }

  // The first and the last interval of each time without a gap.
  sessions() {
    const { begins, step } = this.line;
    const found = [[0, this.n - 1]];
    for (let i = 1; i < this.n; i += 1) {
      if (begins[i] - begins[i - 1] > 1.5 * step) {
        found[found.length - 1][1] = i - 1;
        found.push([i, this.n - 1]);
      }
    }
    return found;
  }

  nameOf(lane) {
    const machine = lane.machine || 'not known';
    return lane.worker ? `${machine}: ${lane.worker}` : `${machine} (${lane.n_workers})`;
  }

  share(lane, i) {
    return this.line.busy[lane * this.n + i] / 100;
  }

  failedShare(lane, i) {
    return this.line.failed ? this.line.failed[lane * this.n + i] / 100 : 0;
  }

  draw(width) {
    const { line } = this;
    const { lanes } = line;
    const height = lanes.length * LANE + 54;
    const frame = frameOf(width, height, lanes.map((each) => this.nameOf(each)));
    Object.assign(this, { frame, step: (frame.right - frame.left) / this.n });
    const label = `When ${this.isOfWorkers ? 'workers' : 'machines'} of ${this.task.name} were busy. Arrow keys move.`;
    this.drawing = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, tabindex: '0', role: 'application', 'aria-label': label });
    const ticks = lanes.map((each, k) => [frame.top + (k + 0.5) * LANE, this.nameOf(each)]);
    this.drawing.append(yTicks(frame, ticks.reverse()), xTicks(frame, this.timeTicks()));
    this.drawing.append(axisTitle(frame, 'time (UTC)', lanes.length < 4 ? '' : this.isOfWorkers ? 'machine: worker' : 'machine (workers)'));
    lanes.forEach((_, k) => this.drawing.append(svg('path', { class: 'busy', d: this.bars(k) })));
    if (line.failed) this.drawing.append(hatch(), ...lanes.map((_, k) => svg('path', { class: 'busy failed', d: this.failedBars(k) })));
    for (const [first] of this.sessions().slice(1)) {
      const x = frame.left + first * this.step;
      this.drawing.append(svg('line', { class: 'break', x1: x, x2: x, y1: frame.top, y2: frame.bottom }));
    }
    this.listen();
    this.chart.style.height = `${height}px`;
    this.chart.style.aspectRatio = `${width} / ${height}`;
    this.chart.replaceChildren(this.drawing);
  }

  bars(k) {
    const { frame, step } = this;
    const bottom = frame.top + (k + 1) * LANE - 1;
    const parts = [];
    for (let i = 0; i < this.n; i += 1) {
      const share = this.share(k, i);
      // What is there at all is seen.
      const height = share ? Math.max(1, share * (LANE - 3)) : 0;
      if (height) parts.push(`M${(frame.left + i * step).toFixed(2)} ${bottom}v${-height.toFixed(2)}h${(step + 0.2).toFixed(2)}V${bottom}z`);
    }
    return parts.join('');
  }

  // The upper ends of the bars.
  failedBars(k) {
    const { frame, step } = this;
    const bottom = frame.top + (k + 1) * LANE - 1;
    const width = Math.max(HATCHED, step);
    const parts = [];
    for (let i = 0; i < this.n; i += 1) {
      const failed = this.failedShare(k, i);
      if (failed) {
        const height = Math.max(HATCHED, failed * (LANE - 3));
        const top = bottom - Math.max(height, this.share(k, i) * (LANE - 3));
        const left = Math.min(frame.left + i * step, frame.right - width);
        parts.push(`M${left.toFixed(2)} ${top.toFixed(2)}v${height.toFixed(2)}h${width.toFixed(2)}v${-height.toFixed(2)}z`);
      }
    }
    return parts.join('');
  }

  timeTicks() {
    const { begins, step } = this.line;
    const { frame } = this;
    const pixel = this.step;
    const found = [];
    const days = (begins[this.n - 1] - begins[0]) / 86400;
    const momentOf = (time, span) => (days > 300 ? dateText(time) : days > 1 ? dateText(time).slice(5) : clockText(time, span));
    for (const [first, last] of this.sessions()) {
      const [low, high] = [begins[first] * 1e3, (begins[last] + step) * 1e3];
      const room = (last - first + 1) * pixel;
      const times = dateTicksOf(low, high, Math.max(1, Math.floor(room / 90)));
      for (const time of times) {
        const place = frame.left + first * pixel + ((time - low) / (high - low)) * room;
        if (Number.isFinite(place)) found.push([place, momentOf(time, high - low)]);
      }
    }
    return found.sort((a, b) => a[0] - b[0]);
  }

  listen() {
    const { frame } = this;
    const { lanes } = this.line;
    const within = (v, n) => Math.min(n - 1, Math.max(0, v));
    this.drawing.addEventListener('pointermove', (event) => {
      const box = this.drawing.getBoundingClientRect();
      const i = Math.floor((event.clientX - box.left - frame.left) / this.step);
      const k = Math.floor((event.clientY - box.top - frame.top) / LANE);
      if (i >= 0 && i < this.n && k >= 0 && k < lanes.length) this.tell(k, i);
    });
    this.drawing.addEventListener('keydown', (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!move) return;
      event.preventDefault();
      const from = this.cursor || [-move[0], -move[1]];
      this.cursor = [within(from[0] + move[0], lanes.length), within(from[1] + move[1], this.n)];
      const [k, i] = this.cursor;
      this.drawing.querySelector('.cursor')?.remove();
      this.drawing.append(svg('rect', { class: 'cursor', x: frame.left + i * this.step - 1, y: frame.top + k * LANE, width: this.step + 2, height: LANE }));
      this.tell(k, i);
    });
  }

  tell(k, i) {
    const lane = this.line.lanes[k];
    const begin = this.line.begins[i];
    const who = lane.worker ? `worker ${lane.worker} of ${lane.machine || 'a machine'}` : `${counted(lane.n_workers, 'worker')} of ${lane.machine || 'a machine'}`;
    const failed = this.failedShare(k, i);
    const ofFailed = failed ? `, with what failed ${numberText(100 * failed, 3)} %` : '';
    this.readout.textContent = `${momentText(begin)} to ${momentText(begin + this.line.step)} UTC, ${who}: busy ${numberText(100 * this.share(k, i), 3)} % of the time${ofFailed}`;
  }

  table() {
    const all = this.n * this.line.step;
    const rows = this.line.lanes.map((lane) => [
      lane.machine || 'not known',
      lane.worker ? { text: String(lane.worker), class: 'number', value: lane.worker } : countCell(lane.n_workers),
      countCell(lane.n_rows),
      ...(this.line.failed ? [countCell(lane.n_failed), { text: durationText(lane.failed_seconds), class: 'number', value: lane.failed_seconds }] : []),
      { text: durationText(lane.seconds), class: 'number', value: lane.seconds },
      { text: `${numberText(100 * Math.min(1, lane.seconds / all / lane.n_workers), 3)} %`, class: 'number', value: lane.seconds / all / lane.n_workers },
    ]);
    return tableOf(counted(rows.length, this.isOfWorkers ? 'worker' : 'machine'), ['machine', this.isOfWorkers ? 'worker' : 'workers', 'rows', ...(this.line.failed ? ['failed', 'for'] : []), 'busy for', 'of the time shown'], rows, { id: 'timeline-table' });
  }
}

function hatch() {
  const pattern = svg('pattern', { id: 'failed-hatch', patternUnits: 'userSpaceOnUse', width: 5, height: 5 });
  pattern.append(svg('rect', { width: 5, height: 5 }), svg('path', { d: 'M-1 1l2 -2M0 5l5 -5M4 6l2 -2' }));
  return svg('defs', {}, pattern);
}

function momentText(seconds) {
  return dateText(Math.round(seconds) * 1e3);
}

// Of times within a few days.
function clockText(milliseconds, span) {
  const text = new Date(milliseconds).toISOString().slice(11, 23);
  return span < 1e3 ? text : span < 10e3 ? text.slice(0, 10) : span < 600e3 ? text.slice(0, 8) : text.slice(0, 5);
}
