package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/fuzztest"
)

// collect is all records up to the first error.
func collect(records iter.Seq2[control.Record, error]) ([]control.Record, error) {
	var all []control.Record
	for r, err := range records {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

func TestRecordsGoFromOneParticipantToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := controltest.New("alice"), controltest.New("bob")
		here, there := serve(t, from), serve(t, to)
		for _, api := range []control.API{here, there} {
			must[control.Joined](t)(api.Join(t.Context(), "lobby", control.JoinOptions{}))
		}
		for i := range 1000 {
			from.Hear("lobby", "carol", fmt.Sprint("post ", i, strings.Repeat(" and more", i%50)))
		}
		want := must[[]control.Record](t)(collect(from.Records(t.Context(), "lobby")))
		got := must[[]control.Record](t)(collect(here.Records(t.Context(), "lobby")))
		same(t, "Records")(got, nil)(want, nil)
		for _, want := range []control.Imported{{New: 1000}, {Known: 1000}} {
			if done, err := there.Import(t.Context(), "lobby", here.Records(t.Context(), "lobby")); err != nil || done != want {
				t.Errorf("Import = %+v, %v, want %+v", done, err, want)
			}
		}
		_, err := collect(here.Records(t.Context(), "none"))
		wantCode(t, err, control.CodeNotJoined)
		_, err = collect(here.Records(t.Context(), ".."))
		wantCode(t, err, control.CodeInvalid)
		_, err = here.Import(t.Context(), "none", from.Records(t.Context(), "lobby"))
		wantCode(t, err, control.CodeNotJoined)
	})
}

// flawed yields one record and then what its test says.
type flawed struct {
	control.API
	then func(ctx context.Context, yield func(control.Record, error) bool)
}

func (f flawed) Records(ctx context.Context, _ string) iter.Seq2[control.Record, error] {
	return func(yield func(control.Record, error) bool) {
		if yield(control.Record{ID: "first", Bytes: []byte("hi")}, nil) {
			f.then(ctx, yield)
		}
	}
}

func TestAPartOfTheRecordsIsNotTakenForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serve(t, flawed{then: func(_ context.Context, yield func(control.Record, error) bool) {
			yield(control.Record{}, control.NewError(control.CodeCorrupt, nil, "page 7 is damaged", "restore it"))
		}})
		records, err := collect(client.Records(t.Context(), "lobby"))
		wantCode(t, err, control.CodeCorrupt)
		if len(records) != 1 || err.Error() != "page 7 is damaged" {
			t.Errorf("records %+v, error %q", records, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the participant stops
		ctx, stop := context.WithCancel(t.Context())
		api := flawed{then: func(context.Context, func(control.Record, error) bool) { stop() }}
		recorder := httptest.NewRecorder()
		control.NewHandler(api, quiet).ServeHTTP(recorder,
			httptest.NewRequestWithContext(ctx, "GET", "/v1/rooms/lobby/records", nil))
		records, err := collect(control.ReadRecords(recorder.Body))
		wantCode(t, err, control.CodeTimeout)
		if len(records) != 1 {
			t.Errorf("records %+v", records)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the connection breaks
		near, far := net.Pipe()
		client := control.NewClientDial(func(context.Context) (net.Conn, error) { return near, nil })
		defer client.Close()
		go func() {
			bufio.NewReader(far).ReadString('\n')
			io.WriteString(far, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n")
			far.Close()
		}()
		records, err := collect(client.Records(t.Context(), "lobby"))
		wantCode(t, err, control.CodeNoDaemon)
		if len(records) != 1 {
			t.Errorf("records %+v", records)
		}
	})
}

func TestImportEndsWithItsRecordsOrItsParticipant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := inLobby(t)
		broken := errors.New("the stick was pulled out")
		_, err := client.Import(t.Context(), "lobby", func(yield func(control.Record, error) bool) {
			if yield(control.Record{ID: "a", Bytes: []byte("hi")}, nil) {
				yield(control.Record{}, broken)
			}
		})
		if !errors.Is(err, broken) {
			t.Errorf("Import = %v, want what its records said", err)
		}
		endless := func(yield func(control.Record, error) bool) {
			for i := 0; yield(control.Record{ID: fmt.Sprint(i), Bytes: make([]byte, 4096)}, nil); i++ {
			}
		}
		_, err = client.Import(t.Context(), "none", endless)
		wantCode(t, err, control.CodeNotJoined)
		_, err = client.Import(t.Context(), "lobby", func(yield func(control.Record, error) bool) {
			yield(control.Record{ID: "long", Bytes: make([]byte, 1<<20)}, nil)
		})
		wantCode(t, err, control.CodeTooLarge)
		client.stop()
		_, err = client.Import(t.Context(), "lobby", endless)
		wantCode(t, err, control.CodeNoDaemon)
	})
}

func TestAnImportMayTakeLongButNotStandStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := inLobby(t)
		start := time.Now()
		send := func(pauses ...time.Duration) (control.Imported, error) {
			return client.Import(t.Context(), "lobby", func(yield func(control.Record, error) bool) {
				for _, pause := range pauses {
					time.Sleep(pause)
					if !yield(control.Record{ID: time.Since(start).String(), Bytes: []byte("hi")}, nil) {
						return
					}
				}
			})
		}
		done, err := send(29*time.Second, 29*time.Second, 29*time.Second, 29*time.Second)
		if err != nil || done.New != 4 {
			t.Errorf("a slow import: %+v, %v, want 4 records", done, err)
		}
		_, err = send(time.Second, 31*time.Second, time.Second)
		wantCode(t, err, control.CodeInvalid)
	})
}

func TestAReaderOfRecordsThatStopsReadingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := make(chan bool, 1)
		api := flawed{then: func(_ context.Context, yield func(control.Record, error) bool) {
			for yield(control.Record{Bytes: make([]byte, 4096)}, nil) {
			}
			dropped <- true
		}}
		ln := controltest.NewListener()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- control.Serve(ctx, ln, api, quiet) }()
		near := must[net.Conn](t)(ln.Dial(ctx))
		defer near.Close()
		start := time.Now()
		io.WriteString(near, "GET /v1/rooms/lobby/records HTTP/1.1\r\nHost: bcast\r\n\r\n")
		<-dropped
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("dropped after %v, want 10s", took)
		}
		stop()
		<-done
	})
}

func TestReadRecords(t *testing.T) {
	for _, test := range []struct {
		lines string
		count int
		code  control.Code
	}{
		{"", 0, ""},
		{"{\"id\":\"a\"}\n \n{\"id\":\"b\",\"new\":1}", 2, ""},
		{"{\"id\":\"a\"}\r\nnonsense\n{}", 1, control.CodeInvalid},
		{"{\"bytes\":\"!\"}", 0, control.CodeInvalid},
		{"{}\n{\"error\":{\"code\":\"busy\",\"message\":\"m\"}}\n{}", 1, control.CodeBusy},
		{"{\"error\":{\"code\":\"new\",\"message\":\"m\"}}", 0, control.CodeInternal},
		{"{}\n{\"id\":\"" + strings.Repeat("x", 1<<20), 1, control.CodeTooLarge},
	} {
		records, err := collect(control.ReadRecords(strings.NewReader(test.lines)))
		var code control.Code
		if err != nil {
			code = control.AsError(err).Code
		}
		if len(records) != test.count || code != test.code {
			t.Errorf("%.60q = %d records, %v, want %d, code %q", test.lines, len(records), err, test.count, test.code)
		}
	}
}

func TestWhatIsWrittenOfARecordCanBeRead(t *testing.T) {
	long := control.Record{ID: "a", Bytes: []byte("hi")}
	for range 100 {
		long.Posts = append(long.Posts, control.Post{Text: strings.Repeat("\x01", control.MaxText)})
	}
	var line strings.Builder
	if err := control.WriteRecord(&line, long); err != nil {
		t.Fatal(err)
	}
	records, err := collect(control.ReadRecords(strings.NewReader(line.String())))
	if err != nil || len(records) != 1 || string(records[0].Bytes) != "hi" {
		t.Errorf("read %+v, %v", records, err)
	}
}

func FuzzReadRecords(f *testing.F) {
	f.Add("{\"room\":\"lobby\",\"id\":\"a\",\"bytes\":\"aGk=\",\"posts\":[{\"text\":\"hi\"}]}\n{}\n")
	f.Add("{\"error\":{\"code\":\"busy\",\"message\":\"full\"}}\n")
	f.Fuzz(func(t *testing.T, lines string) {
		var records []control.Record
		var err error
		fuzztest.Within(t, len(lines), 512, 64<<10, func() {
			records, err = collect(control.ReadRecords(strings.NewReader(lines)))
		})
		if len(records) > strings.Count(lines, "\n")+1 {
			t.Errorf("%d records from %q, %v", len(records), lines, err)
		}
	})
}
