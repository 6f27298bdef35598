package main

import (
	"fmt"
	"strconv"
	"strings"

	"bcast"
	"bcast/internal/control"
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
			if err != nil {
				return err
			}
			cfg.Rooms = append(cfg.Rooms, room)
		}
		return nil
	}},
	{"broadcast-budget", "", "", func(cfg *bcast.Config, text string) (err error) {
		if text != "" {
			cfg.BroadcastBudget, err = number(text, 1, 1<<30)
		}
		return err
	}},
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
