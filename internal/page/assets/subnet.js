// The subnet as a picture and as a table: who is here, how far away, what gets lost on the way.

import {el, fullOf, number, plural, presence, since, svg, table, who} from './dom.js';

const WIDTH = 720, HEIGHT = 420, SHOWN = 60;

// draw shows the peers in a section; open is called with the one that was chosen.
export function draw(section, status, peers, open) {
  const order = {here: 0, suspect: 1, left: 2, lost: 3};
  const sorted = [...peers].sort((a, b) => order[a.status] - order[b.status] || a.nick.localeCompare(b.nick));
  const here = sorted.filter((p) => order[p.status] < 2).length;
  const used = status.interfaces.filter((i) => i.used);
  section.replaceChildren(
    el('p', {class: 'lead'}, here === 0 ? 'No other bcast device is here. ' : `${plural(here, 'device')} here` +
      (sorted.length > here ? `, ${sorted.length - here} gone. ` : '. '),
      used.map((i) => `${i.name}: ${i.addrs.join(', ')}`).join(' · ')),
    el('figure', {class: 'card'}, picture(status, sorted.slice(0, SHOWN), open), legend()),
    here === 0 ? el('p', {class: 'hint'}, 'If another one should be here: bcast doctor says what keeps you apart.') : '',
    sorted.length > 0 ? el('div', {class: 'card wide'}, rows(sorted, open)) : '');
}

const percent = (share) => share === undefined || share === null ? '–' : (100 * share).toFixed(share < 0.1 ? 1 : 0) + ' %';

function rows(peers, open) {
  return table('Devices of this subnet', ['Device', 'Presence', 'Address', 'Round trip', 'Lost', 'Buffer', 'Rooms', 'Since'],
    peers.map((p) => [
      el('button', {class: 'plain', type: 'button', onclick: () => open(p)}, who(p)),
      el('span', {class: 'presence ' + p.status}, presence(p.status, p.last_seen)),
      el('code', {}, p.addr + (p.iface ? ' ' + p.iface : '')),
      p.rtt_ms ? p.rtt_ms.toFixed(p.rtt_ms < 10 ? 1 : 0) + ' ms' : '–',
      percent(p.missed), number(p.recv_buffer), (p.rooms ?? []).length, el('time', {datetime: p.first_seen, title: fullOf(p.first_seen)}, since(p.first_seen)),
    ]));
}

function legend() {
  return el('figcaption', {class: 'legend'},
    ...[['here', 'here'], ['suspect', 'late'], ['lost', 'gone'], ['lossy', 'loses broadcasts']].map(([name, words]) =>
      el('span', {}, svg('svg', {width: 28, height: 10, 'aria-hidden': 'true'},
        svg('line', {class: 'wire ' + name, x1: 2, y1: 5, x2: 26, y2: 5})), ' ' + words)));
}

// picture: this device in the middle of the wire, the others around it, on two rings when there are many.
function picture(status, peers, open) {
  const cx = WIDTH / 2, cy = HEIGHT / 2, many = peers.length > 14;
  const nodes = [], wires = [];
  peers.forEach((p, i) => {
    const outer = !many || i % 2 === 0;
    const angle = 2 * Math.PI * i / peers.length - Math.PI / 2;
    const x = cx + Math.cos(angle) * (outer ? 275 : 165), y = cy + Math.sin(angle) * (outer ? 158 : 95);
    const lossy = (p.missed ?? 0) >= 0.02 || (p.misses ?? 0) >= 0.02;
    const gone = p.status !== 'here' && p.status !== 'suspect';
    wires.push(svg('line', {class: `wire ${gone ? 'lost' : p.status} ${lossy && !gone ? 'lossy' : ''}`, x1: cx, y1: cy, x2: x, y2: y}));
    if (!gone && p.rtt_ms && peers.length <= 24) {
      wires.push(svg('text', {class: 'rtt', x: cx + (x - cx) * 0.55, y: cy + (y - cy) * 0.55 - 4}, p.rtt_ms.toFixed(1) + ' ms'));
    }
    nodes.push(node(p, x, y, gone, many, () => open(p)));
  });
  return svg('svg', {class: 'subnet', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label':
    `Picture of the subnet: ${plural(peers.length, 'device')} around this one`},
    svg('ellipse', {class: 'ring', cx, cy, rx: 275, ry: 158}), ...wires, ...nodes,
    svg('g', {class: 'self'}, svg('circle', {cx, cy, r: 30}),
      svg('text', {x: cx, y: cy + 4}, short(status.nick)), svg('text', {class: 'under', x: cx, y: cy + 48}, 'this device')));
}

function node(p, x, y, gone, many, open) {
  const press = (event) => (event.key === 'Enter' || event.key === ' ') && (event.preventDefault(), open());
  return svg('g', {class: 'device' + (gone ? ' gone' : ''), hue: p.id, tabindex: 0, role: 'button',
    'aria-label': `${p.nick}, ${presence(p.status, p.last_seen)}, ${p.addr}`, onclick: open, onkeydown: press},
    svg('title', {}, `${p.nick} ${p.addr}`),
    svg('circle', {cx: x, cy: y, r: many ? 15 : 22}),
    svg('text', {x, y: y + 4}, [...p.nick][0]?.toUpperCase() ?? '?'),
    svg('text', {class: 'under', x, y: y + (many ? 28 : 37)}, short(p.nick) + (p.verified ? ' ✓' : '')));
}

function short(nick) {
  const all = [...nick];
  return all.length > 10 ? all.slice(0, 9).join('') + '…' : nick;
}
