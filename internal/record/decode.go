package record

import "unicode/utf8"

// decodePlain reads the bodies that there are most of: posts that have a kind and a text, encoded as EncodePosts does.
// What it does not know is not wrong, but for the decoder that takes everything: a reflecting one, which takes ten
// times as long. The two agree on all that this one takes (FuzzPosts).
// The texts are parts of whole, which is body as a string; known tells that kindsOf has taken it.
func decodePlain(body []byte, whole string, known bool) ([]Post, bool) {
	n, rest, ok := cborHead(body, 0x80)
	if !ok || n == 0 || n > MaxPosts {
		return nil, false
	}
	posts := make([]Post, n)
	for i := range posts {
		kind, text, after, ok := plainPost(rest)
		if !ok || !known && !utf8.Valid(text) {
			return nil, false
		}
		end := len(body) - len(after)
		posts[i].Kind, posts[i].Text = kind, whole[end-len(text):end]
		rest = after
	}
	return posts, len(rest) == 0
}

// encodePlain makes the bodies that decodePlain reads, the same bytes as the encoder that takes everything.
func encodePlain(posts []Post) ([]byte, bool) {
	size := 2
	for i := range posts {
		p := &posts[i]
		if p.Kind == 0 || p.Kind > 0x17 || p.Text == "" || p.Target != (Ref{}) || p.Nick != "" || len(p.Data) > 0 {
			return nil, false
		}
		size += p.size()
	}
	if size > MaxBody {
		return nil, false
	}
	b := appendHead(make([]byte, 0, size), 0x80, len(posts))
	for i := range posts {
		p := &posts[i]
		b = append(b, 0xa2, 0x00, byte(p.Kind), 0x01)
		b = append(appendHead(b, 0x60, len(p.Text)), p.Text...)
	}
	return b, true
}

// appendHead appends the shortest form of the head of an item, with an argument of at most 16 bits.
func appendHead(b []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	}
	return append(b, major|25, byte(n>>8), byte(n))
}

// kindsOf is what kinds of posts there are, a bit each, if decodePlain takes body.
func kindsOf(body []byte) (kinds uint32, ok bool) {
	n, rest, ok := cborHead(body, 0x80)
	if !ok || n == 0 || n > MaxPosts {
		return 0, false
	}
	for range n {
		kind, text, after, ok := plainPost(rest)
		if !ok || !utf8.Valid(text) {
			return 0, false
		}
		kinds |= 1 << kind
		rest = after
	}
	return kinds, len(rest) == 0
}

// plainPost reads one post that has a kind of ours and a text.
func plainPost(b []byte) (kind Kind, text, rest []byte, ok bool) {
	if len(b) < 4 || b[0] != 0xa2 || b[1] != 0x00 || b[2] == 0 || b[2] > 0x17 || b[3] != 0x01 {
		return 0, nil, nil, false
	}
	size, text, ok := cborHead(b[4:], 0x60)
	if !ok || size == 0 || size > MaxText || size > len(text) {
		return 0, nil, nil, false
	}
	return Kind(b[2]), text[:size], text[size:], true
}

// cborHead reads the shortest form of the head of an item of that major type, with an argument of at most 16 bits (RFC
// 8949, 3 and 4.2.1).
func cborHead(b []byte, major byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != major {
		return 0, nil, false
	}
	switch short := b[0] & 0x1f; {
	case short < 24:
		return int(short), b[1:], true
	case short == 24 && len(b) >= 2 && b[1] >= 24:
		return int(b[1]), b[2:], true
	case short == 25 && len(b) >= 3 && b[1] != 0:
		return int(b[1])<<8 | int(b[2]), b[3:], true
	}
	return 0, nil, false
}
