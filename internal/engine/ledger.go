package engine

import (
	"slices"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/record"
)

// maxSaid is how many posts that were said in several scopes are remembered as one: as many as are told of.
const maxSaid = 64

// Ledger is against whom a record of a joined room counts, and who is known to have it. The roster is known for own
// records that are not too old; for others the store may know it. What was said in several scopes counts against those
// of the first, wherever they have it.
func (e *Engine) Ledger(name identity.RoomName, entry record.Entry) (roster, have []identity.DeviceID, known bool) {
	r := e.rooms[name]
	if r == nil {
		return nil, nil, false
	}
	for _, entry := range r.saidAs(entry) {
		for _, s := range r.scopes {
			if members, here := s.chat.Roster(entry.Header.Feed, entry.Header.Seq); here && !known {
				roster, known = members, true
			}
			have = append(have, s.chat.Holders(entry.Chain(), entry.Header.Seq)...)
		}
	}
	slices.SortFunc(have, identity.DeviceID.Compare)
	return roster, slices.Compact(have), known
}

// saidTogether remembers records that say one post, each in a scope.
func (r *room) saidTogether(ids []record.ID) {
	if len(ids) < 2 {
		return
	}
	if r.said = append(r.said, ids); len(r.said) > maxSaid {
		r.said = slices.Delete(r.said, 0, 1)
	}
}

// saidAs are the records that say what entry says, the one of the first scope first.
func (r *room) saidAs(entry record.Entry) []record.Entry {
	i := slices.IndexFunc(r.said, func(ids []record.ID) bool { return slices.Contains(ids, entry.ID) })
	if i < 0 {
		return []record.Entry{entry}
	}
	var all []record.Entry
	for _, id := range r.said[i] {
		for _, s := range r.scopes {
			if same, known := s.chat.Watched(id); known {
				all = append(all, same)
				break
			}
		}
	}
	if len(all) == 0 {
		return []record.Entry{entry}
	}
	return all
}

// counted is a Received event as it is to be told: of the post as it was said first, with all that have it.
func (e *Engine) counted(r *room, ev chat.Event) chat.Event {
	same := r.saidAs(record.Entry{Record: ev.Record, Branch: ev.Branch})
	if len(same) < 2 {
		return ev
	}
	roster, holders, _ := e.Ledger(r.name, same[0])
	ev.Record, ev.Branch = same[0].Record, same[0].Branch
	ev.Members, ev.Have, ev.Missing = len(roster), 0, nil
	for _, id := range roster {
		if _, has := slices.BinarySearchFunc(holders, id, identity.DeviceID.Compare); has {
			ev.Have++
		} else if len(ev.Missing) < chat.MaxMissing {
			ev.Missing = append(ev.Missing, id)
		}
	}
	return ev
}
