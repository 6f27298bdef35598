package lan

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is one datagram of recvmmsg and sendmmsg as the kernel lays it out: struct mmsghdr, recvmmsg(2).
type message struct {
	header unix.Msghdr
	size   uint32 // of what came or went
}

// sockaddr is an address of either family as the kernel lays it out.
type sockaddr struct {
	unix.RawSockaddrInet6        // the longer one: the family, and of IPv6 all of it
	size                  uint32 // bytes of it that count
}

// put makes a an address and port; of a link-local one iface is where it is.
func (a *sockaddr) put(to netip.AddrPort, iface int) {
	if to.Addr().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.RawSockaddrInet6))
		*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4(), Port: networkOrder(to.Port())}
		a.size = unix.SizeofSockaddrInet4
		return
	}
	a.RawSockaddrInet6 = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Addr: to.Addr().As16(), Port: networkOrder(to.Port()), Scope_id: uint32(iface),
	}
	a.size = unix.SizeofSockaddrInet6
}

// addrPort is what the kernel wrote; of a link-local address without its zone.
func (a *sockaddr) addrPort() netip.AddrPort {
	if a.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.RawSockaddrInet6))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), networkOrder(four.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), networkOrder(a.Port))
}

// set has m carry data, from or to an address, with control messages.
func (m *message) set(addr *sockaddr, data []byte, vector *unix.Iovec, oob []byte) {
	vector.Base = unsafe.SliceData(data)
	vector.SetLen(len(data))
	m.gather(addr, unsafe.Slice(vector, 1), oob)
}

// gather has m carry what vectors hold in a row.
func (m *message) gather(addr *sockaddr, vectors []unix.Iovec, oob []byte) {
	m.header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&addr.RawSockaddrInet6)), Namelen: addr.size}
	m.header.Iov = unsafe.SliceData(vectors)
	m.header.SetIovlen(len(vectors))
	if len(oob) > 0 {
		m.header.Control = unsafe.SliceData(oob)
		m.header.SetControllen(len(oob))
	}
}

// multiple is recvmmsg or sendmmsg on a socket that does not block; it tells how many messages were taken. A brief call
// is not told to the scheduler: only for what takes microseconds.
func multiple(trap, fd uintptr, msgs []message, flags int, brief bool) (int, syscall.Errno) {
	call := unix.Syscall6
	if brief {
		call = unix.RawSyscall6
	}
	for {
		n, _, errno := call(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(msgs))), uintptr(len(msgs)),
			uintptr(flags), 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Waiting tells whether a datagram waits that no function of Readers has taken yet. It costs a brief system call.
func (l *Link) Waiting() bool {
	return waits(l.raws, nil)
}

// waits asks the kernel for all sockets at once, each held open meanwhile. A closed one has nothing.
func waits(raws []syscall.RawConn, fds []unix.PollFd) (ready bool) {
	if len(raws) == 0 {
		var none unix.Timespec
		n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))),
			uintptr(len(fds)), uintptr(unsafe.Pointer(&none)), 0, 0, 0)
		return errno == 0 && n > 0
	}
	_ = raws[0].Control(func(fd uintptr) {
		ready = waits(raws[1:], append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}))
	})
	return ready
}

// networkOrder turns a port from the kernel's byte order in an address into ours, or back.
func networkOrder(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
