package control

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// ListenTCP opens addr for a face other than the control socket. An IPv4 address is of IPv4 alone: 0.0.0.0 would be all
// of IPv6, too. The error begins with what was to be done there, such as "serve the page on", and has the hint; it is
// of CodePortTaken if another program has the port, else of CodeInternal.
func ListenTCP(addr, doing, hint string) (net.Listener, error) {
	network := "tcp"
	if host, _, _ := net.SplitHostPort(addr); net.ParseIP(host).To4() != nil {
		network = "tcp4"
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		code := CodeInternal
		if errors.Is(err, syscall.EADDRINUSE) {
			code = CodePortTaken
		}
		return nil, NewError(code, err, fmt.Sprintf("%s %s: %v", doing, addr, err), hint)
	}
	return ln, nil
}
