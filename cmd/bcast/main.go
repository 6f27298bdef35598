// Command bcast is the one program of the project: the daemon, its client, and the tools for raw datagrams.
//
// Its invariant: what a verb knows of the LAN came through control.API or, for raw datagrams and interfaces, through
// lan. It never decides anything about the protocol, and only main ends the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process the hard way
	os.Exit(run(ctx, takeWords(), stdio{os.Stdin, os.Stdout, os.Stderr}, os.Getenv))
}
