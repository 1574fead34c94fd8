// Heat maps, lines and scatter plots of one panel.

// Each returns { draw: nodes for the panel, at(x, y): the cell there or null,
// outline(cells): an SVG shape around a range of cells }.

function heatMap(table, facet, size, scale) {
  const [, by, x] = table.axes;
  const frame = frameOf(size.width, size.height, by.tickLabels || by.labels);
  const [w, h] = [(frame.right - frame.left) / x.n, (frame.bottom - frame.top) / by.n];
  const left = (i) => frame.left + i * w;
  const top = (c) => frame.bottom - (c + 1) * h;
  const [canvas, context] = sharpCanvas(size.width, size.height);
  const gap = Math.min(w, h) > 6 ? 0.5 : 0;
  for (let c = 0; c < by.n; c += 1) {
    for (let i = 0; i < x.n; i += 1) {
      const cell = (facet * by.n + c) * x.n + i;
      const state = stateOfCell(table, cell);
      const place = [left(i) + gap, top(c) + gap, w - 2 * gap + (gap ? 0 : 0.5), h - 2 * gap + (gap ? 0 : 0.5)];
      if (state === 'value') {
        context.fillStyle = viridis(scale(table.value[cell]));
        context.fillRect(...place);
        if (table.counts.failed[cell] && Math.min(w, h) > 7) failedCorner(context, ...place);
      } else if (state !== 'none') emptyCell(context, state, ...place);
    }
  }
  const drawing = svg('svg', { width: size.width, height: size.height, class: 'over' });
  drawing.append(xTicks(frame, ticksAt(x, (i) => left(i + 0.5))));
  drawing.append(yTicks(frame, ticksAt(by, (c) => top(c) + h / 2)));
  drawing.append(axisTitle(frame, x.head, by.head));
  return {
    nodes: [canvas, drawing],
    drawing,
    at: (px, py) => {
      const i = Math.floor((px - frame.left) / w);
      const c = Math.floor((frame.bottom - py) / h);
      return i >= 0 && i < x.n && c >= 0 && c < by.n ? [c, i] : null;
    },
    box: ([c0, i0], [c1, i1]) => ({
      x: left(Math.min(i0, i1)), y: top(Math.max(c0, c1)),
      width: (Math.abs(i1 - i0) + 1) * w, height: (Math.abs(c1 - c0) + 1) * h,
    }),
  };
}

function ticksAt(axis, place) {
  return (axis.tickLabels || axis.labels).map((text, i) => [place(i), text]);
}

// That some rows of a cell failed: a corner in the colour of the page, with a line.
function failedCorner(context, x, y, w, h) {
  const side = Math.min(w, h, 22) * 0.42;
  context.beginPath();
  context.moveTo(x + w - side, y);
  context.lineTo(x + w, y);
  context.lineTo(x + w, y + side);
  context.closePath();
  context.fillStyle = colour('--page');
  context.fill();
  context.strokeStyle = colour('--failed');
  context.lineWidth = 1.4;
  context.stroke();
}

function xScaleOf(axis, frame) {
  if (axis.isText || axis.n < 2) {
    const step = (frame.right - frame.left) / axis.n;
    return { place: (i) => frame.left + (i + 0.5) * step, ticks: ticksAt(axis, (i) => frame.left + (i + 0.5) * step) };
  }
  const [low, high] = finiteRange(axis.places);
  const scale = scaleOf(low, high, frame.left + 10, frame.right - 10, Boolean(axis.isLog));
  const place = (i) => scale(axis.places[i]);
  const most = Math.max(2, Math.floor((frame.right - frame.left) / (axis.momentText ? 110 : 70)));
  const ticks = axis.n <= 12 && !axis.isBinned ? ticksAt(axis, place) : numberTicks(scale, most, axis.momentText);
  return { place, ticks };
}

function lineChart(table, facet, size, range, isLog, yTitle) {
  const [, by, x] = table.axes;
  const most = Math.max(2, Math.floor(size.height / 50));
  const guess = tickTexts(ticksOf(range[0], range[1], most, isLog));
  const frame = frameOf(size.width, size.height, guess);
  const hasMissing = table.counts.failed.some(Boolean) || table.counts.open.some(Boolean);
  const floor = frame.bottom - (hasMissing ? 18 : 0);
  const y = scaleOf(range[0], range[1], floor - 6, frame.top + 6, isLog);
  const { place, ticks } = xScaleOf(x, frame);
  const drawing = svg('svg', { width: size.width, height: size.height });
  drawing.append(yTicks(frame, numberTicks(y, most), true), xTicks(frame, ticks), axisTitle(frame, x.head, yTitle));
  if (hasMissing) drawing.append(svg('line', { class: 'floor', x1: frame.left, x2: frame.right, y1: floor, y2: floor }));
  const clamped = (value) => (isLog ? Math.max(value, range[0]) : value);
  for (let c = 0; c < by.n; c += 1) drawing.append(...oneLine(table, facet, c, place, (v) => y(clamped(v)), frame, floor));
  return {
    nodes: [drawing],
    drawing,
    at: (px, py) => nearestPoint(table, facet, place, y, px, py),
    box: ([c0, i0], [c1, i1]) => {
      const half = x.n > 1 ? Math.max(4, Math.abs(place(1) - place(0)) / 2) : 20;
      const [a, b] = [place(Math.min(i0, i1)), place(Math.max(i0, i1))];
      const only = c0 === c1 && i0 === i1 && table.value[(facet * by.n + c0) * x.n + i0];
      if (Number.isFinite(only)) return { x: a - 8, y: y(only) - 8, width: 16, height: 16 };
      return { x: a - Math.min(half, 10), y: frame.top, width: b - a + 2 * Math.min(half, 10), height: frame.bottom - frame.top };
    },
  };
}

function oneLine(table, facet, c, place, y, frame, floor) {
  const [, by, x] = table.axes;
  const style = seriesStyle(c, by.n);
  const [line, marks, crosses, rings, upper, lower] = [[], [], [], [], [], []];
  const bands = [];
  const closeBand = () => {
    if (upper.length) bands.push(`M${upper.join('L')}L${lower.reverse().join('L')}z`);
    upper.length = lower.length = 0;
  };
  let isOn = false;
  const shift = by.n > 1 ? (c - (by.n - 1) / 2) * Math.min(3, 24 / by.n) : 0;
  for (let i = 0; i < x.n; i += 1) {
    const cell = (facet * by.n + c) * x.n + i;
    const state = stateOfCell(table, cell);
    const px = place(i);
    if (state === 'value') {
      const py = y(table.value[cell]);
      line.push(`${isOn && !x.isText ? 'L' : 'M'}${px} ${py}`);
      if (x.n * by.n <= 400 || x.isText) marks.push(markPath(style.mark, px, py, 3.2));
      if (Number.isFinite(table.low[cell])) {
        upper.push(`${px} ${y(table.high[cell])}`);
        lower.push(`${px} ${y(table.low[cell])}`);
        if (x.isText) {
          bands.push(`M${px} ${y(table.high[cell])}V${y(table.low[cell])}`);
          upper.length = lower.length = 0;
        }
      }
      isOn = true;
    } else {
      // A place that the space does not have is no gap of the line.
      if (state !== 'none') isOn = false;
      if (!isOn) closeBand();
    }
    if (table.counts.failed[cell]) crosses.push(crossPath(px + shift, (floor + frame.bottom) / 2, 3.2));
    else if (state === 'open') rings.push(markPath('circle', px + shift, (floor + frame.bottom) / 2, 2.4));
  }
  closeBand();
  const found = [];
  if (bands.length) {
    const attributes = x.isText ? { stroke: style.colour, 'stroke-width': 2, fill: 'none' } : { fill: style.colour, class: 'band' };
    found.push(svg('path', { d: bands.join(''), ...attributes }));
  }
  found.push(svg('path', { class: 'line', d: line.join(''), stroke: style.colour, 'stroke-dasharray': style.dash }));
  found.push(svg('path', { d: marks.join(''), fill: style.colour }));
  found.push(svg('path', { class: 'crosses', d: crosses.join(''), stroke: style.colour }));
  found.push(svg('path', { class: 'rings', d: rings.join(''), stroke: style.colour }));
  return found;
}

function nearestPoint(table, facet, place, y, px, py) {
  const [, by, x] = table.axes;
  let [best, least] = [null, 40 ** 2];
  for (let c = 0; c < by.n; c += 1) {
    for (let i = 0; i < x.n; i += 1) {
      const cell = (facet * by.n + c) * x.n + i;
      const state = stateOfCell(table, cell);
      if (state === 'none') continue;
      const dy = state === 'value' ? y(table.value[cell]) - py : 0;
      const distance = (place(i) - px) ** 2 + dy ** 2 * 0.5 + (state === 'value' ? 0 : 100);
      if (distance < least) [best, least] = [[c, i], distance];
    }
  }
  return best;
}

// Of so many texts that they would overlap, some.
function textTicks(scale, texts) {
  const step = Math.ceil(texts.length / 100);
  return texts.map((text, i) => [scale(i), text]).filter((_, i) => i % step === 0);
}

// points: { rows, x, y, style of each row's series }
function scatterPlot(points, size, ranges, titles, styleOf) {
  const most = Math.max(2, Math.floor(size.height / 50));
  const guess = tickTexts(ticksOf(...ranges.y, most, ranges.isYLog));
  const frame = frameOf(size.width, size.height, guess);
  const hasMissing = points.missing.length > 0;
  const floor = frame.bottom - (hasMissing ? 18 : 0);
  const x = scaleOf(...ranges.x, frame.left + 8, frame.right - 8, ranges.isXLog);
  const y = scaleOf(...ranges.y, floor - 8, frame.top + 8, ranges.isYLog);
  const [canvas, context] = sharpCanvas(size.width, size.height);
  const r = points.rows.length > 20000 ? 0.7 : points.rows.length > 6000 ? 1.4 : points.rows.length > 1000 ? 2.2 : 3;
  context.globalAlpha = points.rows.length > 2000 ? 0.6 : 0.85;
  points.rows.forEach((row, k) => {
    const style = styleOf(row);
    context.fillStyle = style.colour;
    const [px, py] = [x(points.x[k]), y(points.y[k])];
    if (r < 2) context.fillRect(px - r, py - r, 2 * r, 2 * r);
    else context.fill(new Path2D(markPath(style.mark, px, py, r)));
  });
  context.globalAlpha = 1;
  const drawing = svg('svg', { width: size.width, height: size.height, class: 'over' });
  const xMost = Math.max(2, Math.floor((frame.right - frame.left) / (ranges.xMomentText ? 110 : 70)));
  drawing.append(yTicks(frame, numberTicks(y, most), true), xTicks(frame, ranges.xTexts ? textTicks(x, ranges.xTexts) : numberTicks(x, xMost, ranges.xMomentText)), axisTitle(frame, ...titles));
  const crosses = points.missing.slice(0, 5000).map(([row, value]) => [styleOf(row).colour, crossPath(x(value), (floor + frame.bottom) / 2, 3.2)]);
  for (const [stroke, d] of crosses) drawing.append(svg('path', { class: 'crosses', d, stroke }));
  if (hasMissing) drawing.append(svg('line', { class: 'floor', x1: frame.left, x2: frame.right, y1: floor, y2: floor }));
  return {
    nodes: [canvas, drawing], drawing, x, y, frame, floor,
    at: (px, py) => (px >= frame.left && px <= frame.right && py >= frame.top && py <= frame.bottom ? [px, py] : null),
    box: ([x0, y0], [x1, y1]) => ({ x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) }),
  };
}
