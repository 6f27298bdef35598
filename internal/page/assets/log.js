// The posts of one room: a list that grows at both ends. It stands in chunks that the browser lays out only when they
// come near (content-visibility), so that ten thousand posts scroll as smoothly as ten.

import {call, get, roomPath} from './api.js';
import {el, soon} from './dom.js';
import {render, tell} from './post.js';

const CHUNK = 40;
const PAGE = 120;
const NEAR = 2000; // pixels from the top at which more is asked for
const KEPT = 2000; // posts that stay below each other while new ones come; who scrolls up gets more
const POST_HEIGHT = 46; // pixels, a guess for what was never laid out

export class Log {
  // view is the element that scrolls; on is told what the reader does: {ended(atEnd, news), focused(post, element)}.
  // beginning is what stands above the first post.
  constructor(view, room, {readMark, beginning = 'This is where what is kept here begins.', on}) {
    this.view = view;
    this.room = room;
    this.on = on;
    this.readMark = readMark;
    this.beginning = beginning;
    this.posts = [];
    this.nodes = new Map(); // by post id: its row
    this.told = new Map(); // by id of an own post: {members, have}
    this.complete = false; // the first post of all is here
    this.loading = null;
    this.news = 0;
    this.box = el('div', {class: 'chunks'});
    this.top = el('p', {class: 'beginning'});
    view.replaceChildren(this.top, this.box);
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this.askWho(entry.target);
    }, {root: view});
    this.renewing = Promise.resolve();
    this.since = null; // while an answer of renew is on its way: what was done meanwhile
    this.reorder = soon(() => this.reload().catch(this.on.failed), 400);
    this.pinned = true;
    this.resized = new ResizeObserver(() => this.pinned && this.toEnd());
    this.resized.observe(view);
    this.resized.observe(this.box);
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
    this.resized.disconnect();
  }

  get last() { return this.posts.at(-1); }

  // open shows the newest posts.
  open() { return this.renew(PAGE); }

  // renew shows the newest posts instead of what is shown, one wish after the other. What comes or changes while the
  // answer is on its way may not be in it, and is done again.
  renew(count) {
    this.renewing = this.renewing.catch(() => {}).then(async () => {
      const since = this.since = [];
      const posts = await get(roomPath(this.room, `/posts?limit=${count}`)).finally(() => { this.since = null; });
      if (this.closed) return;
      const pinned = this.pinned, top = this.view.scrollTop;
      this.reset(posts, posts.length < count);
      if (pinned) this.toEnd();
      else this.view.scrollTop = top;
      for (const again of since) again();
    });
    return this.renewing;
  }

  reset(posts, complete) {
    this.posts = [];
    this.nodes.clear();
    this.watch.disconnect();
    this.box.replaceChildren();
    this.complete = complete;
    this.above(posts);
    this.sayTop();
  }

  // reload asks again for all that is shown: a post came that belongs in between.
  reload() { return this.renew(Math.max(PAGE, Math.min(this.posts.length + 1, 5000))); }

  // older puts a page above what is shown. It tells whether there was one.
  older(limit = PAGE) {
    if (this.complete || this.posts.length === 0) return Promise.resolve(false);
    this.loading ??= this.loadOlder(limit).finally(() => { this.loading = null; });
    return this.loading;
  }

  async loadOlder(limit) {
    const first = this.posts[0].id;
    const posts = await get(roomPath(this.room, `/posts?limit=${limit}&before=${encodeURIComponent(first)}`));
    if (this.closed) return false;
    if (this.posts[0]?.id !== first) return true; // renewed meanwhile: what is above is asked for anew
    this.complete = posts.length < limit;
    const fromEnd = this.view.scrollHeight - this.view.scrollTop;
    const kept = this.view.scrollTop;
    this.above(posts);
    this.sayTop();
    // A browser keeps in place what is read, but not at the very top, and Safari never.
    if (kept < 1 || !CSS.supports('overflow-anchor', 'auto')) this.view.scrollTop = this.view.scrollHeight - fromEnd;
    return posts.length > 0;
  }

  // above adds posts in front of all.
  above(posts) {
    const first = this.posts[0];
    const chunks = [];
    for (let at = 0; at < posts.length; at += CHUNK) {
      const some = posts.slice(at, at + CHUNK);
      chunks.push(this.chunk(some.map((post, i) => this.row(post, posts[at + i - 1] ?? null))));
    }
    this.posts.unshift(...posts);
    this.box.prepend(...chunks);
    if (first && posts.length) this.redraw(first.id, posts.at(-1)); // its day and head depend on what is above
  }

  chunk(rows) {
    const chunk = el('div', {class: 'chunk'}, ...rows);
    chunk.style.containIntrinsicSize = `auto ${rows.length * POST_HEIGHT}px`;
    return chunk;
  }

  row(post, previous) {
    const row = render(post, previous, this.told.get(post.id), Boolean(previous) && previous.id === this.readMark);
    this.nodes.set(post.id, row);
    if (post.own && !this.told.has(post.id)) this.watch.observe(row);
    return row;
  }

  redraw(id, previous) {
    const old = this.nodes.get(id), at = this.find(id);
    if (!old || at < 0) return;
    const focused = old.contains(document.activeElement);
    old.replaceWith(this.row(this.posts[at], previous === undefined ? this.posts[at - 1] ?? null : previous));
    if (focused) this.nodes.get(id).querySelector('article').focus();
  }

  find(id) { return this.posts.findLastIndex((post) => post.id === id); }
  post(id) { return this.posts[this.find(id)]; }

  // add takes a post that was said now.
  add(post) {
    this.since?.push(() => this.add(post));
    if (this.nodes.has(post.id)) return;
    if (post.late) return this.reorder();
    let chunk = this.box.lastElementChild;
    if (!chunk || chunk.childElementCount >= CHUNK) {
      chunk = this.chunk([]);
      this.box.append(chunk);
    }
    const row = this.row(post, this.last ?? null);
    row.classList.add('came');
    this.posts.push(post);
    chunk.append(row);
    chunk.style.containIntrinsicSize = `auto ${chunk.childElementCount * POST_HEIGHT}px`;
    this.sayTop();
    if (!this.pinned && !post.own) return this.on.ended(false, ++this.news);
    if (this.posts.length > 2 * KEPT) this.trim();
    // Once a frame: at a thousand posts a second each would cost a layout.
    this.ending ??= requestAnimationFrame(() => { this.ending = null; this.closed || this.toEnd(); });
  }

  // trim gives up the oldest posts, which can be asked for again.
  trim() {
    while (this.posts.length > KEPT) {
      const chunk = this.box.firstElementChild;
      for (const post of this.posts.splice(0, chunk.childElementCount)) this.nodes.delete(post.id);
      chunk.remove();
      this.complete = false;
    }
    this.sayTop();
  }

  // change takes a post as it is now: edited, deleted, reacted to.
  change(post) {
    this.since?.push(() => this.change(post));
    const at = this.find(post.id);
    if (at < 0) return;
    this.posts[at] = post;
    this.redraw(post.id);
  }

  // deliver tells of an own post who has it.
  deliver(id, told) {
    this.told.set(id, told);
    const button = this.nodes.get(id)?.querySelector('.delivery');
    if (button) tell(button, told);
  }

  async askWho(row) {
    this.watch.unobserve(row);
    const id = row.querySelector('article').dataset.id;
    if (this.told.has(id)) return;
    try {
      const {members, have} = await get(`/v1/posts/${encodeURIComponent(id)}/ledger`);
      this.deliver(id, {members, have});
    } catch {
      // it was given up meanwhile, or nobody answers: what is shown says no more than before
    }
  }

  sayTop() {
    this.top.textContent = !this.complete ? 'Loading what was said before…' :
      this.posts.length ? this.beginning : 'Nothing was said here yet. Say something!';
  }

  toEnd() {
    this.view.scrollTop = this.view.scrollHeight;
    this.pinned = true;
    this.news = 0;
    this.on.ended(true, 0);
  }

  scrolled() {
    const {scrollTop, scrollHeight, clientHeight} = this.view;
    this.pinned = scrollHeight - scrollTop - clientHeight < 8;
    if (this.pinned) this.news = 0;
    this.on.ended(this.pinned, this.news);
    if (scrollTop < NEAR) this.older().catch(this.on.failed);
  }

  // show scrolls to a post and loads what is in between; it tells whether it is kept.
  async show(id) {
    while (!this.nodes.has(id)) if (!await this.older(500)) return false;
    const article = this.nodes.get(id).querySelector('article');
    this.pinned = false;
    // Twice: on the way there chunks get their true heights.
    article.scrollIntoView({block: 'center'});
    await new Promise(requestAnimationFrame);
    article.scrollIntoView({block: 'center'});
    article.focus({preventScroll: true});
    article.classList.add('sought');
    setTimeout(() => article.classList.remove('sought'), 1600);
    return true;
  }

  // step moves the focus by so many posts; without one focused it is the newest.
  step(by) {
    const id = document.activeElement?.closest?.('article')?.dataset.id;
    const at = id ? this.find(id) + by : this.posts.length - 1;
    if (at >= this.posts.length) return false;
    const post = this.posts[Math.max(0, at)];
    if (!post) return false;
    const article = this.nodes.get(post.id).querySelector('article');
    this.pinned = false;
    article.focus({preventScroll: true});
    article.scrollIntoView({block: 'nearest'});
    return true;
  }
}

// say posts to a room.
export const say = (room, post) => call('POST', roomPath(room, '/posts'), post);
