// What is being written: a draft for each room, a reply, an edit.

import {call, roomPath} from './api.js';
import {$, el, who} from './dom.js';
import {say} from './log.js';

const TYPING_EACH = 3000;
const COMMANDS = {
  me: (room, text) => say(room, {kind: 'action', text}),
  topic: (room, text) => say(room, {kind: 'topic', text}),
  nick: (_, text) => call('PUT', '/v1/nick', {nick: text}),
};

export class Composer {
  // on is told {said(answer), left(), up()} and makes errors seen: {failed(error)}.
  constructor(on) {
    this.on = on;
    this.entry = $('entry');
    this.drafts = new Map(); // by room: {text, about, kind}
    this.typed = 0;
    $('compose').addEventListener('submit', (event) => { event.preventDefault(); this.send(); });
    this.entry.addEventListener('keydown', (event) => this.key(event));
    this.entry.addEventListener('input', () => { this.grow(); this.typing(); });
  }

  get draft() {
    if (!this.drafts.has(this.room)) this.drafts.set(this.room, {text: '', about: null, kind: ''});
    return this.drafts.get(this.room);
  }

  open(room, title) {
    if (this.room) this.draft.text = this.entry.value;
    this.room = room;
    this.entry.placeholder = `Write to ${title}`;
    this.entry.value = this.draft.text;
    this.sayAbout();
    this.grow();
  }

  focus() { this.entry.focus({preventScroll: true}); }

  reply(post) {
    Object.assign(this.draft, {about: post, kind: 'reply'});
    this.sayAbout();
    this.focus();
  }

  edit(post) {
    Object.assign(this.draft, {about: post, kind: 'edit'});
    this.entry.value = post.text;
    this.sayAbout();
    this.grow();
    this.focus();
  }

  // cancel ends a reply or an edit; it tells whether there was one.
  cancel() {
    if (!this.draft.about) return false;
    if (this.draft.kind === 'edit') this.entry.value = '';
    Object.assign(this.draft, {about: null, kind: ''});
    this.sayAbout();
    this.grow();
    return true;
  }

  sayAbout() {
    const {about, kind} = this.draft, box = $('about');
    box.hidden = !about;
    if (!about) return box.replaceChildren();
    const words = kind === 'edit' ? 'Editing what you said' : el('span', {}, 'Replying to ', who({...about, id: about.from}));
    box.replaceChildren(el('span', {class: 'what'}, words, ' ', el('bdi', {class: 'said'}, about.text)),
      el('button', {type: 'button', 'aria-label': 'Cancel', onclick: () => { this.cancel(); this.focus(); }}, '✕'));
  }

  grow() {
    if (CSS.supports('field-sizing', 'content')) return;
    this.entry.style.height = 'auto';
    this.entry.style.height = this.entry.scrollHeight + 'px';
  }

  key(event) {
    if (event.isComposing) return; // Enter chooses a character there
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.send();
    } else if (event.key === 'Escape') {
      if (!this.cancel()) this.on.left();
    } else if (event.key === 'ArrowUp' && this.entry.value === '') {
      event.preventDefault();
      this.on.up();
    }
  }

  typing() {
    if (this.entry.value === '' || this.entry.value.startsWith('/') || Date.now() - this.typed < TYPING_EACH) return;
    this.typed = Date.now();
    call('POST', roomPath(this.room, '/signals'), {kind: 'typing'}).catch(() => {}); // nobody misses one
  }

  async send() {
    const text = this.entry.value.trim(), room = this.room, {about, kind} = this.draft;
    if (!text || this.sending) return;
    this.sending = true;
    this.entry.value = '';
    this.grow();
    try {
      const answer = await this.post(room, text, about, kind);
      this.typed = 0;
      if (this.drafts.get(room)?.about === about) Object.assign(this.drafts.get(room), {about: null, kind: ''});
      if (answer?.id) this.on.said(room, answer);
    } catch (error) {
      if (this.room === room && this.entry.value === '') this.entry.value = text;
      else this.drafts.get(room).text ||= text;
      this.on.failed(error);
    } finally {
      this.sending = false;
      this.sayAbout();
      this.grow();
    }
  }

  post(room, text, about, kind) {
    if (about) return say(room, {kind, target: about.id, text});
    const [, name, rest] = /^\/([a-z]+)(?:\s+([^]*))?$/.exec(text) ?? [];
    if (!name) return say(room, {text: text.startsWith('//') ? text.slice(1) : text});
    if (!Object.hasOwn(COMMANDS, name) || !rest) {
      throw new Error(`/${name}: here are /me TEXT, /topic TEXT and /nick NAME; write // to begin a post with a slash`);
    }
    return COMMANDS[name](room, rest);
  }
}
