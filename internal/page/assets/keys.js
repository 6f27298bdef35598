// Keys of the whole page; those of a post are in pointer.js, those of the line in composer.js.

import {$} from './dom.js';

export function listenKeys(app, {drawer, openRoom, keys}) {
  document.addEventListener('keydown', (event) => {
    if (!app.rooms || event.isComposing || document.querySelector('dialog[open]')) return;
    const writing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
    if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
      event.preventDefault();
      return neighbour(event.key === 'ArrowDown' ? 1 : -1);
    }
    if (event.key === 'Escape') return escape(event);
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '/') act(event, () => $('query').focus());
    if (event.key === '?') act(event, keys);
    if (!app.log || app.view !== 'room' || !$('log').contains(event.target)) return;
    if (event.key === 'ArrowUp') act(event, () => app.log.step(-1));
    if (event.key === 'ArrowDown') act(event, () => app.log.step(1) || app.composer.focus());
    if (event.key === 'End') act(event, () => app.log.toEnd());
  });

  function act(event, work) {
    event.preventDefault();
    work();
  }

  function neighbour(by) {
    const names = [...document.querySelectorAll('#rooms [data-room]')].map((b) => b.dataset.room);
    if (names.length) openRoom(names[(names.indexOf(app.rooms.current) + by + names.length) % names.length]);
  }

  function escape(event) {
    drawer(null);
    if (event.target.id === 'query') {
      $('query').value = '';
      $('query').dispatchEvent(new Event('input'));
    }
    if (event.target.id !== 'entry' && app.rooms.current) app.composer.focus();
  }
}
