package control

import (
	_ "embed"
	"net/http"
	"time"
)

// description is the API as an OpenAPI document. Its test makes it of the nouns of this package and their comments, and
// holds every call and answer against it: `go test ./internal/control -run OpenAPI -rewrite`.
//
//go:embed openapi.json
var description []byte

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(description) // fails only when the reader is gone
}
