package seal

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"bcast/identity"
)

// Invite is what lets a device into a private room. It is a secret: only Text gives it away, and neither it nor a piece
// of it is in an error.
//
// After a rekey it carries the room's first secret, which names the room, and the keys of today. It does not carry the
// epochs between: who joins by it reads nothing that was recorded from the air under those. But the members answer its
// questions like anybody's, and what they have kept, they serve; so an invite invites to the history as well.
type Invite struct {
	Name        identity.RoomName
	Secret      Secret // the first one, of epoch 0
	Ephemeral   bool   // nothing of the room is stored
	Epoch       uint32 // the current one; 0: the room was never rekeyed
	EpochSecret Secret // of Epoch, when that is not 0
}

const (
	invitePrefix   = "bcast:1:"
	inviteCheck    = 2 // bytes: one typing error in 65,536 passes
	inviteShort    = 1 + len(Secret{})
	inviteLong     = inviteShort + 4 + len(Secret{})
	flagEphemeral  = 1
	flagRekeyed    = 2
	flagsOfInvites = flagEphemeral | flagRekeyed
)

// inviteEncoding is that of ids: to be read aloud, typed and put into a QR code.
var inviteEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var maxInvite = len(invitePrefix) + identity.MaxRoomName + 1 + inviteEncoding.EncodedLen(inviteLong+inviteCheck)

// Errors of invites are fixed texts: whatever was typed may be the secret, in the wrong place, too.
var (
	errInviteForm     = errors.New("invite: not of the form " + invitePrefix + "ROOM#SECRET")
	errInviteName     = errors.New("invite: the room name is not allowed or not in its normal form")
	errInviteLong     = errors.New("invite: longer than any invite")
	errInviteLength   = errors.New("invite: the part behind # has not the length of one; it may have been cut off")
	errInviteEncoding = errors.New("invite: the part behind # is not lower-case base32")
	errInviteCheck    = errors.New("invite: the check does not fit; there is a typing error in it")
	errInviteFlags    = errors.New("invite: made by a later version of bcast")
	errInviteSecret   = errors.New("invite: an empty secret or key epoch")
)

// Text is the invite as it is given to people: bcast:1:ROOM#SECRET. It is the secret; show it to nobody else.
func (i Invite) Text() string {
	flags := byte(0)
	if i.Ephemeral {
		flags |= flagEphemeral
	}
	if i.Epoch > 0 {
		flags |= flagRekeyed
	}
	b := append([]byte{flags}, i.Secret[:]...)
	if i.Epoch > 0 {
		b = binary.BigEndian.AppendUint32(b, i.Epoch)
		b = append(b, i.EpochSecret[:]...)
	}
	b = append(b, checkInvite(i.Name, b)...)
	return invitePrefix + string(i.Name) + "#" + inviteEncoding.EncodeToString(b)
}

// checkInvite finds typing errors, in the name as well. It is no protection against who makes invites.
func checkInvite(name identity.RoomName, b []byte) []byte {
	sum := sha256.Sum256([]byte("bcast/1 invite\x00" + string(name) + "\x00" + string(b)))
	return sum[:inviteCheck]
}

// ParseInvite reads what Text wrote, with or without white space around it.
func ParseInvite(s string) (Invite, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxInvite {
		return Invite{}, errInviteLong
	}
	rest, ours := strings.CutPrefix(s, invitePrefix)
	text, code, hash := strings.Cut(rest, "#")
	if !ours || !hash {
		return Invite{}, errInviteForm
	}
	name, err := identity.NormalRoomName(text)
	if err != nil {
		return Invite{}, errInviteName
	}
	b, err := inviteEncoding.DecodeString(code)
	if err != nil || inviteEncoding.EncodeToString(b) != code { // the decoder ignores line ends and spare bits
		return Invite{}, errInviteEncoding
	}
	if len(b) != inviteShort+inviteCheck && len(b) != inviteLong+inviteCheck {
		return Invite{}, errInviteLength
	}
	b, check := b[:len(b)-inviteCheck], b[len(b)-inviteCheck:]
	if string(check) != string(checkInvite(name, b)) {
		return Invite{}, errInviteCheck
	}
	return parseInviteBytes(name, b)
}

// parseInviteBytes reads what is behind the # and fits its check. Its length is that of one of the two forms.
func parseInviteBytes(name identity.RoomName, b []byte) (Invite, error) {
	flags := b[0]
	i := Invite{Name: name, Secret: Secret(b[1:inviteShort]), Ephemeral: flags&flagEphemeral != 0}
	rekeyed := len(b) == inviteLong
	switch {
	case flags&^flagsOfInvites != 0:
		return Invite{}, errInviteFlags
	case rekeyed != (flags&flagRekeyed != 0):
		return Invite{}, errInviteLength
	case rekeyed:
		i.Epoch = binary.BigEndian.Uint32(b[inviteShort:])
		i.EpochSecret = Secret(b[inviteShort+4:])
	}
	if i.Secret == (Secret{}) || rekeyed && (i.Epoch == 0 || i.EpochSecret == (Secret{})) {
		return Invite{}, errInviteSecret
	}
	return i, nil
}

// String keeps the invite out of logs and error texts.
func (Invite) String() string { return "[redacted]" }

// GoString keeps the invite out of %#v.
func (i Invite) GoString() string { return i.String() }

// Format keeps the invite out of every other verb.
func (i Invite) Format(f fmt.State, _ rune) { io.WriteString(f, i.String()) }

// MarshalText keeps the invite out of JSON, and so out of JSON logs.
func (i Invite) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
