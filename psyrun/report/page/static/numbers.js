// Numbers as texts, scales, and colours.

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

function superscript(power) {
  const digits = String(Math.abs(power)).replace(/\d/g, (d) => SUPERSCRIPTS[d]);
  return (power < 0 ? '⁻' : '') + digits;
}

function numberText(value, digits = 4) {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value).replace('-', '−');
  const rounded = Number(value.toPrecision(digits));
  if (size >= 1e-3 && size < 1e6) return String(rounded).replace('-', '−');
  const [mantissa, power] = rounded.toExponential().split('e');
  const times = mantissa === '1' ? '' : mantissa === '-1' ? '−' : `${mantissa.replace('-', '−')}·`;
  return `${times}10${superscript(Number(power))}`;
}

// With as many digits as they need to be wrong by no more than what is said.
function numberTexts(values, most) {
  let digits = 3;
  while (digits < 15 && values.some((value) => Math.abs(Number(value.toPrecision(digits)) - value) > most)) digits += 1;
  return values.map((value) => numberText(value, digits));
}

function tickTexts(ticks) {
  return numberTexts(ticks, ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) / 100 : Math.abs(ticks[0]) / 1e4);
}

function countText(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

function counted(n, noun) {
  return `${countText(n)} ${noun}${n === 1 ? '' : 's'}`;
}

const FURTHEST = 8.64e15; // milliseconds, which are all that a browser has dates for
const YEAR = 365.2425 * 86400e3;

function dateText(milliseconds) {
  if (!Number.isFinite(milliseconds)) return 'NaT';
  if (Math.abs(milliseconds) > FURTHEST) return `year ${numberText(1970 + milliseconds / YEAR, 8)}`;
  return new Date(milliseconds).toISOString().replace('T', ' ').replace(/(:00)?\.000Z$/, '').replace(/ 00:00$/, '');
}

// Of times of day, which are milliseconds since midnight.
function timeText(milliseconds) {
  if (!Number.isFinite(milliseconds)) return 'NaT';
  return new Date(milliseconds).toISOString().slice(11, 23).replace(/(:00)?\.000$/, '');
}

const MOMENT_TEXTS = { date: dateText, time: timeText };

function durationText(seconds) {
  if (!Number.isFinite(seconds)) return 'not known';
  if (seconds < 120) return `${numberText(seconds, 3)} s`;
  if (seconds < 7200) return `${numberText(seconds / 60, 3)} min`;
  return `${numberText(seconds / 3600, 3)} h`;
}

function withUnit(title, unit) {
  return unit ? `${title} (${unit})` : title;
}

// Whether positive numbers, ascending, are spaced by ratios rather than by differences.
function isGeometric(values) {
  const n = values.length;
  if (n < 3 || !(values[0] > 0) || values[n - 1] / values[0] < 20) return false;
  const logs = Array.from(values, Math.log);
  const spread = (list) => {
    const steps = list.slice(1).map((value, i) => value - list[i]);
    const mean = steps.reduce((a, b) => a + b, 0) / steps.length;
    return Math.sqrt(steps.reduce((a, b) => a + (b - mean) ** 2, 0) / steps.length) / Math.abs(mean);
  };
  return spread(logs) < spread(Array.from(values));
}

// Whether numbers, such as those drawn at random, are spread by ratios: their logarithms
// far more evenly than they are themselves. The same as in psyrun.report.numbers.
function isSpreadByRatios(values) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  const own = sorted.filter((value, i) => i === 0 || value > sorted[i - 1]);
  const last = own.length - 1;
  if (last < 9 || !(own[0] > 0) || own[last] / 10 < own[0]) return false;
  const unevenness = (list) => list.reduce((most, value, i) => Math.max(most, Math.abs((value - list[0]) / (list[last] - list[0]) - i / last)), 0);
  const uneven = unevenness(own);
  return uneven > 0.3 && unevenness(own.map(Math.log)) < uneven / 2;
}

function scaleOf(low, high, from, to, isLog) {
  const forward = isLog ? Math.log : (v) => v;
  const [a, b] = [forward(low), forward(high)];
  const span = b - a || 1;
  const scale = (value) => from + ((forward(value) - a) / span) * (to - from);
  scale.back = (place) => {
    const inner = a + ((place - from) / (to - from)) * span;
    return isLog ? Math.exp(inner) : inner;
  };
  scale.low = low;
  scale.high = high;
  scale.isLog = isLog;
  return scale;
}

function ticksOf(low, high, most, isLog) {
  if (!(high > low)) return [low];
  if (isLog) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first >= 1) {
      const step = Math.max(1, Math.ceil((last - first + 1) / most));
      const found = [];
      for (let power = first; power <= last; power += step) found.push(10 ** power);
      return found;
    }
  }
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && found.length < 50; k += 1) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

const DATE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat([1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200].map((s) => s * 1e3))
  .concat([1, 2, 5, 10].map((d) => d * 86400e3));

// In milliseconds: whole days, hours and so on; the first of months and years.
function dateTicksOf(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const step = DATE_STEPS.find((each) => each >= rough);
  const found = [];
  if (rough < 1 || Math.max(-low, high) > FURTHEST) return ticksOf(low, high, most, false);
  if (step) {
    for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(k * step);
    return found;
  }
  const years = [1, 10, 100, 1e3, 1e4, 1e5].flatMap((power) => [1, 2, 5].map((factor) => 12 * factor * power));
  const months = [1, 2, 3, 6, ...years].find((each) => each * 30.44 * 86400e3 >= rough) || 12e6;
  const first = new Date(low);
  for (let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months; found.length < 50; month += months) {
    const date = new Date(0);
    date.setUTCFullYear(Math.floor(month / 12), month % 12, 1);
    if (date.getTime() > high) break;
    if (date.getTime() >= low) found.push(date.getTime());
  }
  return found;
}

// Viridis at 17 places, by Nathaniel Smith and Stéfan van der Walt (CC0).
const VIRIDIS = ['440154', '48186a', '472d7b', '424086', '3b528b', '33638d', '2c728e', '26828e', '21918c',
  '1fa088', '28ae80', '3fbc73', '5ec962', '84d44b', 'addc30', 'd8e219', 'fde725']
  .map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

// Thin lines of the darkest colours would not be seen on a dark page: there, all are lighter.
function viridisOfLines() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === 'dark';
  return (share) => viridis(share, isDark ? 0.3 : 0);
}

function viridis(share, white = 0) {
  const place = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const index = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const part = place - index;
  const [r, g, b] = VIRIDIS[index].map((v, i) => Math.round((v + (VIRIDIS[index + 1][i] - v) * part) * (1 - white) + 255 * white));
  return `rgb(${r},${g},${b})`;
}

// Okabe and Ito's palette, safe for colour blindness; the first stands in for black.
const OKABE_ITO = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a7a00', '#7a7a7a'];
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '', '7 3', '2 3', '9 3 2 3'];
const MARKS = ['circle', 'square', 'up', 'diamond', 'down', 'plus', 'star', 'bar'];

function seriesStyle(number, n) {
  return {
    colour: n <= OKABE_ITO.length ? OKABE_ITO[number] : viridis(n > 1 ? number / (n - 1) * 0.92 : 0),
    dash: DASHES[number % DASHES.length],
    mark: MARKS[number % MARKS.length],
  };
}
