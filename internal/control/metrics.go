package control

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// metricsType is the text format that Prometheus scrapes.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// metrics answers with what Status counts, and what the runtime and the system tell of this process.
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) {
	status, err := h.api.Status(r.Context())
	connection := http.NewResponseController(w)
	connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err != nil {
		h.fail(w, r, err, nil)
		return
	}
	watched, err := h.api.Devices(r.Context())
	if err != nil {
		watched = nil // the subnet is not watched
	}
	metrics.ExposeMetadata(true) // the type of each: the library leaves it out otherwise
	var page bytes.Buffer
	measured(status).WritePrometheus(&page)
	counted(watched).WritePrometheus(&page)
	metrics.WriteProcessMetrics(&page)
	w.Header().Set("Content-Type", metricsType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(page.Bytes()) // fails only when the reader is gone
}

// measured are the metrics of a status. Names of rooms, kinds and reasons are labels; nicks, which anybody chooses, are
// not, or anybody could make as many series as he likes.
func measured(s Status) *metrics.Set {
	set := metrics.NewSet()
	count := func(name string, value uint64) { set.GetOrCreateCounter(name).Set(value) }
	gauge := func(name string, value float64) { set.GetOrCreateGauge(name, nil).Set(value) }
	gauge(fmt.Sprintf("bcast_info{version=%q,id=%q}", s.Version, s.ID), 1)
	gauge("bcast_uptime_seconds", s.UptimeS)
	gauge("bcast_peers", float64(s.Peers))
	gauge("bcast_problems", float64(len(s.Problems)))
	gauge("bcast_receive_buffer_bytes", float64(s.RecvBuffer))
	count("bcast_cut_datagrams_total", s.Cuts)
	count("bcast_sent_bytes_total", s.SentBytes)
	for family, label := range map[string]struct {
		name   string
		counts map[string]uint64
	}{
		"bcast_refused_datagrams_total":  {"reason", s.Drops},
		"bcast_sent_datagrams_total":     {"kind", s.Sent},
		"bcast_received_datagrams_total": {"kind", s.Received},
	} {
		for value, n := range label.counts {
			count(fmt.Sprintf("%s{%s=%q}", family, label.name, value), n)
		}
	}
	measureFiles(s.Files, count, gauge)
	for _, room := range s.Rooms {
		for name, value := range map[string]int{
			"members": room.Members, "present": room.Present, "posts": room.Posts, "missing_records": room.Missing,
			"datagram_limit_bytes": room.DatagramLimit,
		} {
			gauge(fmt.Sprintf("bcast_room_%s{room=%q}", name, room.Name), float64(value))
		}
	}
	return set
}

// maxKinds of devices are told apart: strangers say what they are.
const maxKinds = 32

// counted are the devices of the subnet by their kind, those that are here and those that are gone.
func counted(devices []Device) *metrics.Set {
	set := metrics.NewSet()
	kinds := map[string]bool{}
	for _, d := range devices {
		kind := d.Kind
		if !kinds[kind] && (len(kinds) == maxKinds || !plainKind(kind)) {
			kind = "other"
		}
		kinds[kind] = true
		status := "gone"
		if d.IsHere() {
			status = "here"
		}
		set.GetOrCreateGauge(fmt.Sprintf("bcast_devices{kind=%q,status=%q}", kind, status), nil).Inc()
	}
	return set
}

// plainKind reports whether a kind is a word that any system of metrics can take for a label.
func plainKind(kind string) bool {
	strange := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	return kind != "" && len(kind) <= 64 && !strings.ContainsFunc(kind, strange)
}

// measureFiles are the metrics of files, if there are any.
func measureFiles(f *FileCounts, count func(string, uint64), gauge func(string, float64)) {
	if f == nil {
		return
	}
	gauge("bcast_files_shares", float64(f.Shares))
	count("bcast_files_sent_total", f.Sent)
	count("bcast_files_sent_bytes_total", f.SentBytes)
	count("bcast_files_received_total", f.Received)
	count("bcast_files_received_bytes_total", f.ReceivedBytes)
	gauge("bcast_files_held", float64(f.Held))
	count("bcast_files_fetched_total", f.Fetched)
	count("bcast_files_fetched_bytes_total", f.FetchedBytes)
	count("bcast_files_pushed_total", f.Pushed)
	count("bcast_files_pushed_bytes_total", f.PushedBytes)
	for reason, n := range f.Refused {
		count(fmt.Sprintf("bcast_files_refused_total{reason=%q}", reason), n)
	}
}
