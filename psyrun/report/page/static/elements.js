// Elements of the page. Texts are only ever put in as text.

function el(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) found.addEventListener(name.slice(2), value);
    else found.setAttribute(name, value === true ? '' : value);
  }
  found.append(...children.filter((child) => child !== null && child !== undefined));
  return found;
}

function svg(tag, attributes = {}, ...children) {
  const found = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...children);
  return found;
}

// options: [value, text] pairs
function chooser(id, text, options, value, change, hint) {
  const select = el('select', { id, title: hint, onchange: () => change(select.value) });
  for (const [key, label] of options) select.append(el('option', { value: key }, label));
  select.value = value;
  return el('label', { class: 'field', for: id }, el('span', {}, text), select);
}

function button(text, act, attributes = {}) {
  return el('button', { type: 'button', onclick: act, ...attributes }, text);
}

// All of its digits.
function countCell(n) {
  return { text: countText(n), class: 'number', value: n };
}

function cellOf(cell, tag = 'td') {
  if (cell === null || cell === undefined) return el(tag, {}, '');
  if (cell instanceof Node) return el(tag, {}, cell);
  if (typeof cell === 'number') return el(tag, { class: 'number', 'data-value': cell }, numberText(cell));
  if (cell.text !== undefined) return el(tag, { class: cell.class, 'data-value': cell.value }, cell.text);
  return el(tag, { class: cell.length > 24 ? 'long' : null }, cell);
}

function tableOf(caption, head, rows, attributes = {}) {
  const body = el('tbody');
  const isNumber = (cell) => typeof cell === 'number' || (cell && cell.class === 'number');
  const kinds = head.map((_, column) => (rows.length && isNumber(rows[0][column]) ? 'number' : null));
  for (const row of rows) body.append(el('tr', {}, ...row.map((cell) => cellOf(cell))));
  const table = el(
    'table',
    attributes,
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...head.map((text, column) => el('th', { scope: 'col', class: kinds[column] }, text)))),
    body,
  );
  return el('div', { class: 'scrolled', tabindex: '0', role: 'region', 'aria-label': caption }, table);
}

// A table that is made when it is opened.
function unfolded(summary, make, attributes = {}) {
  const details = el('details', attributes, el('summary', {}, summary));
  let isMade = false;
  details.addEventListener('toggle', () => {
    if (details.open && !isMade) {
      isMade = true;
      details.append(make());
    }
  });
  return details;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
