package lan

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watch announces an event whenever links, IPv4 addresses or IPv4 routes change, until ctx ends. Where the kernel's
// announcements may not be heard (Android, some sandboxes), it polls.
func watch(ctx context.Context, events chan<- struct{}) {
	f, err := openRouteSocket()
	if err != nil {
		poll(ctx, events)
		return
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	announce(events) // something may have changed before the socket was there
	for b := make([]byte, 8<<10); ; {
		// What the message says does not matter: it is no snapshot, and all of them are read anew. ENOBUFS tells that
		// some were lost, which is an event as well.
		if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ENOBUFS) {
			break
		}
		announce(events)
	}
	poll(ctx, events) // returns at once if ctx ended the loop
}

// openRouteSocket subscribes to the kernel's announcements: rtnetlink(7). As a non-blocking file it waits in the
// runtime's poller and costs nothing while nothing changes.
func openRouteSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route socket: %w", err)
	}
	groups := unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: uint32(groups)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to changes: %w", err)
	}
	return os.NewFile(uintptr(fd), "route socket"), nil
}
