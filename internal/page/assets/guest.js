// The page of a guest: one room, by a link that stands behind # in the address. The device that made the link keeps a
// device for the guest; the session that this tab keeps is all there is of it here.

import {call, follow, forget, get, keep, roomPath, unlock} from './api.js';
import {Composer} from './composer.js';
import * as dialog from './dialog.js';
import {$, fullOf, number, plural, soon, who} from './dom.js';
import {Log} from './log.js';
import {Pointer} from './pointer.js';
import {people} from './rooms.js';

const KEPT = 'bcast.link', NICK = 'bcast.nick';
const TYPING_FOR = 7000;
const LOOK_EACH = 30_000; // who is here is asked for anew

const guest = {status: null, room: null, log: null, composer: null};

// takeLink takes the link out of the address. Another one than before ends what was.
function takeLink() {
  const given = /#guest=([\w-]+)/.exec(location.hash)?.[1];
  if (!given) return;
  history.replaceState(null, '', location.pathname);
  if (given !== sessionStorage.getItem(KEPT)) forget();
  sessionStorage.setItem(KEPT, given);
}

const asLink = (method, path, value) => call(method, path, value, sessionStorage.getItem(KEPT) ?? '');

// ---- the door

// door asks for a nick, or says that the link has ended; away tells that the guest was here before and had its time.
async function door(away = false) {
  forget();
  $('app').hidden = true;
  $('enter').hidden = false;
  $('refused').textContent = '';
  $('come').hidden = $('go').hidden = true;
  try {
    const to = await asLink('GET', '/guest/link');
    $('where').textContent = '#' + to.room;
    $('welcome').textContent = `${to.by} invites you to talk here, until ${fullOf(to.expires)}.`;
    $('refused').textContent = away ? 'You were away for long. Come in again?' : '';
    $('come').hidden = $('go').hidden = false;
    $('nick').value = localStorage.getItem(NICK) ?? '';
    $('nick').select();
  } catch (error) {
    $('where').textContent = 'bcast';
    $('welcome').textContent = '';
    $('refused').textContent = error.message;
  }
}

async function enter() {
  const nick = $('nick').value.trim();
  $('go').disabled = true;
  try {
    const {session} = await asLink('POST', '/guest/enter', {nick});
    localStorage.setItem(NICK, nick);
    keep(session);
    location.reload(); // what ran before ends
  } catch (error) {
    $('refused').textContent = error.message;
  } finally {
    $('go').disabled = false;
  }
}

// ---- the room

let toasted = 0;
function failed(error) {
  if (error.code === 'no_token') return door(true);
  $('toast').textContent = '';
  const p = document.createElement('p');
  p.textContent = error.message;
  $('toast').append(p);
  clearTimeout(toasted);
  toasted = setTimeout(() => $('toast').replaceChildren(), 6000);
}

async function start() {
  try {
    guest.status = await get('/v1/status');
  } catch (error) {
    failed(error);
    if (error.code !== 'no_token') setTimeout(start, 2000);
    return;
  }
  $('app').hidden = false;
  $('enter').hidden = true;
  [guest.room] = guest.status.rooms;
  guest.composer = new Composer({failed, left: () => $('log').focus(), up: () => guest.log.step(0), said});
  guest.pointer = new Pointer($('log'), {failed, composer: guest.composer, post: (id) => guest.log.post(id), show});
  guest.composer.open(guest.room.name, '#' + guest.room.name);
  guest.log = new Log($('log'), guest.room.name, {
    readMark: null, beginning: 'What was said before is not for guests.', on: {ended, failed},
  });
  heading();
  follow(guest.status.event_id, {event: happened, live, refused: () => door(true)});
  refreshMembers();
  setInterval(() => document.hidden || refreshMembers(), LOOK_EACH);
  asLink('GET', '/guest/link').then((to) => { $('until').textContent = `A guest of ${to.by}, until ${fullOf(to.expires)}.`; }, () => {});
  if (!matchMedia('(pointer: coarse)').matches) guest.composer.focus();
  guest.log.open().catch(failed);
}

function heading() {
  const {room} = guest;
  $('name').textContent = document.title = '#' + room.name;
  $('topic').textContent = room.topic || `${room.present} of ${plural(room.members, 'member')} here`;
}

function live(on) {
  $('link').textContent = on ? 'live' : 'reconnecting';
  $('link').className = 'link ' + (on ? 'on' : 'off');
}

async function show(id) {
  if (!await guest.log.show(id)) failed(new Error('That post was said before you came.'));
}

function ended(atEnd, news) {
  $('newest').hidden = atEnd;
  $('newest').textContent = news ? `${number(news)} new ↓` : 'Newest ↓';
}

const said = (_, answer) => guest.log.deliver(answer.id, {members: answer.members, have: answer.have});

const refreshMembers = soon(async () => {
  try {
    people(await get(roomPath(guest.room.name, '/members')), ({nick}) => mention(nick));
    guest.room = (await get('/v1/rooms'))[0] ?? guest.room;
    heading();
  } catch (error) {
    if (error.code !== 'no_daemon') failed(error); // the stream tells of that
  }
}, 300);

// mention begins a post that names somebody.
function mention(nick) {
  drawer(false);
  $('entry').value = `${nick}: ${$('entry').value}`;
  guest.composer.focus();
}

// ---- what happens

const typing = new Map(); // who is writing, until when

function showTyping() {
  const now = Date.now(), names = [...typing.values()].filter((t) => t.until > now);
  $('typing').replaceChildren(...(names.length === 0 ? [] : names.length > 3 ? ['Several people are writing…'] :
    [...names.flatMap((t, i) => [i ? ', ' : '', who(t)]), names.length === 1 ? ' is writing…' : ' are writing…']));
}
setInterval(() => typing.size && showTyping(), 2000);

function posted({post}) {
  typing.delete(post.from);
  showTyping();
  guest.log.add(post);
  if (!post.own && !post.late) $('live').textContent = `${post.nick}: ${post.text}`;
}

function changed({post}) {
  guest.log.change(post);
  if (post.kind === 'topic') refreshMembers();
}

const handlers = {
  post: posted, edited: changed, deleted: changed, reaction: changed,
  topic: (event) => { posted(event); refreshMembers(); },
  receipt: ({receipt}) => guest.log.deliver(receipt.post, {members: receipt.members, have: receipt.have}),
  signal({signal}) {
    if (signal.kind !== 'typing') return refreshMembers();
    if (signal.id === guest.status.id) return;
    typing.set(signal.id, {...signal, until: Date.now() + TYPING_FOR});
    showTyping();
  },
  member: refreshMembers,
  peer: refreshMembers,
  gap() {
    refreshMembers();
    guest.log.reload().catch(failed);
  },
};

const happened = (event) => Object.hasOwn(handlers, event.type) && handlers[event.type](event);

// ---- the reader

function drawer(open) {
  $('members').classList.toggle('open', open);
  $('people').setAttribute('aria-expanded', String(open));
}

$('log').addEventListener('scroll', () => guest.log?.scrolled(), {passive: true});
$('newest').addEventListener('click', () => { guest.log.toEnd(); guest.composer.focus(); });
$('people').addEventListener('click', () => drawer(!$('members').classList.contains('open')));
$('main').addEventListener('click', (event) => !event.target.closest('#people') && drawer(false));
document.addEventListener('keydown', (event) => event.key === 'Escape' && drawer(false));
$('rename').addEventListener('click', () => dialog.rename(localStorage.getItem(NICK) ?? ''));
$('leave').addEventListener('click', async () => {
  await call('POST', '/guest/leave').catch(() => {}); // it has ended anyhow
  forget();
  location.reload(); // what ran with it ends
});
$('unlock').addEventListener('submit', (event) => {
  event.preventDefault();
  enter();
});

addEventListener('hashchange', () => location.reload()); // another link was opened in this tab

takeLink();
if (unlock()) start();
else door();
