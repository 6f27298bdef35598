// Files in the conversation: those that posts offer are saved, those that are dropped here are offered.

import {put, roomPath, save} from './api.js';
import {bytes} from './dom.js';

// A browser holds a file until it has all of it; beyond so many bytes a terminal does better.
const MOST = 2e9;

// take saves the file of a post, and tells beside it how far that is.
export async function take(post, button) {
  const {name, size} = post.file, state = button.querySelector('.state');
  if (size > MOST) throw new Error(`${name} has ${bytes(size)}: bcast files get ${post.id} in a terminal is the better way`);
  if (button.disabled) return;
  button.disabled = true;
  try {
    await save('/v1/posts/' + encodeURIComponent(post.id) + '/file', name,
      (have) => { state.textContent = have < size ? Math.floor(have / size * 100) + ' %' : 'saved'; });
    state.textContent = 'saved';
  } catch (error) {
    state.textContent = '';
    throw error;
  } finally {
    button.disabled = false;
  }
}

// Offers takes files by a button, or dropped anywhere on the page, and offers them to the room that is open.
export class Offers {
  // on tells of them: {room(), busy(text), said(room, answer), failed(error)}.
  constructor(button, chooser, page, on) {
    this.on = on;
    button.addEventListener('click', () => chooser.click());
    chooser.addEventListener('change', () => {
      this.send([...chooser.files]);
      chooser.value = '';
    });
    const carries = (event) => on.room() && event.dataTransfer?.types.includes('Files');
    page.addEventListener('dragover', (event) => {
      event.preventDefault(); // a browser would go to what is dropped
      event.dataTransfer.dropEffect = carries(event) ? 'copy' : 'none';
      page.classList.toggle('dropping', Boolean(carries(event)));
    });
    page.addEventListener('dragleave', (event) => event.relatedTarget || page.classList.remove('dropping'));
    page.addEventListener('drop', (event) => {
      event.preventDefault();
      page.classList.remove('dropping');
      if (carries(event)) this.send([...event.dataTransfer.files]);
    });
  }

  async send(files) {
    const room = this.on.room();
    for (const file of files) {
      this.on.busy(`Taking ${file.name}, ${bytes(file.size)}…`);
      try {
        this.on.said(room, await put(roomPath(room, '/files/' + encodeURIComponent(file.name)), file));
      } catch (error) {
        this.on.failed(error.code === 'no_daemon' ? new Error(`${file.name} cannot be read: a directory is shared by bcast files share`) : error);
      }
    }
    this.on.busy('');
  }
}
