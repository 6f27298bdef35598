package hook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// CallTime is how long one call of an address may take unless the file says otherwise.
	CallTime = 10 * time.Second
	// maxAnswer is how much of an answer is read: nothing in it matters.
	maxAnswer = 4 << 10
)

// again is when an address is called once more that did not answer, or answered that it could not.
var again = []time.Duration{time.Second, 5 * time.Second}

// caller calls addresses.
type caller struct{ transport http.RoundTripper }

// newCaller returns one that keeps few connections and reads no long headers.
func newCaller() caller {
	return caller{&http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: CallTime, MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns: atOnce, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
	}}
}

// call posts JSON to a hook's address, some times if need be. A redirect is refused: what is said here goes where its
// user wrote, and nowhere else.
func (c caller) call(ctx context.Context, h Hook, body []byte) error {
	client := http.Client{
		Transport: c.transport, Timeout: cmp.Or(h.time, CallTime),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, wait := range again {
		err, lasting := c.once(ctx, &client, h, body)
		if err == nil || lasting {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
	err, _ := c.once(ctx, &client, h, body)
	return err
}

// once calls and tells of an error whether it lasts.
func (c caller) once(ctx context.Context, client *http.Client, h Hook, body []byte) (err error, lasting bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.Webhook, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be called"), true // the cause would quote it
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "bcast")
	request.Header.Set("Bcast-Event", h.On)
	for name, value := range h.headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok { // its text has the whole address
			err = wrapped.Err
		}
		return err, ctx.Err() != nil
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	switch code := response.StatusCode; {
	case code < 300:
		return nil, false
	case code < 400:
		return fmt.Errorf("it answers %d, a redirect, which is not followed", code), true
	default:
		return fmt.Errorf("it answers %d %s", code, http.StatusText(code)), code < 500 && code != http.StatusTooManyRequests
	}
}
