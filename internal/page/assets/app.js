// The page: what happens goes to the views, what the reader does goes to the API.

import {call, follow, forget, get, keep, roomPath, unlock} from './api.js';
import {Composer} from './composer.js';
import * as dialog from './dialog.js';
import {$, el, number, plural, soon, who} from './dom.js';
import {Offers} from './files.js';
import {draw as drawHealth, troubles} from './health.js';
import {Log} from './log.js';
import {Rooms, people, title} from './rooms.js';
import {search} from './search.js';
import {draw as drawSubnet} from './subnet.js';
import {Pointer} from './pointer.js';
import {listenKeys} from './keys.js';

const TYPING_FOR = 7000;
const STATUS_EACH = 5000; // while it is looked at

export const app = {view: 'room', status: null, peers: [], rooms: null, log: null, composer: null};

// failed shows what went wrong, for as long as it takes to read.
let toasted = 0;
export function failed(error) {
  if (error.code === 'no_token') return locked(error.message);
  $('toast').replaceChildren(el('p', {}, error.message));
  clearTimeout(toasted);
  toasted = setTimeout(() => $('toast').replaceChildren(), 6000);
}

function locked(message = '') {
  forget();
  $('app').hidden = true;
  $('enter').hidden = false;
  $('refused').textContent = message;
  $('token').focus();
}

async function start() {
  try {
    app.status = await get('/v1/status');
  } catch (error) {
    if (error.code === 'no_token') return locked(error.message);
    failed(error);
    setTimeout(start, 2000);
    return;
  }
  $('app').hidden = false;
  $('enter').hidden = true;
  app.rooms = new Rooms(app.status.id, (name) => openRoom(name));
  app.composer = new Composer({failed, left: () => $('log').focus(), up: () => app.log?.step(0), said});
  app.pointer = new Pointer($('log'), {failed, composer: app.composer, post: (id) => app.log.post(id), show: (id) => show(id)});
  showStatus();
  app.rooms.update(app.status.rooms);
  follow(app.status.event_id, {event: happened, live, refused: (error) => locked(error.message)});
  const last = localStorage.getItem('bcast.room');
  openRoom(app.rooms.get(last) ? last : app.rooms.names[0]);
  get('/v1/peers').then(takePeers, failed);
  app.rooms.catchUp();
  setInterval(() => app.view === 'health' && !document.hidden && refreshStatus(), STATUS_EACH);
}

function live(on) {
  $('link').textContent = on ? 'live' : 'reconnecting';
  $('link').className = 'link ' + (on ? 'on' : 'off');
}

// ---- views

export function openView(view) {
  app.view = view;
  for (const name of ['room', 'subnet', 'health', 'found']) $(name).hidden = name !== view;
  for (const name of ['subnet', 'health']) {
    if (view === name) $('go-' + name).setAttribute('aria-current', 'true');
    else $('go-' + name).removeAttribute('aria-current');
  }
  const inRoom = view === 'room' || view === 'found';
  document.body.classList.toggle('roomless', !inRoom);
  $('find').hidden = $('people').hidden = !inRoom || !app.rooms.current;
  $('invite').hidden = Boolean(app.rooms.get(app.rooms.current)?.direct);
  $('guests').hidden = !app.status.guests || $('invite').hidden;
  $('members').hidden = !app.rooms.current;
  drawer(null);
}

function showSubnet() {
  openView('subnet');
  heading('Subnet', 'who is here, and what gets through');
  app.rooms.select(null);
  drawPeers();
  get('/v1/peers').then(takePeers, failed);
  $('subnet').focus();
}

function showHealth() {
  openView('health');
  heading('Health', 'truncation, losses and refusals of this device');
  app.rooms.select(null);
  drawHealth($('health'), app.status);
  refreshStatus();
  $('health').focus();
}

function heading(name, topic) {
  $('name').textContent = name;
  $('topic').textContent = topic;
}

export async function openRoom(name, {focus = true} = {}) {
  const room = app.rooms.get(name);
  if (!room) {
    app.rooms.select(null);
    openView('room');
    heading('Welcome', 'Join a room to talk to whoever is on this network.');
    $('log').replaceChildren(el('p', {class: 'beginning'}, 'No room is joined yet. “lobby” is where people meet.'));
    $('compose').hidden = true;
    return;
  }
  $('compose').hidden = false;
  app.rooms.select(name);
  localStorage.setItem('bcast.room', name);
  openView('room');
  heading(title(room), room.topic || summary(room));
  app.composer.open(name, title(room));
  app.log?.close();
  $('people-list').replaceChildren();
  $('typing').replaceChildren();
  const log = new Log($('log'), name, {readMark: app.rooms.readMark(name), on: {ended, failed}});
  app.log = log;
  refreshMembers();
  if (focus && !matchMedia('(pointer: coarse)').matches) app.composer.focus();
  try {
    await log.open();
    if (app.log === log) markRead();
  } catch (error) {
    failed(error);
  }
}

const summary = (room) => `${room.public ? 'public' : room.direct ? 'the two of you' : 'private'} · ` +
  `${room.present} of ${plural(room.members, 'member')} here`;

export async function show(id) {
  openView('room');
  if (!await app.log.show(id)) failed(new Error('That post is not kept here any more.'));
}

function ended(atEnd, news) {
  const words = news ? `${number(news)} new ↓` : 'Newest ↓';
  if ($('newest').hidden !== atEnd) $('newest').hidden = atEnd;
  if ($('newest').textContent !== words) $('newest').textContent = words; // at every step of a scroll it would cost a layout
  if (atEnd) markRead();
}

function markRead() {
  if (document.hidden || app.view !== 'room' || !app.log?.pinned) return;
  app.rooms.read(app.log.room, app.log.last?.id);
}

// drawer shows rooms or members over the room on a small screen.
export function drawer(name) {
  for (const [side, button] of [['side', 'menu'], ['members', 'people']]) {
    const open = name === side && !$(side).classList.contains('open');
    $(side).classList.toggle('open', open);
    $(button).setAttribute('aria-expanded', String(open));
  }
}

// ---- what is known

const refreshRooms = soon(() => get('/v1/rooms').then((rooms) => {
  app.rooms.update(rooms);
  const room = app.rooms.get(app.rooms.current);
  if (room && app.view === 'room') heading(title(room), room.topic || summary(room));
  if (!room && app.view === 'room') openRoom(app.rooms.names[0]);
}, failed));

const refreshMembers = soon(() => {
  const name = app.rooms.current;
  if (name) get(roomPath(name, '/members')).then((all) => name === app.rooms.current && people(all, openDevice), failed);
}, 60);

const refreshPeers = soon(() => get('/v1/peers').then(takePeers, failed), 500);

const refreshStatus = soon(() => get('/v1/status').then((status) => {
  app.status = status;
  showStatus();
}, failed), 200);

function takePeers(peers) {
  app.peers = peers;
  $('peers-count').textContent = peers.filter((p) => p.status === 'here' || p.status === 'suspect').length || '';
  if (app.view === 'subnet') drawPeers();
}

function drawPeers() {
  const focused = $('subnet').contains(document.activeElement) && document.activeElement !== $('subnet');
  if (!focused) drawSubnet($('subnet'), app.status, app.peers, openDevice);
}

function showStatus() {
  const {status} = app, count = troubles(status);
  $('self').replaceChildren(el('span', {class: 'dot self'}), who({...status, tagged: true}));
  $('self').setAttribute('aria-label', `You are ${status.nick}; change your nick`);
  $('health-count').textContent = count || '';
  $('problem').hidden = !status.problems?.length;
  $('problem').textContent = status.problems?.join(' ') ?? '';
  if (app.view === 'health') drawHealth($('health'), status);
}

function openDevice(of) {
  if (of.id === app.status.id) return;
  dialog.device(of, {
    blocked: app.peers.find((p) => p.id === of.id)?.blocked ?? of.blocked,
    write: () => dialogJoin('@' + of.id),
  }).catch(failed);
}

async function dialogJoin(word) {
  try {
    joined(await call('PUT', roomPath(word)));
  } catch (error) {
    failed(error);
  }
}

async function joined(answer) {
  app.rooms.update(await get('/v1/rooms'));
  openRoom(answer.room);
}

function said(room, answer) {
  if (app.log?.room === room) app.log.deliver(answer.id, {members: answer.members, have: answer.have});
}

// ---- what happens

const typing = new Map(); // who is writing: until when

const showTyping = () => {
  const now = Date.now(), names = [...typing.values()].filter((t) => t.room === app.log?.room && t.until > now);
  $('typing').replaceChildren(...(names.length === 0 ? [] : names.length > 3 ? ['Several people are writing…'] :
    [...names.flatMap((t, i) => [i ? ', ' : '', who(t)]), names.length === 1 ? ' is writing…' : ' are writing…']));
};
setInterval(() => typing.size && showTyping(), 2000);

function posted({post}) {
  typing.delete(post.from + post.room);
  showTyping();
  if (!app.rooms.get(post.room)) refreshRooms();
  const open = app.log?.room === post.room;
  if (open) app.log.add(post);
  const seen = open && app.view === 'room' && !document.hidden && app.log.pinned;
  if (seen) markRead();
  else app.rooms.came(post);
  if (!post.own && open && !post.late) $('live').textContent = `${post.nick}: ${post.file?.name ?? ''} ${post.text}`;
}

function changed({post}) {
  if (app.log?.room === post.room) app.log.change(post);
  if (post.kind === 'topic') refreshRooms();
}

const handlers = {
  post: posted,
  topic: (event) => { posted(event); refreshRooms(); },
  edited: changed, deleted: changed, reaction: changed,
  receipt: ({receipt}) => app.log?.room === receipt.room &&
    app.log.deliver(receipt.post, {members: receipt.members, have: receipt.have}),
  signal({signal}) {
    if (signal.kind === 'typing' && signal.id !== app.status.id) {
      typing.set(signal.id + signal.room, {...signal, until: Date.now() + TYPING_FOR});
      showTyping();
    } else {
      refreshMembers();
    }
  },
  member: () => { refreshMembers(); refreshRooms(); },
  peer: () => { refreshPeers(); refreshMembers(); refreshRooms(); },
  cut: ({cut}) => {
    refreshStatus();
    $('live').textContent = `A datagram of ${cut.size} bytes was cut to ${cut.received}`;
  },
  // What others put here of their own accord; what this page saves it tells itself.
  offer: ({offer}) => failed(new Error(`${offer.nick} wants to bring ${offer.name}: bcast files accept ${offer.id}`)),
  file({file}) {
    if (file.state === 'whole' && !file.post) failed(new Error(`${file.nick} brought ${file.name}: ${file.path}`));
  },
  interface: refreshStatus,
  problem: refreshStatus,
  sync: ({sync}) => {
    $('typing').textContent = sync.done ? '' : `Catching up from ${sync.nick}: ${sync.have} of ${sync.total}`;
    if (sync.done) refreshRooms();
  },
  fork: ({fork}) => failed(new Error(`The key of ${fork.nick} signed two histories: it was copied, or somebody lies. All of both is shown.`)),
  gap() {
    refreshRooms();
    refreshMembers();
    refreshPeers();
    refreshStatus();
    app.log?.reload().catch(failed);
  },
};

const happened = (event) => Object.hasOwn(handlers, event.type) && handlers[event.type](event);

// ---- the reader

new Offers($('attach'), $('files'), document.body, {
  room: () => app.view === 'room' && app.rooms?.current,
  busy: (text) => { $('typing').textContent = text; },
  said, failed,
});
$('log').addEventListener('scroll', () => app.log?.scrolled(), {passive: true});
$('newest').addEventListener('click', () => { app.log.toEnd(); app.composer.focus(); });
$('go-subnet').addEventListener('click', showSubnet);
$('go-health').addEventListener('click', showHealth);
$('join').addEventListener('click', () => dialog.join(joined));
$('self').addEventListener('click', () => dialog.rename(app.status.nick));
$('menu').addEventListener('click', () => drawer('side'));
$('people').addEventListener('click', () => drawer('members'));
$('main').addEventListener('click', (event) => !event.target.closest('#menu, #people') && drawer(null));
$('invite').addEventListener('click', () => {
  const room = app.rooms.get(app.rooms.current);
  dialog.invite(room, title(room)).catch(failed);
});
$('guests').addEventListener('click', () => {
  const room = app.rooms.get(app.rooms.current);
  dialog.guests(room, title(room)).catch(failed);
});
$('leave').addEventListener('click', () => {
  const room = app.rooms.get(app.rooms.current);
  dialog.leave(room.name, title(room), refreshRooms);
});
$('find').addEventListener('submit', (event) => {
  event.preventDefault();
  search($('query').value, app, {show, openView, heading, failed});
});
$('query').addEventListener('input', soon(() => search($('query').value, app, {show, openView, heading, failed}), 200));
$('unlock').addEventListener('submit', (event) => {
  event.preventDefault();
  keep($('token').value);
  location.reload(); // what ran with the old one ends
});
document.addEventListener('visibilitychange', () => !document.hidden && app.log && markRead());
listenKeys(app, {drawer, openRoom, keys: dialog.keys});

if (unlock()) start();
else locked();
