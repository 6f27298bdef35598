#!/usr/bin/env python3
"""Guards taken out of the sources, one at a time: the test of its advisory must then fail, or it is no test.

    scripts/guards             all of them
    scripts/guards NAME...     those of tests whose names begin so, such as TestADV_16
    scripts/guards ci          five, as CI runs them, when all, and all planted bugs, still fit the sources
    scripts/guards --list      test, package and file of each

A guard is a replacement in one file, built with `go test -overlay` (simpatch.py). The law's tests read the tree itself
and so get a copy of it.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import simpatch

GUARDS = []


def guard(test, package, file, *patches):
    """patches are old, new, and then again old, new: what holds twice is taken out twice."""
    pairs = list(zip(patches[::2], patches[1::2]))
    GUARDS.append({"test": "TestADV_" + test, "package": package, "patches": [(file, *pair) for pair in pairs]})


def also(test, package, *patches):
    """The same in several files."""
    GUARDS.append({"test": "TestADV_" + test, "package": package, "patches": list(patches)})


def off(test, package, file, condition, *, case=False):
    """A condition of which nothing comes any more."""
    before, after = ("case ", ":") if case else ("if ", " {")
    guard(test, package, file, before + condition + after, before + "false" + after)


ENGINE, STREAM, WIRE, SEAL = "./internal/engine", "./internal/stream", "./internal/wire", "./internal/seal"
IRC, FILES, PUSH = "./internal/irc", "./internal/files", "./internal/push"
PAGE, GUARD = "./internal/page", "internal/page/guard.go"
RECEIVE, OPEN, KEY = "internal/engine/receive.go", "internal/engine/open.go", "internal/stream/key.go"

guard("11_Sizes_that_no_file_has", FILES, "internal/files/put.go", "w.size < 0 || w.size > MaxSize || ", "")
guard("01_Hostile_names_are_refused", FILES, "internal/files/tree.go", "err = checkPath(e.Path)", "err = nil")
guard("01_Hostile_names_are_refused", FILES, "internal/files/put.go",
      "	if err := checkPath(p); err != nil {", "	if err := checkPath(p); false {")
guard("01_Liars_leave_nothing", FILES, "internal/files/incoming.go", "if got != want {", "if got != want && false {")
guard("push_A_liar_changes_no_file", PUSH, "internal/push/receiver.go", "	if !right { //", "	if !right && false { //")
guard("push_A_mark_is_the_authors", PUSH, "internal/push/receiver.go",
      "case !r.author.Verify(signed(typeMark, r.Keys, said), signature):",
      "case !r.author.Verify(signed(typeMark, r.Keys, said), signature) && false:")
off("push_A_mark_is_the_authors", PUSH, "internal/push/receiver.go", "r.marked && m.Number <= r.last.Number", case=True)
off("push_A_need_is_its_receivers", PUSH, "internal/push/sender.go", "n.Counter <= t.counter", case=True)
off("push_Help_is_bounded", PUSH, "internal/push/holder.go", "share.spent()")
guard("push_Help_is_bounded_for_all_together", PUSH, "internal/push/help.go", " || s[1].credit < 0", "")
guard("push_Help_is_bounded_for_all_together", PUSH, "internal/push/help.go", " || s[2].credit < 0", "")
off("push_The_same_goes_twice_at_once", PUSH, "internal/push/holder.go", "given.shards >= goesTwice*h.cut.shards(w.stripe)")
guard("push_What_is_read_for_help_is_bounded", PUSH, "internal/push/holder.go",
      "max(bytes, helpLeast)", "bytes")
off("push_A_recorded_need_moves_nothing", PUSH, "internal/push/holder.go", "a.run == n.Instance && n.Counter <= a.counter")
guard("push_Noise_takes_no_place", PUSH, "internal/push/receiver.go",
      "	if err := openShard(r.opened[:], r.Keys, datagram); err != nil {", "	if _, err := r.open(n); err != nil {")
guard("push_Who_never_gets_on_holds_up_nobody", PUSH, "internal/push/sender.go", " || t.stuck > mostRepairs ||", " ||")
off("push_What_waits_is_bounded", PUSH, "internal/push/receiver.go", "len(r.held) >= maxHeld")
guard("01_Bundles_are_checked", FILES, "internal/files/bundle.go",
      "!ok || want != hashSmall(content)", "!ok || want == (Hash{1})")
guard("01_Bundles_put_are_checked", FILES, "internal/files/bundle.go",
      "	if err := checkPath(b.Path); err != nil {\n		return false, err\n	}\n", "")
guard("01_Bundles_put_are_checked", FILES, "internal/files/bundle.go",
      "if errors.Is(err, errNoBundle) {", "if errors.Is(err, errNoBundle) && false {")
guard("02_Only_the_pinned_key_is_dialled", STREAM, KEY,
      "err == nil && key != peer", "err == nil && key != peer && false")
guard("03_Garbage_takes_nothing", ENGINE, OPEN,
      "		if keys, owns := r.ring.Owns(d.Data); owns {", "		if keys := r.ring.Current(); len(d.Data) > seal.OuterSize {")
off("03_Wrong_signatures_have_a_budget", "./internal/node", "internal/node/verify.go", "!s.affords(from)", case=True)
guard("03_Cut_datagrams_are_shown_together", ENGINE, "internal/engine/cuts.go",
      "	i := c.find(cut.From)\n	if i < 0 && len", "	return cut, true\n	i := c.find(cut.From)\n	if i < 0 && len")
guard("03_Half_open_connections_keep_nobody_out", STREAM, "internal/stream/accept.go",
      "len(s.handshakes) >= maxHandshakes && !s.makePlace()", "len(s.handshakes) >= maxHandshakes")
guard("03_Half_open_connections_are_bounded", STREAM, "internal/stream/accept.go",
      "|| len(s.handshakes) >= maxHandshakes && !s.makePlace()", "")
guard("03_A_record_goes_once_on_a_stream", ENGINE, "internal/engine/streamserve.go", "		u.From = t.To + 1\n", "")
guard("04_A_dialled_peer_proves_its_key", STREAM, KEY,
      "err == nil && key != peer", "err == nil && key != peer && false")
guard("04_An_accepted_peer_proves_a_key", STREAM, KEY,
      "			return err\n		},\n	}\n}", "			_ = err\n			return nil\n		},\n	}\n}")
off("05_Ten_words_or_none", "./identity", "identity/verify.go", "len(typed) != wordCount")
off("06_An_older_word_changes_nothing", "./discovery", "discovery/receive.go", "m.Counter < p.counter")
guard("06_A_forged_nick_is_not_shown", ENGINE, RECEIVE,
      "	if !p.Verify(e.cfg.Verify) {\n		return wire.DropBadSignature\n	}\n", "")
guard("07_Odd_ids_are_harmless", ENGINE, RECEIVE,
      "	if !p.Verify(e.cfg.Verify) {\n		return wire.DropBadSignature\n	}\n", "")
guard("08_Nothing_of_others_is_removed", FILES, "internal/files/incoming.go",
      "	in.close()\n	in.dir.Remove(in.part)\n", "	in.close()\n	in.dir.RemoveAll(path.Dir(in.part))\n")
guard("09_An_invite_is_never_printed", SEAL, "internal/seal/invite.go",
      'func (Invite) String() string { return "[redacted]" }', "func (i Invite) String() string { return i.Text() }")
guard("10_Nothing_is_made_markup", PAGE, GUARD, "; trusted-types 'none'", "")
guard("10_Nothing_is_made_markup", PAGE, "internal/page/assets/post.js", "button.textContent =", "button.innerHTML =")
off("11_Lengths_beyond_the_datagram", WIRE, "internal/wire/fields.go", "n > limit || n*size > len(f.b)")
off("12_Empty_datagrams", ENGINE, OPEN, "d.Size == 0", case=True)
guard("13_Own_datagrams_cause_nothing", ENGINE, RECEIVE,
      "	case op.own:\n		e.heardOwn(now, d)\n		return wire.DropOwn\n", "")
off("14_Off_link_is_not_answered", ENGINE, OPEN, "!d.OnLink", case=True)
off("14_Off_link_is_not_answered", ENGINE, OPEN, "d.TTL >= 0 && d.TTL != 255", case=True)
guard("15_Nonces_come_from_the_generator", SEAL, "internal/seal/seal.go",
      "io.ReadFull(rand, b[PrefixSize:])", "io.ReadFull(rand, b[PrefixSize:PrefixSize])")
also("16_No_answer_outweighs_its_question", "./discovery",
     ("discovery/announce.go", "		if t.credit == 0 {\n			return\n		}\n", ""),
     ("discovery/suspect.go", "		if t.blocked || !t.reached {", "		if t.blocked {"))
guard("16_No_type_is_answered_by_more", ENGINE, "internal/engine/send.go",
      "return p.UnicastBlocked || !p.Reached", "return p.UnicastBlocked")
off("16_Echoes_are_for_the_proven_and_few", "./discovery", "discovery/echo.go", "t == nil || !t.reached", case=True)
off("16_Echoes_are_for_the_proven_and_few", "./discovery", "discovery/echo.go", "m.To.IsZero()", case=True)
guard("16_Echoes_are_for_the_proven_and_few", "./discovery", "discovery/echo.go", "	p.echoes.take(m.now, size)\n", "")
guard("16_Echoes_are_for_the_proven_and_few", "./discovery", "discovery/echo.go", "	d.echoes.take(m.now, size)\n", "")
guard("16_Echoes_are_for_the_proven_and_few", "./discovery", "discovery/echo.go",
      "m.Probe.Way != wire.WayUnicast && !m.link.prompt(m.now)", "false")
guard("16_What_is_passed_on_is_what_a_member_broadcast", ENGINE, "internal/engine/relay.go",
      "	if !e.discovery.Relays(d.From, d.Iface, other, able) {\n		return\n	}\n",
      "	e.discovery.Relays(d.From, d.Iface, other, able)\n")
off("17_A_source_that_is_not_claimed", "./discovery", "discovery/receive.go", "!slices.Contains(p.Addrs, from.Addr().WithZone(\"\"))")
guard("17_Nothing_goes_where_a_payload_says", ENGINE, "discovery/receive.go",
      "	from = unmap(from)\n	m :=", "	from = netip.AddrPortFrom(p.Addrs[0], p.UnicastPort)\n	m :=")
off("18_Two_devices_do_not_answer_each_other", ENGINE, RECEIVE, "!p.To.IsZero() && p.To != e.cfg.Instance")
guard("19_Counts_take_no_memory", WIRE, "internal/wire/fields.go",
      "	n := int(f.U8())\n	if", "	n := int(f.U8())\n	_ = make([]byte, n<<8)[n]\n	if")
guard("20_A_backup_copied_over_does_not_resume", "./internal/history", "internal/history/mark.go",
      "		return before.File == now.file\n", "		return true\n")
guard("21_A_slow_body_is_dropped", "./internal/control", "internal/control/handler.go",
      "		control.SetReadDeadline(time.Now().Add(bodyTimeout))\n", "")
guard("21_Who_is_refused_is_not_waited_for", PAGE, GUARD,
      '	w.Header().Set("Connection", "close")\n	connection := http.NewResponseController(w)\n'
      "	connection.SetReadDeadline(time.Now().Add(refusedTimeout))\n", "	connection := http.NewResponseController(w)\n")
guard("21_Connections_are_bounded", PAGE, "internal/page/page.go",
      "fair.Limit(ln, maxConnections, maxConnections)", "fair.Limit(ln, 2*maxConnections, 2*maxConnections)")
off("22_Largest_datagrams", ENGINE, "chat/fragment.go", "int(f.Total) > record.MaxSize")
guard("23_Every_bit_of_a_datagram_counts", SEAL, "internal/seal/seal.go",
      "datagram[OuterSize:], datagram[:OuterSize])", "datagram[OuterSize:], datagram[:PrefixSize])",
      "plain, b)", "plain, b[:PrefixSize])")
guard("23_Every_byte_of_presence_is_signed", WIRE, "internal/wire/presence.go",
      "append([]byte(presenceDomain), b[:presenceSig]...)", "append([]byte(presenceDomain), b[:presenceSig-1]...)")
guard("23_A_signature_binds_room_and_datagram", WIRE, "internal/wire/frame.go",
      "append(append(b, signDomain...), room[:]...)", "append(b, signDomain...)")
guard("23_Every_byte_of_a_record_is_signed", "./internal/record", "internal/record/flight.go",
      "	h.Write(header)\n", "	h.Write(header[2:])\n")
guard("23_Nothing_is_taken_in_the_clear", ENGINE, "internal/seal/seal.go",
      "	if err != nil {\n		return nil, errSealed\n	}\n	n :=",
      "	if err != nil {\n		plain = datagram[OuterSize:]\n	}\n	n :=")
guard("24_Keys_that_anybody_can_sign_for", STREAM, KEY,
      "		if key == y {\n			return true", "		if key == y {\n			return false")
guard("24_Keys_that_agree_with_everybody", SEAL, "internal/seal/direct.go",
      " ||\n		new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1", "")
guard("25_A_cloned_key_is_noticed", ENGINE, "internal/engine/twin.go",
      "	if w == nil {\n		e.out.Events", "	if false {\n		e.out.Events")
guard("26_A_nick_of_two_is_nobody", "./identity", "identity/prefix.go",
      "	return found\n}\n\n// begins", "	return found[:min(len(found), 1)]\n}\n\n// begins")
guard("27_A_poison_record_stops_nothing", ENGINE, OPEN,
      "		op.record, err = record.Parse(keys.ID, withoutPadding(f.Bytes, len(op.datagram.Data)))\n",
      "		if op.record, err = record.Parse(keys.ID, bytes.Clone(f.Bytes)); err == nil {\n"
      "			_, err = record.DecodePosts(op.record.Body)\n		}\n")
guard("27_Nothing_is_decompressed", ".", "internal/wire/reader.go",
      '\t"unicode/utf8"\n', '\t_ "compress/flate"\n\t"unicode/utf8"\n')
guard("28_A_message_is_one_line", IRC, "internal/irc/line.go",
      "		m.Params[i] = legal(param, i == len(m.Params)-1)\n", "		m.Params[i] = param\n")
guard("28_Nothing_from_the_network_is_a_line_of_its_own", IRC, "internal/irc/nick.go",
      "	return middle(head(strings.Map(func", "	return (head(strings.Map(func",
      "show.Clean(head(s, 4*maxName))", "s")
guard("28_Nothing_from_a_client_is_more_than_text", IRC, "internal/irc/line.go",
      "		if unicode.IsControl(r) && r != '\\t' {", "		if unicode.IsControl(0) && false {")
guard("irc_Others_need_a_password_and_TLS", IRC, "internal/irc/listen.go",
      'case !local && password == "":', 'case !local && password == "" && false:')
guard("irc_Others_need_a_password_and_TLS", IRC, "internal/irc/listen.go",
      'if ok && !tcp.IP.IsLoopback() && (cfg', 'if ok && false && !tcp.IP.IsLoopback() && (cfg')
guard("irc_Half_open_connections_keep_nobody_out", IRC, "internal/irc/irc.go",
      "if len(waiting) < maxUnregistered && len(s.conns) < maxConns {", "if len(s.conns) < maxConns {")
guard("irc_A_silent_connection_ends", IRC, "internal/irc/conn.go",
      '		c.quit = "registration timed out"\n', '		c.quit = ""\n')
off("irc_A_flood_is_refused", IRC, "internal/irc/conn.go", "!c.affords(max(known.cost, 1))")
guard("irc_A_client_that_does_not_read_ends", IRC, "internal/irc/conn.go",
      "			c.patience(working)\n			c.line(", "			c.line(")
guard("30_Without_the_token_nothing_is_told", PAGE, GUARD, '!strings.EqualFold(scheme, "Bearer")', 'scheme == "none"')
guard("30_Without_the_token_nothing_is_told", PAGE, GUARD,
      "subtle.ConstantTimeCompare(sum[:], g.token[:]) != 1", "subtle.ConstantTimeCompare(sum[:], g.token[:]) > 1")
guard("30_Another_origin_gets_nothing", PAGE, GUARD, 'origin != "" && origin != scheme+r.Host', 'scheme == origin')
guard("30_Another_origin_gets_nothing", PAGE, GUARD,
      'site != "" && site != "same-origin" && site != "none"', 'site != site')
off("30_Another_host_name_gets_nothing", PAGE, GUARD, "!local(hostOf(r))")
guard("30_Only_this_machine_is_served", PAGE, "internal/page/page.go", "!local(host)", 'host == "none"')
off("31_Only_this_user_and_root_connect", "./internal/control", "internal/control/peer_linux.go",
    "uid != own && uid != 0")
guard("31_The_socket_is_private", "./internal/control", "internal/control/socket.go",
      "os.Chmod(bound, 0o600)", "os.Chmod(bound, 0o666)")
guard("31_Nothing_at_home_is_readable_by_others", "./internal/home", "internal/home/home.go",
      "os.Chmod(dir, 0o700)", "os.Chmod(dir, 0o755)")
off("32_A_terminal_gets_no_control", "./internal/show", "internal/show/show.go", "Misleads(r)", case=True)
off("32_The_whole_screen_gets_no_control", "./internal/tui", "internal/show/show.go", "Misleads(r)", case=True)
guard("33_Links_lead_nowhere", FILES, "internal/files/files.go",
      "	info, err := root.Stat(name)\n	if err == nil && !info.Mode().IsRegular() {\n		err = errOdd\n	}\n	if err != nil {",
      "	info, err := os.Stat(root.Name() + \"/\" + name)\n	if err != nil {",
      "root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)", "os.OpenFile(root.Name()+\"/\"+name, os.O_RDONLY|syscall.O_NONBLOCK, 0)")
off("files_Made_up_keys_take_no_place", STREAM, "internal/stream/files.go",
    "s.serves != nil && !s.serves(s.ctx, peer, from)")
guard("files_One_host_keeps_nobody_out", STREAM, "internal/stream/files.go", " || s.filesAt[from] >= filesFromAddr", "")
guard("files_A_key_is_served_where_its_device_is", ".", "link.go",
      " && slices.Contains(e.Places(p.ID), at.Unmap())", "")
guard("files_One_host_offers_little", FILES, "internal/files/inbox.go",
      "return v.From.IsValid() && o.from == v.From", "return v.From.IsValid() && o.from == v.From && false")
guard("files_An_offer_brings_what_was_asked_about", FILES, "internal/files/inbox.go",
      "top, _, _ := strings.Cut(p, \"/\"); !o.brings(top)", "top, _, _ := strings.Cut(p, \"/\"); top == \"\"")
off("files_An_offer_brings_what_was_asked_about", FILES, "internal/files/inbox.go",
    "l.files > 0 && o.came.files >= o.Files", case=True)
off("files_An_offer_brings_what_was_asked_about", FILES, "internal/files/inbox.go",
    "l.dirs > 0 && o.came.dirs+l.dirs-spareDirs > o.Files", case=True)
guard("files_What_is_empty_fills_no_disk", FILES, "internal/files/quota.go",
      "			bytes += leastWeight\n", "", "bytes += max(info.Size(), leastWeight)", "bytes += info.Size()")
guard("files_Requests_have_limits", FILES, "internal/files/server.go", " && !a.lost && ", " && ")
guard("files_Requests_have_limits", FILES, "internal/files/server.go", "= 16<<10 - 4<<10", "= 16 << 10")
off("files_Odd_paths_are_refused", FILES, "internal/files/server.go", "!isPlain(r.URL.EscapedPath())")
guard("files_Strangers_are_told_nothing", FILES, "internal/files/share.go", "		if v.sees(s) {", "		{")
guard("files_Offered_files_are_for_members", FILES, "internal/files/holding.go",
      "return one != nil && !v.Blocked && v.In != nil &&", "return one != nil || v.In != nil &&")
guard("files_Members_that_lie_are_left", FILES, "internal/files/put.go", "if hashRoot(hashes) != w.hash {", "if false {")
guard("files_Members_that_lie_are_left", FILES, "internal/files/collect.go",
      "if got != p.blocks[p.have/BlockSize(p.Size)] {", "if got != p.blocks[p.have/BlockSize(p.Size)] && false {")
guard("files_Made_up_offers_open_nothing", ".", "arrival.go", "if f := a.noun(); f.Resumed < f.Size {", "{")
guard("files_Offered_files_are_saved_not_shown", "./internal/control", "internal/control/files.go",
      'head.Set("Content-Disposition", "attachment; filename*=UTF-8\'\'"+escapeElement(file.Name))',
      'head.Set("Content-Disposition", "inline; filename=" + file.Name)')
guard("34_No_session_is_resumed", STREAM, KEY, "		SessionTicketsDisabled: true,\n", "")
guard("34_A_handshake_has_a_deadline", STREAM, "internal/stream/guard.go", "	conn.SetDeadline(by)\n", "")
guard("35_Names_are_looked_at_in_time", "./identity", "identity/name.go", "maxTyped = 1024", "maxTyped = 1 << 30")
guard("36_A_forgery_moves_no_counter", ENGINE, RECEIVE,
      "	if !p.Verify(e.cfg.Verify) {\n		return wire.DropBadSignature\n	}\n	e.mark(who, p.Counter)\n",
      "	e.mark(who, p.Counter)\n	if !p.Verify(e.cfg.Verify) {\n		return wire.DropBadSignature\n	}\n")
guard("36_A_forgery_moves_no_counter", ENGINE, RECEIVE,
      "	if !op.signed.Verify(e.cfg.Verify, r.keys.ID, d.Data[:seal.OuterSize]) {\n		return wire.DropBadSignature\n	}\n"
      "	e.mark(who, sender.Counter)\n",
      "	e.mark(who, sender.Counter)\n"
      "	if !op.signed.Verify(e.cfg.Verify, r.keys.ID, d.Data[:seal.OuterSize]) {\n		return wire.DropBadSignature\n	}\n")
guard("37_Every_dependency_has_one_door", ".", "identity/name.go",
      '	"golang.org/x/text/unicode/norm"\n', '	_ "golang.org/x/sys/cpu"\n	"golang.org/x/text/unicode/norm"\n')
guard("37_Dependencies_are_a_list", ".", "identity/name.go",
      '	"golang.org/x/text/unicode/norm"\n', '	_ "github.com/google/uuid"\n	"golang.org/x/text/unicode/norm"\n')
off("38_An_invite_is_a_whole_secret", SEAL, "internal/seal/invite.go",
    "len(b) != inviteShort+inviteCheck && len(b) != inviteLong+inviteCheck")
guard("oracle_The_tag_commits_to_one_key", SEAL, "internal/seal/seal.go",
      "datagram[OuterSize:], datagram[:OuterSize])", "datagram[OuterSize:], datagram[:PrefixSize+NonceSize])",
      "plain, b)", "plain, b[:PrefixSize+NonceSize])")
guard("replay_A_counter_counts_once", SEAL, "internal/seal/window.go",
      "	return w.seen[word(counter)]&bit(counter) == 0\n", "	return true\n")
guard("replay_A_recording_changes_nothing", ENGINE, RECEIVE,
      "w != nil && !w.Fresh(sender.Counter)", "false && w != nil")
guard("replay_A_recording_changes_nothing", ENGINE, RECEIVE, "w != nil && !w.Fresh(p.Counter)", "false && w != nil")
guard("roster_A_thousand_devices_a_second_are_bounded", "./internal/roster", "internal/roster/roster.go",
      "if len(current) < perSource {", "if true {")
guard("roster_A_flood_pushes_nobody_out", "./internal/roster", "internal/roster/roster.go",
      "e != nil && e.gone.IsZero() {", "e != nil && e.gone.IsZero() && false {")
guard("mdns_A_flood_leaves_room_for_others", "./internal/mdns", "internal/mdns/cache.go",
      "|| b.sources[from] >= mostPerSource", "")
guard("mdns_A_flood_leaves_room_for_others", "./internal/mdns", "internal/mdns/query.go",
      "return cmp.Compare(turn[x], turn[y])", "return 0")
guard("mdns_A_long_answer_costs_what_it_is_long", "./internal/mdns", "internal/mdns/mdns.go",
      "				flushed[q] = true\n", "				flushed[q] = true\n				b.outdate(now, q)\n")
guard("mdns_A_forged_question_is_hardly_amplified", "./internal/mdns", "internal/mdns/answer.go",
      "if r.paced.Take(now) {", "if r.paced.Take(now) || true {")
guard("mdns_A_forged_question_is_hardly_amplified", "./internal/mdns", "internal/mdns/answer.go",
      "at = speech.Later(at, o.sent[f].Add(every))", "_ = every")
for liar in ("mdns_A_liar_that_has_every_name_makes_us_slow", "mdns_A_liar_cannot_take_a_name"):
    guard(liar, "./internal/mdns", "internal/mdns/claim.go", "wait = min(conflictWait<<n, longestWait)", "wait = 0 * time.Duration(n)")
DOCUMENT = "internal/document/document.go"
guard("17_No_document_but_at_the_address_that_told", "./internal/ssdp", DOCUMENT,
      'return err == nil && addr.Unmap().WithZone("") == from.Unmap().WithZone("")', "_ = addr\n	return err == nil")
guard("17_No_metadata_but_at_the_address_that_told", "./internal/wsd", DOCUMENT,
      'return err == nil && addr.Unmap().WithZone("") == from.Unmap().WithZone("")', "_ = addr\n	return err == nil")
guard("ssdp_A_flood_leaves_room_for_others", "./internal/ssdp", "internal/ssdp/ssdp.go",
      " || s.sources[at.from] >= mostPerSource", "")
ADVERTISE, UPNP = "internal/ssdp/advertise.go", "internal/zeroconf/upnp.go"
guard("16_No_search_is_outweighed", "./internal/ssdp", ADVERTISE,
      "		if size <= len(datagram) {", "		if true {")
guard("ssdp_Searches_make_nobody_loud", "./internal/ssdp", ADVERTISE,
      "		at = speech.Later(at, d.sent[t].Add(noticeEach))\n", "		_ = noticeEach\n")
guard("ssdp_Searches_make_nobody_loud", "./internal/ssdp", ADVERTISE,
      "		if !a.group.Take(now) {", "		if a.group.Take(now); false {")
guard("ssdp_Searches_make_nobody_loud", "./internal/ssdp", ADVERTISE,
      "		if a.single.Take(now) {", "		if a.single.Take(now) || true {")
guard("14_Off_link_reads_no_description", "./internal/zeroconf", UPNP,
      "n.subnet.Contains(from.Addr().Unmap())", "from.IsValid()")
off("21_Who_reads_no_description_is_not_waited_for", "./internal/zeroconf", "internal/fair/fair.go", "f.open[from] >= f.each")
guard("21_Who_reads_no_description_is_not_waited_for", "./internal/zeroconf", UPNP, "ReadTimeout: readWithin, ", "")
guard("wsd_A_flood_leaves_room_for_others", "./internal/wsd", "internal/wsd/wsd.go",
      " || p.sources[from] >= mostPerSource", "")
guard("xml_A_description_is_no_bomb", "./internal/ssdp", DOCUMENT,
      'bytes.Contains(text, []byte("<!DOCTYPE")) ||', "")
guard("xml_A_message_is_no_bomb", "./internal/wsd", DOCUMENT,
      'bytes.Contains(text, []byte("<!DOCTYPE")) ||', "")
guard("fetch_A_document_has_limits", "./internal/zeroconf", "internal/zeroconf/host.go",
      "		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },\n", "")
guard("fetch_A_document_has_limits", "./internal/zeroconf", "internal/zeroconf/host.go",
      "io.LimitReader(response.Body, int64(limit)+1)", "response.Body", "err == nil && len(text) > limit",
      "err == nil && len(text) > 10*limit*limit")
guard("replay_A_recording_changes_nothing", ENGINE, "discovery/receive.go",
      "(p.Counter < known.counter ||", "(false ||")
guard("flood_A_noisy_member_leaves_others_served", ENGINE, "internal/engine/fair.go",
      "	if s.bytes[author] < fairShare {", "	if true {")
CHAT = "./chat"
off("claim_A_liar_silences_nobody", CHAT, "chat/anew.go",
    "s := f.skipped; s != nil && s.next <= seq && seq < f.next && seq > f.proven")
off("claim_A_liar_silences_nobody", CHAT, "chat/anew.go",
    "h := f.holders[from]; from == f.author || h == nil || h.idle < patience")
guard("claim_Heights_keep_nobody_from_streams", CHAT, "chat/bulk.go",
      "all[0].covers-all[n].covers <= all[n].covers {", "2*all[n].covers >= all[0].covers {")
guard("claim_Thousands_of_gaps_cost_little", CHAT, "chat/want.go", "return max(r.askAt, r.askRest)", "return r.askAt")
guard("claim_A_range_costs_one_look", CHAT, "chat/compare.go", " || slices.ContainsFunc(seen, here.overlaps) {", " {")
off("claim_A_full_room_refuses_cheaply", CHAT, "chat/feed.go", "r.full")
guard("claim_A_full_room_refuses_cheaply", CHAT, "chat/claim.go", "	r.full = false\n", "")
guard("fork_Few_wait_for_the_store", CHAT, "chat/fork.go", "return len(r.splits) < maxSplits && ", "return ")
guard("19_A_feed_may_begin_at_the_last_number", CHAT, "chat/fork.go",
      "int(min(f.next-min(f.next, f.high), uint64(len(f.trail))))", "int(f.next - min(f.next, f.high))")
guard("rekey_A_record_is_one_rekey", ENGINE, "chat/member.go", "if rekeyed {", "if rekeyed && false {")
guard("03_A_message_drop_by_drop_takes_no_more", ENGINE, "internal/engine/stream.go", "			if taken {",
      "			if true || taken {")
guard("confusables_Nicks_that_look_alike_are_tagged", ".", "trust.go",
      "		if other != id && (!vouched", "		if false && (!vouched")
guard("dictionary_A_private_room_has_a_drawn_secret", ".", "room.go",
      "			rand.Read(r.Secret)\n", "			copy(r.Secret, r.Name)\n			_ = rand.Reader\n")
guard("traffic_Padding_hides_sizes", SEAL, "internal/seal/seal.go",
      "	length := max(lengthSize+len(inner), size-OuterSize-chacha20poly1305.Overhead)\n",
      "	length := lengthSize + len(inner)\n")
guard("traffic_Nothing_names_a_private_room", ENGINE, "internal/engine/do.go", "		if !r.private {", "		if true {")

HOOK = "./internal/hook"
guard("exec_What_is_said_is_never_run", HOOK, "internal/hook/program.go",
      '"sh", "-c", p.Command)', '"sh", "-c", p.Command+" "+string(input))')
guard("exec_A_flood_starts_few_programs", HOOK, "internal/hook/pool.go",
      "	for range atOnce {", "	for range 100 * atOnce {")
off("exec_Bots_that_answer_each_other_have_a_pace", HOOK, "internal/hook/pool.go", "len(p.times) >= p.most")
off("hook_A_flood_is_bounded_by_the_minute", HOOK, "internal/hook/run.go", "!w.paces[i].pass(time.Now())")
guard("hook_An_address_gets_no_more_than_three_calls", HOOK, "internal/hook/webhook.go",
      "		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },\n", "")
guard("hook_An_address_gets_no_more_than_three_calls", HOOK, "internal/hook/webhook.go",
      "err == nil || lasting {", "lasting = false; err == nil || lasting {")
guard("completion_Nicks_put_nothing_into_a_shell", "./cmd/bcast", "cmd/bcast/completion.go",
      " && isPlainWord(c.word)", "")

GUEST, GUESTS = "internal/guest/guest.go", "internal/page/guests.go"
BEFORE = "guest_What_was_said_before_stays_unseen"
guard(BEFORE, ".", GUEST, "return !g.sight.shown.known[p.ID] })", "return false })")
guard(BEFORE, ".", GUEST, "!g.sight.shown.known[p.ReplyTo]", 'p.ReplyTo == "none"')
guard(BEFORE, ".", GUEST, "control.PostQuery{Since: g.sight.after, Limit: newest}", "control.PostQuery{Limit: newest}")
guard("guest_Another_room_is_not_there", ".", "internal/guest/api.go", "err == nil && room != g.room", "err == nil && false")
guard("guest_Another_room_is_not_there", ".", "internal/guest/api.go", "		if r.Name == g.room {", "		if r.Name != \"\" {")
guard("guest_What_has_ended_opens_nothing", ".", "internal/guest/door.go",
      "	delete(d.links, id)\n	gone := l.empty()", "	gone := l.empty()")
guard("guest_What_has_ended_opens_nothing", ".", "internal/guest/door.go",
      "|| !now.Before(l.Expires) {", "{", "l.secret == wanted && now.Before(l.Expires)", "l.secret == wanted && !now.IsZero()",
      "g != nil && now.Before(l.Expires)", "g != nil")
off("guest_Guests_are_bounded", ".", "internal/guest/door.go", "d.places >= maxGuests")
off("guest_Guests_are_bounded", ".", "internal/guest/door.go", "len(d.links) >= maxLinks")
off("guest_Guests_are_bounded", ".", "internal/guest/api.go", "!g.posts.take(time.Now())", case=True)
guard("guest_Every_call_is_decided", PAGE, GUESTS, '"PUT /v1/nick",', '"PUT /v1/nick", "GET /v1/peers",')
off("guest_Another_site_gets_nothing", PAGE, GUESTS, "!reached(r)")
guard("guest_Another_site_gets_nothing", PAGE, GUESTS, 'ownPage(r, "https://"); err != nil', 'ownPage(r, "https://"); err == nil && false')
off("guest_One_address_keeps_out_no_other", PAGE, "internal/fair/fair.go", "f.open[from] >= f.each")
guard("guest_Guests_are_served_over_TLS", PAGE, GUESTS, "return control.ServeBehind(ctx, secured,", "_ = secured\n	return control.ServeBehind(ctx, ln,")

guard("order_One_record_uses_up_no_order", "./chat", "internal/record/header.go",
      "if order < PlainOrder || order <= highest+orderStep {", "if order < 1<<46 {")
REKEY, MEMBER = "chat/rekey.go", "chat/member.go"
guard("rekey_A_join_from_the_future_keeps_nobody_in", ENGINE, MEMBER, "return m.out == 0 && (", "return (")
guard("rekey_Of_two_at_once_the_stricter_decides", ENGINE, REKEY, "before.barred, before.leaks = true, before.leaks || k.secret != before.secret", "_ = k.secret")
guard("rekey_Who_is_being_shut_out_wins_nothing", ENGINE, REKEY, "before.struck = true", "before.struck = false")
guard("rekey_A_public_namesake_makes_no_member", ENGINE, "internal/engine/scope.go",
      "inRoom := !r.private && ", "inRoom := ")
guard("rekey_Nobody_is_shut_out_of_a_public_room", ENGINE, "internal/engine/scope.go",
      "	if r.changesKeys() {\n		cfg.Rekey", "	if true {\n		cfg.Rekey")
guard("rekey_Of_who_was_shut_out_later_it_counts", ENGINE, REKEY, "epoch < m.out || ", "")
guard("rekey_Many_let_nobody_in_again", ENGINE, REKEY, "		r.outlast(r.rekeys[0])\n", "")
guard("rekey_Of_who_came_back_it_counts", ENGINE, REKEY, " || r.cfg.Holds != nil && r.cfg.Holds(data)", "")
guard("rekey_Of_who_came_back_it_counts", ENGINE, REKEY, " && !before.invited", "")

CI = ["TestADV_03_Wrong_signatures_have_a_budget", "TestADV_16_No_answer_outweighs_its_question",
      "TestADV_23_Every_bit_of_a_datagram_counts", "TestADV_36_A_forgery_moves_no_counter",
      "TestADV_34_A_handshake_has_a_deadline"]


def build(scratch, number, entry):
    """The flags and the directory with which the test is run without its guard."""
    simpatch.PATCHES[entry["test"]] = entry["patches"]
    overlay = simpatch.overlay(os.path.join(scratch, str(number)), [entry["test"]])
    if entry["package"] == ".":
        tree = os.path.join(scratch, f"tree{number}")
        shutil.copytree(simpatch.ROOT, tree, ignore=shutil.ignore_patterns(".git"))
        with open(overlay, encoding="utf-8") as file:
            for name, patched in json.load(file)["Replace"].items():
                shutil.copy(patched, os.path.join(tree, os.path.relpath(name, simpatch.ROOT)))
        return [], tree
    return ["-overlay", overlay], simpatch.ROOT


def run(scratch, number, entry):
    flags, where = build(scratch, number, entry)
    done = subprocess.run(
        ["go", "test", "-vet=off", "-count=1", "-timeout", "60s", *flags, "-run", f"^{entry['test']}$",
         entry["package"]],
        cwd=where, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if done.returncode == 0:
        verdict, fails = "PASSES WITHOUT ITS GUARD", False
    elif "build failed" in output or "setup failed" in output:
        verdict, fails = "DOES NOT BUILD: " + output[:600], False
    else:
        verdict, fails = "fails without its guard", True
    print(f"{'ok  ' if fails else 'FAIL'} {entry['test']:<55} {entry['patches'][0][0]}: {verdict}", flush=True)
    return fails


def fit():
    """That a guard or a planted bug does not follow the code any more is to be found here, not at night."""
    for entry in GUARDS:
        simpatch.patch({}, entry["test"], entry["patches"])
    for name, patches in simpatch.PATCHES.items():
        simpatch.patch({}, name, patches)


def main(names):
    if names == ["--list"]:
        for entry in GUARDS:
            print(entry["test"], entry["package"], *(patch[0] for patch in entry["patches"]))
        return 0
    wanted = CI if names == ["ci"] else names or ["TestADV"]
    chosen = [entry for entry in GUARDS if any(entry["test"].startswith(name) for name in wanted)]
    if names == ["ci"]:
        fit()
        first = {}
        for entry in chosen:
            first.setdefault(entry["test"], entry)
        chosen = list(first.values())
    with tempfile.TemporaryDirectory() as scratch:
        results = [run(scratch, number, entry) for number, entry in enumerate(chosen)]
    print(f"{sum(results)} of {len(results)} tests fail without their guards")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
