package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/hook"
)

func TestHooksAreReadAgain(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.home, hook.File)
	node := alice(t)
	h := &hooksInForce{home: b.home, api: node, log: b.warnings(), watch: node.Watch}
	names := func() (list []string) {
		for _, s := range hookSettings(h.now()) {
			list = append(list, s.Value)
		}
		return list
	}
	h.begin(t.Context(), nil)
	for _, step := range []struct {
		text, wrong string
		want        []string
	}{
		{"[[hook]]\non = \"join\"\nexec = \"true\"\n", "", []string{"on join at most 60 a minute: exec true"}},
		{"[[hook]]\non = \"joins\"\n", "hooks.toml:2: ", []string{"on join at most 60 a minute: exec true"}},
		{"", "", nil},
		{"[[hook]]\non = \"device-new\"\nkind = \"*\"\nexec = \"true\"\n", "",
			[]string{"on device-new of kind * at most 60 a minute: exec true"}},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := h.again(t.Context())
		if (err == nil) != (step.wrong == "") || err != nil && !strings.Contains(err.Error(), step.wrong) {
			t.Errorf("%q: %v", step.text, err)
		}
		if got := names(); !slices.Equal(got, step.want) {
			t.Errorf("%q: %q are in force", step.text, got)
		}
	}
	if h.end(); !node.watching {
		t.Error("the subnet is not watched for a hook on all of its devices")
	}
}

func TestHooksTellWhenTheyEnd(t *testing.T) {
	b := newBench(t)
	h := &hooksInForce{api: broken{alice(t)}, log: b.warnings()}
	h.begin(t.Context(), []hook.Hook{{On: "post", Exec: "true"}})
	b.err.await(t, "hooks are no longer run")
	h.end()
}

// broken is a participant that does not answer.
type broken struct{ *fakeNode }

func (broken) Status(context.Context) (control.Status, error) {
	return control.Status{}, control.NewError(control.CodeInternal, nil, "broken", "")
}

// Every event that a hook may be on can be tried.
func TestEveryEventCanBeMadeUp(t *testing.T) {
	b := newBench(t)
	for _, on := range hook.Events() {
		text := "[[hook]]\non = \"" + on + "\"\nnick = \"bob\"\nexec = 'test \"$BCAST_EVENT $BCAST_NICK\" = \"" + on + " bob\"'\n"
		if err := os.WriteFile(filepath.Join(b.home, hook.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.want(b.shell("hooks test --nick bob "+on), exitDone, "line 1: done\n", "")
	}
}
