package files

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Code names a kind of failure, here and between devices. The list is closed.
type Code string

const (
	CodeNotFound  Code = "not_found" // there is no such thing, or not for who asks
	CodeForbidden Code = "forbidden" // it may be read but not written, or the device's own system does not let it
	CodeExists    Code = "exists"    // a file of that name is there, and is not replaced
	CodeName      Code = "name"      // the name or path is refused
	CodeInvalid   Code = "invalid"   // the request is malformed
	CodeSpace     Code = "space"     // the disk, or what may be put there, is full
	CodeChanged   Code = "changed"   // the file is not the one any more that was asked for
	CodeDamaged   Code = "damaged"   // what came is not what its hash says
	CodeRefused   Code = "refused"   // the other side does not want it
	CodeBusy      Code = "busy"      // too much is under way
	CodeInternal  Code = "internal"  // the file system failed, or a defect
	CodeBroken    Code = "broken"    // the connection ended too early: never sent
)

var statuses = map[Code]int{
	CodeNotFound: http.StatusNotFound, CodeForbidden: http.StatusForbidden, CodeExists: http.StatusConflict,
	CodeName: http.StatusBadRequest, CodeInvalid: http.StatusBadRequest, CodeSpace: http.StatusInsufficientStorage,
	CodeChanged: http.StatusPreconditionFailed, CodeDamaged: http.StatusUnprocessableEntity,
	CodeRefused: http.StatusForbidden, CodeBusy: http.StatusTooManyRequests,
	CodeInternal: http.StatusInternalServerError,
}

// Error is why something was not done and, where it is known, what to do about it.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	cause   error
}

func newError(code Code, cause error, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint, cause: cause}
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.cause }

// Refusal is what a person is told of it, and its code: for those that know no files.
func (e *Error) Refusal() (code, message, hint string) { return string(e.Code), e.Message, e.Hint }

// codeOf is the code of an error; CodeInternal if it has none.
func codeOf(err error) Code {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// failure is the body of every refusal, and the line that ends a list too early.
type failure struct {
	Error *Error `json:"error"`
}

// maxFailure is the longest refusal that is read, in bytes.
const maxFailure = 16 << 10

// limited is a body that is short: a refusal, an offer, what is answered to one.
func limited(body io.Reader) io.Reader { return io.LimitReader(body, maxFailure) }

// readFailure is why a device did not answer as asked.
func readFailure(response *http.Response) error {
	var body failure
	text, _ := io.ReadAll(limited(response.Body))
	if json.Unmarshal(text, &body) != nil || body.Error == nil || statuses[body.Error.Code] == 0 {
		switch response.StatusCode {
		case http.StatusPreconditionFailed:
			return errChanged
		case http.StatusNotFound:
			return errNotFound
		}
		return newError(CodeInternal, nil, "the device answers "+response.Status, "")
	}
	return body.Error
}

var (
	errNotFound = newError(CodeNotFound, nil, "there is no such file or share there, or it is not for this device", "")
	errChanged  = newError(CodeChanged, nil, "the file changed while it was carried", "try again when it is at rest")
)
