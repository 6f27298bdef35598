package lan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watch announces an event whenever links, addresses or IPv4 routes change, or the host wakes up, until ctx ends.
// Where the kernel's announcements may not be heard (Android, some sandboxes), it polls.
func watch(ctx context.Context, events chan<- struct{}) {
	var clock sync.WaitGroup
	defer clock.Wait()
	clock.Go(func() { watchClock(ctx, events) })
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
	groups := unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: uint32(groups)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to changes: %w", err)
	}
	return os.NewFile(uintptr(fd), "route socket"), nil
}

// watchClock announces an event whenever the wall clock jumps, as it does when the host wakes up, until ctx ends. It
// costs nothing in between. Where the kernel refuses, sleep is noticed by the next look at the interfaces.
func watchClock(ctx context.Context, events chan<- struct{}) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "clock")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	for b := make([]byte, 8); ; {
		if err := armClock(f); err != nil {
			return
		}
		// The timer is never meant to expire: what is waited for is that the kernel cancels it (timerfd_create(2)).
		if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ECANCELED) {
			return
		}
		announce(events)
	}
}

// clockFor is how far ahead the timer of watchClock is set.
const clockFor = 24 * time.Hour

func armClock(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		far := unix.ItimerSpec{Value: unix.NsecToTimespec(time.Now().Add(clockFor).UnixNano())}
		failed = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &far, nil)
	})
	return errors.Join(err, failed)
}

// asleep is how long the host has slept since it started: what CLOCK_BOOTTIME counts and CLOCK_MONOTONIC does not, by
// which Go's clock goes.
func asleep() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
