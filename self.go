package bcast

import (
	"crypto/rand"
	"os"

	"bcast/identity"
	"bcast/internal/home"
)

// Self is who a device is to others.
type Self struct {
	ID   string `json:"id"`
	Nick string `json:"nick"`
	Tag  string `json:"tag"`
}

// Identify reads from a home who its device is, without taking part; the first use of a home makes the key. Errors are
// those of Start that concern the home.
func Identify(dir string) (Self, error) {
	h, err := home.Open(dir, rand.Reader)
	if err != nil {
		return Self{}, homeError(dir, err)
	}
	defer h.Close()
	nick, err := chooseNick("", h.Nick())
	if err != nil {
		return Self{}, err
	}
	id := h.Key().ID()
	return Self{ID: id.String(), Nick: string(nick), Tag: id.Tag()}, nil
}

func chooseNick(wanted string, remembered identity.Nick) (identity.Nick, error) {
	if wanted != "" {
		nick, err := identity.ParseNick(wanted)
		return nick, invalid(err, "")
	}
	if remembered != "" { // in a file that people can write to
		return identity.NickFrom(string(remembered)), nil
	}
	if user := os.Getenv("USER"); user != "" {
		return identity.NickFrom(user), nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return identity.NickFrom(host), nil
}
