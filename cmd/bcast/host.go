package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
	"bcast/internal/doctor"
	"bcast/internal/lan"
)

const (
	// toolTime bounds each tool that tells the rules of a firewall; one that hangs is one that did not tell.
	toolTime = 2 * time.Second
	// maxToolText is how much of what it prints is read.
	maxToolText = 8 << 20
)

// tools tell the rules of firewalls. None of them changes anything.
var tools = map[string][]string{
	"nft": {"nft", "-j", "list", "ruleset"}, "iptables": {"iptables", "-S"}, "ufw": {"ufw", "status", "verbose"},
	"firewalld": {"firewall-cmd", "--list-all"},
}

// lookAtHost sees what no participant tells: for as long as it takes to listen, all that passes by.
func lookAtHost(ctx context.Context, port int, listen time.Duration) doctor.Host {
	h := doctor.Host{
		Root: os.Geteuid() == 0, Tools: map[string]doctor.Output{}, Bridges: bridges(),
		RmemMax: numberIn("/proc/sys/net/core/rmem_max"),
		NfCall:  numberIn("/proc/sys/net/bridge/bridge-nf-call-iptables") == 1,
	}
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			h.Container = true
		}
	}
	for _, holder := range lan.Holders(port) {
		if holder.PID != os.Getpid() {
			h.Holders = append(h.Holders, doctor.Holder{PID: holder.PID, Name: holder.Name})
		}
	}
	var looking sync.WaitGroup
	looking.Go(func() { h.Overheard, h.Listened = overhear(ctx, port, listen) })
	var mu sync.Mutex
	for name, words := range tools {
		looking.Go(func() {
			if output, there := runTool(ctx, words); there {
				mu.Lock()
				defer mu.Unlock()
				h.Tools[name] = output
			}
		})
	}
	looking.Wait()
	return h
}

func overhear(ctx context.Context, port int, listen time.Duration) ([]doctor.Frame, bool) {
	ctx, stop := context.WithTimeout(ctx, listen)
	defer stop()
	heard, err := lan.Overhear(ctx, port)
	var frames []doctor.Frame
	for _, o := range heard {
		if i, err := net.InterfaceByIndex(o.Iface); err == nil {
			frames = append(frames, doctor.Frame{Iface: i.Name, From: o.From, To: o.To})
		}
	}
	return frames, err == nil
}

// runTool runs a tool that may be there, also where only root's path leads to it.
func runTool(ctx context.Context, words []string) (output doctor.Output, there bool) {
	path, err := exec.LookPath(words[0])
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, words[0]))
		}
	}
	if err != nil {
		return output, false
	}
	ctx, stop := context.WithTimeout(ctx, toolTime)
	defer stop()
	cmd := exec.CommandContext(ctx, path, words[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = toolTime
	text, err := cmd.Output()
	switch {
	case err == nil && len(text) <= maxToolText:
		return doctor.Output{Text: string(text)}, true
	case err == nil:
		return doctor.Output{Failed: "too many rules"}, true
	}
	failed := err.Error()
	if exited, ok := err.(*exec.ExitError); ok && len(exited.Stderr) > 0 {
		failed, _, _ = strings.Cut(strings.TrimSpace(string(exited.Stderr)), "\n")
	}
	return doctor.Output{Failed: failed}, true
}

// bridges are those of this host, with what they do with multicasts.
func bridges() []doctor.Bridge {
	dirs, _ := filepath.Glob("/sys/class/net/*/bridge")
	var all []doctor.Bridge
	for _, dir := range dirs {
		all = append(all, doctor.Bridge{
			Name:     filepath.Base(filepath.Dir(dir)),
			Snooping: numberIn(filepath.Join(dir, "multicast_snooping")) == 1,
			Querier:  numberIn(filepath.Join(dir, "multicast_querier")) == 1,
		})
	}
	return all
}

// routes asks the kernel where it would send to somebody in each subnet.
func routes(ifaces []control.Interface) []doctor.Route {
	var all []doctor.Route
	for _, i := range ifaces {
		for _, text := range i.Addrs {
			p, err := netip.ParsePrefix(text)
			if err != nil || !i.Used || i.Link == "loopback" || p.Bits() > 30 {
				continue
			}
			to := p.Masked().Addr().Next()
			if to == p.Addr() {
				to = to.Next()
			}
			all = append(all, doctor.Route{Iface: i.Name, To: to, Source: lan.SourceFor(to)})
		}
	}
	return all
}

// numberIn reads a file that holds one; 0 where there is none.
func numberIn(path string) int {
	text, _ := os.ReadFile(path)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
