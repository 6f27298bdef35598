package control

import "io"

// NewClientDial makes a client of any connection.
var NewClientDial = newClient

// WriteRecord writes one line of records.
var WriteRecord = writeRecord

// Statuses is the closed list of codes.
var Statuses = statuses

// Patterns are the calls that there are.
func Patterns(h *Handler) []string { return h.patterns }

// The bodies of calls that have no noun of their own.
type (
	InviteBody = inviteBody
	PinBody    = pinBody
	BlockBody  = blockBody
	AnswerBody = answerBody
	RekeyBody  = rekeyBody
	NickBody   = nickBody
	FetchBody  = fetchBody
	Failure    = failure
)

// ReadEvents parses a stream into events and the error it ended with.
func ReadEvents(stream io.Reader) ([]Event, error) {
	var events []Event
	for event, err := range readEvents(stream) {
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
	return events, nil
}
