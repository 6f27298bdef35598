// How this node is: what is cut, refused and lost, in words and numbers.

import {el, number, plural, since, span, table} from './dom.js';

// By the names of the counters, what a datagram was refused for.
const DROPS = {
  unused_interface: 'came by an interface that is not used', empty: 'no byte at all', cut: 'longer than the receive buffer',
  off_link: 'not from this subnet', hops: 'passed a router', not_bcast: 'another protocol, or noise',
  version: 'another version of bcast', unknown_type: 'a type of a later version', own: 'our own broadcast coming back',
  unknown_room: 'for a room not joined here', damaged: 'damaged or forged', malformed: 'the shape is wrong',
  not_for_us: 'for another device or run', replayed: 'seen before', stranger: 'of a device that proved no address',
  budget: 'more than is checked in a second', bad_signature: 'not signed by whom it says',
  src_mismatch: 'not from where it says', old_instance: 'of a run that has ended', table_full: 'no place for another stranger',
  queue_full: 'this node could not keep up', read_only: 'the disk takes nothing now',
};

// troubles are how many things a person should look at.
export const troubles = (status) => (status.problems?.length ?? 0) + (status.cuts > 0 ? 1 : 0);

// draw shows the status in a section.
export function draw(section, status) {
  section.replaceChildren(
    el('p', {class: 'lead'}, verdict(status)),
    el('div', {class: 'tiles'},
      tile('Cut datagrams', status.cuts, 'longer than the receive buffer', status.cuts > 0),
      tile('Refused', refused(status), 'by reason, below'),
      tile('Sent', total(status.sent), bytes(status.sent_bytes) + ' in datagrams'),
      tile('Taken', total(status.received), 'datagrams'),
      tile('On the wire now', rate(status.bytes_per_second), 'a second, by this device'),
      tile('Up', span(status.uptime_s), status.version)),
    card('What a short buffer does', cuts(status)),
    card('Refused datagrams', refusals(status)),
    card('Rooms and the size of their datagrams', rooms(status)),
    card('Interfaces', interfaces(status)),
    el('p', {class: 'hint'}, 'bcast doctor looks further: firewalls, routes, other devices’ view, and the command that mends what is wrong.'));
}

function verdict(status) {
  if (status.problems?.length) return status.problems[0];
  if (status.cuts > 0) return `${plural(status.cuts, 'datagram was', 'datagrams were')} longer than the receive buffer and cut. They are asked for again in pieces that fit.`;
  return 'All is well here.';
}

const total = (counts) => Object.values(counts ?? {}).reduce((sum, n) => sum + n, 0);
const refused = (status) => total(status.drops) - (status.drops?.own ?? 0); // every own broadcast comes back

function bytes(n) {
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (n < 1000) return `${n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1000;
  }
  return Math.round(n) + ' TB';
}

const rate = (n) => bytes(n ?? 0);

function tile(name, value, words, warn) {
  return el('div', {class: 'tile' + (warn ? ' warn' : '')}, el('span', {class: 'name'}, name),
    el('strong', {}, typeof value === 'number' ? number(value) : value), el('span', {class: 'hint'}, words));
}

const card = (title, ...children) => el('section', {class: 'card wide'}, el('h2', {}, title), ...children);

function cuts(status) {
  const words = el('p', {}, `The receive buffer takes ${number(status.recv_buffer)} bytes of a datagram. ` +
    (status.watch ? 'That is too short to take part: this node only watches.' :
      status.cuts === 0 ? 'None was longer.' : 'What is longer loses its end; the next read starts with the next datagram.'));
  return el('div', {}, words, status.cut_from?.length ? table('Where cut datagrams came from', ['From', 'Device', 'Cut'],
    status.cut_from.map((c) => [el('code', {}, c.addr), el('bdi', {}, c.nick ?? '–'), number(c.count)])) : '');
}

function refusals(status) {
  const list = Object.entries(status.drops ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return list.length === 0 ? el('p', {}, 'None.') :
    table('Refused datagrams by reason', ['Reason', 'Datagrams'], list.map(([name, n]) =>
      [el('span', {}, el('code', {}, name), ' ' + (DROPS[name] ?? '')), number(n)]));
}

function rooms(status) {
  return status.rooms.length === 0 ? el('p', {}, 'None is joined.') :
    table('Rooms', ['Room', 'Members here', 'Posts', 'Missing', 'Datagram', 'Limited by'], status.rooms.map((r) =>
      [el('bdi', {}, r.direct ? '@' + r.direct : r.name), `${r.present} of ${r.members}`, number(r.posts), number(r.missing),
        number(r.datagram_limit) + ' B', el('bdi', {}, r.limited_by || '–')]));
}

function interfaces(status) {
  return table('Interfaces', ['Interface', 'Addresses', 'Link', 'MTU', 'Used', 'Own broadcast heard'], status.interfaces.map((i) =>
    [el('code', {}, i.name), i.addrs.join(', ') || '–', i.link, i.mtu, i.used ? 'yes' : `no: ${i.reason ?? ''}`,
      i.own_heard ? since(i.own_heard) + ' ago' : '–']));
}
