// The API: calls, and the stream of what happens. The token is kept for this tab alone and sent in a header: a cookie
// would go to every port of this machine, and an address ends in logs.

const KEPT = 'bcast.token';
let token = '';

// unlock takes the token out of the address, where it stands behind #, or what this tab keeps. It tells whether there
// is one.
export function unlock() {
  const given = tokenIn(location.hash);
  if (given) {
    history.replaceState(null, '', location.pathname);
    keep(given);
  }
  token = sessionStorage.getItem(KEPT) ?? '';
  return token !== '';
}

// keep remembers a token, or the one in an address that was pasted.
export function keep(text) {
  token = tokenIn(text) || text.trim();
  sessionStorage.setItem(KEPT, token);
}

export function forget() {
  token = '';
  sessionStorage.removeItem(KEPT);
}

function tokenIn(text) {
  return /#token=([\w-]+)/.exec(text)?.[1] ?? '';
}

// Refusal is what the participant said no with.
export class Refusal extends Error {
  constructor(code, message, hint) {
    super(hint ? `${message} (${hint})` : message);
    this.code = code;
  }
}

const headers = (more, secret = token) => ({Authorization: 'Bearer ' + secret, ...more});

async function ask(method, path, body, more, secret) {
  let response;
  try {
    response = await fetch(path, {
      method, body, cache: 'no-store', credentials: 'omit', headers: headers(more, secret),
    });
  } catch {
    throw new Refusal('no_daemon', 'The daemon does not answer.', '');
  }
  if (response.ok) return response;
  const {error} = await response.json().catch(() => ({}));
  throw new Refusal(error?.code ?? 'internal', error?.message ?? response.statusText, error?.hint);
}

// call asks, with a value as its body, and returns the answer; with another secret than the token if one is given.
export async function call(method, path, value, secret) {
  const body = value === undefined ? undefined : JSON.stringify(value);
  const response = await ask(method, path, body, body && {'Content-Type': 'application/json'}, secret);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => call('GET', path);

// put sends a file as it is.
export async function put(path, file) {
  return (await ask('PUT', path, file, {'Content-Type': 'application/octet-stream'})).json();
}

// save asks for a file and has the browser keep it under a name; tell is told how many bytes have come. The token goes in
// a head, so that no link can do this; and whatever is in the file, this page never shows it.
export async function save(path, name, tell) {
  const response = await ask('GET', path);
  const parts = [];
  let have = 0;
  for await (const part of pieces(response.body)) {
    parts.push(part);
    tell(have += part.length);
  }
  const url = URL.createObjectURL(new Blob(parts, {type: 'application/octet-stream'}));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function* pieces(body) {
  const reader = body.getReader();
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    yield value;
  }
}

// code draws a text as a QR code in half blocks.
export async function code(text) {
  return (await ask('POST', '/page/qr', text)).text();
}

// roomPath is where a room is; rest follows it.
export const roomPath = (room, rest = '') => '/v1/rooms/' + encodeURIComponent(room) + rest;

const SILENCE = 40_000; // the participant says something every 15 s
const MAX_WAIT = 5_000;

// follow reads what happens after the event with that id, and goes on where it was when the stream breaks. A
// participant that has forgotten where that was says so by a gap.
export async function follow(after, {event, live, refused}) {
  for (let wait = 250; ; wait = Math.min(2 * wait, MAX_WAIT)) {
    try {
      for await (const next of events(after, () => { live(true); wait = 250; })) {
        after = next.id;
        event(next);
      }
    } catch (error) {
      if (error.code === 'no_token') return refused(error);
    }
    live(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function* events(after, opened) {
  const given = new AbortController();
  let alarm;
  const alive = () => {
    clearTimeout(alarm);
    alarm = setTimeout(() => given.abort(), SILENCE);
  };
  alive();
  try {
    const response = await fetch('/v1/events', {
      signal: given.signal, cache: 'no-store', credentials: 'omit', headers: headers({'Last-Event-ID': after}),
    });
    if (response.status === 401) throw new Refusal('no_token', 'The token is no longer right.', '');
    if (!response.ok) throw new Refusal('internal', response.statusText, '');
    opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      alive();
      const blocks = (text + value).split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
        const parsed = data ? JSON.parse(data) : {};
        if (parsed.error) throw new Refusal(parsed.error.code, parsed.error.message, parsed.error.hint);
        if (parsed.id) yield parsed;
      }
    }
  } finally {
    clearTimeout(alarm);
    given.abort();
  }
}
