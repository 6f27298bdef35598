// Search in a room: all words, the last may be the beginning of one. What is found opens where it was said.

import {get, roomPath} from './api.js';
import {$, clockOf, dayName, el, plural, who} from './dom.js';

const MOST = 100;
let asked = 0;

export async function search(text, app, {show, openView, heading, failed}) {
  const words = text.trim(), room = app.rooms.current, turn = ++asked;
  if (!room) return;
  if (!words) return app.view === 'found' && openView('room');
  try {
    const posts = await get(roomPath(room, `/posts?limit=${MOST}&search=${encodeURIComponent(words)}`));
    if (turn !== asked) return; // more was typed meanwhile
    openView('found');
    draw(posts.reverse(), words, (id) => { $('query').value = ''; show(id); });
    $('live').textContent = `${plural(posts.length, 'post')} found`;
  } catch (error) {
    if (turn === asked) failed(error);
  }
}

function draw(posts, words, open) {
  const lead = posts.length === MOST ? `The newest ${MOST} posts with` : `${plural(posts.length, 'post')} with`;
  $('found').replaceChildren(
    el('p', {class: 'lead'}, lead, ' ', el('strong', {}, el('bdi', {}, words))),
    el('ul', {class: 'results'}, ...posts.map((post) => el('li', {}, el('button', {type: 'button', onclick: () => open(post.id)},
      el('span', {class: 'by'}, who({...post, id: post.from}), el('time', {datetime: post.time}, `${dayName(post.time)}, ${clockOf(post.time)}`)),
      el('span', {class: 'text', dir: 'auto'}, ...marked(post.text, words)))))));
}

// marked is a text with the words found in it set apart.
function marked(text, words) {
  const found = words.toLowerCase().split(/\s+/).filter(Boolean).map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`(${found.join('|')})`, 'giu');
  return text.split(pattern).map((part, i) => (i % 2 ? el('mark', {}, part) : part));
}
