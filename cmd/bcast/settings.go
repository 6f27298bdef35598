package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/irc"
	"bcast/internal/page"
)

const (
	defaultPort   = 27474
	minRecvBuffer = 16
	maxRecvBuffer = 65535
)

// setting is one choice of the daemon: a flag, else the environment, else the default. No other command looks at these
// variables: a shell in which BCAST_PORT is set for a daemon must not move `bcast recvfrom`.
type setting struct {
	name, env, value string
	apply            func(cfg *bcast.Config, text string) error
}

var daemonSettings = []setting{
	{"nick", "BCAST_NICK", "", func(cfg *bcast.Config, text string) (err error) {
		if text != "" {
			cfg.Nick, err = parseNick(text)
		}
		return err
	}},
	{"iface", "BCAST_IFACE", "", func(cfg *bcast.Config, text string) error {
		cfg.Ifaces = words(text)
		return nil
	}},
	{"port", "BCAST_PORT", strconv.Itoa(defaultPort), func(cfg *bcast.Config, text string) (err error) {
		cfg.Port, err = number(text, 1, 65535)
		return err
	}},
	{"recv-buffer", "BCAST_RECV_BUFFER", strconv.Itoa(maxRecvBuffer), func(cfg *bcast.Config, text string) (err error) {
		cfg.RecvBuffer, err = number(text, minRecvBuffer, maxRecvBuffer)
		return err
	}},
	{"room", "BCAST_ROOMS", "", func(cfg *bcast.Config, text string) error {
		for _, word := range words(text) {
			room, err := parseRoom(word)
			if err == nil && strings.HasPrefix(room, "@") {
				err = usageError(fmt.Sprintf("room %q: nobody is met yet when a daemon starts", room), "bcast join --detach "+room)
			}
			if err != nil {
				return err
			}
			cfg.Rooms = append(cfg.Rooms, room)
		}
		return nil
	}},
	{"durability", "BCAST_DURABILITY", "normal", func(cfg *bcast.Config, text string) error {
		cfg.Durability = text
		return checkDurability(text)
	}},
	{"link", "BCAST_LINK", "auto", func(cfg *bcast.Config, text string) error {
		if cfg.Link = text; text != "auto" && text != "wired" && text != "wifi" {
			return fmt.Errorf("%q is neither auto, wired nor wifi", text)
		}
		return nil
	}},
	{"mdns", "BCAST_MDNS", bcast.MDNSOn, func(cfg *bcast.Config, text string) error {
		if cfg.MDNS = text; text != bcast.MDNSOn && text != bcast.MDNSServices && text != bcast.MDNSOff {
			return fmt.Errorf("%q is neither on, services nor off", text)
		}
		return nil
	}},
	{"ssdp", "BCAST_SSDP", bcast.SSDPServices, func(cfg *bcast.Config, text string) error {
		if cfg.SSDP = text; text != bcast.SSDPServices && text != bcast.SSDPOff {
			return fmt.Errorf("%q is neither services nor off", text)
		}
		return nil
	}},
	{"http", "BCAST_HTTP", "", func(_ *bcast.Config, text string) error { // the daemon's affair, not its node's
		if text == "" {
			return nil
		}
		return page.CheckForm(text) // whether others may reach it depends on --guests
	}},
	{"guests", "BCAST_GUESTS", "", yesOrNo}, // the daemon's affair, not its node's
	{"watch", "BCAST_WATCH", "", yesOrNo},   // hooks may ask for it, too
	{"irc", "BCAST_IRC", "", func(_ *bcast.Config, text string) error { // the daemon's affair, not its node's
		if text == "" {
			return nil
		}
		_, err := irc.CheckAddr(text)
		return err
	}},
	{"irc-password-file", "BCAST_IRC_PASSWORD_FILE", "", anyFile},
	{"irc-cert", "", "", anyFile},
	{"irc-key", "", "", anyFile},
	{"broadcast-budget", "", "", func(cfg *bcast.Config, text string) (err error) {
		if text != "" {
			cfg.BroadcastBudget, err = number(text, 1, 1<<30)
		}
		return err
	}},
}

// anyFile takes the name of a file that is read when it is needed.
func anyFile(*bcast.Config, string) error { return nil }

// yesOrNo checks a setting that is true or false, or not given.
func yesOrNo(_ *bcast.Config, text string) error {
	if _, err := strconv.ParseBool(text); err != nil && text != "" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

// wanted tells whether a setting that is true or false is true.
func wanted(text string) bool {
	yes, _ := strconv.ParseBool(text)
	return yes
}

// resolve works out the daemon's configuration and where each value came from. flag tells whether a flag was given.
func resolve(flag func(name string) (string, bool), getenv func(string) string) (
	cfg bcast.Config, settings []control.Setting, err error) {
	for _, s := range daemonSettings {
		value, from, source := s.value, "default", "--"+s.name
		if text, given := flag(s.name); given {
			value, from = text, "flag"
		} else if text := s.fromEnv(getenv); text != "" {
			value, from, source = text, "env", s.env
		}
		if err := s.apply(&cfg, value); err != nil {
			return cfg, nil, usageError(fmt.Sprintf("%s %s", source, err), "")
		}
		settings = append(settings, control.Setting{Name: s.name, Value: value, From: from})
	}
	return cfg, settings, nil
}

// chosen is the value of a setting.
func chosen(settings []control.Setting, name string) string {
	for _, s := range settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// became writes into settings which address it is that was listened on: port 0 is any free one.
func became(settings []control.Setting, name string, addr net.Addr) {
	for i := range settings {
		if settings[i].Name == name {
			settings[i].Value = addr.String()
		}
	}
}

func checkDurability(text string) error {
	if text != "normal" && text != "full" {
		return fmt.Errorf("%q is neither normal nor full", text)
	}
	return nil
}

func (s setting) fromEnv(getenv func(string) string) string {
	if s.env == "" {
		return ""
	}
	return getenv(s.env)
}

// words splits a list at commas.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not a number within %d to %d", text, low, high)
	}
	return n, nil
}

// attribute tells of each setting in force where it came from. The node knows the values and what its home holds, the
// command line which of them were asked for.
func attribute(inForce, asked []control.Setting) []control.Setting {
	var list []control.Setting
	known := map[string]bool{}
	for _, s := range inForce {
		for _, wish := range asked {
			if wish.Name == s.Name && wish.From != "default" {
				s.From = wish.From
			}
		}
		known[s.Name] = true
		list = append(list, s)
	}
	for _, wish := range asked {
		if !known[wish.Name] {
			list = append(list, wish)
		}
	}
	return list
}
