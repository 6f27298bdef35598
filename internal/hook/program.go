package hook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	// ProgramTime is how long a program may run unless its user says otherwise.
	ProgramTime = 30 * time.Second
	// parting is how long what a program left running may still hold its output.
	parting = time.Second
	// maxComplaint is how much of what a program says on standard error is logged, in bytes.
	maxComplaint = 400
)

// Program is a command line of the user's, for `sh -c`.
type Program struct {
	Command string
	Time    time.Duration // how long it may run; 0 is ProgramTime
	Home    string        // for what it runs itself: BCAST_HOME
}

// run runs it to its end and returns the beginning of what it writes. When its time is over it ends, and with it what
// it started. env and input are data: the command line is the user's own, to the letter.
func (p Program) run(ctx context.Context, env []string, input []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Time, ProgramTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", p.Command)
	cmd.Env = append(inherited(os.Environ()), env...)
	if p.Home != "" {
		cmd.Env = append(cmd.Env, prefix+"HOME="+p.Home)
	}
	cmd.Stdin = bytes.NewReader(input)
	out, complaint := &beginning{most: control.MaxText + 1}, &beginning{most: maxComplaint}
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.WaitDelay = parting
	group(cmd)
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; that it left something running is its own affair
		return out.String(), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("it ran for longer than %v", cmp.Or(p.Time, ProgramTime))
	}
	said := strings.TrimSpace(show.Clean(complaint.String()))
	exited, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case said != "":
		return "", fmt.Errorf("%w: %s", err, said)
	case ended && exited.ExitCode() == 1 && out.String() == "":
		return "", nil // a no without a word, as that of test and grep
	}
	return "", err
}

// inherited is an environment without what is ours to say, and without the supervisor's socket: that one is told of
// the daemon and of nothing that it runs.
func inherited(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		ours, found := strings.CutPrefix(name, prefix)
		return found && slices.Contains(variables, ours) || name == "NOTIFY_SOCKET"
	})
}

// beginning keeps the first bytes written to it and forgets the rest. The buffer is a field, not embedded: io.Copy
// would find its ReadFrom, and that knows no limit.
type beginning struct {
	kept bytes.Buffer
	most int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), b.most-b.kept.Len())])
	return len(p), nil
}

func (b *beginning) String() string { return b.kept.String() }

// post makes of what a program wrote a text that may be posted: without escapes and the last line breaks, and no longer
// than a post may be. It is empty if there is nothing to say.
func post(output string) string {
	lines := show.Lines(strings.ToValidUTF8(output, "\uFFFD"))
	text := strings.TrimRight(strings.Join(lines, "\n"), " \n")
	if strings.TrimSpace(text) == "" {
		return ""
	}
	if len(text) <= control.MaxText {
		return text
	}
	const more = "…"
	return strings.ToValidUTF8(text[:control.MaxText-len(more)], "") + more
}
