// The rooms and what is unread in them, the members of one.

import {get, roomPath} from './api.js';
import {$, avatar, el, presence, soon, who} from './dom.js';

// title is how a room is shown.
export const title = (room) => (room.direct ? '@' + room.direct : '#' + room.name);

// MANY is up to how many unread posts of a room are counted.
const MANY = 100;

// fresh is what is unread of a room, and of that what names us: ids, because a post may be heard of twice.
const fresh = () => ({unread: new Set(), mentions: new Set()});

function note(state, post) {
  if (post.own || state.unread.size >= MANY) return;
  state.unread.add(post.id);
  if (post.mention || post.direct) state.mentions.add(post.id);
}

// Rooms is the list on the left.
export class Rooms {
  constructor(device, open) {
    this.device = device;
    this.open = open;
    this.all = new Map(); // by name: what is fresh, and its room
    this.early = new Map(); // by name: what is fresh in one that was heard of by a post: somebody wrote to us alone
    this.current = null;
    this.drawSoon = soon(() => this.draw(), 50);
  }

  // update takes the rooms joined now.
  update(rooms) {
    const old = this.all;
    this.all = new Map(rooms.map((room) => [room.name, {...(old.get(room.name) ?? this.early.get(room.name) ?? fresh()), room}]));
    this.early.clear();
    this.draw();
  }

  get(name) { return this.all.get(name)?.room; }
  get names() { return [...this.all.keys()]; }

  // readMark is the newest post of a room that was read in this browser: empty if there was none yet, null if the room
  // was never looked at.
  readMark(name) { return localStorage.getItem(`bcast.read.${this.device}.${name}`); }

  read(name, post = '') {
    const state = this.all.get(name);
    if (this.readMark(name) !== post) localStorage.setItem(`bcast.read.${this.device}.${name}`, post);
    if (!state || state.unread.size === 0) return;
    Object.assign(state, fresh());
    this.draw();
  }

  came(post) {
    if (post.own) return;
    if (!this.all.has(post.room) && !this.early.has(post.room)) this.early.set(post.room, fresh());
    note(this.all.get(post.room) ?? this.early.get(post.room), post);
    this.drawSoon();
  }

  // catchUp counts what came while no page was open.
  async catchUp() {
    for (const name of this.names) {
      const mark = this.readMark(name);
      if (mark === null || name === this.current) continue;
      try {
        const posts = await get(roomPath(name, `/posts?limit=${MANY}` + (mark && `&since=${encodeURIComponent(mark)}`)));
        const state = this.all.get(name);
        if (!state || this.readMark(name) !== mark) continue; // it was looked at meanwhile
        posts.forEach((post) => note(state, post));
      } catch {
        // the post is no longer kept, so nobody can tell
      }
    }
    this.draw();
  }

  select(name) {
    this.current = name;
    this.draw();
  }

  draw() {
    const items = [...this.all.values()].sort((a, b) =>
      Boolean(a.room.direct) - Boolean(b.room.direct) || title(a.room).localeCompare(title(b.room)));
    const focused = document.activeElement?.dataset?.room;
    $('rooms').replaceChildren(...items.map((state) => this.item(state)));
    if (focused) $('rooms').querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
    const unread = items.reduce((sum, s) => sum + s.unread.size, 0), mentions = items.reduce((sum, s) => sum + s.mentions.size, 0);
    const current = this.get(this.current);
    document.title = (mentions ? `(${mentions}!) ` : unread ? `(${unread}) ` : '') + (current ? title(current) + ' · ' : '') + 'bcast';
  }

  item({room, unread, mentions}) {
    const current = room.name === this.current;
    const glyph = room.direct ? '@' : room.public ? '#' : '◆';
    return el('li', {}, el('button', {
      type: 'button', 'data-room': room.name, class: (unread.size ? 'unread ' : '') + (mentions.size ? 'mention' : ''),
      'aria-current': current && 'true', onclick: () => this.open(room.name),
    },
    el('span', {class: 'glyph', 'aria-hidden': 'true'}, glyph),
    el('bdi', {}, room.direct || room.name),
    room.missing > 0 && el('span', {class: 'missing', title: `${room.missing} posts are on their way`}, '⋯'),
    unread.size > 0 && el('span', {class: 'count', 'aria-label': `${unread.size} unread`},
      unread.size < MANY ? String(unread.size) : MANY - 1 + '+')));
  }
}

// people draws the members of a room; open is called with one that is not us.
export function people(members, open) {
  const rank = {self: 0, here: 1, suspect: 2, left: 3, lost: 3};
  const sorted = [...members].sort((a, b) => rank[a.status] - rank[b.status] || a.nick.localeCompare(b.nick));
  const here = sorted.filter((m) => rank[m.status] < 3);
  const away = sorted.filter((m) => rank[m.status] === 3);
  const list = (name, some) => some.length > 0 && el('section', {},
    el('h2', {}, `${name} · ${some.length}`), el('ul', {}, ...some.map((m) => member(m, open))));
  $('people-list').replaceChildren(...[list('Here', here), list('Away', away)].filter(Boolean));
  $('here-count').textContent = here.length;
  $('people').setAttribute('aria-label', `People: ${here.length} here`);
}

function member(m, open) {
  const words = m.away && m.status !== 'left' && m.status !== 'lost' ? 'busy: ' + m.away : presence(m.status, m.last_seen);
  const content = [avatar(m.id, m.nick), el('span', {class: 'dot ' + m.status, 'aria-hidden': 'true'}),
    el('span', {class: 'of'}, who(m), el('span', {class: 'state'}, el('bdi', {}, words)))];
  if (m.status === 'self') return el('li', {}, el('div', {class: 'member'}, ...content));
  return el('li', {}, el('button', {type: 'button', class: 'member', onclick: () => open(m)}, ...content));
}
