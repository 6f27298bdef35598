// How one post looks.

import {avatar, bytes, clockOf, dayName, dayOf, el, fullOf, plural, who} from './dom.js';

const TOGETHER = 5 * 60_000; // posts of one author that follow each other within this time share a head
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f\u202a-\u202e\u2066-\u2069]+[^\s<>"'`.,;:!?)\]}\u202a-\u202e\u2066-\u2069]/g;

// textNodes are a text with what looks like an address made to open in a tab of its own, where nothing tells whence.
export function textNodes(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    let url;
    try {
      url = new URL(match[0]);
    } catch {
      continue;
    }
    nodes.push(text.slice(end, match.index),
      el('a', {href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow'}, match[0]));
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

// render makes the element of a post that stands below previous, which may be null. told is {members, have} of an own
// post, if that is known; fresh tells that what follows previous is new to the reader.
export function render(post, previous, told, fresh) {
  const other = !previous || dayOf(previous.time) !== dayOf(post.time);
  const head = other || fresh || previous.from !== post.from || previous.kind === 'topic' || post.kind !== 'text' ||
    Math.abs(new Date(post.time) - new Date(previous.time)) > TOGETHER;
  const classes = ['post', head && 'head', post.own && 'own', post.mention && 'mention', post.deleted && 'gone',
    post.kind === 'topic' && 'notice'].filter(Boolean).join(' ');
  return el('div', {class: 'row'},
    other && el('div', {class: 'day', role: 'separator'}, el('span', {}, dayName(post.time))),
    fresh && el('div', {class: 'fresh', role: 'separator'}, el('span', {}, 'New')),
    el('article', {class: classes, 'data-id': post.id, tabindex: '-1', 'aria-label': spoken(post)},
      head ? avatar(post.from, post.nick) : time(post),
      el('div', {class: 'body'},
        head && el('div', {class: 'by'}, who({...post, id: post.from}), time(post), marks(post)),
        quote(post), body(post), file(post), reactions(post)),
      post.own && !post.deleted && delivery(post, told)));
}

function time(post) {
  return el('time', {datetime: post.time, title: fullOf(post.time)}, clockOf(post.time));
}

// spoken is what a screen reader says first of a post.
function spoken(post) {
  const said = post.file ? `offers ${post.file.name} ${post.text}` : post.text;
  return `${post.nick}, ${clockOf(post.time)}: ${post.deleted ? 'deleted' : said}`;
}

function marks(post) {
  const all = [];
  if (post.clock_off) all.push(el('span', {class: 'mark', title: 'The author\'s clock'}, `clock ${post.clock_off}`));
  if (post.forked) all.push(el('span', {class: 'mark warn', title: 'The author\'s key signed two histories'}, 'forked'));
  return all.length > 0 && el('span', {}, ...all);
}

function quote(post) {
  if (!post.reply_to || post.deleted) return null;
  const to = post.quote;
  return el('button', {class: 'quote', type: 'button', 'data-to': post.reply_to},
    ...(to ? [el('bdi', {class: 'nick', hue: to.from}, to.nick), ' ', el('bdi', {}, to.text)] : ['a post that is not kept here']));
}

// file is what a post offers: a button that saves it. Its name is isolated, for it may turn text around.
function file(post) {
  if (!post.file || post.deleted) return null;
  const size = bytes(post.file.size);
  return el('button', {class: 'file', type: 'button', 'data-file': post.id, 'aria-label': `Save ${post.file.name}, ${size}`},
    el('span', {class: 'glyph', 'aria-hidden': 'true'}, '⭳'), el('bdi', {class: 'name'}, post.file.name), ' ',
    el('span', {class: 'size'}, size), el('span', {class: 'state', role: 'status'}));
}

function body(post) {
  if (post.file && post.text === '' && !post.deleted) return null;
  if (post.deleted) return el('p', {class: 'text'}, 'deleted by its author');
  const edited = post.edited && el('span', {class: 'edited'}, ' (edited)');
  if (post.kind === 'topic') return el('p', {class: 'text'}, 'set the topic: ', el('bdi', {}, post.text));
  if (post.kind === 'action') return el('p', {class: 'text action', dir: 'auto'}, el('bdi', {}, post.nick), ' ', ...textNodes(post.text), edited);
  return el('p', {class: 'text', dir: 'auto'}, ...textNodes(post.text), edited);
}

function reactions(post) {
  if (!post.reactions?.length) return null;
  return el('div', {class: 'reactions'}, ...post.reactions.map((r) =>
    el('button', {type: 'button', 'data-react': r.text, title: r.nicks.join(', '),
      'aria-label': `${r.text}: ${r.nicks.join(', ')}; react the same`}, el('bdi', {}, r.text), ' ', String(r.from.length))));
}

function delivery(post, told) {
  const button = el('button', {class: 'delivery', type: 'button'});
  tell(button, told);
  return button;
}

// tell shows who has an own post.
export function tell(button, told) {
  const all = told && told.have >= told.members;
  button.classList.toggle('all', Boolean(all));
  button.textContent = !told ? '✓' : told.members === 0 ? '✓ kept' : `✓ ${told.have}/${told.members}`;
  const words = !told ? 'Who has it?' : told.members === 0 ? 'Kept here; there were no other members' :
    `${told.have} of ${plural(told.members, 'member')} ${told.have === 1 ? 'has' : 'have'} it`;
  button.title = words;
  button.setAttribute('aria-label', words + '; details');
}
