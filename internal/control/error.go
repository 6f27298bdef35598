package control

import (
	"errors"
	"net/http"
)

// Code names a kind of failure. The list is closed: scripts branch on it.
type Code string

const (
	CodeUsage       Code = "usage"       // the words of the command are wrong
	CodeInvalid     Code = "invalid"     // a value is malformed: room name, nick, text, address
	CodeTooLarge    Code = "too_large"   // a post over 16 KiB
	CodeNotFound    Code = "not_found"   // no such room, peer or post
	CodeAmbiguous   Code = "ambiguous"   // more than one peer or post matches
	CodeNotJoined   Code = "not_joined"  // the room has to be joined first
	CodeNoDaemon    Code = "no_daemon"   // nothing serves this home
	CodeRunning     Code = "running"     // another daemon serves this home
	CodeNoNetwork   Code = "no_network"  // no usable interface
	CodePortTaken   Code = "port_taken"  // another program holds the port
	CodeHome        Code = "home"        // the home directory cannot be used: permissions, path too long
	CodeCorrupt     Code = "corrupt"     // a file of the home is damaged
	CodeBusy        Code = "busy"        // a queue is full; try again
	CodeTimeout     Code = "timeout"     // the time given ran out
	CodeUnsupported Code = "unsupported" // not on this operating system, or not by this daemon
	CodeReadOnly    Code = "read_only"   // the disk takes nothing now
	CodeInternal    Code = "internal"    // a defect in bcast
	CodeNoToken     Code = "no_token"    // --http: the token is missing or wrong
	CodeForbidden   Code = "forbidden"   // --http: the request is another site's; files: the device does not want it
	CodeExists      Code = "exists"      // files: one of that name is there and was not to be replaced
	CodeDamaged     Code = "damaged"     // files: what came is not what was to come; it was not kept
)

// statuses is the closed list of codes and the HTTP status that each travels under.
var statuses = map[Code]int{
	CodeUsage:       http.StatusBadRequest,
	CodeInvalid:     http.StatusBadRequest,
	CodeTooLarge:    http.StatusRequestEntityTooLarge,
	CodeNotFound:    http.StatusNotFound,
	CodeAmbiguous:   http.StatusConflict,
	CodeNotJoined:   http.StatusConflict,
	CodeNoDaemon:    http.StatusServiceUnavailable,
	CodeRunning:     http.StatusConflict,
	CodeNoNetwork:   http.StatusServiceUnavailable,
	CodePortTaken:   http.StatusConflict,
	CodeHome:        http.StatusInternalServerError,
	CodeCorrupt:     http.StatusInternalServerError,
	CodeBusy:        http.StatusTooManyRequests,
	CodeTimeout:     http.StatusGatewayTimeout,
	CodeReadOnly:    http.StatusInsufficientStorage,
	CodeUnsupported: http.StatusNotImplemented,
	CodeInternal:    http.StatusInternalServerError,
	CodeNoToken:     http.StatusUnauthorized,
	CodeForbidden:   http.StatusForbidden,
	CodeExists:      http.StatusConflict,
	CodeDamaged:     http.StatusBadGateway,
}

// Error is what a face shows: what failed and, where it is known, what to do about it.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	cause   error
}

// NewError makes an Error; cause may be nil and is kept for errors.Is.
func NewError(code Code, cause error, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint, cause: cause}
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.cause }

// AsError returns err as an *Error, CodeInternal when it is of no known kind, nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: err.Error(), cause: err}
}
