// Frames of charts: margins, axes, marks.

const LETTER = 6.4; // width of one of the small letters of axes

function shortText(text, most) {
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

// What tells many names apart is at their ends.
function endsOfText(text, most) {
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`;
}

// Where the plot is inside of a panel.
function frameOf(width, height, yLabels) {
  const longest = Math.max(2, ...yLabels.map((text) => text.length));
  const most = Math.max(6, Math.floor(width * 0.3 / LETTER));
  const left = Math.min(longest, most) * LETTER + 30;
  return { width, height, left, top: 10, right: width - 14, bottom: height - 44, most };
}

function axisTitle(frame, xTitle, yTitle) {
  const group = svg('g', { class: 'titles' });
  const centre = (frame.left + frame.right) / 2;
  const fit = (text, room) => shortText(text, Math.max(8, Math.floor(room / (LETTER + 0.4))));
  group.append(svg('text', { x: centre, y: frame.height - 6, 'text-anchor': 'middle' }, fit(xTitle, frame.right - frame.left)));
  const middle = (frame.top + frame.bottom) / 2;
  group.append(svg('text', {
    x: 12, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 12 ${middle})`,
  }, fit(yTitle, frame.bottom - frame.top)));
  return group;
}

// ticks: [place, text]; those that would overlap are left out
function xTicks(frame, ticks, lines) {
  const group = svg('g', { class: 'axis' });
  group.append(svg('line', { x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }));
  let end = -Infinity;
  for (const [place, text] of ticks) {
    const shown = shortText(text, 18);
    const half = shown.length * LETTER / 2;
    if (place - half < end + 8) continue;
    end = place + half;
    group.append(svg('line', { x1: place, x2: place, y1: frame.bottom, y2: frame.bottom + 4 }));
    if (lines) group.append(svg('line', { class: 'grid', x1: place, x2: place, y1: frame.top, y2: frame.bottom }));
    const anchor = place + half > frame.width ? 'end' : 'middle';
    group.append(svg('text', { x: anchor === 'end' ? frame.width - 1 : place, y: frame.bottom + 16, 'text-anchor': anchor }, shown));
  }
  return group;
}

function yTicks(frame, ticks, lines) {
  const group = svg('g', { class: 'axis' });
  group.append(svg('line', { x1: frame.left, x2: frame.left, y1: frame.top, y2: frame.bottom }));
  let end = Infinity;
  for (const [place, text] of ticks) {
    if (place > end - 13) continue;
    end = place;
    group.append(svg('line', { x1: frame.left - 4, x2: frame.left, y1: place, y2: place }));
    if (lines) group.append(svg('line', { class: 'grid', x1: frame.left, x2: frame.right, y1: place, y2: place }));
    group.append(svg('text', { x: frame.left - 7, y: place + 4, 'text-anchor': 'end' }, shortText(text, frame.most)));
  }
  return group;
}

// momentText: of dates or times of day, else nothing
function numberTicks(scale, most, momentText) {
  if (momentText) return dateTicksOf(scale.low, scale.high, most).map((value) => [scale(value), momentText(value)]);
  const ticks = ticksOf(scale.low, scale.high, most, scale.isLog);
  const texts = tickTexts(ticks);
  return ticks.map((value, i) => [scale(value), texts[i]]);
}

function markPath(kind, x, y, r) {
  const a = r * 1.15;
  switch (kind) {
    case 'square': return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
    case 'up': return `M${x} ${y - a}L${x + a} ${y + r}H${x - a}z`;
    case 'down': return `M${x} ${y + a}L${x + a} ${y - r}H${x - a}z`;
    case 'diamond': return `M${x} ${y - a}L${x + a} ${y}L${x} ${y + a}L${x - a} ${y}z`;
    case 'plus': return `M${x - 1} ${y - a}h2v${a - 1}h${a - 1}v2h${1 - a}v${a - 1}h-2v${1 - a}h${1 - a}v-2h${a - 1}z`;
    case 'star': return `M${x} ${y - a}L${x + r / 3} ${y - r / 3}L${x + a} ${y}L${x + r / 3} ${y + r / 3}L${x} ${y + a}L${x - r / 3} ${y + r / 3}L${x - a} ${y}L${x - r / 3} ${y - r / 3}z`;
    case 'bar': return `M${x - a} ${y - 1.5}h${2 * a}v3h${-2 * a}z`;
    default: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
  }
}

function crossPath(x, y, r) {
  return `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`;
}

function sharpCanvas(width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const canvas = el('canvas', { width: Math.round(width * ratio), height: Math.round(height * ratio), 'aria-hidden': 'true' });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  return [canvas, context];
}

// How cells without a number look: hatched where they failed, dotted where they are to come.
function emptyCell(context, kind, x, y, w, h) {
  context.save();
  context.beginPath();
  context.rect(x, y, w, h);
  context.clip();
  context.fillStyle = colour('--empty');
  context.fillRect(x, y, w, h);
  if (kind === 'failed') {
    context.strokeStyle = colour('--failed');
    context.lineWidth = 1.6;
    context.beginPath();
    for (let at = x - h - ((x - h) % 7) - 7; at < x + w; at += 7) {
      context.moveTo(at, y + h);
      context.lineTo(at + h, y);
    }
    context.stroke();
  } else if (kind === 'open') {
    context.fillStyle = colour('--muted');
    for (let i = x - (x % 7) + 3; i < x + w; i += 7) {
      for (let j = y - (y % 7) + 3; j < y + h; j += 7) context.fillRect(i, j, 1.5, 1.5);
    }
  } else if (kind === 'odd') {
    context.fillStyle = colour('--muted');
    context.font = '11px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText('–', x + w / 2, y + h / 2);
  }
  context.restore();
}

function stateOfCell(table, cell) {
  if (Number.isFinite(table.value[cell])) return 'value';
  if (table.counts.failed[cell]) return 'failed';
  if (table.counts.open[cell]) return 'open';
  return table.counts.done[cell] ? 'odd' : 'none';
}
