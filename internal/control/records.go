package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// Records travel as JSON lines, in both directions, however many there are.
const (
	// maxRecordLine holds the largest record in base64 beside its posts as people read them.
	maxRecordLine = 1 << 20
	// recordIdle bounds how long a client may take over one line of records.
	recordIdle = 30 * time.Second
)

// records answers with all that is kept of a room. What fails after the first record is told in a line of its own: the
// reader must not take a part for the whole.
func (h *Handler) records(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	out := bufio.NewWriter(w)
	begun := false
	var err error
	for rec, failed := range h.api.Records(r.Context(), r.PathValue("room")) {
		if err = failed; err != nil {
			break
		}
		begun = true
		control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if writeRecord(out, rec) != nil {
			return // the reader is gone
		}
	}
	if err == nil && r.Context().Err() != nil {
		err = NewError(CodeTimeout, r.Context().Err(), "the participant is stopping", "")
	}
	control.SetWriteDeadline(time.Now().Add(writeTimeout))
	switch {
	case err != nil && !begun:
		h.fail(w, r, err, nil)
	case err != nil:
		h.judge(r, err)
		json.NewEncoder(out).Encode(failure{Error: AsError(err)}) // strings only: it cannot fail
	}
	out.Flush() // fails only when the reader is gone
}

// writeRecord writes one line. Posts that grew too long for it, by thousands of reactions, are left out: only the bytes
// count.
func writeRecord(out io.Writer, rec Record) error {
	line, err := json.Marshal(rec)
	if err == nil && len(line) >= maxRecordLine {
		rec.Posts = nil
		line, err = json.Marshal(rec)
	}
	if err != nil {
		return fmt.Errorf("encode record %s: %w", rec.ID, err)
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// takeRecords imports the records of the body.
func (h *Handler) takeRecords(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	next := func() { control.SetReadDeadline(time.Now().Add(recordIdle)) }
	done, err := h.api.Import(r.Context(), r.PathValue("room"), readRecords(r.Body, next, unreadable))
	control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err != nil {
		h.fail(w, r, err, nil)
		return
	}
	writeJSON(w, http.StatusOK, done)
}

// ReadRecords reads records from the JSON lines that an export wrote. It ends with the first line that is no record.
func ReadRecords(lines io.Reader) iter.Seq2[Record, error] {
	return readRecords(lines, func() {}, unreadable)
}

// readRecords calls next before each line and explains what ends the reading too early.
func readRecords(lines io.Reader, next func(), explain func(error) error) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		scanner := bufio.NewScanner(lines)
		scanner.Buffer(nil, maxRecordLine)
		for number := 1; ; number++ {
			if next(); !scanner.Scan() {
				break
			}
			if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
				continue
			}
			rec, err := parseRecord(scanner.Bytes(), number)
			if !yield(rec, err) || err != nil {
				return
			}
		}
		err := scanner.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			err = NewError(CodeTooLarge, err, fmt.Sprintf("a line is longer than the %d bytes of any record", maxRecordLine),
				"give what `bcast history ROOM --export` wrote")
		case err != nil:
			err = explain(err)
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// parseRecord reads one line: a record, or why no more come.
func parseRecord(data []byte, number int) (Record, error) {
	var line struct {
		Record
		Error *Error `json:"error"`
	}
	if err := json.Unmarshal(data, &line); err != nil {
		return Record{}, NewError(CodeInvalid, err, fmt.Sprintf("line %d is no record: %v", number, err),
			"give what `bcast history ROOM --export` wrote")
	}
	if line.Error != nil {
		return Record{}, known(line.Error)
	}
	return line.Record, nil
}

func unreadable(err error) error {
	return NewError(CodeInvalid, err, fmt.Sprintf("read records: %v", err), "")
}

// Records implements API.
func (c *Client) Records(ctx context.Context, room string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		path, err := roomPath(room, "/records")
		if err != nil {
			yield(Record{}, err)
			return
		}
		response, err := c.stream(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer response.Body.Close()
		for rec, err := range readRecords(response.Body, func() {}, callError) {
			if !yield(rec, err) {
				return
			}
		}
	}
}

// Import implements API. The records are asked for here and sent from beside, so that none is asked for after Import
// returned.
func (c *Client) Import(ctx context.Context, room string, records iter.Seq2[Record, error]) (Imported, error) {
	path, err := roomPath(room, "/records")
	if err != nil {
		return Imported{}, err
	}
	body, lines := io.Pipe()
	var done Imported
	answered := make(chan error, 1)
	go func() {
		defer body.Close()
		answered <- c.sendRecords(ctx, path, body, &done)
	}()
	err = writeRecords(lines, records)
	lines.CloseWithError(err) // nil is the end
	answer := <-answered
	if err != nil && !errors.Is(err, io.ErrClosedPipe) { // not because the participant answered before the end
		return Imported{}, err
	}
	return done, answer
}

func writeRecords(out io.Writer, records iter.Seq2[Record, error]) error {
	for rec, err := range records {
		if err == nil {
			err = writeRecord(out, Record{Room: rec.Room, ID: rec.ID, Bytes: rec.Bytes})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) sendRecords(ctx context.Context, path string, body io.Reader, done *Imported) error {
	response, err := c.stream(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(done); err != nil {
		return callError(err)
	}
	return nil
}
