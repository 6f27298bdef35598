// Elements, and how things are said. Text from the network becomes text nodes and nothing else.

const SVG = 'http://www.w3.org/2000/svg';

// el makes an element: properties by name, data as data-*, on* as listeners, the rest as attributes.
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

// svg is el for pictures.
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') node.setAttribute('class', value);
    else if (name === 'hue') node.style.setProperty('--hue', hue(value));
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const $ = (id) => document.getElementById(id);

// hue is a colour for a device: the same on every screen.
function hue(id) {
  let sum = 2166136261;
  for (const c of id) sum = Math.imul(sum ^ c.charCodeAt(0), 16777619);
  return (sum >>> 0) % 360;
}

// initials are one or two characters that stand for a nick.
export function initials(nick) {
  const words = nick.split(/[-_. ]+/).filter(Boolean);
  const letters = words.length > 1 ? [...words[0]][0] + [...words[1]][0] : [...(words[0] ?? '?')].slice(0, 2).join('');
  return letters.toUpperCase();
}

export function avatar(id, nick) {
  return el('span', {class: 'avatar', hue: id, 'aria-hidden': 'true'}, initials(nick));
}

// who is a nick as people are shown it: isolated, for it may be written from right to left; with the tag where another
// could be meant, and a mark where its key was compared.
export function who(of) {
  return el('span', {class: 'who'},
    el('bdi', {class: 'nick', hue: of.id ?? of.from ?? ''}, of.nick),
    of.tagged && el('span', {class: 'tag'}, '-' + of.tag),
    of.verified && el('span', {class: 'verified', title: 'Its key was compared', role: 'img', 'aria-label': 'verified'}, '✓'));
}

const clock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit'});
const date = new Intl.DateTimeFormat(undefined, {weekday: 'long', day: 'numeric', month: 'long'});
const full = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'short'});

export const clockOf = (time) => clock.format(new Date(time));
export const fullOf = (time) => full.format(new Date(time));
export const dayOf = (time) => new Date(time).toDateString();

export function dayName(time) {
  const day = dayOf(time);
  if (day === new Date().toDateString()) return 'Today';
  if (day === new Date(Date.now() - 864e5).toDateString()) return 'Yesterday';
  return date.format(new Date(time));
}

// span is a length of time in the largest unit that fits.
export function span(seconds) {
  if (seconds < 60) return Math.max(0, Math.round(seconds)) + ' s';
  if (seconds < 3600) return Math.round(seconds / 60) + ' min';
  if (seconds < 86400) return Math.round(seconds / 3600) + ' h';
  return Math.round(seconds / 86400) + ' d';
}

export const since = (time) => span((Date.now() - new Date(time)) / 1000);
export const number = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');
export const plural = (n, one, many = one + 's') => `${number(n)} ${n === 1 ? one : many}`;

// bytes is a size with the unit, of a thousand each, that leaves it three digits.
export function bytes(n) {
  if (n < 1000) return n + ' B';
  for (const unit of ['kB', 'MB', 'GB', 'TB']) {
    n /= 1000;
    if (n < 999.5 || unit === 'TB') return (n < 9.95 ? n.toFixed(1) : n.toFixed(0)) + ' ' + unit;
  }
}

// presence in words.
export function presence(status, last) {
  if (status === 'self') return 'you';
  if (status === 'here') return 'here';
  if (status === 'suspect') return 'late';
  return last ? 'away ' + since(last) : 'away';
}

// soon calls work once for many wishes, a moment after the first of them: however fast they come, it is not put off.
export function soon(work, delay = 250) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      work();
    }, delay);
  };
}

// table makes one of rows; head names the columns.
export function table(caption, head, rows) {
  return el('table', {},
    el('caption', {class: 'hidden'}, caption),
    el('thead', {}, el('tr', {}, ...head.map((name) => el('th', {scope: 'col'}, name)))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map((cell, i) =>
      el('td', {'data-label': head[i]}, cell instanceof Node ? cell : String(cell)))))));
}
