// Columns: base64 of gzip of little-endian numbers, see psyrun.report.page.encoding.

async function inflated(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };

async function codesOf(column) {
  const planes = await inflated(column.data);
  const { n } = column;
  const Kind = ARRAYS[column.type];
  const size = Kind.BYTES_PER_ELEMENT;
  if (size === 1) return planes;
  const bytes = new Uint8Array(n * size);
  for (let plane = 0; plane < size; plane += 1) {
    const start = plane * n;
    for (let i = 0, to = plane; i < n; i += 1, to += size) bytes[to] = planes[start + i];
  }
  return new Kind(bytes.buffer);
}

async function numbersOf(column) {
  const codes = await codesOf(column);
  const { scale } = column;
  if (!scale) return codes;
  const largest = column.type === 'u1' ? 255 : 65535;
  const ofCode = new Float64Array(largest + 1).fill(NaN);
  if (scale.kind === 'list') {
    ofCode.set(await codesOf(scale.values));
  } else {
    for (let code = 0; code <= largest - 3; code += 1) {
      // By halves, as the range may be too large for a number.
      const value = 2 * (scale.low / 2 + code * (scale.step / 2));
      ofCode[code] = scale.kind === 'log' ? Math.exp(value) : value;
    }
  }
  ofCode[largest - 2] = -Infinity;
  ofCode[largest - 1] = Infinity;
  ofCode[largest] = NaN;
  const found = new Float64Array(codes.length);
  for (let i = 0; i < codes.length; i += 1) found[i] = ofCode[codes[i]];
  return found;
}
