package main

import (
	"slices"
	"testing"

	"bcast/internal/control"
)

func TestSettingsComeFromFlagThenEnvironmentThenDefault(t *testing.T) {
	flags := map[string]string{"port": "5000", "room": "lobby,#Dev"}
	env := map[string]string{"BCAST_PORT": "6000", "BCAST_NICK": "alice", "BCAST_IFACE": "eth*,wlan0"}
	cfg, settings, err := resolve(func(name string) (string, bool) {
		text, given := flags[name]
		return text, given
	}, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port != 5000 || cfg.Nick != "alice" || cfg.RecvBuffer != 65535 || cfg.BroadcastBudget != 0 ||
		!slices.Equal(cfg.Ifaces, []string{"eth*", "wlan0"}) || !slices.Equal(cfg.Rooms, []string{"lobby", "dev"}) {
		t.Errorf("got %+v", cfg)
	}
	want := []control.Setting{{Name: "nick", Value: "alice", From: "env"}, {Name: "iface", Value: "eth*,wlan0", From: "env"},
		{Name: "port", Value: "5000", From: "flag"}, {Name: "recv-buffer", Value: "65535", From: "default"},
		{Name: "room", Value: "lobby,#Dev", From: "flag"},
		{Name: "durability", Value: "normal", From: "default"}, {Name: "link", Value: "auto", From: "default"},
		{Name: "mdns", Value: "on", From: "default"}, {Name: "ssdp", Value: "services", From: "default"},
		{Name: "http", From: "default"}, {Name: "guests", From: "default"}, {Name: "watch", From: "default"}, {Name: "irc", From: "default"}, {Name: "irc-password-file", From: "default"},
		{Name: "irc-cert", From: "default"}, {Name: "irc-key", From: "default"},
		{Name: "broadcast-budget", Value: "", From: "default"}}
	if !slices.Equal(settings, want) {
		t.Errorf("got %+v\nwant %+v", settings, want)
	}
}

func TestAttribute(t *testing.T) {
	got := attribute(
		[]control.Setting{{Name: "nick", Value: "bob", From: "home"}, {Name: "port", Value: "5000", From: "flag"}},
		[]control.Setting{{Name: "nick", From: "default"}, {Name: "port", Value: "5000", From: "env"}, {Name: "home", Value: "/x", From: "env"}})
	want := []control.Setting{{Name: "nick", Value: "bob", From: "home"}, {Name: "port", Value: "5000", From: "env"},
		{Name: "home", Value: "/x", From: "env"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
