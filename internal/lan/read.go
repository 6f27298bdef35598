package lan

// reader hands up what one socket receives.
type reader struct {
	link    *Link
	source  *source
	shared  bool
	lost    uint32 // of source, as counted last
	store   []Datagram
	waiting []Datagram // part of store not yet handed up
}

// Readers returns one function per socket, the shared one first, for one goroutine each. A function blocks until
// datagrams are there, fills ms from the front and returns how many they are, at least one unless ms is empty. Data
// belongs to the function: it is valid until the same function is called again. The error is net.ErrClosed after
// Close; any other one means that the socket is broken.
func (l *Link) Readers() []func(ms []Datagram) (int, error) {
	var functions []func([]Datagram) (int, error)
	for _, r := range l.readers {
		functions = append(functions, r.read)
	}
	return functions
}

func (r *reader) read(ms []Datagram) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	for len(r.waiting) == 0 {
		if err := r.refill(); err != nil {
			return 0, err
		}
	}
	n := copy(ms, r.waiting)
	r.waiting = r.waiting[n:]
	return n, nil
}

// refill overwrites the buffers: nothing may be waiting.
func (r *reader) refill() error {
	got, err := r.source.read(r.store[:0])
	if err != nil {
		return err
	}
	if lost := r.source.lost - r.lost; lost > 0 {
		r.link.drops[dropRecvQueueFull].Add(uint64(lost))
		r.lost = r.source.lost
	}
	t := r.link.table.Load()
	r.store, r.waiting = got, got[:0]
	for n := range got {
		if !t.admit(&got[n], r.shared) {
			r.link.drops.add(dropIfaceUnused)
			continue
		}
		r.waiting = append(r.waiting, got[n])
	}
	return nil
}
