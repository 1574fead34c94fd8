// The page: header, the task that is shown, and the hash of its address.

const page = JSON.parse(document.getElementById('data').textContent);
const loaded = new Map();
let results = null;

function taskOf(name) {
  const raw = page.tasks.find((each) => each.name === name) || page.tasks[0];
  if (!loaded.has(raw.name)) loaded.set(raw.name, loadTask(raw));
  return loaded.get(raw.name);
}

function hashParameters() {
  return new URLSearchParams(window.location.hash.slice(1));
}

let ownHash = null;

function writeHash() {
  ownHash = hashOf(results.task, results.view);
  if (window.location.hash !== ownHash) window.history.replaceState(null, '', ownHash);
}

async function showTask() {
  const parameters = hashParameters();
  const task = await taskOf(parameters.get('task'));
  const main = document.getElementById('main');
  results = new Results(task, viewOfHash(task, parameters), writeHash);
  const look = (quantity) => {
    results.view.stat = 'mean';
    results.set('q', quantity);
    document.getElementById('results-heading').focus();
    document.getElementById('results').scrollIntoView({ block: 'start' });
  };
  const sections = [
    section('results', 'Results over the axes', results.element),
    progressSection(task),
    failuresSection(task, look),
    costsSection(task, look),
    originSection(task),
  ];
  document.getElementById('title').textContent = task.name;
  main.replaceChildren(contents(), ...sections);
  results.draw();
  const choose = document.getElementById('choose-task');
  if (choose) choose.value = task.name;
  document.documentElement.dataset.ready = 'yes';
}

function contents() {
  const list = [['results', 'Results'], ['progress', 'Progress'], ['failures', 'Failures'], ['costs', 'Cost'], ['origin', 'Origin']];
  // Not links: the hash of the address holds what is shown.
  const go = (id) => {
    document.getElementById(`${id}-heading`).focus();
    document.getElementById(id).scrollIntoView({ block: 'start' });
  };
  return el('nav', { 'aria-label': 'Sections' }, ...list.map(([id, text]) => button(text, () => go(id), { class: 'link' })));
}

function header() {
  const controls = document.getElementById('header-controls');
  if (page.tasks.length > 1) {
    const names = page.tasks.map((each) => [each.name, each.name]);
    controls.append(chooser('choose-task', 'Task', names, names[0][0], (name) => {
      ownHash = null;
      window.history.replaceState(null, '', `#${new URLSearchParams({ task: name })}`);
      showTask();
    }));
  }
  const themes = [['auto', 'as the system'], ['light', 'light'], ['dark', 'dark']];
  controls.append(chooser('choose-theme', 'Colours', themes, 'auto', (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    results.draw();
  }));
  document.getElementById('footer').textContent = `Written on ${page.written.replace('T', ' ').replace('+00:00', '')} UTC by psyrun ${page.psyrun}. This file loads nothing from anywhere.${page.refresh ? ' It is written anew while a task runs, and this page follows.' : ''}`;
}

// Not while somebody uses the page, as what is unfolded would fold.
function follow(seconds) {
  let due = Date.now() + seconds * 1000;
  for (const kind of ['pointerdown', 'keydown', 'wheel']) {
    window.addEventListener(kind, () => { due = Math.max(due, Date.now() + seconds * 1000); }, { passive: true });
  }
  setInterval(() => {
    if (Date.now() >= due) window.location.reload();
  }, Math.min(1000, seconds * 1000));
}

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('results-heading').focus();
});
window.addEventListener('hashchange', () => {
  if (window.location.hash !== ownHash) showTask();
});
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => results && results.draw());
header();
showTask();
if (page.refresh) follow(page.refresh);
