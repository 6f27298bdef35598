package bcast

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
)

func TestFillBench(t *testing.T) {
	b := Bench{Do: "send", Count: 1}
	if silence, err := fillBench(&b); err != nil || b.Size != control.BenchSize || silence != control.BenchSilence {
		t.Errorf("%+v, %v, %v", b, silence, err)
	}
	for _, b := range []Bench{
		{Do: "both", Count: 1}, {Do: "send"}, {Do: "send", Count: -1}, {Do: "send", Count: 1 << 30},
		{Do: "send", Count: 1, Size: 10}, {Do: "send", Count: 1, Size: 1 << 20}, {Do: "send", Count: 1, Rate: -1},
		{Do: "send", Count: 1, Rate: 1e9}, {Do: "recv", Silence: "soon"}, {Do: "recv", Silence: "-1s"},
	} {
		if _, err := fillBench(&b); control.AsError(err) == nil || control.AsError(err).Code != control.CodeInvalid {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if wait(ctx, time.Millisecond); time.Since(began) != time.Millisecond {
			t.Errorf("waited %v", time.Since(began))
		}
		if wait(ctx, time.Hour); time.Since(began) != time.Second {
			t.Errorf("waited %v beyond the context", time.Since(began))
		}
	})
}
