package control

import "io"

// NewClientDial makes a client of any connection.
var NewClientDial = newClient

// Statuses is the closed list of codes.
var Statuses = statuses

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
