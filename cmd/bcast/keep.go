package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// joinOptions are what the flags say of a room that is new here.
func joinOptions(c *cli.Context) (control.JoinOptions, error) {
	options := control.JoinOptions{Ephemeral: c.Bool("ephemeral"), Private: c.Bool("private")}
	if !c.IsSet("keep") {
		return options, nil
	}
	keep, err := parseKeep(c.String("keep"))
	options.Retention = &keep
	return options, err
}

// parseKeep reads bounds on a room's history: ages such as 90d, numbers of records, sizes such as 10MB; "all" is none.
func parseKeep(text string) (control.Retention, error) {
	var keep control.Retention
	if text == "all" {
		return keep, nil
	}
	for _, word := range words(text) {
		switch age, size, number := parseAge(word), parseSize(word), parseCount(word); {
		case number > 0:
			keep.Count = number
		case age > 0:
			keep.Age = age.String()
		case size > 0:
			keep.Bytes = size
		default:
			return keep, usageError(fmt.Sprintf("--keep %q is no age, number or size", word), "e.g. 90d, 100000, 10MB or all")
		}
	}
	if keep == (control.Retention{}) {
		return keep, usageError("--keep says nothing", "e.g. 90d, 100000, 10MB or all")
	}
	return keep, nil
}

func parseCount(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		return 0
	}
	return n
}

// parseAge reads a duration, in days too.
func parseAge(word string) time.Duration {
	if days, found := strings.CutSuffix(word, "d"); found {
		n, err := strconv.Atoi(days)
		if err != nil || n > 36500 {
			return 0
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(word)
	if err != nil {
		return 0
	}
	return d
}

// parseSize reads bytes with a unit of a thousand each.
func parseSize(word string) int64 {
	word = strings.ToUpper(word)
	for unit, factor := range map[string]int64{"KB": 1e3, "MB": 1e6, "GB": 1e9} {
		if number, found := strings.CutSuffix(word, unit); found {
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil {
				return 0
			}
			return n * factor
		}
	}
	return 0
}

// keptLine tells how a room is kept, if that is known.
func keptLine(r control.Room) string {
	switch {
	case r.Ephemeral:
		return "in memory only"
	case r.Retention == nil:
		return ""
	}
	var bounds []string
	if age, err := time.ParseDuration(r.Retention.Age); err == nil && age > 0 {
		bounds = append(bounds, show.Span(age))
	}
	if n := r.Retention.Count; n > 0 {
		bounds = append(bounds, show.Thousands(n)+" records")
	}
	if n := r.Retention.Bytes; n > 0 {
		bounds = append(bounds, show.Thousands(int(n))+" bytes")
	}
	if bounds == nil {
		return "for good"
	}
	return strings.Join(bounds, ", ")
}
