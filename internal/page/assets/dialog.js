// Dialogs: a question or an explanation in front of everything, closed by Escape.

import {call, code, get, roomPath} from './api.js';
import {el, fullOf, plural, presence, svg, table, who} from './dom.js';

// open shows a dialog; work is what its form does, and an error it throws is shown in it.
function open(title, children, {action, work} = {}) {
  const refused = el('p', {role: 'alert', class: 'refused'});
  const dialog = el('dialog', {'aria-label': title},
    el('form', {method: 'dialog'}, el('h2', {}, title), ...children, refused,
      el('div', {class: 'buttons'},
        el('button', {type: 'button', class: action ? 'quiet' : '', onclick: () => dialog.close()}, action ? 'Cancel' : 'Close'),
        action && el('button', {type: 'submit'}, action))));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close()); // beside it
  dialog.querySelector('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!work) return dialog.close();
    try {
      await work();
      dialog.close();
    } catch (error) {
      refused.textContent = error.message;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function input(label, props) {
  const field = el('input', {autocomplete: 'off', spellcheck: 'false', ...props});
  return {field, line: el('label', {class: 'field'}, el('span', {}, label), field)};
}

const check = (label, props) => {
  const field = el('input', {type: 'checkbox', ...props});
  return {field, line: el('label', {class: 'check'}, field, el('span', {}, label))};
};

// join asks for a room; done gets what was joined.
export function join(done) {
  const name = input('Room, @nick or invite', {required: true, maxlength: 300, placeholder: 'lobby'});
  const secret = check('Private: others need an invite, and the room’s name is told to nobody');
  open('Join a room', [name.line, secret.line], {action: 'Join', work: async () => {
    const text = name.field.value.trim();
    const options = secret.field.checked ? {private: true} : {};
    done(text.startsWith('bcast:') ? await call('POST', '/v1/join', {invite: text, ...options}) :
      await call('PUT', roomPath(text), options));
  }});
  name.field.focus();
}

export function leave(room, title, done) {
  const forget = check('Forget what was said in it, too');
  open(`Leave ${title}?`, [forget.line], {action: 'Leave', work: async () => {
    await call('DELETE', roomPath(room, forget.field.checked ? '?forget=true' : ''));
    done();
  }});
}

export function rename(nick) {
  const name = input('Nick', {required: true, maxlength: 64, value: nick});
  open('Your nick', [name.line, el('p', {class: 'hint'}, 'Everyone on this network sees it. Your key stays the same.')],
    {action: 'Change', work: () => call('PUT', '/v1/nick', {nick: name.field.value.trim()})});
  name.field.select();
}

export function remove(post) {
  open('Delete this post?', [el('blockquote', {}, el('bdi', {}, post.text)),
    el('p', {class: 'hint'}, 'Members show that something was deleted. Who has read it has read it.')],
    {action: 'Delete', work: () => call('POST', roomPath(post.room, '/posts'), {kind: 'delete', target: post.id, text: ''})});
}

const SIGNS = ['👍', '❤️', '😄', '🎉', '👀', '🙏', '✅', '❌'];

export function react(post) {
  const other = input('Or another', {maxlength: 32});
  const send = (text) => call('POST', roomPath(post.room, '/posts'), {kind: 'reaction', target: post.id, text});
  const signs = SIGNS.map((sign) => el('button', {type: 'button', class: 'sign', onclick: () => {
    send(sign).then(() => dialog.close(), (error) => { dialog.querySelector('.refused').textContent = error.message; });
  }}, sign));
  const dialog = open('React', [el('div', {class: 'signs'}, ...signs), other.line],
    {action: 'React', work: () => send(other.field.value.trim())});
  signs[0].focus();
}

// ledger tells who has a post and who is not known to.
export async function ledger(post) {
  const of = await get(`/v1/posts/${encodeURIComponent(post.id)}/ledger`);
  const words = of.members === 0 ? 'There were no other members when this was said.' :
    `${of.have} of ${plural(of.members, 'member')} ${of.have === 1 ? 'has' : 'have'} it.`;
  const partial = of.partial && el('p', {class: 'hint'},
    'Only an author is sent receipts: of somebody else’s post this is what members have told by the way, and may be too little.');
  const missing = of.missing.length > 0 && table('Who is not known to have it', ['Not yet', 'Presence', 'Last heard'],
    of.missing.map((m) => [who(m), presence(m.status, m.since), fullOf(m.since)]));
  open('Delivery', [
    el('blockquote', {}, el('bdi', {}, post.text)),
    el('p', {class: 'big'}, words), progress(of), missing, partial,
    of.missing.length > 0 && el('p', {class: 'hint'}, 'Who is away gets it when it comes back, from you or from any member.'),
    el('p', {class: 'hint'}, 'Said ' + fullOf(post.time) + ' · ', el('code', {}, post.id)),
  ]);
}

function progress(of) {
  return of.members > 0 && el('progress', {max: of.members, value: of.have, 'aria-label': `${of.have} of ${of.members}`});
}

// invite shows the secret of a private room, or how to join a public one.
export async function invite(room, title) {
  if (room.public) {
    open(`Invite to ${title}`, [el('p', {}, 'This room is public: whoever is on this network joins it by its name.'),
      el('pre', {}, `bcast join ${room.name}`)]);
    return;
  }
  const {invite: text} = await get(roomPath(room.name, '/invite'));
  open(`Invite to ${title}`, [
    el('p', {}, 'Whoever has this reads the room. Show the code, or hand over the line below it.'),
    picture(await code(text)), ...handover(text, 'Invite'),
    el('p', {class: 'hint'}, 'It is taken by ', el('code', {}, 'bcast join -'), ' or by “Join a room” on another page.'),
  ]);
}

// handover shows a text to be copied.
function handover(text, label) {
  const secret = el('textarea', {readonly: true, rows: 3, 'aria-label': label}, text);
  const copied = el('span', {role: 'status'});
  return [secret, el('div', {class: 'copy'}, el('button', {type: 'button', class: 'quiet', onclick: async () => {
    secret.select();
    await navigator.clipboard.writeText(text);
    copied.textContent = 'Copied';
  }}, 'Copy'), copied)];
}

const SPANS = [['1h', 'an hour'], ['4h', '4 hours'], ['12h', '12 hours'], ['72h', '3 days']];

// guests lists the guest links of a room, and makes and ends them.
export async function guests(room, title) {
  const list = el('ul', {class: 'links', 'aria-label': 'Guest links'});
  const draw = async () => {
    const links = (await get('/v1/guests')).filter((link) => link.room === room.name);
    list.replaceChildren(...links.map((link) => guestItem(link, draw)));
  };
  await draw();
  const span = el('select', {}, ...SPANS.map(([value, words]) => el('option', {value, selected: value === '12h'}, words)));
  open(`Guests in ${title}`, [
    el('p', {}, 'A guest has no bcast: a phone on this network with a browser will do. It reads what is said here from when its ' +
      'link was made, writes under a nick that ends in _guest, and reaches no other room. All members are told.'),
    list, el('label', {class: 'field'}, el('span', {}, 'A new link is good for'), span),
  ], {action: 'Make a link', work: async () => {
    const link = await call('POST', roomPath(room.name, '/guests'), {for: span.value});
    guestLink(link, title, await code(link.urls[0]));
  }});
}

function guestItem(link, ended) {
  const names = link.guests.flatMap((g, i) => [i ? ', ' : '', who({...g, tagged: true}), g.here ? '' : ' (away)']);
  return el('li', {},
    el('div', {class: 'what'}, el('p', {}, ...(names.length ? names : ['Nobody came yet'])),
      el('p', {class: 'hint'}, `${link.id}, until ${fullOf(link.expires)}`)),
    el('button', {type: 'button', class: 'quiet', 'aria-label': `End the link ${link.id}`, onclick: async (event) => {
      event.target.disabled = true;
      await call('DELETE', `/v1/guests/${encodeURIComponent(link.id)}`).catch(() => {}); // it has ended anyhow
      await ended();
    }}, 'End'));
}

// guestLink shows a link that was made: it is shown once, nobody keeps it.
function guestLink(link, title, drawn) {
  open(`Guest link to ${title}`, [
    el('p', {}, 'Have a phone scan the code, or hand over the line below it. It is shown this once.'),
    picture(drawn), ...handover(link.urls.join('\n'), 'Guest link'),
    el('p', {class: 'hint'}, `Good until ${fullOf(link.expires)}. The browser warns of a certificate that it does not know. ` +
      'It is the right one if its SHA-256 is:'),
    el('p', {class: 'print'}, link.fingerprint.toUpperCase().match(/../g).join(':')),
  ]);
}

// picture draws a QR code that comes as half blocks, dark on light whatever the theme: readers want it so.
export function picture(text) {
  const lines = text.split('\n').filter(Boolean);
  const width = lines[0].length, height = lines.length * 2;
  let path = '';
  lines.forEach((line, y) => [...line].forEach((c, x) => {
    if (c === '█' || c === '▀') path += `M${x} ${2 * y}h1v1h-1z`;
    if (c === '█' || c === '▄') path += `M${x} ${2 * y + 1}h1v1h-1z`;
  }));
  return svg('svg', {class: 'qr', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'QR code of the invite',
    'shape-rendering': 'crispEdges'},
    svg('rect', {width, height, fill: '#fff'}), svg('path', {d: path, fill: '#000'}));
}

// device tells of another device and lets its key be compared.
export async function device(of, {write, blocked}) {
  const v = await get(`/v1/peers/${encodeURIComponent(of.id)}/verification`);
  const path = `/v1/peers/${encodeURIComponent(of.id)}`;
  const words = el('ol', {class: 'words'}, ...v.words.map((word) => el('li', {}, word)));
  const block = check('Blocked: what it says is not shown here', {checked: blocked});
  block.field.addEventListener('change', () => call('PUT', path + '/block', {blocked: block.field.checked}).catch((error) => {
    dialog.querySelector('.refused').textContent = error.message;
  }));
  const dialog = open(of.nick, [
    el('p', {class: 'hint'}, 'Key ', el('code', {}, of.id)),
    el('div', {class: 'copy'}, el('button', {type: 'button', onclick: () => { dialog.close(); write(); }}, 'Write to it alone')),
    el('h3', {}, v.verified ? 'Its key was compared ✓' : 'Is it who you think?'),
    el('p', {}, v.verified ? 'These are the ten words of your two keys.' :
      'Its page, or bcast verify there, shows ten words. Compare them aloud or by another way than this network.'),
    words, block.line,
  ], v.verified ? {} : {action: 'They are the same', work: () => call('PUT', path + '/verification', {proof: v.words.join(' ')})});
}

const KEYS = [
  ['Enter, Shift-Enter', 'send; another line'],
  ['Alt-↑, Alt-↓', 'the room above, below'],
  ['↑ in an empty line', 'go to the posts; ↑ ↓ from one to the next, Esc back'],
  ['R, E, Delete', 'on a post: reply; change or delete your own'],
  ['+, I', 'on a post: react; who has it'],
  ['Page Up, Home, End', 'scroll; to the newest'],
  ['/', 'search this room'],
  ['Esc', 'end a reply, an edit, a search'],
  ['?', 'this'],
];

export function keys() {
  open('Keys', [table('Keys', ['Key', 'Does'], KEYS.map(([key, does]) => [el('kbd', {}, key), does]))]);
}
