// What can be done with the post under the pointer or the focus: one row of buttons that moves from post to post.

import {call, roomPath} from './api.js';
import * as dialog from './dialog.js';
import {take} from './files.js';
import {el} from './dom.js';

export class Pointer {
  // of gives posts by id and takes what is to be done: {post(id), show(id), composer, failed(error)}.
  constructor(log, of) {
    this.of = of;
    this.bar = el('div', {class: 'actions', role: 'toolbar', 'aria-label': 'This post'});
    // A finger shows what it can do where it taps, not on its way.
    log.addEventListener('pointerover', (event) => event.pointerType === 'touch' || this.at(event.target.closest('article')));
    // Nor what it focuses: the row would push away what is under it before the tap is one.
    log.addEventListener('focusin', (event) => event.target.matches(':focus-visible') && this.at(event.target.closest('article')));
    log.addEventListener('pointerleave', (event) =>
      event.pointerType === 'touch' || this.bar.contains(document.activeElement) || this.at(null));
    log.addEventListener('click', (event) => this.click(event));
    log.addEventListener('keydown', (event) => this.key(event));
  }

  at(article) {
    if (article === this.article) return;
    this.article = article;
    this.bar.remove();
    const post = article && this.of.post(article.dataset.id);
    if (!post || post.deleted || post.kind === 'topic') return;
    this.bar.replaceChildren(...this.actions(post).map(([name, glyph, does]) =>
      el('button', {type: 'button', title: name, 'aria-label': name, tabindex: '-1', onclick: does}, glyph)));
    article.append(this.bar);
  }

  actions(post) {
    const {composer, failed} = this.of;
    const all = [
      ['Reply', '↩', () => composer.reply(post)],
      ['React', '☺', () => dialog.react(post)],
      ['Who has it?', '✓', () => dialog.ledger(post).catch(failed)],
    ];
    if (post.own) all.push(['Edit', '✎', () => composer.edit(post)], ['Delete', '🗑', () => dialog.remove(post)]);
    return all;
  }

  click(event) {
    const article = event.target.closest('article');
    const post = article && this.of.post(article.dataset.id);
    if (!post) return;
    const quote = event.target.closest('.quote'), file = event.target.closest('.file'), reaction = event.target.closest('[data-react]');
    this.at(article);
    if (event.target.closest('.delivery')) dialog.ledger(post).catch(this.of.failed);
    else if (file) take(post, file).catch(this.of.failed);
    else if (quote) this.of.show(quote.dataset.to).catch(this.of.failed);
    else if (reaction) {
      call('POST', roomPath(post.room, '/posts'), {kind: 'reaction', target: post.id, text: reaction.dataset.react}).catch(this.of.failed);
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName !== 'ARTICLE') return;
    const post = this.of.post(event.target.dataset.id);
    if (!post || post.deleted) return;
    const does = {
      r: () => this.of.composer.reply(post), '+': () => dialog.react(post),
      i: () => dialog.ledger(post).catch(this.of.failed),
      e: () => post.own && this.of.composer.edit(post), Delete: () => post.own && dialog.remove(post),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }
}
