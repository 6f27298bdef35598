package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() { scriptCommands["screen"] = onPty }

// onPty runs a program on a terminal of 80 columns and 24 lines: screen FILE COMMAND… A line of FILE that begins with ">"
// is typed, one that begins with "<" is waited for. The program has to end by itself.
func onPty(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: screen FILE COMMAND…")
	}
	dialogue := ts.ReadFile(args[0])
	terminal, screen := openPty(ts)
	defer terminal.Close()
	command := exec.Command(args[1], args[2:]...)
	command.Stdin, command.Stdout, command.Stderr = screen, screen, screen
	command.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=1", "HOME="+ts.Getenv("HOME"), "USER=tester",
		"GORACE="+ts.Getenv("GORACE"))
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(command.Start())
	screen.Close()
	shown := &ptyOutput{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		shown.readFrom(terminal)
	}()
	for line := range strings.Lines(dialogue) {
		does, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if does == ">" {
			fmt.Fprintf(terminal, "%s\r", text)
		} else if !shown.comes(text) {
			command.Process.Kill()
			ts.Fatalf("%q never came to the screen: %q", text, shown)
		}
	}
	ts.Check(command.Wait())
	<-ended
}

func openPty(ts *testscript.TestScript) (terminal, screen *os.File) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	ts.Check(unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	ts.Check(err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	ts.Check(unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	return terminal, screen
}

// ptyOutput is what came to a screen since it was last waited for something.
type ptyOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *ptyOutput) readFrom(terminal *os.File) {
	for b := make([]byte, 4096); ; {
		n, err := terminal.Read(b)
		o.mu.Lock()
		o.text.Write(b[:n])
		o.mu.Unlock()
		if err != nil {
			return // the program has ended
		}
	}
}

func (o *ptyOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// comes waits for a text, and forgets what came up to it.
func (o *ptyOutput) comes(text string) bool {
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(time.Millisecond) {
		o.mu.Lock()
		at := bytes.Index(o.text.Bytes(), []byte(text))
		if at >= 0 {
			o.text.Next(at + len(text))
		}
		o.mu.Unlock()
		if at >= 0 {
			return true
		}
	}
	return false
}
